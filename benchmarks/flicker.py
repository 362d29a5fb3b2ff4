"""Flicker of enlarged videos: of a camera that stands still, whose frames differ by noise and by their compression.

    python -m benchmarks.flicker

Clips are made of a photograph, by a seed. Flicker is the mean absolute difference between one frame and the next, in
grey levels. It is measured in the clip, in its enlarged frames one by one, and in the enlarged frames after
`hubgan.media.steady`, as `hubgan upscale` makes them. All frames of a clip have one strength, as there. `late` leaves
out the first half of the clip.
"""

import argparse
import io
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image

from benchmarks.common import called, markdown, write
from hubgan import Upscaler
from hubgan.demo.uploads import EXAMPLES
from hubgan.media.steady import Steadier
from hubgan.media.video import even
from hubgan.models.upscale_pipeline import AUTO

_GROUP = 12  # frames from a keyframe to the next


def _noisy(picture: np.ndarray, deviation: float, frames: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [
        np.rint(picture + random.normal(0, deviation, picture.shape)).clip(0, 255).astype(np.uint8)
        for _ in range(frames)
    ]


def _coded(frames: list[np.ndarray], crf: int) -> list[np.ndarray]:
    """Compressed with H.264, and decoded."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": str(crf), "g": str(_GROUP)})
        stream.height, stream.width = frames[0].shape[:2]
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as clip:
        return [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]


CLIPS: dict[str, Callable[[np.ndarray, int], list[np.ndarray]]] = {
    "noise 1": lambda picture, frames: _noisy(picture, 1, frames),
    "noise 2": lambda picture, frames: _noisy(picture, 2, frames),
    "noise 4": lambda picture, frames: _noisy(picture, 4, frames),
    "noise 2, H.264 at crf 18": lambda picture, frames: _coded(_noisy(picture, 2, frames), 18),
    "noise 4, H.264 at crf 18": lambda picture, frames: _coded(_noisy(picture, 4, frames), 18),
    "noise 8, H.264 at crf 23": lambda picture, frames: _coded(_noisy(picture, 8, frames), 23),
}
"""How the frames are made of a photograph, and of their number."""


def flicker(frames: list[np.ndarray]) -> float:
    """The mean absolute difference between a frame and the next, in grey levels."""
    return float(np.mean([np.abs(one.astype(np.float32) - other).mean() for one, other in pairwise(frames)]))


def main() -> None:
    """Measure, write results/flicker.json, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="model_cards/photo-x4")
    parser.add_argument("--fidelity", type=float, default=0.0)
    parser.add_argument("--photo", type=Path, default=EXAMPLES / "cat.png")
    parser.add_argument("--side", type=int, default=64, help="of the part of the photo, from its middle")
    parser.add_argument("--frames", type=int, default=36)
    parser.add_argument("--name", default="flicker", help="of the file of results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    upscaler = Upscaler.from_pretrained(args.model, fidelity=args.fidelity)
    photo = Image.open(args.photo).convert("RGB")
    left, top = ((length - args.side) // 2 for length in photo.size)
    picture = even(np.asarray(photo.crop((left, top, left + args.side, top + args.side))))
    half = args.frames // 2
    table: list[dict[str, Any]] = []
    for name, make in CLIPS.items():
        clip = make(picture, args.frames)
        images = [Image.fromarray(frame) for frame in clip]
        strength = upscaler.estimate_clip_strength(images) if upscaler.has_strength else AUTO
        enlarge = partial(upscaler.upscale, strength=strength)
        steadied = [*map(Steadier(), images)]
        alone = [np.asarray(enlarge(image)) for image in images]
        enlarged = [np.asarray(enlarge(image)) for image in steadied]
        own = flicker(clip)
        table.append(
            {
                "clip": name,
                "strength": strength,
                "its flicker": own,
                "enlarged one by one": flicker(alone) / own,
                "steadied": flicker(enlarged) / own,
                "steadied, late": flicker(enlarged[half:]) / flicker(clip[half:]),
                "error of a frame": float(np.abs(clip[-1] - picture.astype(np.float32)).mean()),
                "error, steadied": float(np.abs(np.asarray(steadied[-1]) - picture.astype(np.float32)).mean()),
            }
        )
        print(markdown(table[-1:]).splitlines()[-1], flush=True)
    write(args.name, table, model=called(args.model, None), fidelity=args.fidelity, frames=args.frames)
    print(markdown(table))


if __name__ == "__main__":
    main()
