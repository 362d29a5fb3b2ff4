"""The model card, written from the model's own configuration and the record of its training run."""

import json
import re
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData
from typing_extensions import TypedDict  # pydantic asks for this one below Python 3.12

from hubgan.models import figures
from hubgan.models.card_edits import joined
from hubgan.models.figures import Result

PICTURE = "samples.png"


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
        eval_results=[figures.eval_result(result, pipeline_tag or "other") for result in results] or None,
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
        figures=figures.in_words(results),
        results=figures.table(results),
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
