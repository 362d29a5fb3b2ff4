import pickle
from inspect import isclass

import pytest

from hubgan import errors
from hubgan.errors import ConfigError, HubganError, ModelError, Remedy, nearest

KINDS = [kind for kind in vars(errors).values() if isclass(kind) and issubclass(kind, HubganError)]


def test_an_error_has_a_remedy_for_python_and_one_for_the_command_line() -> None:
    error = ModelError("m holds several models", Remedy("Select one with weights_name=", "Use --weights-name"))
    assert str(error) == "m holds several models. Select one with weights_name="
    assert error.for_command_line() == "m holds several models. Use --weights-name"
    plain = ModelError("m is damaged", "Copy it again")
    assert str(plain) == plain.for_command_line() == "m is damaged. Copy it again"
    assert str(ModelError("m is damaged")) == "m is damaged"


@pytest.mark.parametrize("kind", KINDS)
def test_context_keeps_the_kind_of_an_error_and_its_remedy(kind: type[HubganError]) -> None:
    error = kind("no option 'a'", Remedy("Did you mean 'b'?", "Did you mean '--b'?"))
    told = error.with_context("config.json: ", Remedy("Upgrade hubgan", "Run: pip install --upgrade hubgan"))
    assert type(told) is kind
    assert (told.message, told.remedy.python) == ("config.json: no option 'a'", "Did you mean 'b'? Upgrade hubgan")
    assert told.remedy.command_line == "Did you mean '--b'? Run: pip install --upgrade hubgan"
    assert str(error) == "no option 'a'. Did you mean 'b'?"  # as it was
    assert (
        str(kind("broken").with_context(remedy="Mend it").with_context("m: ", "Go on")) == "m: broken. Mend it. Go on"
    )
    assert error.with_context().remedy == error.remedy


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_reaches_another_process_with_its_remedy(kind: type[HubganError]) -> None:
    error = pickle.loads(pickle.dumps(kind("broken", Remedy("Mend it", "Use --mend"))))
    assert type(error) is kind
    assert (error.message, error.remedy) == ("broken", ("Mend it", "Use --mend"))


def test_an_unknown_word_has_the_nearest_known_one_or_all_of_them_as_its_remedy() -> None:
    assert str(ConfigError("unknown option 'sed'", nearest("sed", ["seed", "scale"]))) == (
        "unknown option 'sed'. Did you mean 'seed'?"
    )
    assert nearest("zzz", ["seed", "scale"]) == "Known: seed, scale"
