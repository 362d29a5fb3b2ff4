"""The tab that generates images."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import gradio as gr

from hubgan.demo import models, strings
from hubgan.demo.api import add_generation_endpoints
from hubgan.demo.edit import EditPart
from hubgan.demo.errors import sentences, translate_errors
from hubgan.demo.events import MODEL_QUEUE, PRIVATE, SILENT, Updates
from hubgan.demo.links import SHOW_LINK, read_link, write_link
from hubgan.demo.models import ModelRegistry
from hubgan.demo.samples import (
    DEFAULT_IMAGES,
    MAX_IMAGES,
    MAX_SEED,
    MAX_VARIETY,
    MIN_VARIETY,
    GeneratedImages,
    GenerationRequest,
    GenerationSettings,
    generate,
    random_seed,
    save,
)
from hubgan.demo.theme import accept_any_text, scroll_to
from hubgan.demo.walk import WalkPart
from hubgan.errors import ConfigError, HubganError

if TYPE_CHECKING:
    from PIL import Image

    from hubgan import Generator

_SESSION_SECONDS = 3600
_MAX_PIXELATED_SIDE = 64  # images up to this are shown with square pixels, larger ones smoothly


class GenerateTab:
    """The tab of these generators. It adds its components to the current `gr.Blocks`.

    Args:
        registry: the generators.
        sends: whether there is another tab to send an image to.

    Attributes:
        images: the images on the page, a `GeneratedImages`.
        picked: the index of the image that was clicked, or None.
        send: the button that sends this image to the other tab.
        load_outputs: the components that `load` changes.
    """

    def __init__(self, registry: ModelRegistry[Generator], *, sends: bool = True) -> None:
        self._registry, self._sends = registry, sends
        self._pick = strings.PICK if sends else strings.PICK_ALONE
        self._default = GenerationSettings(registry.default)
        self._first_images = cache(self._make_first_images)
        with gr.Row(elem_classes="workspace"):
            with gr.Column(scale=1, min_width=280):
                self._add_settings()
            with gr.Column(scale=2, min_width=320):
                with gr.Column(elem_classes="result"):
                    self._add_results()
                with gr.Column(elem_classes="extras"):
                    self._add_downloads()
                    self._edit = EditPart(registry, self._model)
                    self._walk = WalkPart(registry, self._model)
        self.images, self.picked = gr.State(time_to_live=_SESSION_SECONDS), gr.State()
        self._earlier = gr.State([], time_to_live=_SESSION_SECONDS)  # images and their link, the oldest first
        # `_link` leads to the images on the page. `_requested_link` is the one that the visitor came with: when `load`
        # sets it, the images are generated.
        self._link, self._requested_link = (gr.Textbox(visible="hidden", label=strings.LINK) for _ in range(2))

        self._pick_outputs = [self.picked, self._picked_note, self._similar, self.send, *self._edit.outputs]
        self._result_outputs = [
            self._gallery,
            self.images,
            self._archive,
            self._grid,
            *self._pick_outputs,
            self._earlier,
            self._back,
            self._link,
        ]
        self._model_outputs = [self._problem, self._classes, self._walk.label, self._generate]
        self.load_outputs = [
            *self._result_outputs,
            *self._model_outputs,
            self._notice,
            self._model,
            self._count,
            self._seed,
            self._random_seed,
            self._variety,
            self._requested_link,
        ]
        self._connect()

    def _add_settings(self) -> None:
        self._problem, self._notice = (gr.Markdown(visible=False, elem_classes="problem") for _ in range(2))
        labels = list(self._registry.names)
        # It is disabled until `load` is done: another model's images would arrive after the choice.
        self._model = gr.Radio(
            labels, value=labels[0], label=strings.MODEL, visible=len(labels) > 1, interactive=False
        )
        self._count = gr.Slider(1, MAX_IMAGES, value=DEFAULT_IMAGES, step=1, label=strings.IMAGES)
        self._classes = gr.Dropdown(
            [],
            value=[],
            multiselect=True,
            allow_custom_value=True,  # the choices are known only when the model is loaded; it checks them
            label=strings.CLASSES,
            info=strings.CLASSES_INFO,
            visible=False,
        )
        accept_any_text(self._classes, multiselect=True)
        self._variety = gr.Slider(
            MIN_VARIETY,
            MAX_VARIETY,
            value=MAX_VARIETY,
            step=0.1,
            label=strings.VARIETY,
            info=strings.VARIETY_INFO,
        )
        self._seed = gr.Number(0, label=strings.SEED, info=strings.SEED_INFO, precision=0, minimum=0, maximum=MAX_SEED)
        self._random_seed = gr.Checkbox(True, label=strings.RANDOM_SEED)
        self._generate = gr.Button(strings.GENERATE, variant="primary", interactive=False, elem_classes="action")

    def _add_results(self) -> None:
        self._gallery = gr.Gallery(
            format="png",
            label=strings.IMAGES,
            show_label=False,
            height="auto",
            object_fit="contain",
            buttons=["download", "fullscreen"],
            interactive=False,
            elem_classes=["samples", "pixels"],
        )
        self._picked_note = gr.Markdown(self._pick, elem_classes="hint")
        button: Any = {"size": "md", "min_width": 120}
        with gr.Row():
            self._similar = gr.Button(strings.SIMILAR, interactive=False, **button)
            self.send = gr.Button(strings.SEND, interactive=False, visible=self._sends, **button)
            self._back = gr.Button(strings.BACK, visible=False, **button)
        self._difference = gr.Slider(
            0.1, 1, value=0.4, step=0.1, label=strings.DIFFERENCE, info=strings.DIFFERENCE_INFO
        )

    def _add_downloads(self) -> None:
        with gr.Row():
            self._archive = gr.DownloadButton(strings.DOWNLOAD_ALL, size="md", min_width=120)
            self._grid = gr.DownloadButton(strings.DOWNLOAD_GRID, size="md", min_width=120)

    def _connect(self) -> None:
        settings = {self._model, self._count, self._seed, self._random_seed, self._classes, self._variety}
        work: Any = {**PRIVATE, **MODEL_QUEUE, "show_progress_on": self._gallery}
        generated = gr.on(
            [self._generate.click, self._seed.submit, self._requested_link.change],
            self.generate_from_settings,
            settings,
            [*self._result_outputs, self._seed],
            **work,
        )
        varied = self._similar.click(
            self.generate_similar,
            {self.images, self.picked, self._difference, self._count, self._earlier, self._link},
            self._result_outputs,
            **work,
        )
        for done in (generated, varied):
            done.success(None, self._link, js=SHOW_LINK, **PRIVATE)
            done.success(lambda: gr.Markdown(visible=False), None, self._notice, **SILENT)
        back = self._back.click(self.go_back, self._earlier, self._result_outputs, **SILENT)
        back.success(None, self._link, js=SHOW_LINK, **PRIVATE)
        for start in (self._generate.click, self._similar.click, self._back.click):
            start(None, js=scroll_to("samples"), **PRIVATE)
        # A visitor who types a seed wants that seed.
        self._seed.input(None, outputs=self._random_seed, js="() => false", **PRIVATE)
        self._gallery.select(self.pick, self.images, self._pick_outputs, **SILENT)
        self._model.input(None, None, self._gallery, js="() => null", **PRIVATE)  # at once; the rest follows
        chosen: Any = {"trigger_mode": "always_last", **SILENT}  # else a second choice could be lost
        cleared = self._model.input(
            lambda: {**self._no_results(), self._generate: gr.Button(interactive=False)},
            None,
            [*self._result_outputs, self._generate],
            cancels=[generated, varied],
            **chosen,
        )
        shown = cleared.then(
            self.show_model_and_images, self._model, [*self._result_outputs, *self._model_outputs], **chosen
        )
        shown.success(None, self._link, js=SHOW_LINK, **PRIVATE)
        add_generation_endpoints(
            self._registry,
            count=self._count,
            classes=self._classes,
            variety=self._variety,
            model=self._model,
            difference=self._difference,
            gallery=self._gallery,
            archive=self._archive,
            grid=self._grid,
        )

    # -- event handlers

    @translate_errors
    def generate_from_settings(self, values: dict[gr.components.Component, Any]) -> Updates:
        """Generate images with the settings of the tab."""
        seed = values[self._seed]
        if values[self._random_seed] or seed is None:
            seed = random_seed()
        settings = GenerationSettings(
            model=values[self._model],
            count=values[self._count],
            seed=seed,
            classes=values[self._classes] or (),
            variety=values[self._variety],
        )
        images = generate(self._registry, GenerationRequest.from_settings(self._registry, settings))
        return {**self._results(images, write_link(settings, self._default)), self._seed: seed}

    @translate_errors
    def generate_similar(self, values: dict[gr.components.Component, Any]) -> Updates:
        """Generate images that are like the one that was clicked. No link leads to them."""
        images, picked = values[self.images], values[self.picked]
        if images is None or picked is None:
            raise ConfigError(*strings.NOT_PICKED)
        request = images.request.similar(picked, values[self._difference], values[self._count])
        earlier = [*values[self._earlier], (images, values[self._link])]
        return self._results(generate(self._registry, request), earlier=earlier)

    def go_back(self, earlier: list[tuple[GeneratedImages, str]]) -> Updates:
        """Show the images again that were there before the last `generate_similar`."""
        images, link = earlier[-1]
        return self._results(images, link, earlier[:-1])

    def pick(self, images: GeneratedImages, event: gr.SelectData) -> Updates:
        """Remember which image was clicked, and say which it is."""
        enabled = gr.Button(interactive=True)
        note = strings.PICKED.format(caption=images.captions[event.index])
        return {
            self.picked: event.index,
            self._picked_note: note,
            self._similar: enabled,
            self.send: enabled,
            **self._edit.take(images, event.index),
        }

    def show_model(self, label: str, classes: Sequence[str] = ()) -> Updates:
        """Show the classes of a model, or why it cannot be used."""
        try:
            labels = list(self._registry.get(label).labels)
        except HubganError as error:
            return self._refuse(label, error)
        return {
            self._problem: gr.Markdown(visible=False),
            self._classes: gr.Dropdown(labels, value=list(classes), visible=bool(labels)),
            self._walk.label: gr.Dropdown(labels, value=None, visible=bool(labels)),
            self._generate: gr.Button(interactive=True),
            **self._edit.show_model(label),
        }

    def show_model_and_images(self, label: str) -> Updates:
        """Show the classes of a model and its first images, or why it cannot be used."""
        try:
            results = self._results(save(*self._first_images(label)))
        except HubganError as error:
            return {**self._no_results(), **self._refuse(label, error)}
        return {**results, **self.show_model(label)}

    def load(self, request: gr.Request) -> Updates:
        """Show what the page's address asks for, or else the images that are the same for every visitor."""
        try:
            settings = read_link(request.query_params, self._default)
            if settings is not None:
                GenerationRequest.from_settings(self._registry, settings)  # checks the model and the classes
                return self._show_link(settings)
        except HubganError as error:
            return self._show_first_images(reason=html.escape(sentences(error)))
        return self._show_first_images()

    # -- what the handlers return

    def _show_link(self, settings: GenerationSettings) -> Updates:
        """Set the controls to these settings, and start to generate as if the button had been clicked."""
        return {
            **self.show_model(settings.model, settings.classes),
            self._model: gr.Radio(value=settings.model, interactive=True),
            self._count: settings.count,
            self._seed: settings.seed,
            self._random_seed: False,
            self._variety: settings.variety,
            self._requested_link: write_link(settings, self._default),
        }

    def _show_first_images(self, reason: str = "") -> Updates:
        label = self._registry.first_usable()
        notice = gr.Markdown(strings.BAD_LINK.format(reason=reason), visible=bool(reason))
        model = gr.Radio(value=label, interactive=True)
        return {**self.show_model_and_images(label), self._model: model, self._notice: notice}

    def _refuse(self, label: str, error: HubganError) -> Updates:
        reason = gr.Markdown(self._registry.problem(label, error), visible=True)
        return {self._problem: reason, self._generate: gr.Button(interactive=False)}

    def _make_first_images(self, label: str) -> tuple[GenerationRequest, list[Image.Image]]:
        """The images that every visitor sees first; they are cached, so that nobody waits for them in the queue."""
        request = GenerationRequest.from_settings(self._registry, GenerationSettings(label))
        return request, models.make(self._registry.names[label], request.latents, request.labels)

    def _results(
        self, images: GeneratedImages, link: str = "", earlier: Sequence[tuple[GeneratedImages, str]] = ()
    ) -> Updates:
        """Show these images. None of them is picked yet.

        Args:
            images: the images.
            link: the link that leads to them, if there is one.
            earlier: images to go back to, each with its link.
        """
        pixelated = self._registry.get(images.request.model).image_size <= _MAX_PIXELATED_SIDE
        return {
            **self._no_results(),
            self._gallery: gr.Gallery(
                [*zip(images.files, images.captions, strict=True)],
                selected_index=None,
                elem_classes=["samples", "pixels"] if pixelated else ["samples"],
            ),
            self.images: images,
            self._archive: images.archive,
            self._grid: images.grid,
            self._earlier: list(earlier),
            self._back: gr.Button(visible=bool(earlier)),
            self._link: link,
        }

    def _no_results(self) -> Updates:
        disabled = gr.Button(interactive=False)
        return {
            self._gallery: [],
            self.images: None,
            self._archive: None,
            self._grid: None,
            self.picked: None,
            self._picked_note: self._pick,
            self._similar: disabled,
            self.send: disabled,
            self._earlier: [],
            self._back: gr.Button(visible=False),
            self._link: "",
            **self._edit.clear(),
        }
