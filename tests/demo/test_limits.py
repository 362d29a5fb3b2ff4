"""What the demo takes on one's own machine and in a Space, and how the environment changes it."""

import math

import pytest

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")

from hubgan.demo.limits import Limits
from hubgan.errors import ConfigError


def test_only_a_space_takes_less_than_the_command_line() -> None:
    own, space = Limits.from_environment({}), Limits.from_environment({"SPACE_ID": "me/demo"})
    assert (own.for_scale(4).pixels, own.minutes, own.upload_megabytes) == (64_000_000, math.inf, math.inf)
    assert (space.for_scale(4).pixels, space.for_scale(8).pixels, space.minutes) == (4_000_000, 1_000_000, 5)


def test_the_environment_sets_limits() -> None:
    given = {
        "HUBGAN_MAX_MEGAPIXELS": "0.5",
        "HUBGAN_MAX_MINUTES": " 1 ",
        "HUBGAN_MAX_PICTURES": "",
        "SPACE_ID": "me/x",
    }
    limits = Limits.from_environment({**given, "HUBGAN_MAX_UPLOAD_MEGABYTES": "inf"})
    assert (limits.for_scale(2).pixels, limits.minutes, limits.pictures) == (500_000, 1, 20)
    assert limits.upload_megabytes == math.inf


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        ("MEGAPIXELS", "65", "Give a number above 0 and at most 64"),
        ("MEGAPIXELS", "inf", "Give a number above 0 and at most 64"),
        ("MINUTES", "0", "Give a number above 0, or inf for no limit"),
        ("RESULT_MEGAPIXELS", "nan", "Give a number above 0"),
        ("PICTURES", "many", "Give a number above 0"),
    ],
)
def test_a_limit_that_is_no_number_in_range_is_an_error(name: str, text: str, remedy: str) -> None:
    with pytest.raises(ConfigError, match=f"HUBGAN_MAX_{name} is {text}. {remedy}"):
        Limits.from_environment({f"HUBGAN_MAX_{name}": text})
