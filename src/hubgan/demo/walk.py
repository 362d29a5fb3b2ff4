"""The part of the first tab that makes a walk from one seed to another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from hubgan.demo import files, models, strings
from hubgan.demo.errors import translate_errors
from hubgan.demo.events import MODEL_QUEUE, SILENT, Updates
from hubgan.demo.models import ModelRegistry
from hubgan.demo.samples import MAX_SEED, check_seed, file_name, in_range
from hubgan.demo.theme import accept_any_text
from hubgan.errors import ConfigError
from hubgan.media.video import save_video

if TYPE_CHECKING:
    from hubgan import Generator

_FPS = 25
_MIN_SECONDS, _MAX_SECONDS = 0.5, 10.0
_SIDE = 256  # smaller images are shown enlarged up to this, in pixels
_BATCH = 64  # images at once


class WalkPart:
    """A walk through the latents of the model that is chosen in the tab.

    Attributes:
        label: the choice of a class.
    """

    def __init__(self, registry: ModelRegistry[Generator], model: gr.Radio) -> None:
        self._registry = registry
        with gr.Accordion(strings.WALK, open=False):
            with gr.Row():
                seed: Any = {"precision": 0, "minimum": 0, "maximum": MAX_SEED, "min_width": 100}
                first_seed = gr.Number(0, label=strings.WALK_FROM, **seed)
                second_seed = gr.Number(1, label=strings.WALK_TO, **seed)
                seconds = gr.Slider(_MIN_SECONDS, _MAX_SECONDS, value=4, step=0.5, label=strings.WALK_SECONDS)
                self.label = gr.Dropdown(
                    [], value=None, allow_custom_value=True, label=strings.WALK_CLASS, visible=False, min_width=120
                )
                accept_any_text(self.label)
            button = gr.Button(strings.WALK_BUTTON, size="md")
            self._result = gr.Image(
                type="filepath",
                format="gif",
                label=strings.WALK_RESULT,
                interactive=False,
                buttons=["fullscreen"],
                elem_classes="pixels",
                height=300,
                alt_text=strings.WALK_RESULT,
            )
            self._download = gr.DownloadButton(strings.WALK_DOWNLOAD, size="md", interactive=False)
        walked = button.click(
            self.walk,
            [first_seed, second_seed, seconds, self.label, model],
            [self._result, self._download],
            api_name="walk",
            show_progress_on=self._result,
            **MODEL_QUEUE,
        )
        walked.success(lambda: gr.DownloadButton(interactive=True), None, self._download, **SILENT)
        # The walk of another model would be taken for one of the new model.
        model.input(
            lambda: (None, gr.DownloadButton(value=None, interactive=False)),
            None,
            [self._result, self._download],
            cancels=walked,
            **SILENT,
        )

    @translate_errors
    def walk(
        self,
        first_seed: int = 0,
        second_seed: int = 1,
        seconds: float = 4.0,
        label: str | None = None,
        model: str | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008, Gradio looks for this default
    ) -> Updates:
        """An animation from the first image of one seed to that of another one, and back.

        Args:
            first_seed: 0 to 2147483647.
            second_seed: 0 to 2147483647.
            seconds: The duration of the way there and back, 0.5 to 10.
            label: The class, for a model with classes. By default the first seed draws it.
            model: The name of one of this demo's generators. By default the first one.

        Returns:
            The GIF, to look at and to download.
        """
        model = self._registry.label(model)
        if not in_range(seconds, _MIN_SECONDS, _MAX_SECONDS):
            raise ConfigError(strings.WALK_SECONDS_RANGE.format(minimum=_MIN_SECONDS, maximum=_MAX_SECONDS))
        for seed in (first_seed, second_seed):
            check_seed(seed)
        first_seed, second_seed = int(first_seed), int(second_seed)
        generator = self._registry.get(model)
        frames = round(seconds * _FPS)
        latents, labels = generator.walk([first_seed, second_seed], frames, labels=label or None)

        def images() -> Iterator[Image.Image]:
            for start in range(0, frames, _BATCH):
                part = slice(start, start + _BATCH)
                batch_labels = None if labels is None else labels[part]
                yield from models.make(self._registry.names[model], latents[part], batch_labels)
                progress(min(start + _BATCH, frames) / frames, desc=strings.WALKING)

        file = files.new_folder() / f"{file_name(model)}-seed{first_seed}-seed{second_seed}.gif"
        save_video(images(), file, fps=_FPS, scale=max(1, _SIDE // generator.image_size))
        return {self._result: str(file), self._download: str(file)}
