"""Measured figures: their record, and how a model card shows them."""

import math

from huggingface_hub import EvalResult
from typing_extensions import Required, TypedDict  # pydantic asks for this one below Python 3.12

from hubgan.metrics import registry

_FIGURES = (
    "fd",
    "precision",
    "recall",
    "label_accuracy",
    "copies",
    "inception_score",
    "kd",
    "ssim",
)  # the first five are shown
_BESIDE = {"floor": "real against real", "real": "real images", "input": "the input"}
_SHOWN = 5  # figures in words
_NEAR_0 = 0.02
_BICUBIC = "Bicubic is plain enlarging; a lower perceptual distance is better."
_INPUT = "The input is the picture as the model was given it; a lower perceptual distance is better."
_BESIDE_SCALE_1 = "The input is the picture as the model was given it."


class Result(TypedDict, total=False):
    """One measured figure, with everything that is needed to measure it again.

    `metric` identifies it ("fd-enl0", "psnr"), `name` is shown ("FD-ENL0"). `revision` is the commit or the
    fingerprint of the data, `samples` the number of measured images, `extractor` the network whose features were
    compared.
    """

    metric: Required[str]
    name: Required[str]
    value: Required[float]
    dataset: Required[str]
    split: str
    revision: str
    samples: int
    extractor: str
    settings: dict[str, str | int | float]


def images_of(result: Result) -> float:
    """The number of images that a figure is of: the smaller one, of samples and of real ones; infinite if unknown."""
    numbers = (result.get("samples"), result.get("settings", {}).get("reference_images"))
    return min((number for number in numbers if isinstance(number, int)), default=math.inf)


def compared_images_of(result: Result) -> float:
    """The number of images that the figure beside a figure is of: the real ones may be fewer for that."""
    number = result.get("settings", {}).get("floor_images")
    return min(images_of(result), number) if isinstance(number, int) else images_of(result)


def eval_result(result: Result, task: str) -> EvalResult:
    about = {key: result[key] for key in ("extractor", "samples") if key in result}
    return EvalResult(
        task_type=task,
        dataset_type=result["dataset"].partition(" ")[0],  # what follows is a remark, such as "(JPEG copy)"
        dataset_name=result["dataset"],
        dataset_split=result.get("split"),
        dataset_revision=result.get("revision"),
        metric_type=result["metric"],
        metric_name=result["name"],
        metric_value=result["value"],
        metric_args=about | dict(result.get("settings", {})) or None,
    )


def in_words(results: list[Result]) -> str:
    """The most telling figures, in words: of the data set on which most images were measured."""
    if not results:
        return "Nothing was measured."
    most = max(results, key=lambda result: result.get("samples", 0))
    same = [result for result in results if all(result.get(key) == most.get(key) for key in ("dataset", "split"))]
    where = f"{most['dataset']}, split {most['split']}" if "split" in most else most["dataset"]
    samples = most.get("samples")
    if ways := _ways(same):
        bullets = [_way(*way, samples) for way in ways.items()][:_SHOWN]
        restored = any("input" in result.get("settings", {}) for result in same)
        pictures = f", {samples:,} pictures" if samples else ""
        about = [f"Measured on {where}{pictures}. {_INPUT if restored else _BICUBIC}"]
    else:
        shown = (_telling(same) or same)[:_SHOWN]
        bullets = [_sentence(result) for result in shown]
        about = [f"Measured on {where}, {samples:,} samples." if samples else f"Measured on {where}."]
        words = registry.caution((result["metric"], compared_images_of(result)) for result in shown)
        about += [f"\\{registry.MARK} {words}"] if words else []
    return "\n\n".join(["\n".join(f"- {bullet}" for bullet in bullets), *about])


def _telling(results: list[Result]) -> list[Result]:
    """The figures that a card shows in words, but none that would mislead; of several judges the first counts."""
    found = [(match.figure, result) for result in results if (match := registry.find(result["metric"]))]
    values = {figure.key: result["value"] for figure, result in reversed(found)}

    def misleads(figure: registry.Figure, result: Result) -> bool:
        few = bool(registry.mark(result["metric"], images_of(result)))
        other = figure.misleading_without
        return bool(other) and (few or values.get(other, math.inf) < _NEAR_0)

    first = {figure.key: (figure, result) for figure, result in reversed(found)}
    return [first[key][1] for key in _FIGURES if key in first and not misleads(*first[key])]


def _ways(results: list[Result]) -> dict[str, dict[str, Result]]:
    """PSNR and perceptual distance of each way in which an upscaler was measured, such as "at fidelity 1"."""
    ways: dict[str, dict[str, Result]] = {}
    for result in results:
        match = registry.find(result["metric"])
        if match and match.figure.key in ("psnr", "pd"):
            way = result["name"].removeprefix(match.name).strip()
            ways.setdefault(way, {})[match.figure.key] = result
    return {way: figures for way, figures in ways.items() if "psnr" in figures}


