"""Details of three pictures side by side, for a card: bicubic, other upscalers, a model of hubgan's, the original.

    python -m benchmarks.crops model_cards/photo-x4 --sr-eval FOLDER -o model_cards/photo-x4/samples.png

FOLDER is as in benchmarks.upscaling. The small pictures are those given for four times, for another scale the
originals shrunk (bicubic, antialiased), and with --degraded damaged by a seed, as there. One pixel is one pixel.
"""

import argparse
from pathlib import Path

from PIL import Image, ImageDraw

from benchmarks.peers import PEERS
from benchmarks.upscaling import SCALE, Pair, degraded, pairs
from hubgan import Upscaler
from hubgan.media.images import to_image, to_tensor
from hubgan.metrics import shrink

# A set, a picture's number, left and top.
_PLACES = [("Set5", 2, 40, 64), ("Set14", 4, 60, 44), ("B100", 2, 80, 114)]
_WIDTH, _HEIGHT, _TITLE = 160, 112, 18


def main() -> None:
    """Enlarge the pictures, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", help="a folder or a Hub name")
    parser.add_argument("--sr-eval", required=True, metavar="FOLDER", help="a folder with the standard benchmarks")
    parser.add_argument("--fidelity", nargs="+", type=float, default=[0.0], help="a column each (default: 0)")
    parser.add_argument("--peers", nargs="*", choices=[*PEERS], default=["realesr-animevideov3", "realesrgan-x4plus"])
    parser.add_argument("--degraded", action="store_true", help="damage the small pictures")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="a PNG or JPEG")
    args = parser.parse_args()
    models = {fidelity: Upscaler.from_pretrained(args.model, fidelity=fidelity) for fidelity in args.fidelity}
    scale = next(iter(models.values())).scale
    for name in args.peers:
        if scale not in PEERS[name].scales:
            parser.error(f"{name} does not enlarge {scale} times: name others (--peers)")
    sets = {name: pairs(args.sr_eval, name) for name in {name: None for name, *_ in _PLACES}}
    places = [place for place in _PLACES if place[1] < len(sets[place[0]])]
    shown = [_pair(sets[name][number], number, scale, args.degraded) for name, number, *_ in places]
    small = [pair.small for pair in shown]
    columns = {"bicubic": [each.resize((each.width * scale, each.height * scale)) for each in small]}
    for name in args.peers:
        columns[name] = PEERS[name].run(small, threads=1, scale=scale).pictures
    for fidelity, model in models.items():
        title = Path(args.model).name + (f", fidelity {fidelity:g}" if len(models) > 1 else "")
        columns[title] = [model.upscale(each) for each in small]
    columns["original"] = [pair.large for pair in shown]
    sheet = Image.new("RGB", (len(columns) * _WIDTH, _TITLE + len(places) * _HEIGHT), "white")
    pen = ImageDraw.Draw(sheet)
    for column, (title, pictures) in enumerate(columns.items()):
        pen.text((column * _WIDTH + 3, 3), title, fill="black")
        for row, (picture, (_, _, left, top)) in enumerate(zip(pictures, places, strict=True)):
            detail = picture.crop((left, top, left + _WIDTH, top + _HEIGHT))
            sheet.paste(detail, (column * _WIDTH, _TITLE + row * _HEIGHT))
    sheet.save(args.output)


def _pair(pair: Pair, number: int, scale: int, damage: bool) -> Pair:
    """With the small picture that is asked for."""
    if damage:
        return degraded(pair, number, scale)
    if scale == SCALE:
        return pair
    width, height = (side // scale * scale for side in pair.large.size)
    large = pair.large.crop((0, 0, width, height))
    made = shrink(to_tensor(large)[None].float() / 255, scale)[0].mul(255).round().byte()
    return Pair(to_image(made).convert("RGB"), large)


if __name__ == "__main__":
    main()
