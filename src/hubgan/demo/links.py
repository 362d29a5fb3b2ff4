"""Links to a result: the seed and the settings in the page's address."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from hubgan.demo import strings
from hubgan.errors import ConfigError

# JavaScript. A Space is shown in a frame of the Hub's page, which takes the query over when it is told.
_FORGET = """const query = new URLSearchParams(window.location.search);
    ["seed", "count", "class", "variety", "model"].forEach(name => query.delete(name));"""
_GO = """const queryString = query.size ? "?" + query : "";
    window.history.replaceState(null, "", window.location.pathname + queryString);
    if (window.parent !== window) window.parent.postMessage({ queryString }, "https://huggingface.co");"""


@dataclass(frozen=True)
class Link:
    """What an address asks for."""

    count: int
    seed: int
    classes: list[str]
    variety: float
    model: str


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
        raise ConfigError(strings.BAD_NUMBER) from error
    classes = query.getlist("class")  # type: ignore[attr-defined]
    return Link(count, seed, classes, variety, str(query.get("model", default.model)))


def write_link(link: Link, default: Link) -> str:
    """The query of an address that asks for it: `read_link` reads it with the same default."""
    query: list[tuple[str, object]] = [("seed", link.seed), ("count", link.count)]
    query += [("class", name) for name in link.classes]
    if link.variety != default.variety:
        query.append(("variety", f"{link.variety:g}"))
    if link.model != default.model:
        query.append(("model", link.model))
    return urlencode(query)


def go_to_link() -> str:
    """JavaScript of a function of such a query: it goes into the page's address, in place of the one before.

    Without one, an empty text, the address leads to nothing: what is shown has none.
    """
    return f"""link => {{
    {_FORGET}
    new URLSearchParams(link).forEach((value, name) => query.append(name, value));
    {_GO}
}}"""
