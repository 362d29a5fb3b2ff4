"""The model card, written from the model's own configuration and the record of its training run."""

import json
import math
import re
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from typing_extensions import Required, TypedDict  # pydantic asks for this one below Python 3.12

from hubgan.metrics import registry
from hubgan.models.card_edits import joined

PICTURE = "samples.png"


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


class TrainingRun(TypedDict, total=False):
    """The record of a training run, kept in `config.json`.

    `degraded` is the share of the small pictures, 0 to 1, that were blurred, noisy and compressed, and `degradation`
    says how: everyday, or heavy, as in all runs that do not say. `pairs` names the columns, if the data set held the
    small pictures too. `domains` says which images are translated to which, if they were no pairs. `backward` is the
    subfolder of the model that translates the other way. `limits` says in a sentence or two where this model fails.
    """

    dataset: str
    degraded: float
    degradation: str
    pairs: str
    domains: str
    backward: str
    facts: dict[str, str]
    results: list[Result]
    picture_caption: str
    license: str
    notice: str
    limits: str


_TEMPLATE = """\
# {title}
{picture}
{summary}

```python
{snippet}
```

`pip install -e .` in a clone of hubgan installs it. {where}

## How good it is

<!-- figures: written by hubgan, like the header of this file; words elsewhere are yours to change -->
{figures}
<!-- end of figures -->

## Limits

{limits}

<!-- results: written by hubgan -->
{results}
<!-- end of results -->

<details>
<summary>Licence, network and training</summary>

{licence}

{about_network}

{network}
{training}
Weights are read from safetensors alone, never from a pickle.

</details>
"""

_SNIPPETS = {
    "Generator": """\
from hubgan import Generator

generator = Generator.from_pretrained("{name}"{subfolder})
generator.sample({sampled}seed=0)[0].save("sample.png")""",
    "Discriminator": """\
import torch
from hubgan import Discriminator

discriminator = Discriminator.from_pretrained("{name}"{subfolder})
images = torch.rand(4, {channels}, {size}, {size}) * 2 - 1  # in [-1, 1]{beside}
logits = discriminator(images{of_classes})  # positive ones mean real""",
    "Upscaler": """\
from hubgan import Upscaler

upscaler = Upscaler.from_pretrained("{name}"{subfolder})
upscaler.upscale("photo.jpg").save("photo-x{scale}.png")""",
    "Translator": """\
from hubgan import Translator

translator = Translator.from_pretrained("{name}"{subfolder})
translator.translate("{given}").save("translated.png"){backward}""",
}

_BACKWARD = """

backward = Translator.from_pretrained("{name}", subfolder="{folder}")  # the other way
backward.translate("translated.png").save("back.png")"""

_NAMED = re.compile(r'\bfrom_pretrained\("(?P<name>[^"]+)"')

