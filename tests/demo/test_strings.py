"""The words of the demo's page."""

import re

from hubgan.demo import strings


def test_sentences_are_short() -> None:
    found = [value for name, value in vars(strings).items() if name.isupper()]
    texts = [text for value in found for text in ([value] if isinstance(value, str) else value)]
    sentences = [sentence for text in texts for sentence in re.split(r"[.?!:][*]*\s", text)]
    assert len(texts) > 100
    assert not [sentence for sentence in sentences if len(sentence.split()) > 20]
