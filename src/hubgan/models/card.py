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


class TrainingRun(TypedDict, total=False):
    """The record of a training run, kept in `config.json`.

    `degraded` is the share of the small pictures, 0 to 1, that were blurred, noisy and compressed, and `degradation`
    says how: everyday, or heavy, as in all runs that do not say. `pairs` names the columns, if the data set held the
    small pictures too.
    """

    dataset: str
    degraded: float
    degradation: str
    pairs: str
    facts: dict[str, str]
    results: list[Result]
    picture_caption: str
    license: str
    notice: str


_TEMPLATE = """\
# {title}

{summary}
{picture}
## Load it

```python
{snippet}
```

{where}
Weights are read from safetensors alone, never from a pickle.

## Results

<!-- results: written by hubgan, like the header of this file; words elsewhere are yours to change -->
{results}
<!-- end of results -->

## The network

{network}

## How it was trained

{training}

## Limits and bias

{limits}

## Licence

{licence}
"""

_SNIPPETS = {
    "Generator": """\
from hubgan import Generator

generator = Generator.from_pretrained("{name}"{subfolder})
images = generator.sample({sampled}, seed=0)  # a list of PIL images
images[0].save("sample.png")""",
    "Discriminator": """\
import torch
from hubgan import Discriminator

discriminator = Discriminator.from_pretrained("{name}"{subfolder})
images = torch.rand(4, {channels}, {size}, {size}) * 2 - 1  # in [-1, 1]
logits = discriminator(images{of_classes})  # positive ones mean real""",
    "Upscaler": """\
from hubgan import Upscaler

upscaler = Upscaler.from_pretrained("{name}"{subfolder})
upscaler.upscale("photo.jpg").save("photo-x{scale}.png")""",
    "Translator": """\
from hubgan import Translator

translator = Translator.from_pretrained("{name}"{subfolder})
translator.translate("drawing.png", seed=0).save("translated.png")""",
}

_NAMED = re.compile(r'\bfrom_pretrained\("(?P<name>[^"]+)"')

_LIMITS = {
    "Generator": "It draws what its training data holds and nothing else, and inherits the data's biases: what is rare"
    " or missing there is rare or missing here. It may come close to single training images. The pictures are not"
    " real: present them as generated, and as evidence of nothing.",
    "Discriminator": "It was trained only to tell its own generator's images from real ones; it is no detector of"
    " generated pictures in general.",
    "Upscaler": "It invents plausible detail: never use it to read what the small picture does not show (faces,"
    " number plates, medical or legal evidence). What it invents follows its training pictures, so it does worse on"
    " what they lack.",
}
_LIMITS["Translator"] = (
    "It invents what the input does not show, and follows its training pictures: it does worse on what they lack."
    " Its pictures are evidence of nothing."
)
_LIMITS_SCALE_1 = _LIMITS["Upscaler"].replace("the small picture", "the picture")
_LIMITS_CLEAN = (
    " It was trained to undo clean bicubic shrinking; noise and compression artefacts may be sharpened too."
)
_LIMITS_PAIRS = (
    " It was trained on the pairs of a data set, and undoes what had made their inputs out of their targets. With"
    " other pictures it may do worse."
)
_LIMITS_EVERYDAY = (
    " It was trained on clean pictures and on everyday ones, with a slight blur, some noise and JPEG compression. A"
    " higher strength cleans more, and may take fine texture for noise."
)
_LIMITS_DEGRADED = (
    " It was trained to undo blur, noise and compression too, and may take fine texture for them and smooth it away."
)
_LIMITS["Community"] = (
    "Networks that enlarge or restore invent plausible detail: never use it to read what the picture does not show"
    " (faces, number plates, medical or legal evidence). What it was trained to undo, and on which pictures, is for"
    " whoever made it to say."
)
_RESTORER = "An image restorer"
_BESIDE_SCALE_1 = "The input is the picture before it was restored."
_PURPOSE_CLEAN = "Clean pictures, {larger}: it sharpens noise and JPEG traces too."
_PURPOSE_EVERYDAY = "Everyday photos, {larger}: it cleans noise and JPEG traces away."
_PURPOSE_DEGRADED = "Worn pictures, {larger}: it removes blur, noise and strong compression."
_PURPOSE_PAIRS = "Pictures like those of the pairs it learned from, {larger}."
_PURPOSE_UNKNOWN = "Pictures, {larger}: nobody recorded of which kind."
_LARGER = {1: "at the same size", 2: "twice as large", 3: "three times as large", 4: "four times as large"}
_ELSEWHERE = "These weights were made elsewhere and only loaded and saved by hubgan."


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
        summary=_summary(description, config, parameters),
        picture=f"\n![{caption}]({picture})\n\n*{caption}.*\n" if picture else "",
        snippet=_SNIPPETS[kind].format(
            name=name,
            subfolder=f', subfolder="{subfolder}"' if subfolder else "",
            scale=scale,
            channels=config.get("channels"),
            size=config.get("image_size", 64),
            of_classes=", torch.tensor([0, 1, 0, 1])" if config.get("classes") else "",
            sampled=_sampled(config.get("labels", [])),
        ),
        where=_where(name),
        results=_results(results),
        network="\n".join(f"- {key}: `{json.dumps(value)}`" for key, value in config.items()),
        training=_ELSEWHERE if architecture == "community" else _training(run),
        limits=_limits(kind, architecture, scale, run),
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
    """One line on what an upscaler is for: which pictures, and how many times as large."""
    if "dataset" not in run:  # it was made elsewhere, or not trained
        purpose = _PURPOSE_UNKNOWN
    elif run.get("pairs"):
        purpose = _PURPOSE_PAIRS
    elif not run.get("degraded"):
        purpose = _PURPOSE_CLEAN
    else:
        purpose = _PURPOSE_EVERYDAY if run.get("degradation") == "everyday" else _PURPOSE_DEGRADED
    return purpose.format(larger=_LARGER.get(scale, f"{scale} times as large"))