_INVENTS = "It invents plausible detail. Never read faces, number plates, medical or legal evidence from its results."
_LIMITS = {
    "Generator": (
        "It makes only what its training data show, with their biases. What is rare there is rare or missing here.",
        "A picture may come close to a single training image.",
        "The pictures are not real: say so wherever you show them.",
    ),
    "Discriminator": (
        "It was trained only to tell its own generator's images from real ones.",
        "It does not detect generated pictures in general.",
    ),
    "Upscaler": (
        _INVENTS,
        "It does worse on pictures unlike those it was trained on.",
    ),
    "Translator": (
        "It invents what the input does not show. Its pictures are evidence of nothing.",
        "It does worse on inputs unlike those it was trained on.",
    ),
    "Community": (
        _INVENTS,
        "Whoever made it can say on which pictures it was trained, and what it undoes.",
    ),
}
_LIMITS_CLEAN = "It was trained to undo clean bicubic shrinking: it may sharpen noise and compression artefacts too."
_LIMITS_PAIRS = "It was trained on the pairs of a data set: it undoes what made their inputs, and little else."
_LIMITS_EVERYDAY = (
    "It was trained on slight blur, some noise and everyday compression: stronger damage may stay."
    " A higher strength cleans more, and may take fine texture for noise."
)
_LIMITS_DEGRADED = (
    "It was trained to remove blur, noise and compression. It may take fine texture for them, and smooth it away."
)
_RESTORER = "An image restorer"
_BESIDE_SCALE_1 = "The input is the picture as the model was given it."
_PURPOSE_CLEAN = "Clean pictures, {larger}: it was not trained to clean noise and JPEG traces away."
_PURPOSE_EVERYDAY = "Everyday photos, {larger}: it was trained to clean noise and JPEG traces away."
_PURPOSE_DEGRADED = "Worn pictures, {larger}: it was trained to remove blur, noise and strong compression."
_PURPOSE_PAIRS = "Pictures like those of the pairs it learned from, {larger}."
_PURPOSE_UNKNOWN = "Pictures, {larger}: nobody recorded of which kind."
_TRANSLATES = {
    "edges": " that colours sketches",
    "grey": " that colours grey pictures",
    "mask": " that fills holes in pictures",
    "small": " that sharpens small pictures",
}
_GIVEN = {  # a file name, and what the picture is
    "edges": ("drawing.png", "a drawing with dark lines on white"),
    "grey": ("photo.jpg", "any picture, and keeps its size and brightness"),
    "mask": ("picture.png", "a picture with transparent parts, and fills these"),
    "small": ("photo.jpg", "a picture that was shrunk, and gives it more detail"),
}
_GIVEN_PAIRS = ("picture.png", "a picture like the inputs of the pairs it learned from")
_GIVEN_UNPAIRED = ("photo.jpg", "a picture like those of the domain it translates from")
_LARGER = {1: "at the same size", 2: "twice as large", 3: "three times as large", 4: "four times as large"}
_ELSEWHERE = "These weights were made elsewhere and only loaded and saved by hubgan."
_UNTRAINED = "It was not trained: these are the random weights the network starts with, or nobody recorded a run."
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


def model_card(
    *,
    kind: str,
    description: str,
    pipeline_tag: str | None,
    tags: list[str],
    config: dict[str, Any],
    parameters: int,
    run: TrainingRun,
    name: str = "",
    picture: str | None = None,
    subfolder: str | None = None,
) -> ModelCard:
    """The card of a model.

    Args:
        kind: the model's class.
        description: what the model is, as a noun phrase.
        pipeline_tag: the Hub's task of the model, if there is one.
        tags: tags on the Hub; the architecture is added.
        config: the architecture and the options of the network.
        parameters: the number of learned parameters.
        run: the record of the training run, empty if there was none.
        name: the name in the loading snippet: a Hub name, or that of `local_name`.
        picture: file name of a picture beside the card, shown at the top.
        subfolder: the model's folder in its repository, if it is not at the top.
    """
    name, caption = name or "user/model", run.get("picture_caption", "Samples")
    architecture, results, scale = config["architecture"], run.get("results", []), config.get("scale")
    if kind == "Upscaler" and scale == 1:
        description, tags = _RESTORER, [*(tag for tag in tags if tag != "super-resolution"), "image-restoration"]
    data = ModelCardData(
        library_name="hubgan",
        pipeline_tag=pipeline_tag,
        tags=sorted({*tags, "hubgan", architecture}),
        license=run.get("license"),
        datasets=[run["dataset"]] if _is_hub_name(run.get("dataset", "")) else None,
        model_name=Path(name).name if results else None,
        eval_results=[_eval_result(result, pipeline_tag or "other") for result in results] or None,
    )
    body = _TEMPLATE.format(
        title=Path(name).name,
        summary=_summary(kind, description, config, run),
        picture=f"\n![{caption}]({picture})\n\n*{caption}.*\n" if picture else "",
        snippet=_SNIPPETS[kind].format(
            name=name,
            subfolder=f', subfolder="{subfolder}"' if subfolder else "",
            scale=scale,
            channels=config.get("channels", 0) + config.get("condition_channels", 0),
            beside=", each with its input behind its channels" if config.get("condition_channels") else "",
            size=config.get("image_size", 64),
            of_classes=", torch.tensor([0, 1, 0, 1])" if config.get("classes") else "",
            sampled=_sampled(config.get("labels", [])),
            given=translator_input(config, run)[0],
            backward=_backward(name, run) if not subfolder else "",
        ),
        where=_where(name),
        figures=_figures(results),
        results=_results(results),
        about_network=_about_network(config, parameters),
        network="\n".join(f"- {key}: `{json.dumps(value)}`" for key, value in config.items()),
        training=_training(config, run),
        limits=" ".join(_limits(kind, config, run)),
        licence=_licence(run),
    )
    return ModelCard(joined(str(data), body))


