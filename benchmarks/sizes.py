"""What an upscaler costs by its size: EDSRs of several widths and depths with random weights, on the CPU.

    python -m benchmarks.sizes

The time is that of `Upscaler.upscale` for a small picture of 256 x 256 pixels, at its defaults (bfloat16 where the CPU
computes in it), after one that does not count; the sizes take turns, so that what else the machine does hits all.
"""

import argparse
from statistics import median
from time import process_time

import torch
from PIL import Image

from benchmarks.common import markdown, write
from hubgan import Upscaler

_SIDE = 256
# Scale, width, depth, stride: tiny, small, 12 blocks, as photo-x4, as photo-x4-restore, large, then other scales.
_SIZES = [(4, 24, 4, 1), (4, 32, 8, 1), (4, 48, 12, 1), (4, 48, 13, 1), (4, 96, 12, 2), (4, 64, 16, 1)]
_SIZES += [(scale, 48, 12, 1) for scale in (2, 3, 1)]


def main() -> None:
    """Measure, write results/sizes.json, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    models = [Upscaler(scale=scale, width=width, depth=depth, stride=stride) for scale, width, depth, stride in _SIZES]
    picture = Image.effect_noise((_SIDE, _SIDE), 50).convert("RGB")
    seconds: list[list[float]] = [[] for _ in models]
    for _ in range(args.repetitions + 1):
        for model, times in zip(models, seconds, strict=True):
            start = process_time()
            model.upscale(picture)
            times.append(process_time() - start)
    table = []
    for (scale, width, depth, stride), model, times in zip(_SIZES, models, seconds, strict=True):
        milliseconds = [1e3 * second / (_SIDE**2 / 1e6) for second in times[1:]]
        table.append(
            {
                "scale": scale,
                "width": width,
                "depth": depth,
                "stride": stride,
                "parameters": sum(parameter.numel() for parameter in model.parameters()),
                "CPU ms/megapixel": round(median(milliseconds)),
                "least-most": f"{min(milliseconds):,.0f}-{max(milliseconds):,.0f}",
            }
        )
    write("sizes", table, threads=args.threads, repetitions=args.repetitions, pixels=f"{_SIDE} x {_SIDE}")
    print(markdown(table))


if __name__ == "__main__":
    main()
