"""The tab that enlarges pictures."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from hubgan import Upscaler
from hubgan.demo import files, models
from hubgan.demo.look import toast
from hubgan.errors import ConfigError, HubganError
from hubgan.images import open_image

# What a free Space (two cores, 16 GB) finishes within a minute or two.
MAX_PIXELS_IN = 4_000_000
MAX_PIXELS_OUT = 64_000_000
EXAMPLES = Path(__file__).parent / "examples"

# What visitors wait for, by their sessions: set, it ends at its next tile.
_running: dict[str, Event] = {}


@dataclass(frozen=True)
class _Choice:
    """An upscaler as visitors see it."""

    name: str
    scale: int
    mixes: bool  # holds weights of more than one fidelity
    restores: bool  # was trained on degraded pictures

    @property
    def limit(self) -> int:
        """Pixels of a picture at most."""
        return min(MAX_PIXELS_IN, MAX_PIXELS_OUT // self.scale**2)

    @property
    def takes(self) -> str:
        return f"This demo takes up to {self.limit / 1e6:.3g} megapixels: shrink larger pictures first."

    @property
    def button(self) -> str:
        return f"Upscale {self.scale}x" if self.scale > 1 else "Restore"

    @property
    def hint(self) -> str:
        purpose = "This model takes blur, noise and compression away. " if self.restores else ""
        return f"{purpose}{self.takes} Transparency and colour profile are kept."


def _choices(names: Sequence[str]) -> dict[str, _Choice]:
    """The upscalers by the ends of their names: where a folder lies on the server is no visitor's business."""
    found: dict[str, _Choice] = {}
    for name in names:
        label = Path(name).resolve().name if Path(name).exists() else name
        if label in found:
            raise ConfigError(f"{found[label].name} and {name} are both called {label}: rename one of them")
        upscaler = models.load_upscaler(name, models.device())
        restores = bool((upscaler.training_run or {}).get("degraded"))
        found[label] = _Choice(name, upscaler.scale, Upscaler.has_fidelity(name), restores)
    if not found:
        raise ConfigError("there is no upscaler: name one")
    return found


