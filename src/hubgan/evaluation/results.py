"""Figures as results for a card, and as lines of text."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import metadata

import torch

from hubgan.evaluation.reference import Reference
from hubgan.metrics.registry import MARK, Measured, Metric, Settings, caution, comparisons, find, mark, metric_id
from hubgan.models.figures import Result, compared_images_of, images_of

_COMMIT = 40  # digits of a commit


def results_of(
    metric: Metric,
    values: Mapping[str, Measured],
    reference: Reference,
    *,
    samples: int,
    settings: Settings,
    beside: str = "",
    extractor: str = "",
    extractor_suffix: str = "",
    suffix: str = "",
) -> list[Result]:
    """The figures of a metric as results.

    Args:
        metric: which metric.
        values: its values, by the keys of its figures.
        reference: what was measured on.
        samples: the number of measured images.
        settings: what all figures of an evaluation share; those of a value are added.
        beside: what stands beside the figures; `metric.beside` by default.
        extractor: the network whose features were compared, in words, unless the metric has its own.
        extractor_suffix: the end of the figures' names by that extractor, such as "-ENL0".
        suffix: follows the name but not the metric, such as " at fidelity 1": the metric is the same.
    """
    results = []
    for figure in metric.figures:
        if figure.key not in values:  # not a figure of such images
            continue
        measured, name = values[figure.key], figure.full_name("" if metric.network else extractor_suffix)
        about = {beside or metric.beside: measured.beside, **settings, **measured.settings}
        result = Result(
            metric=metric_id(name),
            name=name + suffix,
            value=rounded(measured.value),
            dataset=reference.dataset,
            split=reference.split,
            revision=reference.revision,
            samples=samples,
            settings={key: rounded(value) if isinstance(value, float) else value for key, value in about.items()},
        )
        network = metric.network or extractor
        results.append(result | {"extractor": network} if network else result)
    return results


def merge(old: Iterable[Result], new: Iterable[Result]) -> list[Result]:
    """Results, in which new ones replace old ones of the same name on the same data, whatever that was called."""
    kept = list(old)
    for result in new:
        places = [place for place, other in enumerate(kept) if _replaces(result, other)] or [len(kept)]
        kept[places[0] : places[0] + 1] = [result]
        for place in reversed(places[1:]):
            del kept[place]
    return kept


def as_before(reference: Reference, earlier: Iterable[Result]) -> Reference:
    """A reference under the names of the data set and the split that earlier results on the same data have."""
    wanted = _data(reference.dataset, reference.split, reference.revision)
    for result in earlier:
        split = result.get("split", "")
        if _data(result["dataset"], split, result.get("revision")) == wanted:
            return replace(reference, dataset=result["dataset"], split=split)
    return reference


def _replaces(new: Result, old: Result) -> bool:
    def named(result: Result) -> tuple[str, str]:
        return result["dataset"], result.get("split", "")

    same = named(new) == named(old)
    same = same or _data(*named(new), new.get("revision")) == _data(*named(old), old.get("revision"))
    return new["name"] == old["name"] and same


def _data(dataset: str, split: str, revision: str | None) -> tuple[str, ...]:
    """What identifies the data of a result, whatever it is called. A commit of the Hub does not say which rows."""
    bare = split.partition(" (")[0]  # without a remark, such as "(trained on)"
    known = revision is not None and len(revision) < _COMMIT
    return (bare, revision or "") if known else (bare, revision or "", dataset)


def table(results: Iterable[Result]) -> str:
    """Results as lines of text with the direction of each, and a caution below if some are of too few images."""
    results = list(results)
    rows = [("metric", "value", "better", "beside it", "samples", "data")]
    for result in results:
        settings = result.get("settings", {})
        few = mark(result["metric"], compared_images_of(result))
        beside = ", ".join(f"{key} {settings[key]:g}{few}" for key in comparisons() if key in settings)
        data = f"{result['dataset']}, split {result.get('split', '?')}"
        value = f"{result['value']:.5g}{mark(result['metric'], images_of(result))}"
        better = match.figure.better if (match := find(result["metric"])) else ""
        rows.append((result["name"], value, better, beside, f"{result.get('samples', 0):,}", data))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    words = caution((result["metric"], compared_images_of(result)) for result in results)
    return "\n".join([*lines, *([f"{MARK} {words}"] if words else [])])


def mean(values: list[Measured]) -> Measured:
    """The mean over the pictures, with the settings of the first: they are the same for all."""
    numbers = torch.tensor([(each.value, each.beside) for each in values], dtype=torch.float64)
    value, beside = numbers.mean(0).tolist()
    return Measured(value, beside, values[0].settings)


def rounded(value: float) -> float:
    """A figure as results hold it: with six digits."""
    return float(f"{value:.6g}")


def versions(*packages: str) -> dict[str, str]:
    """The versions of packages, without the local part that says how they were built."""
    return {package: metadata.version(package).partition("+")[0] for package in packages}
