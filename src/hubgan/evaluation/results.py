"""Figures as results for a card, and as lines of text."""

from collections.abc import Iterable
from importlib import metadata

from hubgan.evaluation.reference import Reference
from hubgan.models.card import BESIDE, Result


def result(
    reference: Reference,
    samples: int,
    extractor: str,
    name: str,
    value: float,
    settings: dict[str, str | int | float],
    suffix: str = "",
) -> Result:
    """One figure of `samples` images, judged by what `extractor` (in words; "" for none) sees in them.

    The suffix follows the name in people's words alone, such as " at fidelity 1": the metric is the same.
    """
    figure = Result(
        metric=name.lower().replace(" ", "-"),
        name=name + suffix,
        value=rounded(value),
        dataset=reference.dataset,
        split=reference.split,
        revision=reference.revision,
        samples=samples,
        settings=settings,
    )
    return figure | {"extractor": extractor} if extractor else figure


def merge(old: Iterable[Result], new: Iterable[Result]) -> list[Result]:
    """Results with new ones in place of the old ones of the same name, data set and split."""
    kept = {(result["name"], result["dataset"], result.get("split")): result for result in (*old, *new)}
    return list(kept.values())


def table(results: Iterable[Result]) -> str:
    """Results in lines of text."""
    rows = [("metric", "value", "beside it", "samples", "data")]
    for result in results:
        settings = result.get("settings", {})
        beside = ", ".join(f"{key} {settings[key]:g}" for key in BESIDE if key in settings)
        data = f"{result['dataset']}, split {result.get('split', '?')}"
        rows.append((result["name"], f"{result['value']:.5g}", beside, f"{result.get('samples', 0):,}", data))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
                     for row in rows)  # fmt: skip


def rounded(value: float) -> float:
    """To six digits, as figures are kept."""
    return float(f"{value:.6g}")


def versions(*packages: str) -> dict[str, str]:
    """The versions of packages, without what says how they were built."""
    return {package: metadata.version(package).partition("+")[0] for package in packages}