def local_name(folder: Path) -> str:
    """What the card in a folder calls it: its path from the working folder, as "./runs/mine".

    If it lies elsewhere, that is its own name: a card never holds the folders of a disk.
    """
    path, here = folder.resolve(), Path.cwd().resolve()
    inside = path.relative_to(here) if here in path.parents else Path(path.name)
    return f"./{inside.as_posix()}"


def named(card: str) -> str | None:
    """The name in the loading snippet of a card; None if it has none."""
    match = _NAMED.search(card)
    return match["name"] if match else None


def for_repository(body: str, name: str) -> str:
    """The words of a card whose snippet loads from a folder, with the name of its repository in place of that."""
    local = named(body)
    if local is None or not local.startswith("./"):
        return body
    return body.replace(_where(local), _where(name)).replace(local, name)


def upscaler_purpose(scale: int, run: TrainingRun) -> str:
    """One line on what an upscaler was trained for: which pictures, and how many times as large."""
    if "dataset" not in run:  # it was made elsewhere, or not trained
        purpose = _PURPOSE_UNKNOWN
    elif run.get("pairs"):
        purpose = _PURPOSE_PAIRS
    elif not run.get("degraded"):
        purpose = _PURPOSE_CLEAN
    else:
        purpose = _PURPOSE_EVERYDAY if run.get("degradation") == "everyday" else _PURPOSE_DEGRADED
    return purpose.format(larger=_LARGER.get(scale, f"{scale} times as large"))


def translator_input(config: dict[str, Any], run: TrainingRun) -> tuple[str, str]:
    """What a translator takes: the name of such a file, and a noun phrase."""
    if kind := config.get("input"):
        return _GIVEN[kind]
    return _GIVEN_UNPAIRED if "domains" in run else _GIVEN_PAIRS


def _where(name: str) -> str:
    if name.startswith("./"):
        return f"`{name}` is this folder: run it in the folder that holds `{name.split('/')[1]}`."
    return f"`{name}` is this repository on the Hub, or this folder."


def _limits(kind: str, config: dict[str, Any], run: TrainingRun) -> list[str]:
    kind = "Community" if config["architecture"] == "community" else kind
    limits = [*_LIMITS[kind]]
    if kind == "Upscaler":
        if run.get("pairs"):
            limits.append(_LIMITS_PAIRS)
        elif run.get("degraded"):
            limits.append(_LIMITS_EVERYDAY if run.get("degradation") == "everyday" else _LIMITS_DEGRADED)
        elif config.get("scale") != 1:
            limits.append(_LIMITS_CLEAN)
    if not run and kind != "Community":
        limits.insert(0, _UNTRAINED)
    return [*limits, *filter(None, [run.get("limits", "").strip()])]


def _backward(name: str, run: TrainingRun) -> str:
    """The lines of a snippet for the model that translates the other way, if there is one."""
    return _BACKWARD.format(name=name, folder=run["backward"]) if "backward" in run else ""


def _sampled(labels: list[str]) -> str:
    return f"labels={json.dumps(labels[:1], ensure_ascii=False)}, " if labels else ""


def _summary(kind: str, description: str, config: dict[str, Any], run: TrainingRun) -> str:
    """What the model is, in a sentence."""
    what = description
    if kind == "Upscaler":
        purpose = upscaler_purpose(config["scale"], run)
        what += f" for {purpose[0].lower()}{purpose[1:].rstrip('.')}"
    elif kind == "Translator":
        what += _TRANSLATES.get(config["input"], "")
        what += f", trained on {run['dataset']}" if "dataset" in run else ""
        what += (
            f" at {config['image_size']}x{config['image_size']} pixels. It takes {translator_input(config, run)[1]}"
        )
    elif kind == "Generator":
        what += f", trained on {run['dataset']}" if "dataset" in run else ""
        what += f": pictures of {config['image_size']}x{config['image_size']} pixels"
        what += f", of {config['classes']} classes to choose from" if config.get("classes") else ""
    return f"{what}."


