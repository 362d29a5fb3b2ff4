"""Upscalers on everyday pictures: compressed, slightly blurred, noisy, resized by a web site.

    python -m benchmarks.everyday --sr-eval FOLDER [--photos FOLDER --sheet everyday.png]
    python -m benchmarks.everyday --sr-eval FOLDER --scale 2 --model model_cards/photo-x2 --name everyday-x2

FOLDER is as in benchmarks.upscaling. The small pictures of Set14 and of the first pictures of B100 are made of the
originals in fixed ways, by a seed. Compressed ones are given as JPEG files, whose quality hubgan reads; peers get the
same pixels. A model of hubgan's is run at fidelity 0 and 1, with the strength that it chooses by itself or with those
of --strength.

PSNR is that of luma, without as many pixels at each side as the scale; PD-ENL2 the perceptual distance (less is
better). Peers without weights for the scale are left out.

With --photos, details of real JPEGs from a data set are drawn at one pixel a pixel beside bicubic, to look at.
"""

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from benchmarks.common import RESULTS, called, markdown, write
from benchmarks.peers import PEERS, Peer, PeerError
from benchmarks.upscaling import SCALE, Local, Pair, add_options, compare, local, means, pairs, plain
from hubgan import Upscaler
from hubgan.data import load_images
from hubgan.data.decoding import decode
from hubgan.media.images import to_image, to_tensor
from hubgan.metrics import PerceptualDistance, shrink
from hubgan.runtime.seeding import torch_generator

_BLUR, _NOISE = 1.2, 4  # pixels of the large picture; grey levels
_FIDELITIES = (0.0, 1.0)
_TILE, _TITLE = 192, 18
# The number of a photo of 1,239 (see benchmarks/README.md), and the corner of a detail of it.
_DETAILS = [
    (888, 150, 215),  # lava
    (1203, 200, 120),  # a beak
    (444, 150, 150),  # cloth
    (573, 120, 240),  # pebbles
    (654, 35, 128),  # a face
    (198, 60, 200),  # fur
    (1059, 80, 150),  # letters
    (180, 250, 150),  # a building
    (534, 200, 165),  # a kitten
    (351, 230, 110),  # a leopard
    (99, 165, 160),  # paint on metal
    (291, 150, 180),  # a rope
]


