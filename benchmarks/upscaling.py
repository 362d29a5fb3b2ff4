"""Upscalers side by side, four times larger: how good and how fast, on the CPU.

    python -m benchmarks.upscaling --sr-eval FOLDER

FOLDER holds the standard benchmarks: a data set with the configurations Set5, Set14 and B100, a split x4 and the
columns lr, hr and name. Compared are bicubic and Lanczos (Pillow), models of hubgan's, one with pixel weights at three
fidelities, and peers, which pip and npm fetch into environments of their own in a cache folder. One that cannot be had
is named, with the reason, below the table.

PSNR is that of luma, without 4 pixels at each side; PD-ENL2 the perceptual distance (less is better), on Set14, the
first pictures of B100, and the same ones degraded as Real-ESRGAN's paper does it (by a seed); sharpness 1 where there
is as much fine detail as in the original. realesr-animevideov3 is made for drawn pictures.
The time is that of a small picture of 256 x 256 pixels, from pixels to pixels, after one that does not count; the
speed how many times as fast as hubgan's default a row is.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median
from time import perf_counter
from typing import Any

import datasets
import PIL
import torch
from PIL import Image

from benchmarks.common import called, markdown, write
from benchmarks.peers import PEERS, Peer, PeerError, Report
from hubgan import Upscaler
from hubgan.data.degradation import Heavy
from hubgan.media.images import to_image, to_tensor
from hubgan.metrics import PerceptualDistance, psnr, sharpness_ratio, ssim

SCALE = 4
_SETS = ("Set5", "Set14", "B100")
_DEGRADED = "degraded"
_TIMED = 256
_MILLISECONDS = "ms/megapixel"  # of the small picture
_FIGURES = ("PSNR", "SSIM", "PD-ENL2", "sharpness")
_HUBGAN = "hubgan "


@dataclass(frozen=True)
class Pair:
    """A small picture and its original."""

    small: Image.Image
    large: Image.Image


@dataclass(frozen=True)
class Local:
    """An upscaler in this process."""

    name: str
    enlarge: Callable[[Image.Image], Image.Image]
    parameters: int
    about: str

    def run(self, small: list[Image.Image], *, threads: int, repetitions: int = 0, scale: int = SCALE) -> Report:
        """As a peer's; `threads` are PyTorch's, set for the whole process, and `scale` is the upscaler's own."""
        pictures = [self.enlarge(picture) for picture in small]
        seconds: list[list[float]] = [[] for _ in small]
        for picture, times in zip(small, seconds, strict=True):
            for _ in range(repetitions):
                start = perf_counter()
                self.enlarge(picture)
                times.append(perf_counter() - start)
        return Report(pictures, seconds, self.parameters, self.about)


def main() -> None:
    """Measure, write results/upscaling.json, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--repetitions", type=int, default=3, help="of the timed picture")
    parser.add_argument("--name", default="upscaling", help="of the file of results")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = {name: pairs(args.sr_eval, name) for name in _SETS}
    data[_DEGRADED] = [degraded(pair, number) for number, pair in enumerate(data["B100"][: args.limit])]
    perceptual = PerceptualDistance(2)
    about: dict[str, Any] = {
        "data": called(args.sr_eval, None),
        "pictures": {name: len(pairs) for name, pairs in data.items()},
        "perceptual distance on": {"Set14": len(data["Set14"]), "B100": len(data["B100"][: args.limit])},
        "small pictures": "given; degraded: made of those of B100, seed 0",
        "border": SCALE,
        "timed": f"{_TIMED} x {_TIMED} small pixels on the CPU, threads {args.threads}, "
        f"repetitions {args.repetitions} after one more",
    }
    table: list[dict[str, Any]] = []
    details: dict[str, Any] = {}
    methods: list[Local | Peer] = [
        *plain(),
        *(method for name in args.model for method in local(name, args.strength)),
        *(PEERS[name] for name in args.peers),
    ]
    for method in methods:
        print(f"{method.name} ...", flush=True)
        try:
            row, detail = _measure(method, data, perceptual, args.limit, args.threads, args.repetitions)
        except PeerError as error:
            details[method.name] = {"not measured": str(error)}
        else:
            table.append(row)
            details[method.name] = detail
        write(args.name, _with_speed(table), **about, methods=details)
    print(markdown(_with_speed(table)), "", *(_note(*item) for item in details.items()), sep="\n")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of every comparison of upscalers."""
    parser.add_argument("--sr-eval", required=True, metavar="FOLDER", help="a folder with the standard benchmarks")
    parser.add_argument("--model", nargs="*", default=["model_cards/photo-x4", "model_cards/photo-x4-restore"])
    parser.add_argument(
        "--strength", nargs="+", default=["auto"], metavar="S", help="of models that have one: auto, or from 0 to 1"
    )
    parser.add_argument("--peers", nargs="*", metavar="NAME", choices=[*PEERS], default=[*PEERS],
                        help=f"all by default: {', '.join(PEERS)}")  # fmt: skip
    parser.add_argument(
        "--limit", type=int, default=20, help="pictures of B100 for the perceptual distance, clean and degraded"
    )
    parser.add_argument("--threads", type=int, default=1)


def plain(scale: int = SCALE) -> list[Local]:
    """Pillow's."""
    filters = {"bicubic": Image.Resampling.BICUBIC, "Lanczos": Image.Resampling.LANCZOS}
    return [Local(name, _resize(kind, scale), 0, f"Pillow {PIL.__version__}") for name, kind in filters.items()]


