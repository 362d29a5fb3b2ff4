"""The metrics that hubgan knows, and all that is said of them.

A metric registers itself in its own file. `hubgan.evaluation` measures the registered metrics, and cards, reports and
the command's help describe them from here, so a new metric is one file of this package:

    @register_metric(
        "Mean colour",
        Figure("colour", "colour distance", "lower"),
        legend="The colour distance is that of the mean colours of generated and of real images.",
        needs={"features"},
        beside="floor",
    )
    def _measure(sets: FeatureSets) -> dict[str, Measured]:
        return {"colour": sets.compare(colour_distance)}

and its import in `hubgan/metrics/__init__.py`, whose order is that of tables, cards and reports.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

Direction = Literal["lower", "higher", "closer to 1"]
Need = Literal["features", "probabilities", "training images", "labels", "known classes", "pixels", "pairs"]
Scale = Literal["linear", "log", "share"]

GENERATOR_NEEDS: frozenset[Need] = frozenset(
    {"features", "probabilities", "training images", "labels", "known classes", "pixels"}
)
UPSCALER_NEEDS: frozenset[Need] = frozenset({"pairs"})

Settings: TypeAlias = Mapping[str, str | int | float]

MARK = "*"
"""What follows a figure of too few images."""

M = TypeVar("M", bound=Callable[..., Any])


@dataclass(frozen=True)
class Figure:
    """One number that a metric gives.

    Attributes:
        key: what the metric's function calls it; a Python identifier.
        name: its name in tables and cards. A figure of features is followed by its extractor's: "FD-ENL0".
        better: which values are better.
        literature_name: its name by the extractor of the literature, Inception, if that is another one: "FID".
        unit: of its values, such as "dB".
        meaning: what it measures, as a noun phrase; cards show it beside the value.
        misleading_without: the key of another figure. While that is near 0, this one tells nothing, however good.
    """

    key: str
    name: str
    better: Direction
    literature_name: str = ""
    unit: str = ""
    meaning: str = ""
    misleading_without: str = ""

    def full_name(self, suffix: str = "") -> str:
        """The name with the extractor's suffix ("-ENL0"); without one it is the literature's."""
        return f"{self.name}{suffix}" if suffix else self.literature_name or self.name


@dataclass(frozen=True)
class Measured:
    """The value of a figure.

    Attributes:
        value: of the model.
        beside: what to compare it with; `Metric.beside` says what that is.
        settings: what else must be known to measure it again.
    """

    value: float
    beside: float
    settings: Settings = field(default_factory=dict)


@dataclass(frozen=True)
class Metric:
    """A way to measure a model. It gives one figure or several.

    Attributes:
        title: heading of its curves in a report.
        figures: what it gives.
        legend: what a reader must know of its figures, in a sentence or two. "{fd}" is the name of the figure with the
            key `fd`. Metrics that are read together may share a legend.
        needs: what it is computed from. To generators belong "features" of generated and of real images, the
            "training images", and the "labels" and "pixels" of all of them. The extractor may give "probabilities",
            and its classifier may have the generator's classes ("known classes"). To upscalers belong "pairs" of an
            enlarged picture and its original.
        beside: what stands beside its figures for comparison, and the name of that setting in results: the "floor"
            (the same distance between real images), "real" (other real images), or "bicubic". At scale 1 that is
            called "input".
        scale: of its curves: "linear", "log", or "share" (0 to 1, written as per cent).
        network: which network it judges by, in words, if that is not the extractor of features.
        fewest: its figures are reliable from this number of images on, and are marked below it.
        fewest_per_feature: the same, for each feature of an image.
        measure: the registered function, from `FeatureSets` or a `Pair` to values by the keys of the figures; or a
            class of such functions, which is created once an evaluation with the device to compute on. It may leave
            out figures that have no meaning for a `Pair`.
    """

    title: str
    figures: tuple[Figure, ...]
    legend: str
    needs: frozenset[Need]
    beside: str
    scale: Scale
    network: str
    fewest: int
    fewest_per_feature: int
    measure: Callable[..., Any]

    def start(self, device: object) -> Callable[[Any], dict[str, Measured]]:
        """The function that measures, for one evaluation on `device`."""
        return self.measure(device) if isinstance(self.measure, type) else self.measure


class Match(NamedTuple):
    """The figure that a result is one of, and its name there: "FD-ENL0" of a result whose metric is "fd-enl0"."""

    metric: Metric
    figure: Figure
    suffix: str

    @property
    def name(self) -> str:
        return self.figure.full_name(_SUFFIXES.get(self.suffix, self.suffix.upper()))


_METRICS: dict[str, Metric] = {}
_FEATURES: dict[str, int] = {}  # of an image, by the suffix of the extractor's figures in small letters
_SUFFIXES: dict[str, str] = {}  # as figures' names have them, by the same


def register_metric(
    title: str,
    *figures: Figure,
    legend: str,
    needs: Iterable[Need],
    beside: str,
    scale: Scale = "linear",
    network: str = "",
    fewest: int = 0,
    fewest_per_feature: int = 0,
) -> Callable[[M], M]:
    """Register the decorated function or class as a metric; see `Metric` for the arguments.

    Raises:
        ValueError: another metric has this title, or a figure with one of these keys or names.
    """

    def register(measure: M) -> M:
        taken = {word for metric in metrics() for figure in metric.figures for word in (figure.key, figure.name)}
        if title in _METRICS or taken & {word for figure in figures for word in (figure.key, figure.name)}:
            raise ValueError(f"the metric {title!r}, or one of its figures, is already registered")
        _METRICS[title] = Metric(
            title, figures, legend, frozenset(needs), beside, scale, network, fewest, fewest_per_feature, measure
        )
        return measure

    return register


def register_features(suffix: str, number: int) -> None:
    """Say how many features an image has for the extractor whose figures' names have this suffix ("-ENL0")."""
    _FEATURES[metric_id(suffix)], _SUFFIXES[metric_id(suffix)] = number, suffix


