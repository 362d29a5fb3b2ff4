"""The tab that enlarges pictures."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from hubgan.demo import files, models, strings
from hubgan.demo.batch import BatchPart
from hubgan.demo.errors import translate_errors
from hubgan.demo.events import PRIVATE, SILENT, Updates
from hubgan.demo.models import ModelRegistry
from hubgan.demo.queueing import add_stoppable_event, stoppable
from hubgan.demo.theme import scroll_to, set_alternative_texts
from hubgan.demo.uploads import EXAMPLES, Limit, UpscaleRequest, check_uploaded, offer_part, open_upload
from hubgan.errors import HubganError

if TYPE_CHECKING:
    from hubgan import Upscaler

_WORK = "upscale"


class UpscaleTab:
    """The tab of these upscalers. It adds its components to the current `gr.Blocks`.

    Attributes:
        picture: the picture to enlarge.
        load_outputs: the components that `load` changes.
    """

    def __init__(self, registry: ModelRegistry[Upscaler]) -> None:
        self._registry = registry
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                self._add_settings()
            with gr.Column(scale=2, min_width=320):
                self._add_results()
                BatchPart(
                    registry,
                    fidelity=self._fidelity,
                    model=self._model,
                    scale=self._scale,
                    strength=self._strength,
                    automatic=self._automatic,
                )
        self._model_outputs = [
            self._problem,
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
        )
        self._too_large = gr.Markdown(visible=False, elem_classes="problem")
        self._part = gr.Dropdown(strings.PARTS, value=None, label=strings.PART, visible=False)
        labels = list(self._registry.names)
        self._model = gr.Radio(labels, value=labels[0], label=strings.MODEL, visible=len(labels) > 1)
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
        picture: Any = {"inputs": [self.picture, self._model], "preprocess": False, **SILENT}
        part = [self._too_large, self._part]
        self.picture.change(
            self.change_picture, outputs=[self._comparison, self._result, self._note, *part], **picture
        )
        self._model.input(self.offer_part, outputs=part, **picture)
        self._model.input(self.show_model, self._model, self._model_outputs, **SILENT)
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
            ],
            outputs=[self._comparison, self._result, self._note],
            api_name="upscale",
            show_progress_on=self._comparison,
        )
        done.success(lambda: gr.DownloadButton(interactive=True), outputs=self._result, **PRIVATE)
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

        Returns:
            The picture enlarged by bicubic interpolation and by the model, to look at; the model's result as a PNG
            file in full size; a line with sizes and time.
        """
        start = time.perf_counter()
        path, name = check_uploaded(picture)
        upscaling = UpscaleRequest.from_settings(self._registry, model, fidelity, scale, strength, automatic)
        before = open_upload(path, name, upscaling.limit, part)
        with stoppable(request.session_hash, _WORK, progress) as report:
            after = upscaling.run(before, report)
        stem = f"{files.clean_stem(name, default='picture')}-x{upscaling.scale:g}"
        sides, result = files.save_comparison(before, after, stem)
        note = strings.ENLARGED.format(
            before=_size(before),
            after=_size(after),
            model=upscaling.label,
            seconds=time.perf_counter() - start,
        )
        return {self._comparison: sides, self._result: result, self._note: note}

    def change_picture(self, picture: dict[str, Any] | None, label: str) -> Updates:
        """Remove the result of the picture before, and offer a part of one that is too large."""
        return {
            self._comparison: None,
            self._result: gr.DownloadButton(value=None, interactive=False),
            self._note: strings.EMPTY,
            **self.offer_part(picture, label),
        }

    def offer_part(self, picture: dict[str, Any] | None, label: str) -> Updates:
        """Offer the parts of a picture that is too large for the model; hide them for any other."""
        offer = offer_part(picture, self._registry, label)
        return {
            self._too_large: gr.Markdown(offer or "", visible=bool(offer)),
            self._part: gr.Dropdown(value=strings.PARTS[0] if offer else None, visible=bool(offer)),
        }

    def show_model(self, label: str) -> Updates:
        """Show the settings that a model has, or why it cannot be used."""
        try:
            upscaler = self._registry.get(label)
            has_fidelity = models.has_fidelity(self._registry.names[label])
        except HubganError as error:
            return {
                self._problem: gr.Markdown(self._registry.problem(label, error), visible=True),
                self._upscale: gr.Button(interactive=False),
                self._hint: "",
            }
        run = upscaler.training_run or {}
        heavy = run.get("degraded") and run.get("degradation", "heavy") == "heavy"
        purpose = strings.RESTORES if heavy else ""
        hint = strings.HINT.format(purpose=purpose, megapixels=Limit.for_scale(upscaler.scale).megapixels)
        return {
            self._problem: gr.Markdown(visible=False),
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


def _size(image: Image.Image) -> str:
    return strings.SIZE.format(width=image.width, height=image.height)