def _jpeg(picture: Image.Image, quality: int) -> Image.Image:
    """Saved and opened again: it knows its quality, as a file does."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file)


def _small(large: Image.Image, scale: int) -> Image.Image:
    return to_image(shrink(to_tensor(large)[None].float() / 255, scale)[0].mul(255).round().byte()).convert("RGB")


def _noisy(picture: Image.Image, deviation: float, number: int) -> Image.Image:
    pixels = to_tensor(picture).float()
    noise: Tensor = torch.randn(pixels.shape, generator=torch_generator(0, number)) * deviation
    return to_image((pixels + noise).clamp(0, 255).round().byte())


def _blurred(large: Image.Image, deviation: float) -> Image.Image:
    return large.filter(ImageFilter.GaussianBlur(deviation))


def _from_web(large: Image.Image, scale: int) -> Image.Image:
    """Uploaded as a JPEG of twice the size, reduced by a web site, and saved again."""
    uploaded = _jpeg(large.resize([2 * side // scale for side in large.size], Image.Resampling.BOX), 88)
    return _jpeg(uploaded.resize([side // scale for side in large.size], Image.Resampling.BILINEAR), 75)


WAYS: dict[str, Callable[[Image.Image, int, int], Image.Image]] = {
    "clean": lambda large, s, n: _small(large, s),
    "JPEG 95": lambda large, s, n: _jpeg(_small(large, s), 95),
    "JPEG 80": lambda large, s, n: _jpeg(_small(large, s), 80),
    "JPEG 60": lambda large, s, n: _jpeg(_small(large, s), 60),
    "JPEG 40": lambda large, s, n: _jpeg(_small(large, s), 40),
    "blur": lambda large, s, n: _small(_blurred(large, _BLUR), s),
    "noise": lambda large, s, n: _noisy(_small(large, s), _NOISE, n),
    "all three": lambda large, s, n: _jpeg(_noisy(_small(_blurred(large, _BLUR), s), _NOISE, n), 75),
    "web": lambda large, s, n: _from_web(large, s),
}
"""How a small picture is made of a large one, the scale and a number."""


def main() -> None:
    """Measure, write results/everyday.json, print the table, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--scale", type=int, choices=[2, 4], default=SCALE, help="of models and peers")
    parser.add_argument("--ways", nargs="+", metavar="WAY", choices=[*WAYS], default=[*WAYS],
                        help=f"all by default: {', '.join(WAYS)}")  # fmt: skip
    parser.add_argument("--photos", metavar="DATA", help="a data set of JPEGs, of which some are drawn")
    parser.add_argument("--sheet", type=Path, default=Path("everyday.png"), metavar="FILE", help="the drawing")
    parser.add_argument("--name", default="everyday", help="of the file of results")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep the figures of that file, and measure only what --model and --peers name",
    )
    args = parser.parse_args()
    for name in args.model:
        if (own := Upscaler.from_pretrained(name).scale) != args.scale:
            parser.error(f"{name} enlarges {own} times: pass --scale {own}, or another --model")
    torch.set_num_threads(args.threads)
    originals = [pair.large for name in ("Set14", "B100") for pair in pairs(args.sr_eval, name)[: args.limit]]
    perceptual = PerceptualDistance(2)
    methods: list[Local | Peer] = [
        *([] if args.keep else plain(args.scale)),
        *(method for name in args.model for method in local(name, args.strength, _FIDELITIES)),
        *(PEERS[name] for name in args.peers if args.scale in PEERS[name].scales),
    ]
    found_before = json.loads((RESULTS / f"{args.name}.json").read_text()) if args.keep else {}
    details: dict[str, Any] = found_before.get("ways", {})
    table: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}
    for way in args.ways:
        make = WAYS[way]
        made = [Pair(make(large.convert("RGB"), args.scale, number), large) for number, large in enumerate(originals)]
        for method in methods:
            if method.name in left_out:
                continue
            print(f"{way}, {method.name} ...", flush=True)
            try:
                found = method.run([pair.small for pair in made], threads=args.threads, scale=args.scale).pictures
            except PeerError as error:
                left_out[method.name] = str(error)
                continue
            compared = [
                compare(picture, pair.large, perceptual, args.scale) for picture, pair in zip(found, made, strict=True)
            ]
            details.setdefault(way, {})[method.name] = means(compared)
        table = _table(details)
        write(
            args.name,
            table,
            data=called(args.sr_eval, None),
            scale=args.scale,
            pictures=len(originals),
            figures="PSNR of luma, dB / PD-ENL2",
            border=args.scale,
            ways=details,
            left_out=left_out,
            measured_before=sorted({row["upscaler"] for row in table} - {method.name for method in methods}),
        )
    print(markdown(table), *(f"- {name}: not measured: {why}" for name, why in left_out.items()), sep="\n")
    if args.photos:
        _draw(args.photos, args.model[0], args.scale).save(args.sheet)


def _table(details: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each upscaler, a column for each way: interpolation first, then hubgan's, then peers."""
    known = [method.name for method in plain()]
    names = sorted(
        {name for figures in details.values() for name in figures},
        key=lambda name: (name not in known, not name.startswith("hubgan "), name.lower()),
    )
    return [
        {"upscaler": name}
        | {
            way: f"{figures[name]['PSNR']:.2f} / {figures[name]['PD-ENL2']:.3f}"
            for way, figures in details.items()
            if name in figures
        }
        for name in names
    ]


def _draw(photos: str, model: str, scale: int) -> Image.Image:
    """Details of real JPEGs: nearest, bicubic, the model at fidelity 0 and 1."""
    columns = [plain(scale)[0], *local(model, ["auto"], _FIDELITIES)]
    sheet = Image.new("RGB", ((1 + len(columns)) * _TILE, _TITLE + len(_DETAILS) * _TILE), "white")
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(["as it is", *(method.name for method in columns)]):
        pen.text((column * _TILE + 3, 3), title, fill="black")
    source = load_images(photos)
    side = _TILE // scale
    for row, index in enumerate(_DETAILS):
        photo = decode(source.rows[index[0]][source.column])
        left, top = index[1:]
        box = (left, top, left + side, top + side)
        cells = [photo.crop(box).convert("RGB").resize((_TILE, _TILE), Image.Resampling.NEAREST)]
        for method in columns:
            (large,) = method.run([photo], threads=1).pictures
            cells.append(large.crop((scale * left, scale * top, scale * left + _TILE, scale * top + _TILE)))
        for column, cell in enumerate(cells):
            sheet.paste(cell, (column * _TILE, _TITLE + row * _TILE))
    return sheet


if __name__ == "__main__":
    main()