def metrics() -> list[Metric]:
    """All registered metrics, in the order of their registration."""
    return list(_METRICS.values())


def measurable(available: Iterable[Need]) -> list[Metric]:
    """The metrics whose needs are met; those that need least come first."""
    have = set(available)
    return sorted((metric for metric in metrics() if metric.needs <= have), key=lambda metric: len(metric.needs))


def figure(key: str) -> Figure:
    """The registered figure with this key."""
    return next(figure for metric in metrics() for figure in metric.figures if figure.key == key)


def metric_id(name: str) -> str:
    """A figure's name as `metric` of a result: "label accuracy-ENL0" to "label-accuracy-enl0"."""
    return name.lower().replace(" ", "-")


def find(metric: str) -> Match | None:
    """The registered figure that the `metric` of a result ("fd-enl0") names; None for another program's."""
    matches = []
    for each in metrics():
        for figure in each.figures:
            name = metric_id(figure.name)
            if metric == metric_id(figure.full_name()):
                matches.append(Match(each, figure, ""))
            elif metric.startswith(f"{name}-"):
                matches.append(Match(each, figure, metric.removeprefix(name)))
    return min(matches, key=lambda match: len(match.suffix), default=None)


def legends(results: Iterable[str]) -> list[str]:
    """What a reader must know of results, given by their `metric`: each legend once, in the order of registration."""
    matches = [match for metric in results if (match := find(metric))]
    texts = []
    for metric in metrics():
        for literature in (False, True):
            if any(match.metric is metric and (not match.suffix) is literature for match in matches):
                names = {
                    figure.key: figure.full_name() if literature else figure.name
                    for each in metrics()
                    for figure in each.figures
                }
                texts.append(metric.legend.format(**names))
    return list(dict.fromkeys(texts))


def fewest(metric: str) -> int:
    """The fewest images of which a figure is reliable, by the `metric` of a result; 0 if any number will do."""
    if (match := find(metric)) is None:
        return 0
    return max(match.metric.fewest, match.metric.fewest_per_feature * _FEATURES.get(match.suffix, 0))


def mark(metric: str, images: float) -> str:
    """What follows a figure of this number of images, by the `metric` of a result: `MARK` if they are too few."""
    return MARK if images < fewest(metric) else ""


def caution(measured: Iterable[tuple[str, float]]) -> str:
    """What a reader must know of marked figures; empty if none is marked.

    Args:
        measured: the `metric` of each result, and its number of images.
    """
    wanted: dict[int, list[str]] = {}
    for metric, images in measured:
        if mark(metric, images) and (match := find(metric)):
            wanted.setdefault(fewest(metric), []).append(match.name)
    if not wanted:
        return ""
    needs = "; ".join(f"{number:,} for {', '.join(dict.fromkeys(names))}" for number, names in wanted.items())
    return f"Too few images: a reliable figure needs {needs}. Figures of fewer images may be far off."


def comparisons() -> tuple[str, ...]:
    """The settings of results that hold what a figure is to be compared with: floor, real, bicubic, input."""
    return tuple(dict.fromkeys([*(metric.beside for metric in metrics()), "input"]))