def _where(name: str) -> str:
    if name.startswith("./"):
        return f"`{name}` is this folder: run it in the folder that holds `{name.split('/')[1]}`."
    return f"`{name}` is the name of this repository on the Hub, or the path of this folder."


def _limits(kind: str, architecture: str, scale: int | None, run: TrainingRun) -> str:
    if architecture == "community":
        return _LIMITS["Community"]
    if kind != "Upscaler":
        return _LIMITS[kind]
    limits = _LIMITS_SCALE_1 if scale == 1 else _LIMITS[kind]
    if run.get("pairs"):
        return limits + _LIMITS_PAIRS
    if not run.get("degraded"):
        return limits if scale == 1 else limits + _LIMITS_CLEAN
    return limits + (_LIMITS_EVERYDAY if run.get("degradation") == "everyday" else _LIMITS_DEGRADED)


def _sampled(labels: list[str]) -> str:
    return f"labels={json.dumps(labels[:2], ensure_ascii=False)}" if labels else "16"


def _summary(description: str, config: dict[str, Any], parameters: int) -> str:
    if config["architecture"] == "community":
        return f"{description}, saved by hubgan: the `{config['network']}` network with {parameters:,} parameters."
    return f"{description}, made with hubgan: the `{config['architecture']}` network with {parameters:,} parameters."


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


def _results(results: list[Result]) -> str:
    """A table, the legends of its metrics, and what else must be known to measure the same again.

    What is the same for all results on a data set is said once.
    """
    if not results:
        return "Nothing was measured."
    lines = ["| | value | beside it | data | split | images |", "|---|---|---|---|---|---|"]
    conditions: dict[str, list[tuple[str, list[str]]]] = {}
    for result in results:
        settings = dict(result.get("settings", {}))
        beside = [f"{key} {_shown(settings.pop(key))}" for key in registry.comparisons() if key in settings]
        images = f"{result['samples']:,}" if "samples" in result else ""
        marked = f" \\{registry.MARK}" if registry.mark(result["metric"], images_of(result)) else ""
        cells = [result["name"], f"**{_shown(result['value'])}**{marked}", ", ".join(beside), result["dataset"],
                 result.get("split", ""), images]  # fmt: skip
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        known = [f"{key.replace('_', ' ')} {_shown(value)}" for key, value in settings.items()]
        known = [*filter(None, [result.get("extractor")]), f"data `{result.get('revision', 'unknown')}`", *known]
        conditions.setdefault(result["dataset"], []).append((result["name"], known))
    words = registry.caution((result["metric"], images_of(result)) for result in results)
    lines += ["", f"\\{registry.MARK} {words}"] if words else []
    legends = registry.legends(result["metric"] for result in results)
    legends += [_BESIDE_SCALE_1] if any("input" in result.get("settings", {}) for result in results) else []
    lines += ["", *legends, ""] if legends else [""]
    for dataset, measured in conditions.items():
        shared = [words for words in measured[0][1] if all(words in known for _, known in measured)]
        lines.append(f"- On {dataset}: {'; '.join(shared)}.")
        own = {name: [words for words in known if words not in shared] for name, known in measured}
        lines += [f"  {name}: {'; '.join(words)}." for name, words in own.items() if words]
    return "\n".join(lines)


def _shown(value: str | float) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _training(run: TrainingRun) -> str:
    if not run:
        return "It was not trained: these are the random weights the network starts with, or nobody recorded a run."
    return "\n".join(f"- {key.replace('_', ' ')}: {value}" for key, value in run.get("facts", {}).items())


def _licence(run: TrainingRun) -> str:
    stated = run.get("license")
    words = [f"The weights: `{stated}`." if stated else "None is stated for the weights: ask whoever made them."]
    words.append(
        run["notice"].strip()
        if run.get("notice")
        else "What the weights may be used for depends on the data they were trained on too: see its licence."
    )
    return "\n\n".join(words)
