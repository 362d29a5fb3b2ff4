"""The model card: true by construction, from the model's own configuration and the record of its training run."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData
from typing_extensions import TypedDict  # pydantic asks for this one below Python 3.12

_MARK = re.compile(r"\n<!-- hubgan ([0-9a-f]{16}) -->\s*$")


class TrainingRun(TypedDict, total=False):
    """What a training run says about itself; kept in `config.json`."""

    dataset: str
    facts: dict[str, str]
    picture_caption: str
    license: str
    notice: str


_TEMPLATE = """\
# {title}

{summary}
{picture}
## Load it

```python
from hubgan import {cls}

{snippet}
```

`{name}` is the name of this repository on the Hub, or the path of this folder.
Weights are read from `model.safetensors` alone, never from a pickle.

## The network

{network}

## How it was trained

{training}

## Limits

{limits}
"""

_SNIPPETS = {
    "Generator": """\
generator = Generator.from_pretrained("{name}")
images = generator.sample(16, seed=0)  # a list of PIL images
images[0].save("sample.png")""",
    "Discriminator": """\
discriminator = Discriminator.from_pretrained("{name}"{subfolder})
# images: a float tensor (N, {channels}, height, width) in [-1, 1]; positive logits mean real
logits = discriminator(images)""",
    "Upscaler": """\
upscaler = Upscaler.from_pretrained("{name}")
upscaler.upscale("photo.jpg").save("photo-x{scale}.png")""",
}

_LIMITS = {
    "Generator": "It draws what its training data holds and nothing else, with that data's biases. The pictures are"
    " not real: present them as generated.",
    "Discriminator": "It was trained only to tell its own generator's images from real ones; it is no detector of"
    " generated pictures in general.",
    "Upscaler": "It invents plausible detail: never use it to read what the small picture does not show (faces,"
    " number plates, medical or legal evidence). It was trained to undo clean bicubic shrinking; noise and"
    " compression artefacts may be sharpened too.",
}


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
        kind: its class.
        description: what it is, in words.
        pipeline_tag: what it does in the Hub's words, where it has some.
        tags: words to find it by on the Hub; its architecture is added.
        config: its architecture and its network's options.
        parameters: how many numbers it has learned.
        run: the record of its training run, empty if there was none.
        name: what the loading snippet calls it: a Hub name, or the folder's.
        picture: file name of a picture beside the card, shown at the top.
        subfolder: where the model lies in its repository, when not at the top.
    """
    name, caption = name or "user/model", run.get("picture_caption", "Samples")
    data = ModelCardData(
        library_name="hubgan",
        pipeline_tag=pipeline_tag,
        tags=sorted({*tags, "hubgan", config["architecture"]}),
        license=run.get("license"),
        datasets=[run["dataset"]] if re.fullmatch(r"[\w.-]+/[\w.-]+", run.get("dataset", "")) else None,
    )
    content = _TEMPLATE.format(
        title=Path(name).name,
        summary=f"{description}, made with hubgan: the `{config['architecture']}` network with {parameters:,}"
        " parameters.",
        picture=f"\n![{caption}]({picture})\n\n*{caption}.*\n" if picture else "",
        cls=kind,
        snippet=_SNIPPETS[kind].format(
            name=name,
            subfolder=f', subfolder="{subfolder}"' if subfolder else "",
            scale=config.get("scale"),
            channels=config.get("channels"),
        ),
        name=name,
        network="\n".join(f"- {key}: `{json.dumps(value)}`" for key, value in config.items()),
        training=_training(run),
        limits=_LIMITS[kind] + (f"\n\n{run['notice'].strip()}" if run.get("notice") else ""),
    )
    text = f"---\n{data}\n---\n\n{content}"
    return ModelCard(f"{text}\n<!-- hubgan {_digest(text)} -->\n")


def is_untouched(card: str) -> bool:
    """Whether a card is still word for word as hubgan wrote it."""
    mark = _MARK.search(card)
    return mark is not None and mark[1] == _digest(card[: mark.start()])


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()[:16]


def _training(run: TrainingRun) -> str:
    if not run:
        return "It was not trained: these are the random weights the network starts with, or nobody recorded a run."
    return "\n".join(f"- {key.replace('_', ' ')}: {value}" for key, value in run.get("facts", {}).items())
