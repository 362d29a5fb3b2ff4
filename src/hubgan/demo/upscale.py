"""The tab that enlarges pictures."""

from __future__ import annotations

import html
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from hubgan.demo import files, models, strings
from hubgan.demo.batch import BatchPart
from hubgan.demo.clip import ClipPart
from hubgan.demo.enlarge import UpscaleRequest
from hubgan.demo.errors import sentences, translate_errors, without_path
from hubgan.demo.events import PRIVATE, SILENT, Updates
from hubgan.demo.limits import Limit, Limits
from hubgan.demo.models import ModelRegistry
from hubgan.demo.preview import SHOWN, preview
from hubgan.demo.queueing import ENLARGED, add_stoppable_event, stoppable
from hubgan.demo.theme import scroll_to, set_alternative_texts, show_instead
from hubgan.demo.uploads import EXAMPLES, Header, check_pixels, check_uploaded, read_header
from hubgan.errors import HubganError, ImageError
from hubgan.media.images import MAX_PIXELS

if TYPE_CHECKING:
    from hubgan import Upscaler

_WORK = "upscale"


class UpscaleTab:
    """The tab of these upscalers. It adds its components to the current `gr.Blocks`.

    Attributes:
        picture: the picture to enlarge.
        load_outputs: the components that `load` changes.
    """

    def __init__(self, registry: ModelRegistry[Upscaler], limits: Limits) -> None:
        self._registry, self._limits = registry, limits
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                self._add_settings()
            with gr.Column(scale=2, min_width=320):
                self._add_results()
                settings: dict[str, Any] = {
                    "fidelity": self._fidelity,
                    "model": self._model,
                    "scale": self._scale,
                    "strength": self._strength,
                    "automatic": self._automatic,
                }
                BatchPart(registry, limits, **settings, format=self._format)
                ClipPart(registry, limits, **settings)
        self._model_outputs = [
            self._problem,
            self._purpose,
            self._automatic,
            self._strength,
            self._fidelity,
            self._scale,
            self._upscale,
            self._hint,
        ]
        self.load_outputs = [*self._model_outputs, self._model]
        self._connect()

    def _add_settings(self) -> None:
        self._problem = gr.Markdown(visible=False, elem_classes="problem")
        # Gradio passes the file on unread (preprocess=False): it would drop the alpha channel, and has no clear error
        # for a file that is no picture.
        self.picture = gr.Image(
            type="filepath",
            image_mode=None,
            sources=["upload", "webcam", "clipboard"],
            label=strings.PICTURE,
            buttons=[],
            height=260,
            elem_classes="picture",
        )
        self._looks = gr.HTML(visible="hidden")
        self._complaint = gr.Markdown(visible=False, elem_classes="problem")
        self._part = gr.Dropdown(strings.PARTS, value=None, label=strings.PART, visible=False)
        labels = list(self._registry.names)
        self._model = gr.Radio(labels, value=labels[0], label=strings.MODEL, visible=len(labels) > 1)
        self._purpose = gr.Markdown(elem_classes="hint")
        self._automatic = gr.Checkbox(
            True, label=strings.AUTOMATIC, info=strings.AUTOMATIC_INFO, visible=False, container=True
        )
        self._strength = gr.Slider(
            0, 1, value=0.5, step=0.05, label=strings.STRENGTH, info=strings.STRENGTH_INFO, visible=False
        )
        self._fidelity = gr.Slider(
            0, 1, value=0, step=0.1, label=strings.FIDELITY, info=strings.FIDELITY_INFO, visible=False
        )
        self._scale = gr.Slider(1, 4, value=4, step=0.5, label=strings.SCALE, info=strings.SCALE_INFO, visible=False)
        kinds = [(words, kind) for kind, words in strings.FORMATS.items()]
        self._format = gr.Dropdown(kinds, value="same", label=strings.FORMAT)
        self._upscale = gr.Button(strings.UPSCALE_TAB, variant="primary")
        self._stop = gr.Button(strings.STOP, variant="stop", visible=False)
        self._hint = gr.Markdown(strings.LOADING, elem_classes="hint")
        examples = sorted(path for path in EXAMPLES.glob("*") if path.suffix in (".png", ".jpg", ".webp"))
        if examples:
            gr.set_static_paths([EXAMPLES])
            gr.Examples([[str(path)] for path in examples], self.picture, cache_examples=False, label=strings.EXAMPLES)

    def _add_results(self) -> None:
        self._comparison = gr.ImageSlider(
            format="png",
            label=strings.COMPARISON,
            show_label=False,
            buttons=["fullscreen"],
            interactive=False,
            max_height=520,
            elem_classes="comparison",
        )
        self._note = gr.Markdown(strings.EMPTY, label=strings.NOTE, elem_classes="hint")
        self._result = gr.DownloadButton(strings.DOWNLOAD, size="md", interactive=False)

    def _connect(self) -> None:
        silent: Any = {"trigger_mode": "always_last", **SILENT}  # else a second choice could be lost
        picture: Any = {"inputs": [self.picture, self._model], "preprocess": False, **silent}
        about = [self._complaint, self._part, self._looks]
        self.picture.change(
            self.change_picture, outputs=[self._comparison, self._result, self._note, *about], **picture
        )
        self._model.input(self.look_at, outputs=about, **picture)
        self._part.input(
            lambda *choices: self.look_at(*choices)[self._looks],
            [self.picture, self._model, self._part],
            self._looks,
            preprocess=False,
            **silent,
        )
        self._model.input(self.show_model, self._model, self._model_outputs, **silent)
        self._automatic.input(
            lambda automatic: gr.Slider(visible=not automatic), self._automatic, self._strength, **SILENT
        )
        self._scale.change(_button, self._scale, self._upscale, **SILENT)
        done = add_stoppable_event(
            self._upscale,
            self._stop,
            _WORK,
            {self._comparison: None, self._note: strings.STOPPED},
            fn=self.upscale,
            inputs=[
                self.picture,
                self._fidelity,
                self._model,
                self._scale,
                self._part,
                self._strength,
                self._automatic,
                self._format,
            ],
            outputs=[self._comparison, self._result, self._note],
            api_name="upscale",
            show_progress_on=self._comparison,
        )
        done.success(_download, self._result, self._result, preprocess=False, **PRIVATE)
        done.success(None, js=scroll_to("comparison"), **PRIVATE)
        done.success(None, js=set_alternative_texts("comparison", strings.BEFORE, strings.AFTER), **PRIVATE)

    @translate_errors
    def upscale(
        self,
        picture: dict[str, Any] | None,
        request: gr.Request,
        fidelity: float = 0.0,
        model: str | None = None,
        scale: float | None = None,
        part: str | None = None,
        strength: float | None = None,
        automatic: bool | None = None,
        format: str | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008, Gradio looks for this default
    ) -> Updates:
        """Enlarge a picture with the GAN, keeping its transparency and colour profile.

        Args:
            picture: The picture to enlarge, a file of any common format.
            fidelity: From 0, the most detail, which may be invented, to 1, smoother and nearest to the original.
            model: The name of one of this demo's upscalers. By default the first one.
            scale: The factor of enlargement, from 1 to that of the model, which is the default.
            part: For a picture that is too large, the part to enlarge: "middle", "top left", "top" and so on.
            strength: How strongly noise and traces of compression are cleaned away, from 0 to 1. By default as much as
                the picture wants.
            automatic: Whether to clean as much as the picture wants, whatever the strength. By default only if there
                is no strength.
            format: Of the result: "png", "jpg", "webp", or "same" for that of the picture, which is the default.

        Returns:
            The picture enlarged by bicubic interpolation and by the model, to look at; the file of the model's result
            in full size; a line with sizes and time.
        """
        start = time.perf_counter()
        path, name = check_uploaded(picture)
        upscaling = UpscaleRequest.from_settings(
            self._registry, self._limits, model, fidelity, scale, strength, automatic, format
        )
        opened = upscaling.open(path, name, part)
        with stoppable(request.session_hash, _WORK, progress, self._limits.minutes) as report:
            enlarged = upscaling.run(opened, lambda share: report(ENLARGED * share))
            report(ENLARGED, strings.SAVING)
            folder = files.new_folder()
            stem = f"{files.clean_stem(name, default='picture')}-x{upscaling.scale:g}"
            result = enlarged.save(folder / f"{stem}{enlarged.ending}")
            sides = files.save_comparison(enlarged.before, enlarged.after, folder)
        note = strings.ENLARGED.format(
            before=_size(enlarged.before),
            after=_size(enlarged.after),
            model=upscaling.label,
            seconds=time.perf_counter() - start,
        )
        return {self._comparison: sides, self._result: result, self._note: " ".join([note, *enlarged.remarks])}

    def change_picture(self, picture: dict[str, Any] | None, label: str) -> Updates:
        """Remove the result of the picture before, and look at the new one."""
        return {
            self._comparison: None,
            self._result: gr.DownloadButton(strings.DOWNLOAD, value=None, interactive=False),
            self._note: strings.EMPTY,
            **self.look_at(picture, label),
        }

    def look_at(self, picture: dict[str, Any] | None, label: str, part: str | None = None) -> Updates:
        """Show a picture that browsers cannot, offer the parts of one that is too large, or say why it is refused."""
        try:
            path, name = check_uploaded(picture)
            limit = self._limits.for_scale(self._registry.get(label).scale)
        except HubganError:  # there is no picture, or the tab already says that the model cannot be used
            return self._about()
        show = partial(show_instead, "picture", Path(path).parent.name)
        try:
            header = read_header(path, name)
            if limit.pixels < header.pixels <= MAX_PIXELS:
                part = part or strings.PARTS[0]
                box = header.part(limit, part)
                return self._about(_offer(header, box, limit), part, show(preview(path, header.shares(box))))
            check_pixels(header, name, limit)
            return self._about(looks="" if header.kind in SHOWN else show(preview(path)))
        except ImageError as error:
            return self._about(html.escape(sentences(without_path(error, path, name))), looks=show(None))

    def _about(self, words: str = "", part: str | None = None, looks: str = "") -> Updates:
        """What the page says of a picture, the part that would be enlarged, and how the picture looks."""
        return {
            self._complaint: gr.Markdown(words, visible=bool(words)),
            self._part: gr.Dropdown(value=part, visible=part is not None),
            self._looks: looks,
        }

    def show_model(self, label: str) -> Updates:
        """Show the settings that a model has, or why it cannot be used."""
        try:
            upscaler = self._registry.get(label)
            has_fidelity = models.has_fidelity(self._registry.names[label])
        except HubganError as error:
            return {
                self._problem: gr.Markdown(self._registry.problem(label, error), visible=True),
                self._purpose: "",
                self._upscale: gr.Button(interactive=False),
                self._hint: "",
            }
        hint = strings.HINT.format(megapixels=self._limits.for_scale(upscaler.scale).megapixels)
        return {
            self._problem: gr.Markdown(visible=False),
            self._purpose: upscaler.purpose,
            self._automatic: gr.Checkbox(True, visible=upscaler.has_strength),
            self._strength: gr.Slider(visible=False),
            self._fidelity: gr.Slider(visible=has_fidelity),
            self._scale: gr.Slider(maximum=upscaler.scale, value=upscaler.scale, visible=upscaler.scale > 1),
            self._upscale: gr.Button(_button(upscaler.scale), interactive=True),
            self._hint: hint,
        }

    def load(self) -> Updates:
        """Show the first model that can be used."""
        label = self._registry.first_usable()
        updates = self.show_model(label)
        if label != self._registry.default:  # else keep what the visitor has chosen meanwhile
            updates[self._model] = label
        return updates


def _button(scale: float) -> str:
    """The button's text."""
    return strings.UPSCALE.format(scale=scale) if scale > 1 else strings.RESTORE


def _download(result: dict[str, Any] | None) -> gr.DownloadButton:
    """The button for a result, with its format."""
    ending = Path(result["path"]).suffix[1:] if result else ""
    kind = strings.FORMATS.get(ending, ending.upper())
    return gr.DownloadButton(strings.DOWNLOAD_AS.format(kind=kind), interactive=True)


def _offer(header: Header, box: tuple[int, int, int, int], limit: Limit) -> str:
    """Markdown that offers to enlarge a part of a picture that is too large."""
    left, top, right, bottom = box
    return strings.OFFER_PART.format(
        width=header.width,
        height=header.height,
        megapixels=limit.megapixels,
        part_width=right - left,
        part_height=bottom - top,
    )


def _size(image: Image.Image) -> str:
    return strings.SIZE.format(width=image.width, height=image.height)
