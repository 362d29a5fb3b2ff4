"""The part of the second tab that enlarges several pictures at once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from hubgan.demo import files, strings
from hubgan.demo.errors import sentences, translate_errors
from hubgan.demo.events import SILENT, Updates
from hubgan.demo.models import ModelRegistry
from hubgan.demo.queueing import StoppedError, add_stoppable_event, stoppable
from hubgan.demo.uploads import MAX_PIXELS_IN, UpscaleRequest, check_uploaded, open_upload
from hubgan.errors import ConfigError, HubganError

if TYPE_CHECKING:
    from hubgan import Upscaler

_MAX_PICTURES = 20
_MAX_PIXELS = 2 * MAX_PIXELS_IN  # of all pictures
_WORK = "batch"


class BatchPart:
    """Several pictures, enlarged with the model and the settings of the tab, in one archive."""

    def __init__(
        self,
        registry: ModelRegistry[Upscaler],
        *,
        fidelity: gr.Slider,
        model: gr.Radio,
        scale: gr.Slider,
        strength: gr.Slider,
        automatic: gr.Checkbox,
    ) -> None:
        self._registry = registry
        with gr.Accordion(strings.BATCH, open=False):
            pictures = gr.File(file_count="multiple", label=strings.FILES, height=160)
            hint = strings.BATCH_HINT.format(count=_MAX_PICTURES, megapixels=_MAX_PIXELS / 1e6)
            gr.Markdown(hint, elem_classes="hint")
            start = gr.Button(strings.BATCH_BUTTON, size="md")
            stop = gr.Button(strings.STOP, variant="stop", size="md", visible=False)
            self._report = gr.Markdown(elem_classes="hint", label=strings.BATCH)
            self._archive = gr.DownloadButton(strings.BATCH_DOWNLOAD, size="md", interactive=False)
        add_stoppable_event(
            start,
            stop,
            _WORK,
            {self._report: strings.STOPPED},
            fn=self.upscale_several,
            inputs=[pictures, fidelity, model, scale, strength, automatic],
            outputs=[self._archive, self._report],
            api_name="upscale_several",
            show_progress_on=self._report,
        ).success(lambda: gr.DownloadButton(interactive=True), None, self._archive, **SILENT)

    @translate_errors
    def upscale_several(
        self,
        pictures: list[dict[str, Any]] | None,
        request: gr.Request,
        fidelity: float = 0.0,
        model: str | None = None,
        scale: float | None = None,
        strength: float | None = None,
        automatic: bool | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008, Gradio looks for this default
    ) -> Updates:
        """Enlarge several pictures with the GAN. Pictures that cannot be enlarged are left out and named.

        Args:
            pictures: Files of any common format, at most 20, with at most 8 megapixels in total.
            fidelity: From 0, the most detail, which may be invented, to 1, smoother and nearest to the original.
            model: The name of one of this demo's upscalers. By default the first one.
            scale: The factor of enlargement, from 1 to that of the model, which is the default.
            strength: How strongly noise and traces of compression are cleaned away, from 0 to 1. By default as much as
                each picture wants.
            automatic: Whether to clean as much as each picture wants, whatever the strength. By default only if there
                is no strength.

        Returns:
            A ZIP archive of PNG files; lines with the number of pictures, and those that could not be enlarged.
        """
        start = time.perf_counter()
        uploads = [check_uploaded(picture) for picture in pictures or []]
        if not uploads:
            raise ConfigError(*strings.NO_PICTURE)
        if len(uploads) > _MAX_PICTURES:
            raise ConfigError(*strings.fill(strings.TOO_MANY, count=len(uploads), maximum=_MAX_PICTURES))
        upscaling = UpscaleRequest.from_settings(self._registry, model, fidelity, scale, strength, automatic)
        folder, pixels = files.new_folder(), 0
        results: list[str] = []
        failures: list[str] = []
        with stoppable(request.session_hash, _WORK, progress) as report:
            for index, (path, name) in enumerate(uploads):
                try:
                    picture = open_upload(path, name, upscaling.limit)
                    if pixels + picture.width * picture.height > _MAX_PIXELS:
                        raise ConfigError(*strings.fill(strings.TOO_LARGE_TOGETHER, megapixels=_MAX_PIXELS / 1e6))
                    pixels += picture.width * picture.height

                    def report_all(share: float, done: int = index) -> None:
                        report((done + share) / len(uploads))

                    large = upscaling.run(picture, report_all)
                except StoppedError:
                    raise
                except HubganError as error:
                    failures.append(strings.BATCH_FAILED.format(name=name, reason=sentences(error)))
                    continue
                stem = f"{files.clean_stem(name, default='picture')}-x{upscaling.scale:g}"
                target = folder / f"{stem}.png"
                if target.exists():
                    target = folder / f"{index + 1:02d}-{stem}.png"
                results.append(files.save_png(large, target))
        if not results:
            raise ConfigError(strings.ALL_FAILED.format(reasons=" ".join(failures)))
        archive = files.save_zip(results, folder / "hubgan-upscaled.zip")
        for file in results:  # the archive holds them
            Path(file).unlink()
        summary = strings.BATCH_DONE.format(count=len(results), seconds=time.perf_counter() - start)
        return {self._archive: archive, self._report: "\n\n".join([summary, *failures])}