def _way(way: str, figures: dict[str, Result], samples: int | None) -> str:
    """The figures of a way in words; the number of pictures too if it is not `samples`."""
    psnr = figures["psnr"]
    pictures = f", {psnr['samples']:,} pictures" if psnr.get("samples") not in (None, samples) else ""
    words, apart = f"{way.removeprefix('of ').capitalize()}: " if way else "", _apart(psnr)
    words += f"**{apart if way else apart[0].upper() + apart[1:]}** (PSNR {psnr['value']:.1f} dB{pictures})"
    if distance := figures.get("pd"):
        others = [f"{name} {_short(value)}" for name, value in _compared(distance)]
        words += "; " + ", ".join([f"perceptual distance {_short(distance['value'])}", *others])
    return f"{words}."


def _apart(psnr: Result) -> str:
    """How far a PSNR is above or below what it is compared with."""
    for name, value in _compared(psnr):
        apart = psnr["value"] - value
        if abs(apart) < 0.05:
            return f"level with {name}"
        return f"{abs(apart):.1f} dB {'above' if apart > 0 else 'below'} {name}"
    return f"{psnr['value']:.1f} dB"


def _sentence(result: Result) -> str:
    """One figure with its meaning, which values are better, and what it is compared with."""
    match = registry.find(result["metric"])
    share = match is not None and match.metric.scale == "share"
    marked, marked_beside = _marks(result)
    about = [f"{match.figure.better} is better"] if match else []
    about += [f"{name} {_short(value, share)}{marked_beside}" for name, value in _compared(result)]
    words = f"**{result['name'][:1].upper()}{result['name'][1:]} {_short(result['value'], share)}**{marked}"
    words += f": {match.figure.meaning}" if match and match.figure.meaning else ""
    return f"{words} ({'; '.join(about)})." if about else f"{words}."


def _marks(result: Result) -> tuple[str, str]:
    """What follows a figure, and what follows the one beside it, if they are of too few images."""
    numbers = (images_of(result), compared_images_of(result))
    one, other = (f" \\{registry.MARK}" if registry.mark(result["metric"], number) else "" for number in numbers)
    return one, other


def _compared(result: Result) -> list[tuple[str, float]]:
    """What a figure is compared with, in words, and the value of that."""
    settings = result.get("settings", {})
    return [
        (_BESIDE.get(key, key), value)
        for key in registry.comparisons()
        if isinstance(value := settings.get(key), int | float)
    ]


def _short(value: float, share: bool = False) -> str:
    """A figure for reading: three digits, or per cent."""
    if share:
        return f"{100 * value:.0f} %"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(results: list[Result]) -> str:
    """A table, the legends of its metrics, and what else must be known to measure the same again.

    What is the same for all results on one revision of a data set by one judge is said once.
    """
    if not results:
        return ""
    lines = ["<details>", "<summary>All results</summary>", ""]
    lines += ["| | value | beside it | data | split | images |", "|---|---|---|---|---|---|"]
    measured: dict[tuple[str, str, str], list[tuple[str, list[str]]]] = {}
    judges: dict[tuple[str, str], set[str]] = {}
    for result in results:
        seen = judges.setdefault((result["dataset"], result.get("revision", "unknown")), set())
        seen |= {*filter(None, [result.get("extractor")])}
    for result in results:
        settings = dict(result.get("settings", {}))
        marked, marked_beside = _marks(result)
        beside = [
            f"{key} {_shown(settings.pop(key))}{marked_beside}" for key in registry.comparisons() if key in settings
        ]
        images = f"{result['samples']:,}" if "samples" in result else ""
        cells = [result["name"], f"**{_shown(result['value'])}**{marked}", ", ".join(beside), result["dataset"],
                 result.get("split", ""), images]  # fmt: skip
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        revision = result.get("revision", "unknown")
        known = [f"{key.replace('_', ' ')} {_shown(value)}" for key, value in settings.items()]
        known = [*filter(None, [result.get("extractor")]), f"data `{revision}`", *known]
        judge = result.get("extractor", "") if len(judges[result["dataset"], revision]) > 1 else ""
        measured.setdefault((result["dataset"], revision, judge), []).append((result["name"], known))
    words = registry.caution((result["metric"], compared_images_of(result)) for result in results)
    lines += ["", f"\\{registry.MARK} {words}"] if words else []
    legends = registry.legends(result["metric"] for result in results)
    legends += [_BESIDE_SCALE_1] if any("input" in result.get("settings", {}) for result in results) else []
    lines += ["", *legends, ""] if legends else [""]
    for (dataset, *_), figures in measured.items():
        shared = [words for words in figures[0][1] if all(words in known for _, known in figures)]
        lines.append(f"- On {dataset}: {'; '.join(shared)}.")
        own: dict[str, list[str]] = {}
        for name, known in figures:
            own.setdefault("; ".join(words for words in known if words not in shared), []).append(name)
        lines += [f"  - {', '.join(dict.fromkeys(names))}: {words}." for words, names in own.items() if words]
    return "\n".join([*lines, "", "</details>"])


def _shown(value: str | float) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
