"""Links to a result: the seed and the settings in the page's address."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hubgan.demo import words
from hubgan.errors import ConfigError

# JavaScript. A Space is shown in a frame of the Hub's page, which takes the query over when it is told.
_FORGET = """const query = new URLSearchParams(window.location.search);
    ["seed", "count", "class", "variety", "model"].forEach(name => query.delete(name));"""
_GO = """const queryString = query.size ? "?" + query : "";
    window.history.replaceState(null, "", window.location.pathname + queryString);
    if (window.parent !== window) window.parent.postMessage({ queryString }, "https://huggingface.co");"""


@dataclass(frozen=True)
class Link:
    """What an address asks for; the model is None where it names none."""

    count: int
    seed: int
    classes: list[str]
    variety: float
    model: str | None


def read_link(query: Mapping[str, Any], default: Link) -> Link | None:
    """The link in a page's query, of which a default stands for what it does not say; None where it names no seed.

    `query` is as Starlette gives it: `getlist` has all values of a name.

    Raises ConfigError for a number that is none; its range is looked at where the images are made.
    """
    if "seed" not in query:
        return None
    try:
        seed, count = int(query["seed"]), int(query.get("count", default.count))
        variety = float(query.get("variety", default.variety))
        if math.isnan(variety):
            raise ValueError(variety)
    except ValueError as error:
        raise ConfigError(words.BAD_NUMBER) from error
    classes = query.getlist("class")  # type: ignore[attr-defined]
    return Link(count, seed, classes, variety, query.get("model"))


def write_link(default_model: str, most_variety: float) -> str:
    """JavaScript of a function of count, seed, classes, variety and model: they go into the page's address."""
    return f"""
(count, seed, classes, variety, model) => {{
    {_FORGET}
    query.set("seed", seed);
    query.set("count", count);
    (classes || []).forEach(name => query.append("class", name));
    if (variety !== {json.dumps(most_variety)}) query.set("variety", variety);
    if (model !== {json.dumps(default_model)}) query.set("model", model);
    {_GO}
}}"""


def clear_link() -> str:
    """JavaScript that takes the link out of the page's address: what is shown now has none."""
    return f"""() => {{
    {_FORGET}
    {_GO}
}}"""
