"""The part of the first tab that leads from one seed to another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from hubgan.demo import files, models, strings
from hubgan.demo.models import ModelRegistry
from hubgan.demo.samples import MAX_SEED, check_seed, file_name, within
from hubgan.demo.theme import any_words, told
from hubgan.errors import ConfigError
from hubgan.media.video import save_video

if TYPE_CHECKING:
    from hubgan import Generator

_FPS = 25
_LEAST, _MOST = 0.5, 10.0  # seconds
_SIDE = 256  # pixels that are large enough to see
_PART = 64  # images at once


def walk_part(shelf: ModelRegistry[Generator], model: gr.Radio) -> gr.Dropdown:
    """A walk through the latents of the chosen model; returns the choice of a class."""

    @told
    def walk(
        first_seed: int = 0,
        second_seed: int = 1,
        seconds: float = 4.0,
        label: str | None = None,
        model: str | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008, Gradio finds it so
    ) -> tuple[str, str]:
        """A moving picture that leads from the first image of a seed to that of another one, and back.

        Args:
            first_seed: 0 to 2147483647.
            second_seed: Likewise.
            seconds: How long it takes there and back, 0.5 to 10.
            label: The class, for a model that has some; none lets the first seed draw it.
            model: The name of the generator, of those that this demo has; the first one by default.

        Returns:
            The GIF, to look at and to download.
        """
        name = shelf.label(model)
        if not within(seconds, _LEAST, _MOST):
            raise ConfigError(strings.WALK_SECONDS_RANGE.format(least=_LEAST, most=_MOST))
        generator = shelf.get(name)
        for seed in (first_seed, second_seed):
            check_seed(seed)
        seeds = [int(first_seed), int(second_seed)]
        frames = round(seconds * _FPS)
        latents, labels = generator.walk(seeds, frames, labels=label or None)

        def images() -> Iterator[Image.Image]:
            for start in range(0, frames, _PART):
                here = slice(start, start + _PART)
                yield from models.make(shelf.names[name], latents[here], None if labels is None else labels[here])
                progress(min(start + _PART, frames) / frames, desc=strings.WALKING)

        file = files.new_folder() / f"{file_name(name)}-seed{seeds[0]}-seed{seeds[1]}.gif"
        save_video(images(), file, fps=_FPS, scale=max(1, _SIDE // generator.image_size))
        return str(file), str(file)

    with gr.Accordion(strings.WALK, open=False):
        with gr.Row():
            first = gr.Number(0, label=strings.WALK_FROM, precision=0, minimum=0, maximum=MAX_SEED, min_width=100)
            second = gr.Number(1, label=strings.WALK_TO, precision=0, minimum=0, maximum=MAX_SEED, min_width=100)
            seconds = gr.Slider(_LEAST, _MOST, value=4, step=0.5, label=strings.WALK_SECONDS)
            label = gr.Dropdown(
                [], value=None, allow_custom_value=True, label=strings.WALK_CLASS, visible=False, min_width=120
            )
            any_words(label)
        button = gr.Button(strings.WALK_BUTTON, size="md")
        result = gr.Image(
            type="filepath",
            format="gif",
            label=strings.WALK_RESULT,
            interactive=False,
            buttons=["fullscreen"],
            elem_classes="pixels",
            height=300,
            alt_text=strings.WALK_RESULT,
        )
        download = gr.DownloadButton(strings.WALK_DOWNLOAD, size="md", interactive=False)
    work: Any = {"concurrency_id": "model", "concurrency_limit": 1}
    inputs = [first, second, seconds, label, model]
    walked = button.click(walk, inputs, [result, download], api_name="walk", show_progress_on=result, **work)
    walked.success(lambda: gr.DownloadButton(interactive=True), None, download, api_visibility="private", queue=False)
    return label
