"""The part of the second tab that enlarges a video."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr
from PIL import Image

from hubgan.demo import files, models, strings
from hubgan.demo.controls import UpscaleControls
from hubgan.demo.enlarge import UpscaleRequest
from hubgan.demo.errors import translate_errors, without_path
from hubgan.demo.events import SILENT, Updates
from hubgan.demo.limits import Limit, Limits
from hubgan.demo.models import ModelRegistry
from hubgan.demo.queueing import ENLARGED, Report, add_stoppable_event, stoppable
from hubgan.demo.uploads import Header, check_uploaded
from hubgan.errors import ImageError
from hubgan.media.video import CLIP_ENDINGS, check_clip
from hubgan.runtime.counting import counted

if TYPE_CHECKING:
    from hubgan import Upscaler
    from hubgan.media.clip import Clip

_WORK = "clip"
_SHOWN_RATE = 640 * 360 * 30 / 1e6  # megapixels a second of the video that the hint names
_BATCH_PIXELS = 2_000_000  # of the frames that ZeroGPU enlarges in one call, which asks for about half a minute


class _Done(NamedTuple):
    """What has become of a video: the number of its frames, their size before and after, and `Clip.notes`."""

    frames: int
    before: tuple[int, int]
    after: tuple[int, int]
    notes: list[str]


class ClipPart:
    """A video, enlarged with the model and the settings of the tab. It becomes an MP4 file, which plays everywhere."""

    def __init__(self, registry: ModelRegistry[Upscaler], limits: Limits, controls: UpscaleControls) -> None:
        self._registry, self._limits = registry, limits
        able = find_spec("av") is not None
        with gr.Accordion(strings.CLIP, open=False):
            gr.Markdown(strings.CLIP_NEEDS_AV, elem_classes="hint", visible=not able)
            with gr.Column(visible=able):
                video = gr.File(file_types=["video", *CLIP_ENDINGS], label=strings.CLIP_FILE, height=160)
                gr.Markdown(_hint(limits), elem_classes="hint")
                start = gr.Button(strings.CLIP_BUTTON, size="md")
                stop = gr.Button(strings.STOP, variant="stop", size="md", visible=False)
                self._result = gr.Video(label=strings.CLIP_RESULT, interactive=False, buttons=[], height=360)
                self._report = gr.Markdown(elem_classes="hint", label=strings.CLIP)
                self._file = gr.DownloadButton(strings.CLIP_DOWNLOAD, size="md", interactive=False)
        (done,) = add_stoppable_event(
            start,
            stop,
            _WORK,
            {self._report: strings.STOPPED},
            fn=self.upscale_video,
            inputs=[video, *controls.settings],
            outputs=[self._result, self._file, self._report],
            api_name="upscale_video",
            show_progress_on=self._result,
        )
        done.success(lambda: gr.DownloadButton(interactive=True), None, self._file, **SILENT)

    @translate_errors
    def upscale_video(
        self,
        video: dict[str, Any] | None,
        request: gr.Request,
        fidelity: float = 0.0,
        model: str | None = None,
        scale: float | None = None,
        strength: float | None = None,
        automatic: bool | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008, Gradio looks for this default
    ) -> Updates:
        """Enlarge a video with the GAN, frame by frame, keeping its times and its sound.

        Args:
            video: The video to enlarge, a file of any common format.
            fidelity: From 0, the most detail, which may be invented, to 1, smoother and nearest to the original.
            model: The name of one of this demo's upscalers. By default the first one.
            scale: The factor of enlargement, from 1 to that of the model, which is the default.
            strength: How strongly noise and traces of compression are cleaned away, from 0 to 1. By default as much as
                the video wants.
            automatic: Whether to clean as much as the video wants, whatever the strength. By default only if there
                is no strength.

        Returns:
            The result as an MP4 file, to look at and to download; lines with the number of frames, sizes and time.
        """
        start = time.perf_counter()
        path, name = check_uploaded(video, strings.A_VIDEO)
        upscaling = UpscaleRequest.from_settings(
            self._registry, self._limits, model, fidelity, scale, strength, automatic
        )
        stem = f"{files.clean_stem(name, default='video')}-x{upscaling.scale:g}"
        with (
            TemporaryDirectory() as folder,  # holds the parts too, which are lost when the work stops or fails
            stoppable(request.session_hash, _WORK, progress, self._limits.minutes) as report,
        ):
            # Gradio deletes old uploads, and the work may take longer.
            source = Path(shutil.copyfile(path, Path(folder, f"source{Path(path).suffix}")))
            unfinished = Path(folder, f"{stem}.mp4")
            try:
                done = self._enlarge(source, unfinished, name, upscaling, report)
            except ImageError as error:
                raise without_path(without_path(error, str(source), name), str(unfinished), name) from error
            result = shutil.move(unfinished, files.new_folder())
        summary = strings.CLIP_DONE.format(
            frames=counted(done.frames, "frame"),
            before=_size(done.before),
            after=_size(done.after),
            model=upscaling.label,
            seconds=time.perf_counter() - start,
        )
        remarks = [strings.BATCH_REMARK.format(name=name, remark=f"{note}.") for note in done.notes]
        return {self._result: result, self._file: result, self._report: "\n\n".join([summary, *remarks])}

    def _enlarge(self, source: Path, target: Path, name: str, upscaling: UpscaleRequest, report: Report) -> _Done:
        check_clip(source)

        from hubgan.media.clip import Clip
        from hubgan.media.clip_writing import ClipWriter

        clip = Clip(source)
        most = self._most_frames(clip, name, upscaling.limit)
        if upscaling.strength == "auto" and self._registry.get(upscaling.label).has_strength:
            strength = models.clip_strength(upscaling.name, [*clip.samples()], upscaling.fidelity)
            upscaling = replace(upscaling, strength=strength)
        batch_size = 1 if models.SUPPORTS_PROGRESS else max(1, _BATCH_PIXELS // (clip.size[0] * clip.size[1]))
        done = 0

        def enlarge(frames: Iterator[Image.Image]) -> Iterator[Image.Image]:
            nonlocal done
            while batch := [*islice(frames, batch_size)]:
                if done + len(batch) > most:  # the header may have told fewer
                    raise _too_long(clip, name, most)

                def report_frames(share: float, begun: int = done, number: int = len(batch)) -> None:
                    report(ENLARGED * min((begun + share * number) / (clip.frame_count or math.inf), 1))

                report_frames(0)
                yield from upscaling.enlarge(batch, report_frames)
                done += len(batch)

        writer = ClipWriter(clip, target, clip.enlarged_size(upscaling.scale), {})
        frames = writer.write(enlarge, lambda _: None)
        return _Done(frames, clip.size, writer.size, clip.notes)

    def _most_frames(self, clip: Clip, name: str, limit: Limit) -> float:
        """How many frames a clip may have.

        Raises:
            ImageError: they are too large, or there are too many.
        """
        header = Header(*clip.size)
        if header.pixels > limit.pixels:
            width, height = clip.size
            message = strings.TOO_LARGE.format(name=name, width=width, height=height, megapixels=limit.megapixels)
            raise ImageError(message, strings.SHRINK)
        most = self._limits.video_megapixels * 1e6 / header.pixels
        if (clip.frame_count or 0) > most:
            raise _too_long(clip, name, most)
        return most


def _too_long(clip: Clip, name: str, most: float) -> ImageError:
    width, height = clip.size
    seconds = math.floor(10 * most / clip.rate) / 10
    texts = strings.fill(
        strings.CLIP_TOO_LONG,
        name=name,
        megapixels=most * width * height / 1e6,
        width=width,
        height=height,
        seconds=seconds,
    )
    return ImageError(*texts)


def _hint(limits: Limits) -> str:
    """What the part takes, in words."""
    hint = strings.CLIP_HINT
    if math.isfinite(megapixels := limits.video_megapixels):
        hint += strings.CLIP_TOTAL.format(megapixels=megapixels, seconds=math.floor(megapixels / _SHOWN_RATE))
    return hint


def _size(size: tuple[int, int]) -> str:
    return strings.SIZE.format(width=size[0], height=size[1])
