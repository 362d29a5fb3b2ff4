"""The part of the second tab that enlarges several pictures."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from hubgan.demo import files, strings
from hubgan.demo.models import ModelRegistry
from hubgan.demo.queueing import StoppedError, stoppable, watched
from hubgan.demo.theme import told
from hubgan.demo.uploads import MAX_PIXELS_IN, Job, check_uploaded, read
from hubgan.errors import ConfigError, HubganError

if TYPE_CHECKING:
    from hubgan import Upscaler

_MOST = 20
_MAX_PIXELS = 2 * MAX_PIXELS_IN
_WORK = "several"


def several_part(shelf: ModelRegistry[Upscaler], fidelity: gr.Slider, model: gr.Radio, scale: gr.Slider) -> None:
    """Several pictures by the model and the settings of the tab, in one archive."""

    @told
    def upscale_several(
        pictures: list[dict[str, Any]] | None,
        request: gr.Request,
        fidelity: float = 0.0,
        model: str | None = None,
        scale: float | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008, Gradio finds it so
    ) -> tuple[str, str]:
        """Enlarge several pictures with the GAN. What cannot be read is left out, and named.

        Args:
            pictures: Files of any common format, at most 20, of together 8 megapixels.
            fidelity: From 0, the most detail, which may be invented, to 1, smoother and nearest to the original.
            model: The name of the upscaler, of those that this demo has; the first one by default.
            scale: How many times as large, 1 or more; at most, and by default, what the model is made for.

        Returns:
            A ZIP archive of PNG files; lines that say how many there are, and which could not be enlarged.
        """
        given = [check_uploaded(picture) for picture in pictures or []]
        if not given:
            raise ConfigError(strings.UPLOAD_FIRST)
        if len(given) > _MOST:
            raise ConfigError(strings.TOO_MANY.format(most=_MOST, count=len(given)))
        job = Job.of(shelf, model, fidelity, scale)
        start, pixels = time.perf_counter(), 0
        folder = files.new_folder()
        made: list[str] = []
        failures: list[str] = []
        with watched(request.session_hash, _WORK, progress) as tell:
            for number, (path, name) in enumerate(given):
                try:
                    before = read(path, name, job.limit)
                    if pixels + before.width * before.height > _MAX_PIXELS:
                        raise ConfigError(strings.TOGETHER.format(megapixels=_MAX_PIXELS / 1e6))
                    pixels += before.width * before.height

                    def told_of_all(share: float, number: int = number) -> None:
                        tell((number + share) / len(given))

                    after = job.enlarge(before, told_of_all)
                except StoppedError:
                    raise
                except HubganError as error:
                    failures.append(strings.SEVERAL_FAILED.format(name=name, reason=error))
                    continue
                stem = f"{files.clean_stem(name, otherwise='picture')}-x{job.scale:g}"
                target = folder / f"{stem}.png"
                if target.exists():
                    target = folder / f"{number + 1:02d}-{stem}.png"
                made.append(files.save_png(after, target))
        if not made:
            raise ConfigError(strings.NONE_WORKED.format(reason=" ".join(failures)))
        archive = files.save_zip(made, folder / "hubgan-upscaled.zip")
        for file in made:  # they are in the archive
            Path(file).unlink()
        done = strings.SEVERAL_DONE.format(count=len(made), seconds=time.perf_counter() - start)
        return archive, "\n\n".join([done, *failures])

    with gr.Accordion(strings.SEVERAL, open=False):
        pictures = gr.File(file_count="multiple", label=strings.FILES, height=160)
        gr.Markdown(strings.SEVERAL_HINT.format(most=_MOST, megapixels=_MAX_PIXELS / 1e6), elem_classes="hint")
        button = gr.Button(strings.SEVERAL_BUTTON, size="md")
        stop = gr.Button(strings.STOP, variant="stop", size="md", visible=False)
        report = gr.Markdown(elem_classes="hint", label=strings.SEVERAL)
        archive = gr.DownloadButton(strings.SEVERAL_DOWNLOAD, size="md", interactive=False)
    stoppable(
        button,
        stop,
        _WORK,
        {report: strings.STOPPED},
        fn=upscale_several,
        inputs=[pictures, fidelity, model, scale],
        outputs=[archive, report],
        api_name="upscale_several",
        show_progress_on=report,
    ).success(lambda: gr.DownloadButton(interactive=True), None, archive, api_visibility="private", queue=False)