def _about_network(config: dict[str, Any], parameters: int) -> str:
    elsewhere = config["architecture"] == "community"
    network, made = (config["network"], "saved by") if elsewhere else (config["architecture"], "made with")
    return f"It is the `{network}` network with {parameters:,} parameters, {made} hubgan:"


def _is_hub_name(name: str) -> bool:
    return re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None


def _eval_result(result: Result, task: str) -> EvalResult:
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


def _figures(results: list[Result]) -> str:
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
        bullets = [_in_words(result) for result in shown]
        about = [f"Measured on {where}, {samples:,} samples." if samples else f"Measured on {where}."]
        words = registry.caution((result["metric"], compared_images_of(result)) for result in shown)
        about += [f"\\{registry.MARK} {words}"] if words else []
    return "\n\n".join(["\n".join(f"- {bullet}" for bullet in bullets), *about])


def _telling(results: list[Result]) -> list[Result]:
    """The figures that a card shows in words, without those that would mislead."""
    found = [(match.figure, result) for result in results if (match := registry.find(result["metric"]))]
    values = {figure.key: result["value"] for figure, result in found}

    def misleads(figure: registry.Figure, result: Result) -> bool:
        few = bool(registry.mark(result["metric"], images_of(result)))
        other = figure.misleading_without
        return bool(other) and (few or values.get(other, math.inf) < _NEAR_0)

    return [
        result
        for wanted in _FIGURES
        for figure, result in found
        if figure.key == wanted and not misleads(figure, result)
    ]


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


def _in_words(result: Result) -> str:
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


def _results(results: list[Result]) -> str:
    """A table, the legends of its metrics, and what else must be known to measure the same again.

    What is the same for all results on one revision of a data set is said once.
    """
    if not results:
        return ""
    lines = ["<details>", "<summary>All results</summary>", ""]
    lines += ["| | value | beside it | data | split | images |", "|---|---|---|---|---|---|"]
    measured: dict[tuple[str, str], list[tuple[str, list[str]]]] = {}
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
        measured.setdefault((result["dataset"], revision), []).append((result["name"], known))
    words = registry.caution((result["metric"], compared_images_of(result)) for result in results)
    lines += ["", f"\\{registry.MARK} {words}"] if words else []
    legends = registry.legends(result["metric"] for result in results)
    legends += [_BESIDE_SCALE_1] if any("input" in result.get("settings", {}) for result in results) else []
    lines += ["", *legends, ""] if legends else [""]
    for (dataset, _), figures in measured.items():
        shared = [words for words in figures[0][1] if all(words in known for _, known in figures)]
        lines.append(f"- On {dataset}: {'; '.join(shared)}.")
        own: dict[str, list[str]] = {}
        for name, known in figures:
            own.setdefault("; ".join(words for words in known if words not in shared), []).append(name)
        lines += [f"  - {', '.join(dict.fromkeys(names))}: {words}." for words, names in own.items() if words]
    return "\n".join([*lines, "", "</details>"])


def _shown(value: str | float) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _training(config: dict[str, Any], run: TrainingRun) -> str:
    if config["architecture"] == "community":
        return f"\n{_ELSEWHERE}\n"
    facts = [f"- {key.replace('_', ' ')}: {value}" for key, value in run.get("facts", {}).items()]
    return "\n".join(["", "Its training:", "", *facts, ""]) if facts else ""


def _licence(run: TrainingRun) -> str:
    stated = run.get("license")
    data = run.get("facts", {}).get("data set") or run.get("dataset")
    words = [
        f"Licence of the weights: `{stated}`." if stated else "No licence is stated: ask whoever made the weights.",
        f"Trained on {data}." if data else "",
        run.get("notice", "").strip() or "The licence of the training data may limit their use too.",
    ]
    return " ".join(filter(None, words))
