"""A picture brought into a generator's latent space: the latents whose image is most like it, and weights tuned to it.

Latents are found by optimisation (Creswell and Bharath 2016, https://arxiv.org/abs/1611.05644), with a perceptual loss
besides that of the pixels. Tuning is that of Roich et al. (2021, https://arxiv.org/abs/2106.05744).
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import mse_loss

from hubgan.media.images import ImageInput, fit, open_image, to_floats, to_image, to_tensor
from hubgan.metrics.perceptual import PerceptualDistance
from hubgan.metrics.psnr import psnr
from hubgan.models.card import TrainingRun
from hubgan.models.finite import not_finite
from hubgan.models.picture import warn_of_parts
from hubgan.runtime.devices import same_kernels
from hubgan.runtime.seeding import normals, torch_generator

if TYPE_CHECKING:
    from hubgan.models.generator import Generator

_DRAWN, _PART = 16, 32  # latents that are tried first for each start, and how many of them at once
_PIXELS, _LENGTH = 10.0, 0.1  # weights of losses beside the perceptual one
_RATE, _TUNING_RATE = 0.1, 3e-4  # at 1e-3 tuning changes all other images too
_OTHERS = 8  # images of other latents that a step of tuning must leave unchanged
_STREAM = 1  # of random numbers, which draws their latents
_LITE, _LITE_MEASURED = 0, 2  # as in the training: a network that was trained against cannot measure


@dataclass(frozen=True)
class Inversion:
    """A picture in a generator's latent space.

    Attributes:
        latents: whose image is most like the picture, (1, latent_dim).
        labels: the number of its class, int64 (1,); None for a model without classes.
        generator: the model itself, or the tuned copy.
        image: what `generator` makes of them.
        picture: the picture, cropped to a square and scaled to the size of the model's images.
        psnr: of `image` in dB; more is better.
        distance: the perceptual distance of `image` (PD-ENL2), 0 to 4; less is better.
    """

    latents: Tensor
    labels: Tensor | None
    generator: "Generator"
    image: Image.Image
    picture: Image.Image
    psnr: float
    distance: float


def invert(
    generator: "Generator",
    image: ImageInput,
    *,
    label: int | str | None,
    seed: int,
    starts: int,
    steps: int,
    tuning_steps: int,
    progress: Callable[[float], None] | None,
) -> Inversion:
    """See `Generator.invert`."""
    warn_of_parts(image, "used")
    picture = fit(open_image(image, srgb=True), generator.image_size, generator.channels)
    work = copy.deepcopy(generator).float().eval().requires_grad_(False)
    target = to_floats(picture)[None].to(work.device)
    distance = PerceptualDistance(_LITE).to(work.device)

    def loss(latents: Tensor, labels: Tensor | None) -> Tensor:
        """Of each latent, (N,)."""
        made, wanted = work(latents, labels) / 2 + 0.5, target.expand(len(latents), -1, -1, -1)
        length = latents.norm(dim=1) / work.latent_dim**0.5  # 1, nearly, of any normal latent
        pixels = (made - wanted).square().mean((1, 2, 3))
        losses: Tensor = distance(made, wanted) + _PIXELS * pixels + _LENGTH * (length - 1).square()
        return losses

    def done(before: int, step: int) -> None:
        if progress:
            progress((before + step + 1) / (steps + tuning_steps))

    with same_kernels():
        latents, labels = _nearest_drawn(work, loss, label, seed, starts)
        latents, labels = _optimised(loss, latents, labels, steps, partial(done, 0))
        if not bool(latents.isfinite().all()):
            raise not_finite(generator)
        if tuning_steps:
            generator = _tuned(
                generator, work, partial(loss, latents, labels), seed, tuning_steps, partial(done, steps)
            )
    latents, labels = latents.cpu(), None if labels is None else labels.cpu()
    pixels = torch.as_tensor(generator.images_from(latents, labels, output_type="pt"))
    made = to_image(pixels[0])
    both = [to_tensor(each)[None] for each in (made, picture)]
    with torch.inference_mode():
        measured = float(PerceptualDistance(_LITE_MEASURED)(*(each.float() / 255 for each in both)))
    return Inversion(latents, labels, generator, made, picture, psnr(*both, border=0), measured)


def _nearest_drawn(
    work: "Generator",
    loss: Callable[[Tensor, Tensor | None], Tensor],
    label: int | str | None,
    seed: int,
    starts: int,
) -> tuple[Tensor, Tensor | None]:
    """The best of many drawn latents, and their labels: of all classes in turn, if none is given."""
    n = max(_DRAWN * starts, len(work.labels))
    wanted = work.labels if label is None and work.labels else label
    latents, labels = work.latents(n, seed=seed).to(work.device), work.label_ids(n, wanted)
    parts = [latents.split(_PART)]
    if labels is not None:
        labels = labels.to(work.device)
        parts.append(labels.split(_PART))
    with torch.no_grad():
        losses = torch.cat([loss(*(part if len(part) == 2 else (*part, None))) for part in zip(*parts, strict=True)])
    best = losses.argsort(stable=True)[:starts]
    return latents[best], None if labels is None else labels[best]


def _optimised(
    loss: Callable[[Tensor, Tensor | None], Tensor],
    latents: Tensor,
    labels: Tensor | None,
    steps: int,
    done: Callable[[int], None],
) -> tuple[Tensor, Tensor | None]:
    """The best latent (1, latent_dim) after Adam has moved all of them, and its label."""
    latents = latents.clone().requires_grad_()
    optimizer = torch.optim.Adam([latents], _RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, 4 * (1 - step / steps)))
    for step in range(steps):
        optimizer.zero_grad()
        loss(latents, labels).sum().backward()  # each latent has a loss of its own
        optimizer.step()
        schedule.step()
        done(step)
    with torch.no_grad():
        best = int(loss(latents, labels).argmin())
    return latents[best : best + 1].detach(), None if labels is None else labels[best : best + 1]


def _tuned(
    generator: "Generator",
    work: "Generator",
    loss: Callable[[], Tensor],
    seed: int,
    steps: int,
    done: Callable[[int], None],
) -> "Generator":
    """A copy of `work` whose weights are tuned to lower the loss, while the images of other latents stay the same."""
    original, source = copy.deepcopy(work), torch_generator(seed, _STREAM)
    optimizer = torch.optim.Adam(work.requires_grad_().parameters(), _TUNING_RATE)
    for step in range(steps):
        latents, labels = normals(source, _OTHERS, work.latent_dim).to(work.device), None
        if work.labels:
            labels = torch.randint(len(work.labels), (_OTHERS,), generator=source).to(work.device)
        change = mse_loss(work(latents, labels) / 2, original(latents, labels) / 2)
        optimizer.zero_grad()
        (loss().sum() + _PIXELS * change).backward()
        optimizer.step()
        done(step)
    run: TrainingRun = {**(generator.training_run or {}), "results": []}  # they are those of the other weights
    run["facts"] = {**run.get("facts", {}), "tuned": f"to one picture, {steps:,} steps (pivotal tuning)"}
    work.training_run, work.loaded_from = run, ""
    return work.to(generator.dtype).train(generator.training)
