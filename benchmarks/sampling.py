"""Sampling side by side: hubgan, a plain loop around the same network, and a diffusion model of a thousand steps.

    python -m benchmarks.sampling model_cards/cifar-dcgan

Counted are images a second for 1, 64 and 10,000 images of 32 x 32 pixels, in batches of 64; the ways take turns.
*Bare* is the network called on latents; *plain* its layers in PyTorch's usual memory format; the diffusion model is
that of DDPM on CIFAR-10 (Ho et al. 2020, 35.7 million parameters, in one run) with random weights, for its
time alone. Of its thousand steps only `--steps` are run, and their time is multiplied.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from diffusers import DDPMScheduler, UNet2DModel
from torch import nn

from benchmarks.common import markdown, write
from hubgan import Generator

_BATCH, _STEPS = 64, 1000


def main() -> None:
    """Measure, write results/sampling.json, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a DCGAN without classes")
    parser.add_argument("--numbers", type=int, nargs="+", default=[1, 64, 10_000])
    parser.add_argument("--steps", type=int, default=20, help="of the diffusion model's thousand")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--name", default="sampling", help="of the file of results")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = Generator.from_pretrained(args.model, device=device)
    layers: nn.Module = generator.network.layers  # type: ignore[assignment]
    ways: dict[str, Callable[[int], Any]] = {
        "hubgan, PIL images": lambda n: generator.sample(n, seed=0),
        "hubgan, a tensor": lambda n: generator.sample(n, seed=0, output_type="pt"),
        "bare network": _loop(lambda latents: generator.forward(latents), generator.latent_dim, device),
        "plain layers": _loop(lambda latents: layers(latents[:, :, None, None]), generator.latent_dim, device),
    }
    table = []
    for n in args.numbers:
        repetitions = args.repetitions if n <= 1000 else max(1, args.repetitions // 2)
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for repetition in range(repetitions + 1):
            for way, make in ways.items():
                start = perf_counter()
                make(n)
                if device == "cuda":
                    torch.cuda.synchronize()
                if repetition:  # the first one does not count
                    seconds[way].append(perf_counter() - start)
            print(f"{n} images, {repetition} of {repetitions}", file=sys.stderr)
        bare = median(seconds["bare network"])
        table += [_row(way, n, each, bare) for way, each in seconds.items()]
        if n <= 1000:
            table.append(_row(f"DDPM, {_STEPS:,} steps", n, [_diffusion(n, args.steps, device)], bare))
    write(args.name, table, model=Path(args.model).name, batch=_BATCH, threads=args.threads, steps=args.steps,
          repetitions=args.repetitions)  # fmt: skip
    print(markdown(table))


def _loop(network: Callable[[torch.Tensor], torch.Tensor], latent_dim: int, device: str) -> Callable[[int], Any]:
    """As anybody would write it."""

    @torch.no_grad()
    def make(n: int) -> torch.Tensor:
        latents = torch.randn(n, latent_dim, generator=torch.Generator().manual_seed(0)).to(device)
        return torch.cat([((network(part) + 1) / 2).clamp(0, 1).cpu() for part in latents.split(_BATCH)])

    return make


@torch.no_grad()
def _diffusion(n: int, steps: int, device: str) -> float:
    """Seconds of the thousand steps, from those of some."""
    network: Any = UNet2DModel(
        sample_size=32,
        in_channels=3,
        out_channels=3,
        layers_per_block=2,
        block_out_channels=(128, 256, 256, 256),
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        act_fn="silu",
        attention_head_dim=None,
        downsample_padding=0,
        flip_sin_to_cos=False,
        freq_shift=1,
        norm_eps=1e-6,
    )
    network = network.to(device).eval()
    scheduler: Any = DDPMScheduler(_STEPS)
    scheduler.set_timesteps(_STEPS)
    images = torch.randn(n, 3, 32, 32, device=device)
    start = perf_counter()
    for number, step in enumerate(scheduler.timesteps[: steps + 1]):
        if number == 1:  # the first step does not count
            start = perf_counter()
        images = scheduler.step(network(images, step).sample, step, images).prev_sample
    if device == "cuda":
        torch.cuda.synchronize()
    return (perf_counter() - start) / steps * _STEPS


def _row(way: str, n: int, seconds: list[float], bare: float) -> dict[str, Any]:
    middle = median(seconds)
    return {
        "way": way,
        "images": n,
        "images/s": float(f"{n / middle:.3g}"),
        "seconds": float(f"{middle:.3g}"),
        "least-most": f"{min(seconds):.3g}-{max(seconds):.3g}",
        "times the bare network's": float(f"{middle / bare:.3g}"),
    }


if __name__ == "__main__":
    main()
