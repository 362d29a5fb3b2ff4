"""The page: one tab a task, and what its buttons do."""

import html
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from huggingface_hub import constants

from hubgan.demo import files, models
from hubgan.demo.look import CSS, THEME
from hubgan.errors import ConfigError, HubganError
from hubgan.images import open_image

MAX_IMAGES = 64
MAX_SEED = 2**31 - 1
# What a free Space (two cores, 16 GB) finishes within a minute or two.
MAX_PIXELS_IN = 4_000_000
MAX_PIXELS_OUT = 64_000_000
EXAMPLES = Path(__file__).parent / "examples"


def build_demo(generator: str, upscalers: Sequence[str]) -> gr.Blocks:
    """The demo of a generator and of upscalers to choose from, each a Hub name or a folder.

    Raises HubganError when one cannot be loaded, or when there is no upscaler or two end in the same name.
    """
    with gr.Blocks(title="hubgan", analytics_enabled=False, delete_cache=(3600, 4 * 3600)) as demo:
        gr.Markdown(_headline(generator, upscalers), elem_classes="title")
        with gr.Tabs():
            with gr.Tab("Generate", id="generate"):
                _generate_tab(generator)
            with gr.Tab("Upscale", id="upscale"):
                _upscale_tab(upscalers)
    return demo.queue(max_size=32)


def launch_options() -> dict[str, Any]:
    """What `Blocks.launch` takes to show this demo as it is meant to look."""
    return {
        "theme": THEME,
        "css": CSS,
        "max_file_size": "50mb",
        "footer_links": ["api", "gradio", "settings"],
    }


def _headline(generator: str, upscalers: Sequence[str]) -> str:
    def shown(name: str) -> str:
        if Path(name).exists():
            return f"<code>{html.escape(Path(name).resolve().name)}</code>"
        return f'<a href="{constants.ENDPOINT}/{html.escape(name)}" target="_blank">{html.escape(name)}</a>'

    where = "GPU" if models.device() == "cuda" else "CPU"
    enlargements = " or ".join(map(shown, upscalers))
    return f"# hubgan\nImages from {shown(generator)}, enlargements from {enlargements}, running on the {where}."


def _generate_tab(name: str) -> None:
    # On the CPU even where there is a GPU: ZeroGPU lends none while the page is being built.
    model = models.load_generator(name, "cpu")
    first, archive, sheet = files.save_samples(model.sample(16, seed=0), seed=0)
    models.load_generator(name, models.device())

    def generate(count: int, seed: int | None, random_seed: bool) -> tuple[list[str], str, str, int]:
        """Generate images with the GAN. The same seed gives the same images.

        Args:
            count: How many images, 1 to 64.
            seed: Where the random numbers start, 0 to 2147483647.
            random_seed: Ignore `seed` and draw a new one.

        Returns:
            The images as PNG files, a ZIP archive of them and their grid, the grid as a PNG file, the seed.
        """
        if random_seed or seed is None:
            seed = random.randint(0, MAX_SEED)
        try:
            images = models.sample(name, int(count), seed)
        except HubganError as error:
            raise _shown(str(error)) from error
        return *files.save_samples(images, seed), seed

    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            count = gr.Slider(1, MAX_IMAGES, value=16, step=1, label="Images")
            seed = gr.Number(
                0,
                label="Seed",
                info="The same seed gives the same images.",
                precision=0,
                minimum=0,
                maximum=MAX_SEED,
            )
            random_seed = gr.Checkbox(True, label="New random seed every time")
            button = gr.Button("Generate", variant="primary")
        with gr.Column(scale=2, min_width=320):
            small = model.image_size <= 64
            gallery = gr.Gallery(
                first,
                format="png",
                label="Images",
                show_label=False,
                height="auto",
                object_fit="contain",
                buttons=["download", "fullscreen"],
                interactive=False,
                elem_classes=["samples", "pixels"] if small else ["samples"],
            )
            with gr.Row():
                pack = gr.DownloadButton("Download all (ZIP)", archive, size="md")
                poster = gr.DownloadButton("Download grid (PNG)", sheet, size="md")

    # Whoever types a seed wants that seed.
    seed.input(None, outputs=random_seed, js="() => false", api_visibility="private")
    gr.on(
        [button.click, seed.submit],
        generate,
        [count, seed, random_seed],
        [gallery, pack, poster, seed],
        api_name="generate",
        concurrency_id="model",
        concurrency_limit=1,
        show_progress_on=gallery,
    )


