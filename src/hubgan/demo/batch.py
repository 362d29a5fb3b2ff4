"""The part of the second tab that enlarges several pictures at once."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from hubgan.demo import files, strings
from hubgan.demo.controls import UpscaleControls
from hubgan.demo.enlarge import UpscaleRequest
from hubgan.demo.errors import sentences, translate_errors
from hubgan.demo.events import SILENT, Updates
from hubgan.demo.limits import Limits
from hubgan.demo.models import ModelRegistry
from hubgan.demo.queueing import ENLARGED, StoppedError, add_stoppable_event, stoppable
from hubgan.demo.uploads import check_uploaded
from hubgan.errors import ConfigError, HubganError
from hubgan.runtime.counting import counted

if TYPE_CHECKING:
    from hubgan import Upscaler

_WORK = "batch"


class BatchPart:
    """Several pictures, enlarged with the model and the settings of the tab, in one archive."""

    def __init__(self, registry: ModelRegistry[Upscaler], limits: Limits, controls: UpscaleControls) -> None:
        self._registry, self._limits = registry, limits
        with gr.Accordion(strings.BATCH, open=False):
            pictures = gr.File(file_count="multiple", label=strings.FILES, height=160)
            gr.Markdown(_hint(limits), elem_classes="hint")
            start = gr.Button(strings.BATCH_BUTTON, size="md")
            stop = gr.Button(strings.STOP, variant="stop", size="md", visible=False)
            self._report = gr.Markdown(elem_classes="hint", label=strings.BATCH)
            self._archive = gr.DownloadButton(strings.BATCH_DOWNLOAD, size="md", interactive=False)
        (done,) = add_stoppable_event(
            start,
            stop,
            _WORK,
            {self._report: strings.STOPPED},
            fn=self.upscale_several,
            inputs=[pictures, *controls.settings, controls.format],
            outputs=[self._archive, self._report],
            api_name="upscale_several",
            show_progress_on=self._report,
        )
        done.success(lambda: gr.DownloadButton(interactive=True), None, self._archive, **SILENT)

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
        format: str | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008, Gradio looks for this default
    ) -> Updates:
        """Enlarge several pictures with the GAN. Pictures that cannot be enlarged are left out and named.

        Args:
            pictures: Files of any common format.
            fidelity: From 0, the most detail, which may be invented, to 1, smoother and nearest to the original.
            model: The name of one of this demo's upscalers. By default the first one.
            scale: The factor of enlargement, from 1 to that of the model, which is the default.
            strength: How strongly noise and traces of compression are cleaned away, from 0 to 1. By default as much as
                each picture wants.
            automatic: Whether to clean as much as each picture wants, whatever the strength. By default only if there
                is no strength.
            format: Of the results: "png", "jpg", "webp", or "same" for that of each picture, which is the default.

        Returns:
            A ZIP archive of the results; lines with the number of pictures, and those that could not be enlarged.
        """
        start = time.perf_counter()
        uploads = [check_uploaded(picture) for picture in pictures or []]
        if not uploads:
            raise ConfigError(*strings.fill(strings.NO_FILE, what=strings.A_PICTURE))
        if len(uploads) > self._limits.pictures:
            raise ConfigError(*strings.fill(strings.TOO_MANY, count=len(uploads), maximum=self._limits.pictures))
        upscaling = UpscaleRequest.from_settings(
            self._registry, self._limits, model, fidelity, scale, strength, automatic, format
        )
        folder, total, megapixels = files.new_folder(), self._limits.total_megapixels, 0.0
        results: list[str] = []
        remarks: list[str] = []
        with stoppable(request.session_hash, _WORK, progress, self._limits.minutes) as report:
            for index, (path, name) in enumerate(uploads):
                try:
                    opened = upscaling.open(path, name)
                    if megapixels + opened.pixels / 1e6 > total:
                        raise ConfigError(*strings.fill(strings.TOO_LARGE_TOGETHER, megapixels=total))
                    megapixels += opened.pixels / 1e6

                    def report_all(share: float, done: int = index) -> None:
                        report((done + ENLARGED * share) / len(uploads))

                    enlarged = upscaling.run(opened, report_all)
                    report((index + ENLARGED) / len(uploads), strings.SAVING)
                    file = f"{files.clean_stem(name, default='picture')}-x{upscaling.scale:g}{enlarged.ending}"
                    target = folder / file
                    if target.exists():
                        target = folder / f"{index + 1:02d}-{file}"
                    results.append(enlarged.save(target))
                except StoppedError:
                    raise
                except HubganError as error:
                    remarks.append(strings.BATCH_REMARK.format(name=name, remark=sentences(error)))
                else:
                    remarks += [strings.BATCH_REMARK.format(name=name, remark=remark) for remark in enlarged.remarks]
        if not results:
            raise ConfigError(strings.ALL_FAILED.format(reasons=" ".join(remarks)))
        archive = files.save_zip(results, folder / "hubgan-upscaled.zip")
        for file in results:  # the archive holds them
            Path(file).unlink()
        summary = strings.BATCH_DONE.format(count=len(results), seconds=time.perf_counter() - start)
        return {self._archive: archive, self._report: "\n\n".join([summary, *remarks])}


def _hint(limits: Limits) -> str:
    """What the part takes, in words."""
    hint = strings.BATCH_HINT
    if math.isfinite(limits.pictures):
        hint += strings.BATCH_COUNT.format(pictures=counted(int(limits.pictures), "picture"))
    if math.isfinite(limits.total_megapixels):
        hint += strings.BATCH_TOTAL.format(megapixels=limits.total_megapixels)
    return hint
