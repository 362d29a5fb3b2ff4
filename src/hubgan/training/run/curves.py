"""The figures of a run as curves: a small SVG for each group."""

import html
import io
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hubgan.metrics import registry

_COLOURS = ("#3f8fd2", "#e0802f", "#3fa675", "#a778d0", "#d05f6d", "#8a8f98")
_POINTS = 400
# Placeholders for colours of the page, as matplotlib knows no CSS.
_TEXT, _LINE = "#010203", "#010204"
_STYLE: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "hubgan", "font.size": 8.5, "lines.linewidth": 1.4,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _TEXT, "xtick.labelcolor": _TEXT, "ytick.labelcolor": _TEXT, "xtick.color": _LINE,
    "ytick.color": _LINE, "grid.color": _LINE, "text.color": _TEXT, "axes.spines.top": False,
    "axes.spines.right": False, "grid.linewidth": 0.7, "path.simplify": True,
}  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """Figures that are drawn in one diagram.

    Attributes:
        title: its heading.
        keys: the names in metrics.jsonl, with those in the legend.
        scale: `linear`, `log`, or `share` (0 to 1, written as per cent).
    """

    title: str
    keys: dict[str, str]
    scale: str = "linear"


_LOSSES = ("discriminator", "adversarial", "pixel", "perceptual", "contrastive", "cycle", "identity")
_TRAINING_PANELS = (
    Panel("Losses", {key: key for key in _LOSSES}),
    Panel("Penalties", {"r1": "R1", "r2": "R2", "gradient_penalty": "gradient penalty"}),
    Panel("Discriminator is right", {"real_accuracy": "real images", "fake_accuracy": "fakes"}, "share"),
    Panel(
        "Gradient norms",
        {"discriminator_gradient_norm": "discriminator", "generator_gradient_norm": "generator"},
        "log",
    ),
    Panel("Overlap of image pairs", {"fake_overlap": "fakes", "real_overlap": "real images"}),
)
_RUN_PANELS = (
    Panel("Learning rates", {"learning_rate": "generator", "discriminator_learning_rate": "discriminator"}),
    Panel("Augmentation probability", {"augment_probability": "probability"}, "share"),
    Panel("Images per second", {"images_per_second": "images per second"}),
    Panel("Time spent waiting for data", {"data_wait": "share of the time"}, "share"),
)
MEASURED_IMAGES = "measured_images"
"""The name in metrics.jsonl of the number of images that the figures of a line are of."""
_COUNTS = {"steps", "images", "seconds", "updates", "rollbacks", MEASURED_IMAGES}


def panels(lines: list[dict[str, Any]]) -> list[str]:
    """The lines of metrics.jsonl as HTML figures: the known groups that occur, then one for each unknown number.

    The registered metrics stand between the losses with their like and the learning rates.
    """
    found: dict[str, None] = {}  # in the order of their first line
    for line in lines:
        found |= dict.fromkeys(key for key, value in line.items() if _is_number(value))
    groups = (*_TRAINING_PANELS, *_metric_panels(found), *_RUN_PANELS)
    known = {key for panel in groups for key in panel.keys} | _COUNTS
    drawn = [panel for panel in groups if set(panel.keys) & set(found)]
    drawn += [Panel(_words(key).capitalize(), {key: _words(key)}) for key in found if key not in known]
    return [_panel(panel, lines) for panel in drawn]


def axis(lines: list[dict[str, Any]]) -> str:
    """What all diagrams have across: images, or steps if some lines of metrics.jsonl do not tell the images."""
    return "images" if all(_is_number(line.get("images")) for line in lines) else "steps"


def _metric_panels(keys: Iterable[str]) -> list[Panel]:
    """A panel for each registered metric whose figures are among these names in metrics.jsonl."""
    matches = {key: match for key in keys if (match := registry.find(_metric(key)))}
    return [
        Panel(metric.title, {key: match.figure.unit or match.name for key, match in matches.items()
                             if match.metric is metric}, metric.scale)
        for metric in registry.metrics()
    ]  # fmt: skip


def _metric(key: str) -> str:
    """The `metric` of a result that has this name in metrics.jsonl."""
    return key.replace("_", "-")


def _words(key: str) -> str:
    return key.replace("_", " ")


def _panel(panel: Panel, lines: list[dict[str, Any]]) -> str:
    across = axis(lines)
    legend, curves, measured = [], [], []
    for (key, name), colour in zip(panel.keys.items(), _COLOURS * 2, strict=False):
        points = [
            (line.get(across, index), line[key]) for index, line in enumerate(lines) if _is_number(line.get(key))
        ]
        if points:
            curves.append((_thinned(points), colour))
            metric = _metric(key)
            line = next(line for line in reversed(lines) if _is_number(line.get(key)))
            images = line.get(MEASURED_IMAGES) or math.inf  # older runs do not say
            measured.append((metric, images))
            last = _written(points[-1][1], panel.scale) + registry.mark(metric, images)
            legend.append(f'<span><i style="background:{colour}"></i>{html.escape(name)} <b>{last}</b></span>')
    title, caution = html.escape(panel.title), registry.caution(measured)
    note = f'<div class="dim">{registry.MARK} {html.escape(caution)}</div>' if caution else ""
    svg = _svg(curves, panel.scale, f"{across} seen" if across == "images" else across)
    return (
        f'<figure class="panel"><figcaption><h3>{title}</h3><div class="legend">{"".join(legend)}</div></figcaption>'
        f"{svg.replace('<svg ', f'<svg role=img aria-label={chr(34)}{title}{chr(34)} ', 1)}{note}</figure>"
    )


def _svg(curves: list[tuple[list[tuple[float, float]], str]], scale: str, label: str) -> str:
    import matplotlib  # here, as most processes of a run draw nothing
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.7, 2.2))
        axes = figure.add_axes((0.105, 0.19, 0.865, 0.74))
        for points, colour in curves:
            alone: dict[str, Any] = {"marker": "o", "markersize": 3} if len(points) == 1 else {}
            axes.plot(*zip(*points, strict=True), color=colour, solid_joinstyle="round", **alone)
        values = [value for points, _ in curves for _, value in points if value > 0]
        if scale == "log" and values and max(values) > 4 * min(values):
            axes.set_yscale("log")
            steps = (1, 2, 5) if max(values) < 100 * min(values) else (1,)
            axes.yaxis.set_major_locator(LogLocator(subs=steps))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_locator(NullLocator())
        if scale == "share":
            axes.set_ylim(-0.02, 1.02)
            axes.yaxis.set_major_formatter("{x:.0%}")
            axes.yaxis.set_major_locator(MaxNLocator(5))
        elif axes.get_yscale() == "linear":
            axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 4))
            axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel(label)
        axes.grid(axis="y")
        axes.tick_params(length=0)
        axes.spines["left"].set_visible(False)
        target = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(target, format="svg", transparent=True, metadata=nothing)
    svg = target.getvalue()
    svg = svg[svg.index("<svg ") :].replace(_TEXT, "currentColor").replace(_LINE, "var(--line)")
    # The names of groups are the same in every SVG of the page, and nothing refers to them.
    return re.sub(r' id="[a-z0-9]+\.?[a-z]*_\d+"', "", svg)


def _written(value: float, scale: str) -> str:
    if scale == "share":
        return f"{value:.0%}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most as many points as can be seen, each the mean of its neighbours."""
    size = math.ceil(len(points) / _POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
