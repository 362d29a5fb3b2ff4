"""Latents: truncated, interpolated, varied, and kept in files.

Latents are samples of a standard normal, on any device that has float64. Results have the dtype and the device of
their inputs.
"""

import math
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from hubgan.errors import ConfigError
from hubgan.runtime.files import atomic_write, new_folder
from hubgan.runtime.seeding import normals, torch_generator

_PARALLEL = 1e-6  # if the sine of their angle is smaller, two latents span no plane to turn in


def truncate(latents: Tensor, threshold: float) -> Tensor:
    """The truncation trick of Brock et al. (2019, https://arxiv.org/abs/1809.11096): fewer oddities, less variety.

    Each number is mapped to the same quantile of the normal distribution truncated to [-threshold, threshold]. The
    paper resamples numbers outside instead. This has the same distribution and is monotone, so that the image of a
    seed moves steadily towards the mean as the threshold falls. Common thresholds are 0.5 to 2; above 4 hardly
    anything changes.

    Args:
        latents: of any shape.
        threshold: above 0; `math.inf` changes nothing.

    Raises:
        ConfigError: a threshold of 0 or below, or NaN.
    """
    if not threshold > 0:
        raise ConfigError(
            f"truncation must be above 0, got {threshold}", "Try 1. Smaller values give more typical images"
        )
    size, root = latents.double().abs(), math.sqrt(2)
    # For a number of this size: the probability of a smaller one, and of a larger one.
    within = math.erf(threshold / root) * torch.erf(size / root)
    above = (math.erfc(threshold / root) + math.erf(threshold / root) * torch.erfc(size / root)) / 2
    # Each inverse is used where it is accurate: that of `within` near 0, that of `above` in the tail.
    inner = torch.where(within < 0.5, root * torch.erfinv(within), -torch.special.ndtri(above))
    return torch.minimum(inner, size).clamp(max=threshold).copysign(latents).to(latents.dtype)


def slerp(start: Tensor, end: Tensor, way: float | Tensor) -> Tensor:
    """Spherical interpolation (Shoemake 1985; White 2016, https://arxiv.org/abs/1609.04468).

    The direction turns at an even pace and the length changes evenly, so that latents in between are as far from the
    mean as the two ends. For parallel, opposite or zero latents the interpolation is linear.

    Args:
        start: (latent_dim,) or (N, latent_dim).
        end: likewise.
        way: the position from start (0) to end (1), both reached exactly: a number, or (N,) for a batch of latents.
    """
    a, b = torch.broadcast_tensors(start.double(), end.double())
    at = torch.as_tensor(way, dtype=torch.float64, device=a.device)[..., None]
    length_a, length_b = (each.norm(dim=-1, keepdim=True) for each in (a, b))
    unit_a, unit_b = a / length_a, b / length_b
    # Kahan's angle, accurate near 0 and near pi as well.
    angle = 2 * torch.atan2((unit_a - unit_b).norm(dim=-1, keepdim=True), (unit_a + unit_b).norm(dim=-1, keepdim=True))
    length = torch.lerp(length_a, length_b, at)
    weight_a = torch.sin((1 - at) * angle) / torch.sin(angle) * length / length_a
    weight_b = torch.sin(at * angle) / torch.sin(angle) * length / length_b
    turns = torch.sin(angle) > _PARALLEL  # not for NaN, the angle of a latent of length 0
    between: Tensor = torch.where(turns, weight_a, 1 - at) * a + torch.where(turns, weight_b, at) * b
    return between.to(start.dtype)


def walk(latents: Tensor, frames: int, *, loop: bool) -> Tensor:
    """Latents (frames, latent_dim) on a path through the given ones, evenly spaced from each to the next, by `slerp`.

    Args:
        latents: (k, latent_dim) to pass through.
        frames: the number of latents to return; the first one is the first of `latents`.
        loop: lead from the last latent back to the first, which would follow the last frame. Otherwise the last frame
            is the last latent.

    Raises:
        ConfigError: fewer than one frame, or latents that are not (k, latent_dim).
    """
    if latents.ndim != 2 or not len(latents):
        raise ConfigError(f"latents to walk through must be (k, latent_dim), got {tuple(latents.shape)}")
    if frames < 1:
        raise ConfigError(f"frames must be 1 or more, got {frames}")
    at = positions(len(latents), frames, loop=loop).to(latents.device)
    start = at.floor().long().clamp(max=len(latents) - 1)
    return slerp(latents[start], latents[(start + 1) % len(latents)], at - start)


def positions(points: int, frames: int, *, loop: bool) -> Tensor:
    """The positions of a `walk`'s frames, (frames,) float64: 1.5 is half way from the second point to the third."""
    legs, steps = (points, frames) if loop else (points - 1, max(frames - 1, 1))
    return torch.arange(frames, dtype=torch.float64) * legs / steps


def neighbours(latent: Tensor, n: int, *, spread: float, seed: int | None = None) -> Tensor:
    """`n` latents (n, latent_dim) near one: sqrt(1 - spread^2) latent + spread noise, again standard normal.

    With a larger `n` the first latents stay the same.

    Args:
        latent: (latent_dim,).
        n: the number of latents.
        spread: from 0, the latent itself, to 1, unrelated latents.
        seed: of the noise, which is unrelated to the latents of the same seed; None is random.

    Raises:
        ConfigError: a spread outside [0, 1], `n` below 1, a latent that is not (latent_dim,), or a seed that is no
            whole number of at most 64 bits.
    """
    if latent.ndim != 1:
        raise ConfigError(f"the latent must be (latent_dim,), got {tuple(latent.shape)}")
    if n < 1:
        raise ConfigError(f"n must be 1 or more, got {n}")
    if not 0 <= spread <= 1:
        raise ConfigError(f"spread must be from 0 to 1, got {spread}")
    noise = normals(torch_generator(seed, "neighbours"), n, len(latent)).to(latent)
    return math.sqrt(1 - spread**2) * latent + spread * noise


def save_latents(file: Path | str, latents: Tensor, labels: Tensor | None = None) -> None:
    """Write latents, and the labels of a model with classes, into a safetensors file. Missing folders are made.

    Args:
        file: the file, which is replaced if it exists.
        latents: (n, latent_dim).
        labels: int64 (n,), or None.
    """
    tensors = {"latents": latents} | ({} if labels is None else {"labels": labels})
    contents = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    path = Path(file)
    with new_folder(path.parent), atomic_write(path) as unfinished:
        unfinished.write_bytes(contents)


def load_latents(file: Path | str) -> tuple[Tensor, Tensor | None]:
    """The latents (n, latent_dim) and labels (n,), or None, of a file that `save_latents` wrote.

    Raises:
        ConfigError: there is no such file, or it holds no finite latents.
    """
    remedy = "Pass the latents.safetensors that `hubgan invert` wrote"
    if not Path(file).is_file():
        raise ConfigError(f"{file} is not a file", remedy)
    try:
        tensors = load_file(file)
    except SafetensorError as error:
        raise ConfigError(f"{file} is no whole safetensors file ({error})", remedy) from error
    latents, labels = tensors.get("latents"), tensors.get("labels")
    if latents is None or latents.ndim != 2 or not latents.numel() or not bool(latents.isfinite().all()):
        raise ConfigError(f"{file} holds no latents", remedy)
    if labels is not None and (labels.dtype != torch.int64 or labels.shape != latents.shape[:1]):
        raise ConfigError(f"{file} holds labels that do not fit its latents", remedy)
    return latents.float(), labels
