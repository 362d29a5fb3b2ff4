"""How fast upscalers are, and how much memory they take, on small and large pictures, with one thread and two.

    python -m benchmarks.upscaling_speed

Four times larger, on the CPU. Each runs in a process of its own, over a square of noise that has been blurred, once
without being timed and then as often as `--repetitions` says; the memory is the most that the process had, libraries
included. hubgan's model cuts large pictures into tiles; once it takes them whole too. The peers are those of
benchmarks.upscaling, whose results the quality of each is taken from, at their defaults.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from PIL import Image, ImageFilter

from benchmarks import common
from benchmarks.common import children_memory, markdown, write
from benchmarks.peers import PEERS, PeerError

ROOT = Path(__file__).resolve().parents[1]
_SCALE = 4
_MODEL = "model_cards/photo-x4"
_FIGURES = ("PSNR Set14", "PD-ENL2 Set14")


def main() -> None:
    """Measure, write results/upscaling_speed.json, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 2000], help="of the small pictures")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repetitions", type=int, default=3, help="for pictures below a megapixel; else one")
    peers = ["realesr-animevideov3", "esrgan-slim", "esrgan-medium", "realesrgan-x4plus"]
    parser.add_argument("--peers", nargs="*", choices=[*PEERS], default=peers)
    parser.add_argument("--most-seconds", type=float, default=300, help="leave out what would take longer a picture")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)  # method, file, threads, repetitions
    args = parser.parse_args()
    if args.child:
        _work(*args.child)
        return
    table: list[dict[str, Any]] = []
    quality = _quality()
    left_out: list[str] = []
    for threads in args.threads:
        for side in args.sides:
            picture = Image.effect_noise((side, side), 60).filter(ImageFilter.GaussianBlur(2)).convert("RGB")
            megapixels, repetitions = side**2 / 1e6, args.repetitions if side < 1000 else 1
            for name in ("bicubic", "hubgan", "hubgan, whole", *args.peers):
                run = _peer(name) if name in PEERS else _own(name)
                known = [row["ms/megapixel"] for row in table if row["upscaler"] == name and row["threads"] == threads]
                if known and known[-1] / 1e3 * megapixels > args.most_seconds:
                    left_out.append(f"{name}, {side} x {side}, threads {threads}: longer than {args.most_seconds:g} s")
                    continue
                try:
                    with children_memory() as memory:
                        seconds = run(picture, threads, repetitions)
                except PeerError as error:
                    left_out.append(f"{name}, {side} x {side}, threads {threads}: {error}")
                    continue
                milliseconds = [1e3 * each / megapixels for each in seconds]
                table.append(
                    {
                        "upscaler": name,
                        "small pixels": f"{side} x {side}",
                        "threads": threads,
                        "ms/megapixel": round(median(milliseconds)),
                        "least-most": f"{min(milliseconds):,.0f}-{max(milliseconds):,.0f}",
                        "memory MB": round(max(memory)),
                        **quality.get(name.removesuffix(", whole"), {}),
                    }
                )
                print(table[-1], flush=True)
    write("upscaling_speed", table, model=_MODEL, repetitions=args.repetitions, left_out=left_out)
    print(markdown(table), *(f"- {line}" for line in left_out), sep="\n")


def _quality() -> dict[str, dict[str, float]]:
    """By upscaler what benchmarks.upscaling has measured, if it has."""
    file = common.RESULTS / "upscaling.json"
    rows = json.loads(file.read_text())["table"] if file.exists() else []
    found = {row["upscaler"]: {figure: row[figure] for figure in _FIGURES} for row in rows}
    return found | {"hubgan": found.get(f"hubgan {Path(_MODEL).name}, fidelity 0", {})}


def _peer(name: str) -> Callable[[Image.Image, int, int], list[float]]:
    return lambda picture, threads, repetitions: (
        PEERS[name].run([picture], threads=threads, repetitions=repetitions).seconds[0]
    )


def _own(name: str) -> Callable[[Image.Image, int, int], list[float]]:
    """The same, of what runs in a process of this program."""

    def run(picture: Image.Image, threads: int, repetitions: int) -> list[float]:
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT / "src")}
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "small.png"
            picture.save(file)
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.upscaling_speed", "--child", name, str(file), str(threads),
                 str(repetitions)],
                cwd=ROOT, env=environment, capture_output=True, text=True,
            )  # fmt: skip
        if done.returncode:
            raise PeerError(done.stderr.strip().splitlines()[-1] if done.stderr else f"ended with {done.returncode}")
        seconds: list[float] = json.loads(done.stdout)
        return seconds

    return run


def _work(name: str, file: str, threads: str, repetitions: str) -> None:
    """In the process of its own: print the seconds of each repetition."""
    import torch

    from hubgan import Upscaler

    torch.set_num_threads(int(threads))
    with Image.open(file) as opened:
        picture = opened.convert("RGB")
    if name == "bicubic":
        size = (picture.width * _SCALE, picture.height * _SCALE)
        enlarge: Callable[[], Image.Image] = lambda: picture.resize(size, Image.Resampling.BICUBIC)  # noqa: E731
    else:
        upscaler, tile = Upscaler.from_pretrained(_MODEL), 0 if name.endswith("whole") else None
        enlarge = lambda: upscaler.upscale(picture, tile=tile)  # noqa: E731
    seconds = []
    for _ in range(int(repetitions) + 1):
        start = perf_counter()
        enlarge()
        seconds.append(perf_counter() - start)
    print(json.dumps(seconds[1:]))


if __name__ == "__main__":
    main()