def upscale_tab(names: Sequence[str]) -> None:
    """The tab of the upscalers called `names`, Hub names or folders."""
    choices = _choices(names)
    default = next(iter(choices))
    first = choices[default]

    def upscale(
        picture: dict[str, Any] | None,
        request: gr.Request,
        fidelity: float = 0.0,
        model: str | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008, Gradio finds it so
    ) -> tuple[tuple[str, str], str, str]:
        """Enlarge a picture with the GAN, keeping its transparency and colour profile.

        Args:
            picture: The picture to enlarge, a file of any common format.
            fidelity: From 0, the most detail, which may be invented, to 1, smoother and nearest to the original.
            model: The name of the upscaler, of those that this demo has; the first one by default.

        Returns:
            The picture enlarged by bicubic interpolation and by the model, to look at; the latter as a PNG
            file in full size; a line that says sizes and time.
        """
        if not picture or not picture.get("path"):
            raise toast("Upload a picture first.")
        if not _uploaded(picture["path"]):
            raise toast("Only an uploaded picture can be enlarged.")
        if not isinstance(fidelity, int | float) or not 0 <= fidelity <= 1:  # Gradio does not look, see below
            raise toast("Fidelity goes from 0 to 1.")
        chosen = choices.get(default if model is None else str(model))
        if chosen is None:
            raise toast(f"There is no model {model} here, but {', '.join(choices)}.")
        start = time.perf_counter()
        given = picture.get("orig_name") or "The picture"
        try:
            with _watched(request.session_hash, progress) as told:
                before = open_image(picture["path"], max_pixels=chosen.limit)
                after = models.enlarge(chosen.name, before, fidelity if chosen.mixes else 0.0, told)
        except _StoppedError as stop:  # the page has been told
            raise toast("Stopped.") from stop
        except HubganError as error:  # a visitor knows the picture by its name, not by where Gradio put it
            raise toast(f"{error} {chosen.takes}".replace(picture["path"], given)) from error
        stem = files.clean_stem(given, otherwise="picture")
        sides, result = files.save_comparison(before, after, f"{stem}-x{chosen.scale}")
        seconds = time.perf_counter() - start
        note = f"{before.width} x {before.height} → **{after.width} x {after.height}** pixels in {seconds:.1f} s"
        return sides, result, f"{note}. Left: bicubic, right: the model."

    empty = "The result comes here: drag the line to compare."
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            # Untouched by Gradio: it would drop the alpha channel, and fail badly on what is no picture.
            picture = gr.Image(
                type="filepath",
                image_mode=None,
                sources=["upload", "clipboard"],
                label="Picture",
                buttons=[],
                height=260,
            )
            model = gr.Radio(list(choices), value=default, label="Model", visible=len(choices) > 1)
            fidelity = gr.Slider(
                0,
                1,
                value=0,
                step=0.1,
                label="Fidelity",
                info="0: most detail, some of it invented. 1: smoother, nearest to the original.",
                visible=first.mixes,
            )
            button = gr.Button(first.button, variant="primary")
            stop = gr.Button("Stop", variant="stop", visible=False)
            hint = gr.Markdown(first.hint, elem_classes="hint")
            examples = sorted(p for end in ("png", "jpg", "webp") for p in EXAMPLES.glob(f"*.{end}"))
            if examples:
                gr.set_static_paths([EXAMPLES])
                gr.Examples([[str(path)] for path in examples], picture, cache_examples=False, label="Examples")
        with gr.Column(scale=2, min_width=320):
            slider = gr.ImageSlider(
                format="png",
                label="Before and after",
                show_label=False,
                buttons=["fullscreen"],
                interactive=False,
                max_height=520,
            )
            note = gr.Markdown(empty, label="Sizes and time", elem_classes="hint")
            result = gr.DownloadButton("Download (PNG)", size="md", interactive=False)

    silent: Any = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    # A result beside a picture it was not made of would mislead.
    picture.change(
        lambda: (None, gr.DownloadButton(value=None, interactive=False), empty),
        outputs=[slider, result, note],
        **silent,
    )
    model.change(
        lambda label: (
            gr.Slider(visible=choices[label].mixes),
            gr.Button(choices[label].button),
            choices[label].hint,
        ),
        model,
        [fidelity, button, hint],
        **silent,
    )
    done = button.click(lambda: _buttons(busy=True), None, [button, stop], **silent).then(
        upscale,
        [picture, fidelity, model],
        [slider, result, note],
        api_name="upscale",
        concurrency_id="model",
        concurrency_limit=1,
        preprocess=False,
        show_progress_on=slider,
    )
    done.success(lambda: gr.DownloadButton(interactive=True), outputs=result, api_visibility="private")
    for ended in (done.success, done.failure):  # "then" is not called after an error
        ended(lambda: _buttons(busy=False), None, [button, stop], **silent)
    # What still waits in the queue is cancelled; what runs already is told to end.
    stop.click(_stop, None, [button, stop, slider, note], cancels=done, **silent)


class _StoppedError(Exception):
    """A visitor does not want to wait any longer."""


@contextmanager
def _watched(session: str | None, progress: gr.Progress) -> Iterator[Callable[[float], None]]:
    """What is to be called with the share that is done: it tells the visitor, and ends the work on request."""
    stopped = Event()
    key = session or secrets.token_hex(8)
    _running[key] = stopped

    def told(share: float) -> None:
        if stopped.is_set():
            raise _StoppedError
        progress(share, desc="Enlarging")

    try:
        yield told
    finally:
        if _running.get(key) is stopped:
            del _running[key]


def _stop(request: gr.Request) -> tuple[gr.Button, gr.Button, None, str]:
    if running := _running.get(request.session_hash or ""):
        running.set()
    return *_buttons(busy=False), None, "Stopped."


def _buttons(*, busy: bool) -> tuple[gr.Button, gr.Button]:
    """Start and stop."""
    return gr.Button(visible=not busy), gr.Button(visible=busy and models.TELLS)


def _uploaded(path: str) -> bool:
    """Whether Gradio stored this file, or it is an example: a call of the API may name any file of the server."""
    real = Path(path).resolve()
    return any(real.is_relative_to(Path(place).resolve()) for place in (get_upload_folder(), EXAMPLES))
