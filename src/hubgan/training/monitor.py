"""Figures that show trouble early, and what to try then."""

import logging
import math
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from hubgan.training.config import NetworkConfig, TrainingConfig
from hubgan.training.schedules import is_used

logger = logging.getLogger(__name__)

_LOWER = "a lower --learning_rate and --discriminator_learning_rate"
_PENALTIES = {"r1_weight": "r1_weight", "r2_weight": "r2_weight", "gradient_penalty": "gradient_penalty_weight"}
_COLLAPSE = 0.3
_UNDER_WAY = 0.05  # an untrained generator makes one grey image
_PATIENCE = 3
_OVERFLOWS = 50


def overlap(images: Tensor) -> Tensor:
    """How alike the images of a batch are: the mean correlation of pixels between each image and the next.

    A cheap sign of mode collapse: near 1 where a generator makes one image for every latent. Real images are the
    measure, as a data set of centred faces overlaps much more than one of landscapes.

    Args:
        images: (N, channels, H, W), of any range.

    Returns:
        A scalar in [-1, 1]; 0 for a single image.
    """
    if len(images) < 2:
        return images.new_zeros(())
    pixels = images.float().flatten(1)
    pixels = torch.nn.functional.normalize(pixels - pixels.mean(1, keepdim=True), dim=1)
    return (pixels[1:] * pixels[:-1]).sum(1).mean()


class Meter:
    """The means of figures over the steps from one line of the log to the next, kept in checkpoints."""

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self._past: dict[str, tuple[float, int]] = {}
        self._figures: dict[str, list[Tensor]] = {}

    def add(self, figures: dict[str, Tensor]) -> None:
        """Take the figures of a step; nothing is read from the device yet."""
        for name, value in figures.items():
            self._figures.setdefault(name, []).append(value.detach())

    def means(self) -> dict[str, float]:
        """The means over all processes since the last call."""
        self.settle()
        means = {name: total / count for name, (total, count) in self._past.items() if count}
        self._past = {}
        return means

    def settle(self) -> None:
        """Read what has come together, as the sum and the number of finite values; all processes call it together."""
        if not self._figures:
            return
        names = sorted(self._figures)
        columns = [torch.stack(self._figures[name]).float() for name in names]
        finite = [column.isfinite() for column in columns]
        sums = torch.stack([column.where(good, 0).sum() for column, good in zip(columns, finite, strict=True)])
        counts = torch.stack([good.sum() for good in finite]).float()
        totals = self._accelerator.reduce(torch.stack([sums, counts]), "sum").tolist()
        for name, total, count in zip(names, *totals, strict=True):
            before = self._past.get(name, (0.0, 0))
            self._past[name] = (before[0] + total, before[1] + int(count))
        self._figures = {}

    def state_dict(self) -> dict[str, Any]:
        return dict(self._past)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._past, self._figures = dict(state), {}


class Monitor:
    """Looks at the figures of a run: at every step for what is not finite, at every line of the log for collapse.

    Args:
        config: the run's options, which say what may still be tried.
        scaled: whether gradients are scaled, as under fp16.
    """

    def __init__(self, config: TrainingConfig, *, scaled: bool) -> None:
        self._config, self._scaled = config, scaled
        self._overflows = self._alike = 0

    @property
    def remedies(self) -> str:
        """What to try where numbers are not finite."""
        clip = "" if self._config.clip_grad_norm else ", or --clip_grad_norm 1"
        precision = ". Instead of fp16, use --mixed_precision bf16 or no" if self._scaled else ""
        return f"Try {_LOWER}{clip}. Try {_penalty(self._config)}or another --objective{precision}"

    def trouble(self, figures: dict[str, Tensor]) -> str:
        """Names what is not finite, or "" where all is well.

        Under fp16 a gradient may overflow: its scale is lowered and the step skipped. It is trouble only if that
        happens in many steps in a row.
        """
        names = list(figures)
        finite = torch.stack([figures[name].float() for name in names]).isfinite().tolist()
        bad = [name for name, good in zip(names, finite, strict=True) if not good]
        if self._scaled and bad and all(name.endswith("gradient_norm") for name in bad):
            self._overflows += 1
            return f"{_list(bad)}, in {_OVERFLOWS} steps in a row" if self._overflows >= _OVERFLOWS else ""
        self._overflows = 0
        return _list(bad)

    def warn_of_collapse(self, values: dict[str, float], progress: float) -> None:
        """Warn where the fakes are much more alike than the real images, once the run is under way (0 to 1)."""
        excess = values.get("fake_overlap", math.nan) - values.get("real_overlap", math.nan)
        self._alike = self._alike + 1 if excess > _COLLAPSE and progress > _UNDER_WAY else 0
        if self._alike == _PATIENCE:
            augment = "" if self._config.augment else "--augment color translation cutout, "
            logger.warning(
                "the fakes look alike (overlap %.2f, real images %.2f), so the generator may be collapsing. Look at"
                " the samples. For another run, try %s. Try %s%sor another --objective",
                values["fake_overlap"], values["real_overlap"], _LOWER, augment, _penalty(self._config),
            )  # fmt: skip


def _penalty(config: TrainingConfig) -> str:
    """The advice to penalise the discriminator, by what the run has: a larger weight, or the first one."""
    if used := [option for name, option in _PENALTIES.items() if is_used(getattr(config, name))]:
        return f"a larger --{used[0]} "
    discriminator: NetworkConfig | None = getattr(config, "discriminator", None)
    has_batch_norm = discriminator is not None and discriminator.options.get("norm") == "batch"
    return f"the penalty --r1_weight 1{' with --discriminator.norm spectral' if has_batch_norm else ''} "


def _list(names: list[str]) -> str:
    return ", ".join(name.replace("_", " ") for name in names)
