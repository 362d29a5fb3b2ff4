"""Model cards that a person may have edited: what hubgan rewrites, and what it leaves alone.

A mark at the end of a card holds the digests of its header and its body as hubgan wrote them, so an edit is noticed.
A card that a person has edited keeps their words; only its metadata and its measured results are rewritten.
"""

import hashlib
import re
from collections.abc import Callable

import yaml

from hubgan.errors import ModelError

_MARK = re.compile(r"\n*<!-- hubgan (?P<header>\w+) (?P<body>\w+) -->\n*")
_HEADER = re.compile(r"\A\s*---[ \t]*\n(?P<header>.*?)\n?^---[ \t]*$", re.DOTALL | re.MULTILINE)
_RESULTS = re.compile(r"<!-- (?P<name>results|figures):.*?<!-- end of (?P=name) -->", re.DOTALL)
_BY_HAND = "edited_"  # before the digest of the words
_CORRECT = "Correct the YAML between the lines ---"


def renewed(old: str, new: str) -> str:
    """An existing card brought up to date: replaced as a whole if nobody has edited it.

    If a person has edited it, their text stays. In the body only the results are rewritten, if their marks still
    exist. In the header only the entries that hubgan owns (library, task, data sets, results) are rewritten; its
    tags are added.

    Args:
        old: the existing card.
        new: the card that hubgan would write.

    Raises:
        ModelError: the header of `old` is not valid YAML.
    """
    (header, body), (header_by_hand, body_by_hand), _ = _parts(old)
    (new_header, new_body), _, _ = _parts(new)
    if header_by_hand:
        new_header = _merged(header, new_header)
    if body_by_hand:
        results = {match["name"]: match[0] for match in _RESULTS.finditer(new_body)}
        new_body = _RESULTS.sub(lambda match: results[match["name"]], body)
    return joined(new_header, new_body, header_by_hand, body_by_hand)


def combined(here: str, there: str) -> tuple[str, bool]:
    """Two copies of a card merged: the header and the body each from the copy that a person has edited.

    Args:
        here: the copy in a folder.
        there: the copy on the Hub, whose mark tells which text was pushed last.

    Returns:
        The card, and whether both bodies were edited since the last push. In that case the body is that of `here`.
    """
    (header, body), (header_by_hand, body_by_hand), _ = _parts(here)
    (their_header, their_body), (their_header_by_hand, their_body_by_hand), mark = _parts(there)
    pushed, conflict = mark["body"].removeprefix(_BY_HAND), False
    if body_by_hand and their_body_by_hand:
        if _digest(_words(body)) == pushed:  # only they have changed since
            body = their_body
        else:
            conflict = pushed != _digest(_words(their_body)) != _digest(_words(body))
    elif not body_by_hand:
        body = their_body
    chosen = header if header_by_hand else their_header
    by_hand = header_by_hand or their_header_by_hand, body_by_hand or their_body_by_hand
    return joined(chosen, body, *by_hand), conflict


def with_body(card: str, change: Callable[[str], str]) -> str:
    """A card whose body a person has edited, with a change to that body; any other card unchanged."""
    (header, body), (header_by_hand, body_by_hand), _ = _parts(card)
    return joined(header, change(body), header_by_hand, body_by_hand) if body_by_hand else card


def is_untouched(card: str) -> bool:
    """Whether a card is still exactly as hubgan wrote it."""
    header, body, mark = _split(card)
    return mark == {"header": _digest(header), "body": _digest(body)}


def _parts(card: str) -> tuple[tuple[str, str], tuple[bool, bool], dict[str, str]]:
    """The header and the body of a card, whether a person has edited each, and the mark."""
    header, body, mark = _split(card)
    by_hand = [bool(text.strip()) and mark[part] != _digest(text) for part, text in
               (("header", header), ("body", body))]  # fmt: skip
    return (header, body), (by_hand[0], by_hand[1]), mark


def _words(body: str) -> str:
    """A body without its results, which hubgan writes."""
    return _RESULTS.sub("", body)


def _split(card: str) -> tuple[str, str, dict[str, str]]:
    """The header (YAML), the body, and the digests of both that hubgan left at the end."""
    card = card.removeprefix("\ufeff").replace("\r\n", "\n")
    mark = _MARK.search(card)  # a person may have written below it
    text = f"{card[: mark.start()]}\n\n{card[mark.end() :]}" if mark else card
    header = _HEADER.match(text)
    body = text[header.end() :] if header else text
    return (
        header["header"] if header else "",
        body.strip("\n"),
        mark.groupdict() if mark else dict.fromkeys(("header", "body"), ""),
    )


def joined(header: str, body: str, header_by_hand: bool = False, body_by_hand: bool = False) -> str:
    """The text of a card.

    Args:
        header: YAML, without its lines ---.
        body: Markdown.
        header_by_hand: whether a person has edited the header; the mark at the end records it.
        body_by_hand: the same of the body.
    """
    header, body = header.strip(), body.strip()
    marks = (
        _BY_HAND + _digest(header) if header_by_hand else _digest(header),
        _BY_HAND + _digest(_words(body)) if body_by_hand else _digest(body),
    )
    return f"---\n{header}\n---\n\n{body}\n\n<!-- hubgan {' '.join(marks)} -->\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()[:16]


def _merged(old: str, new: str) -> str:
    """A header edited by a person, with the entries that hubgan owns."""
    try:
        theirs = yaml.safe_load(old)
    except yaml.YAMLError as error:
        raise ModelError(f"the header of README.md is not valid YAML: {error}", _CORRECT) from error
    if not isinstance(theirs, dict) or not all(isinstance(key, str) for key in theirs):
        raise ModelError("the header of README.md is not a mapping of names to values", _CORRECT)
    ours = yaml.safe_load(new)
    theirs.pop("model-index", None)
    owned = {key: ours[key] for key in ("library_name", "pipeline_tag", "datasets", "model-index") if key in ours}
    tags = theirs.get("tags") or []
    tags = tags if isinstance(tags, list) else [tags]
    merged = ours | theirs | owned | {"tags": [*tags, *(tag for tag in ours["tags"] if tag not in tags)]}
    return yaml.safe_dump(merged, sort_keys=False, allow_unicode=True)
