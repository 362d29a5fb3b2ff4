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
from hubgan.demo.controls import UpscaleControls
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
        load_outputs: the components that `load` changes.
        take_outputs: the components that `take` changes.
    """

    def __init__(self, registry: ModelRegistry[Upscaler], limits: Limits) -> None:
        self._registry, self._limits = registry, limits
        with gr.Row(elem_classes="workspace"):
            with gr.Column(scale=1, min_width=280):
                with gr.Column(elem_classes="input"):
                    self._add_picture()
                self._add_settings()
            with gr.Column(scale=2, min_width=320):
                with gr.Column(elem_classes="result"):
                    self._add_results()
                with gr.Column(elem_classes="extras"):
                    BatchPart(registry, limits, self._controls)
                    ClipPart(registry, limits, self._controls)
        self._model_outputs = [self._problem, self._purpose, self._upscale, self._hint, *self._controls.components]
        self._picture_outputs = [
            self._comparison,
            self._result,
            self._note,
            self._complaint,
            self._part,
            self._looks,
        ]
        self.load_outputs = [*self._model_outputs, self._model]
        self.take_outputs = [self._picture, *self._picture_outputs]

    def _add_picture(self) -> None:
        self._problem = gr.Markdown(visible=False, elem_classes="problem")
        # Gradio passes the file on unread (preprocess=False): it would drop the alpha channel, and has no clear error
        # for a file that is no picture.
        self._picture = gr.Image(
            type="filepath",
            image_mode=None,
            sources=["upload", "webcam", "clipboard"],
            label=strings.PICTURE,
            buttons=[],
            height=220,
            elem_classes="picture",
        )
        self._looks = gr.HTML(visible="hidden")
        self._complaint = gr.Markdown(visible=False, elem_classes="problem")
        self._part = gr.Dropdown(strings.PARTS, value=None, label=strings.PART, visible=False)
        paths = sorted(path for path in EXAMPLES.glob("*") if path.suffix in (".png", ".jpg", ".webp"))
        gr.set_static_paths([EXAMPLES])
        self._examples = gr.Examples(
            [[str(path)] for path in paths],
            self._picture,
            cache_examples=False,
            label=strings.EXAMPLES,
            visible=bool(paths),
        )

    def _add_settings(self) -> None:
        labels = list(self._registry.names)
        self._model = gr.Radio(labels, value=labels[0], label=strings.MODEL, visible=len(labels) > 1)
        self._purpose = gr.Markdown(elem_classes="hint")
        self._upscale = gr.Button(strings.UPSCALE_TAB, variant="primary", elem_classes="action")
        self._stop = gr.Button(strings.STOP, variant="stop", visible=False, elem_classes="action")
        self._hint = gr.Markdown(strings.LOADING, elem_classes="hint")
        self._controls = UpscaleControls(self._model)

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

    def connect(self, *taken: gr.events.Dependency) -> None:
        """Connect the components with what they do.

        Args:
            taken: events that call `take`; when one has succeeded, the picture is enlarged.
        """
        silent: Any = {"trigger_mode": "always_last", **SILENT}  # else a second choice could be lost
        picture: Any = {"inputs": [self._picture, self._model], "preprocess": False, **silent}
        about = [self._complaint, self._part, self._looks]
        # Not `change`, which would come after `take`, and remove its result.
        for changed in (self._picture.input, self._examples.load_input_event.then):
            changed(self.change_picture, outputs=self._picture_outputs, **picture)
        self._model.input(self.look_at, outputs=about, **picture)
        self._part.input(
            lambda *choices: self.look_at(*choices)[self._looks],
            [self._picture, self._model, self._part],
            self._looks,
            preprocess=False,
            **silent,
        )
        self._model.input(self.show_model, self._model, self._model_outputs, **silent)
        self._controls.scale.change(_button, self._controls.scale, self._upscale, **SILENT)
        triggers: list[Any] = [event.success for event in taken]
        for begun in (self._upscale.click, *triggers):
            begun(None, js=scroll_to("comparison"), **PRIVATE)
        enlarged = add_stoppable_event(
            self._upscale,
            self._stop,
            _WORK,
            {self._comparison: None, self._note: strings.STOPPED},
            *triggers,
            fn=self.upscale,
            inputs=[
                self._picture,
                self._controls.fidelity,
                self._model,
                self._controls.scale,
                self._part,
                self._controls.strength,
                self._controls.automatic,
                self._controls.format,
            ],
            outputs=[self._comparison, self._result, self._note],
            api_name="upscale",
            show_progress_on=self._comparison,
        )
        for done in enlarged:
            done.success(_download, self._result, self._result, preprocess=False, **PRIVATE)
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

    def take(self, path: str) -> Updates:
        """Take this picture from another tab."""
        return {self._picture: path, **self._no_result(), **self._about()}

    def change_picture(self, picture: dict[str, Any] | None, label: str) -> Updates:
        """Remove the result of the picture before, and look at the new one."""
        return {**self._no_result(), **self.look_at(picture, label)}

    def _no_result(self) -> Updates:
        return {
            self._comparison: None,
            self._result: gr.DownloadButton(strings.DOWNLOAD, value=None, interactive=False),
            self._note: strings.EMPTY,
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
            **self._controls.show(upscaler, has_fidelity=has_fidelity),
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
