"""Links to images and translators: their settings in the query of the page's address."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from hubgan.demo import strings
from hubgan.demo.samples import GenerationSettings, check_seed
from hubgan.errors import ConfigError


def read_link(query: Mapping[str, Any], default: GenerationSettings) -> GenerationSettings | None:
    """The settings in a query, or None if it has no seed.

    Args:
        query: as Starlette gives it: `getlist` has all values of a name.
        default: the settings that the query leaves out.

    Raises:
        ConfigError: a number cannot be read, or is out of range.
    """
    if "seed" not in query:
        return None
    try:
        count, seed = int(query.get("count", default.count)), int(query["seed"])
        variety = float(query.get("variety", default.variety))
    except ValueError as error:
        raise ConfigError(strings.BAD_NUMBER) from error
    classes = tuple(query.getlist("class"))  # type: ignore[attr-defined]
    model = str(query.get("model", default.model))
    return GenerationSettings(model=model, count=count, seed=seed, classes=classes, variety=variety)


def write_link(settings: GenerationSettings, default: GenerationSettings) -> str:
    """The query from which `read_link`, with the same default, reads these settings."""
    query: list[tuple[str, object]] = [("seed", settings.seed), ("count", settings.count)]
    query += [("class", name) for name in settings.classes]
    if settings.variety != default.variety:
        query.append(("variety", f"{settings.variety:g}"))
    if settings.model != default.model:
        query.append(("model", settings.model))
    return urlencode(query)


def has_translation(query: Mapping[str, Any]) -> bool:
    """Whether a query is that of a translator."""
    return "translator" in query


def read_translation(query: Mapping[str, Any]) -> tuple[str, int | None]:
    """The translator's label, empty for the first one, and the seed in a query, if there is one.

    Raises:
        ConfigError: the seed cannot be read, or is out of range.
    """
    seed = None
    if text := query.get("look"):
        try:
            seed = int(text)
        except ValueError as error:
            raise ConfigError(strings.BAD_NUMBER) from error
        check_seed(seed)
    return str(query["translator"]), seed


def write_translation(label: str, seed: int | None) -> str:
    """The query from which `read_translation` reads these, empty if there is nothing to tell."""
    if not label and seed is None:
        return ""
    return urlencode({"translator": label} | ({} if seed is None else {"look": seed}))


# The Hub shows a Space in a frame, and takes the query for the address of its own page from this message.
SHOW_LINK = """link => {
    const query = new URLSearchParams(window.location.search);
    ["seed", "count", "class", "variety", "model", "translator", "look"].forEach(name => query.delete(name));
    new URLSearchParams(link).forEach((value, name) => query.append(name, value));
    const queryString = query.size ? "?" + query : "";
    window.history.replaceState(null, "", window.location.pathname + queryString);
    if (window.parent !== window) window.parent.postMessage({ queryString }, "https://huggingface.co");
}"""
"""JavaScript: a function that puts such a query into the page's address; an empty text removes the one before."""