@dataclass(frozen=True)
class _Choice:
    """An upscaler as visitors see it."""

    name: str
    scale: int
    mixes: bool  # holds weights of more than one fidelity

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
        return f"{self.takes} Transparency and colour profile are kept."


def _choices(names: Sequence[str]) -> dict[str, _Choice]:
    """The upscalers by the ends of their names: where a folder lies on the server is no visitor's business."""
    found: dict[str, _Choice] = {}
    for name in names:
        label = Path(name).resolve().name if Path(name).exists() else name
        if label in found:
            raise ConfigError(f"{found[label].name} and {name} are both called {label}: rename one of them")
        scale = models.load_upscaler(name, models.device()).scale
        found[label] = _Choice(name, scale, models.has_fidelity(name))
    if not found:
        raise ConfigError("there is no upscaler: name one")
    return found


def _upscale_tab(names: Sequence[str]) -> None:
    choices = _choices(names)
    default = next(iter(choices))
    first = choices[default]

    def upscale(
        picture: dict[str, Any] | None, fidelity: float = 0.0, model: str | None = None
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
            raise _shown("Upload a picture first.")
        if not _uploaded(picture["path"]):
            raise _shown("Only an uploaded picture can be enlarged.")
        if not isinstance(fidelity, int | float) or not 0 <= fidelity <= 1:  # Gradio does not look, see below
            raise _shown("Fidelity goes from 0 to 1.")
        chosen = choices.get(default if model is None else model)
        if chosen is None:
            raise _shown(f"There is no model {model} here, but {', '.join(choices)}.")
        start = time.perf_counter()
        given = picture.get("orig_name") or "The picture"
        try:
            before = open_image(picture["path"], max_pixels=chosen.limit)
            after = models.enlarge(chosen.name, before, fidelity if chosen.mixes else 0.0)
        except HubganError as error:  # a visitor knows the picture by its name, not by where Gradio put it
            raise _shown(f"{error} {chosen.takes}".replace(picture["path"], given)) from error
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

    # A result beside a picture it was not made of would mislead.
    picture.change(
        lambda: (None, gr.DownloadButton(value=None, interactive=False), empty),
        outputs=[slider, result, note],
        api_visibility="private",
        queue=False,
        show_progress="hidden",
    )
    model.change(
        lambda label: (
            gr.Slider(visible=choices[label].mixes),
            gr.Button(choices[label].button),
            choices[label].hint,
        ),
        model,
        [fidelity, button, hint],
        api_visibility="private",
        queue=False,
        show_progress="hidden",
    )
    button.click(
        upscale,
        [picture, fidelity, model],
        [slider, result, note],
        api_name="upscale",
        concurrency_id="model",
        concurrency_limit=1,
        preprocess=False,
        show_progress_on=slider,
    ).success(lambda: gr.DownloadButton(interactive=True), outputs=result, api_visibility="private")


def _uploaded(path: str) -> bool:
    """Whether Gradio stored this file, or it is an example: a call of the API may name any file of the server."""
    real = Path(path).resolve()
    return any(real.is_relative_to(Path(place).resolve()) for place in (get_upload_folder(), EXAMPLES))


def _shown(message: str) -> gr.Error:
    """The page's toast. It takes HTML, and a message may quote what a visitor sent."""
    return gr.Error(html.escape(message), print_exception=False)