def local(
    model: str, strengths: Sequence[str] = ("auto",), fidelities: Sequence[float] = (0.0, 0.5, 1.0)
) -> list[Local]:
    """A model of hubgan's at these fidelities and strengths, if it has them, the default ones first."""
    found = []
    mixes = Upscaler.has_fidelity(model)
    for fidelity in fidelities if mixes else (0.0,):
        upscaler = Upscaler.from_pretrained(model, fidelity=fidelity)
        parameters = sum(parameter.numel() for parameter in upscaler.parameters())
        for strength in strengths if upscaler.has_strength else ("auto",):
            name = _HUBGAN + Path(model).name + (f", fidelity {fidelity:g}" if mixes else "")
            enlarge = upscaler.upscale
            if strength != "auto":
                name += f", strength {strength}"
                enlarge = partial(enlarge, strength=float(strength))
            found.append(Local(name, enlarge, parameters, f"PyTorch {torch.__version__}"))
    return found


def _resize(kind: Image.Resampling, scale: int) -> Callable[[Image.Image], Image.Image]:
    return lambda picture: picture.resize((picture.width * scale, picture.height * scale), kind)


def _measure(
    method: Local | Peer,
    data: dict[str, list[Pair]],
    perceptual: PerceptualDistance,
    limit: int,
    threads: int,
    repetitions: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A row of the table, and what lies behind it."""
    made = {name: method.run([pair.small for pair in pairs], threads=threads).pictures for name, pairs in data.items()}
    seen = {"Set5": 0, "Set14": len(data["Set14"]), "B100": limit, _DEGRADED: limit}
    figures = {
        name: [
            compare(picture, pair.large, perceptual if i < seen[name] else None)
            for i, (picture, pair) in enumerate(zip(made[name], pairs, strict=True))
        ]
        for name, pairs in data.items()
    }
    averages = {name: means(each) for name, each in figures.items()}
    timed = method.run([_timed_picture(data["Set14"][0].small)], threads=threads, repetitions=repetitions)
    seconds = timed.seconds[0]
    milliseconds = [second * 1e3 / (_TIMED**2 / 1e6) for second in seconds]
    row = {
        "upscaler": method.name,
        "parameters": timed.parameters or None,
        **{f"PSNR {name}": averages[name]["PSNR"] for name in _SETS},
        **{f"PD-ENL2 {name}": averages[name].get("PD-ENL2") for name in ("Set14", "B100", _DEGRADED)},
        "sharpness Set14": averages["Set14"]["sharpness"],
        _MILLISECONDS: round(median(milliseconds)),
        "least-most": f"{min(milliseconds):,.0f}-{max(milliseconds):,.0f}",
    }
    return row, {"by": timed.about, "seconds": seconds, "means": averages}


def compare(
    image: Image.Image, original: Image.Image, perceptual: PerceptualDistance | None, scale: int = SCALE
) -> dict[str, float]:
    """The figures of one picture, without `scale` pixels at each side; a grey original is its own luma."""
    found, wanted = (to_tensor(picture.convert(original.mode))[None] for picture in (image, original))
    figures = {
        "PSNR": psnr(found, wanted, border=scale),
        "SSIM": ssim(found, wanted, border=scale, dtype=torch.float32),
    }
    if perceptual is not None:
        inner = slice(scale, -scale)
        with torch.inference_mode():
            distance = perceptual(*(each[:, :, inner, inner].float() / 255 for each in (found, wanted))).item()
        figures["PD-ENL2"] = distance
        figures["sharpness"] = sharpness_ratio(found, wanted, scale=scale, border=scale)
    return figures


def means(figures: list[dict[str, float]]) -> dict[str, float]:
    """Over the pictures for which there is a figure."""
    values = {key: [each[key] for each in figures if math.isfinite(each.get(key, math.inf))] for key in _FIGURES}
    return {key: round(mean(each), 5) for key, each in values.items() if each}


def pairs(data: str, name: str) -> list[Pair]:
    """A benchmark's pictures; the originals as large as the small ones allow."""
    found = []
    for row in datasets.load_dataset(data, name, split="x4"):
        small, large = row["lr"].convert("RGB"), row["hr"]
        large = large if large.mode == "L" else large.convert("RGB")
        found.append(Pair(small, large.crop((0, 0, small.width * SCALE, small.height * SCALE))))
    return found


def degraded(pair: Pair, number: int, scale: int = SCALE) -> Pair:
    """The original with a small picture that was made of it by a random path."""
    large = to_tensor(pair.large)[None].float() / 255
    return Pair(to_image(Heavy().by_seed(large, scale, 0, number)[0][0]).convert("RGB"), pair.large)


def _timed_picture(picture: Image.Image) -> Image.Image:
    """The picture side by side with itself until it is large enough."""
    whole = Image.new("RGB", (_TIMED, _TIMED))
    for left in range(0, _TIMED, picture.width):
        for top in range(0, _TIMED, picture.height):
            whole.paste(picture, (left, top))
    return whole


def _with_speed(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The table with how many times as fast as hubgan's default each is."""
    default = next((row[_MILLISECONDS] for row in table if row["upscaler"].startswith(_HUBGAN)), None)
    return [row | {"speed": float(f"{default / row[_MILLISECONDS]:.3g}") if default else None} for row in table]


def _note(name: str, detail: dict[str, Any]) -> str:
    return f"- {name}: {detail.get('by') or 'not measured: ' + detail['not measured']}"


if __name__ == "__main__":
    main()
