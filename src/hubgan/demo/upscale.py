"""The tab that enlarges pictures."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from hubgan.demo import files, models, strings
from hubgan.demo.batch import several_part
from hubgan.demo.models import ModelRegistry
from hubgan.demo.queueing import stoppable, watched
from hubgan.demo.theme import describe, scroll_to, told
from hubgan.demo.uploads import (
    EXAMPLES,
    Job,
    Limit,
    check_uploaded,
    oversize,
    read,
)
from hubgan.errors import HubganError

if TYPE_CHECKING:
    from hubgan import Upscaler

_WORK = "upscale"


@dataclass(frozen=True)
class UpscaleTab:
    """What the page needs of the tab.

    Attributes:
        picture: what is to be enlarged.
        arrive: called when a visitor comes.
        on_arrival: the components that get what it returns.
    """

    picture: gr.Image
    arrive: Callable[[], tuple[Any, ...]]
    on_arrival: list[gr.components.Component]


def upscale_tab(shelf: ModelRegistry[Upscaler]) -> UpscaleTab:
    """The tab of these upscalers."""

    @told
    def upscale(
        picture: dict[str, Any] | None,
        request: gr.Request,
        fidelity: float = 0.0,
        model: str | None = None,
        scale: float | None = None,
        part: str | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008, Gradio finds it so
    ) -> tuple[tuple[str, str], str, str]:
        """Enlarge a picture with the GAN, keeping its transparency and colour profile.

        Args:
            picture: The picture to enlarge, a file of any common format.
            fidelity: From 0, the most detail, which may be invented, to 1, smoother and nearest to the original.
            model: The name of the upscaler, of those that this demo has; the first one by default.
            scale: How many times as large, 1 or more; at most, and by default, what the model is made for.
            part: Of a picture that is too large the part to enlarge: "middle", "top left", "top" and so on.

        Returns:
            The picture enlarged by bicubic interpolation and by the model, to look at; the latter as a PNG
            file in full size; a line that says sizes and time.
        """
        path, given = check_uploaded(picture)
        job = Job.of(shelf, model, fidelity, scale)
        start = time.perf_counter()
        before = read(path, given, job.limit, part)
        with watched(request.session_hash, _WORK, progress) as tell:
            after = job.enlarge(before, tell)
        stem = f"{files.clean_stem(given, otherwise='picture')}-x{job.scale:g}"
        sides, result = files.save_comparison(before, after, stem)
        seconds = time.perf_counter() - start
        name = shelf.label(model)
        note = strings.ENLARGED.format(before=_size(before), after=_size(after), model=name, seconds=seconds)
        return sides, result, note

    several = len(shelf.names) > 1
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            problem = gr.Markdown(visible=False, elem_classes="problem")
            # Untouched by Gradio: it would drop the alpha channel, and fail badly on what is no picture.
            picture = gr.Image(
                type="filepath",
                image_mode=None,
                sources=["upload", "webcam", "clipboard"],
                label=strings.PICTURE,
                buttons=[],
                height=260,
            )
            too_large = gr.Markdown(visible=False, elem_classes="problem")
            part = gr.Dropdown(strings.PARTS, value=None, label=strings.PART, visible=False)
            model = gr.Radio(list(shelf.names), value=shelf.first, label=strings.MODEL, visible=several)
            fidelity = gr.Slider(
                0, 1, value=0, step=0.1, label=strings.FIDELITY, info=strings.FIDELITY_INFO, visible=False
            )
            scale = gr.Slider(1, 4, value=4, step=0.5, label=strings.SCALE, info=strings.SCALE_INFO, visible=False)
            button = gr.Button(strings.UPSCALE_TAB, variant="primary")
            stop = gr.Button(strings.STOP, variant="stop", visible=False)
            hint = gr.Markdown(strings.LOADING, elem_classes="hint")
            examples = sorted(p for end in ("png", "jpg", "webp") for p in EXAMPLES.glob(f"*.{end}"))
            if examples:
                gr.set_static_paths([EXAMPLES])
                gr.Examples([[str(path)] for path in examples], picture, cache_examples=False, label=strings.EXAMPLES)
        with gr.Column(scale=2, min_width=320):
            slider = gr.ImageSlider(
                format="png",
                label=strings.COMPARISON,
                show_label=False,
                buttons=["fullscreen"],
                interactive=False,
                max_height=520,
                elem_classes="comparison",
            )
            note = gr.Markdown(strings.EMPTY, label=strings.NOTE, elem_classes="hint")
            result = gr.DownloadButton(strings.DOWNLOAD, size="md", interactive=False)
            several_part(shelf, fidelity, model, scale)

    silent: Any = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}

    def measure(given: dict[str, Any] | None, label: str) -> tuple[Any, ...]:
        """Is the picture too large for the model?"""
        complaint = oversize(given, shelf, label)
        return (
            gr.Markdown(complaint or "", visible=bool(complaint)),
            gr.Dropdown(value=strings.PARTS[0] if complaint else None, visible=bool(complaint)),
        )

    def look(given: dict[str, Any] | None, label: str) -> tuple[Any, ...]:
        """A result beside a picture it was not made of would mislead."""
        return None, gr.DownloadButton(value=None, interactive=False), strings.EMPTY, *measure(given, label)

    looks: Any = {"inputs": [picture, model], "preprocess": False, **silent}
    picture.change(look, outputs=[slider, result, note, too_large, part], **looks)
    model.input(lambda label: settings(shelf, label), model, [problem, fidelity, scale, button, hint], **silent)
    model.input(measure, outputs=[too_large, part], **looks)
    scale.change(_caption, scale, button, **silent)
    done = stoppable(
        button,
        stop,
        _WORK,
        {slider: None, note: strings.STOPPED},
        fn=upscale,
        inputs=[picture, fidelity, model, scale, part],
        outputs=[slider, result, note],
        api_name="upscale",
        show_progress_on=slider,
    )
    done.success(lambda: gr.DownloadButton(interactive=True), outputs=result, api_visibility="private")
    done.success(None, js=scroll_to("comparison"), api_visibility="private")
    done.success(None, js=describe("comparison", strings.BEFORE, strings.AFTER), api_visibility="private")

    def arrive() -> tuple[Any, ...]:
        label = shelf.usable()
        return *settings(shelf, label), gr.skip() if label == shelf.first else label

    return UpscaleTab(picture, arrive, [problem, fidelity, scale, button, hint, model])


def settings(shelf: ModelRegistry[Upscaler], label: str) -> tuple[Any, ...]:
    """What the tab is to show of a model: the problem, fidelity, scale, button and hint."""
    try:
        upscaler = shelf.get(label)
        mixes = models.mixes(shelf.names[label])
    except HubganError as error:
        reason = gr.Markdown(shelf.problem(label, error), visible=True)
        return reason, gr.skip(), gr.skip(), gr.Button(interactive=False), ""
    purpose = strings.RESTORES if (upscaler.training_run or {}).get("degraded") else ""
    return (
        gr.Markdown(visible=False),
        gr.Slider(visible=mixes),
        gr.Slider(maximum=upscaler.scale, value=upscaler.scale, visible=upscaler.scale > 1),
        gr.Button(_words(upscaler.scale), interactive=True),
        strings.HINT.format(purpose=purpose, takes=Limit.of(upscaler.scale).takes),
    )


def _words(scale: float) -> str:
    return strings.UPSCALE.format(scale=scale) if scale > 1 else strings.RESTORE


def _caption(scale: float) -> gr.Button:
    return gr.Button(_words(scale))


def _size(image: Image.Image) -> str:
    return strings.SIZE.format(width=image.width, height=image.height)
