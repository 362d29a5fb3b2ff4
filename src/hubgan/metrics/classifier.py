"""A small classifier of images of 32 x 32 pixels, and its training from nothing, in minutes on a CPU.

Network and training follow Jordan 2024 (https://arxiv.org/abs/2404.00498), which makes the most of few epochs.
"""

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from tqdm.auto import tqdm

from hubgan.metrics.bicubic import resize
from hubgan.runtime.devices import computes_in_bf16
from hubgan.runtime.seeding import torch_generator

SIDE = 32
_BATCH, _PART, _FEWEST_STEPS = 512, 128, 120
_RATE, _BIAS_RATE, _DECAY = 0.75, 64, 1.3e-3
_SHIFT = 2  # pixels
_FITTED = 5000  # images to which the first layer is fitted
_SMALLEST = 5e-4  # added to the variances of patches


class SmallClassifier(nn.Module):
    """Six 3 x 3 convolutions after a layer that whitens patches: 1 M parameters, 176 pooled features.

    Args:
        classes: the number of classes.
    """

    num_features = 176

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.weight.requires_grad_(False)
        wide = self.num_features
        self.body = nn.Sequential(
            nn.GELU(), _group(24, 64), _group(64, wide), _group(wide, wide), nn.AdaptiveMaxPool2d(1), nn.Flatten()
        )
        self.head = nn.Linear(wide, classes, bias=False)
        self.to(memory_format=torch.channels_last)

    def features(self, images: Tensor) -> Tensor:
        """Images (N, 1 or 3, 32, 32) in [0, 1] to features (N, 176)."""
        scaled = _scaled(images).contiguous(memory_format=torch.channels_last)
        pooled: Tensor = self.body(self.whiten(scaled))
        return pooled

    def symmetric_features(self, images: Tensor) -> Tensor:
        """The mean of the features of images (N, 1 or 3, 32, 32) in [0, 1] and of their mirror images."""
        return (self.features(images) + self.features(images.flip(-1))) / 2

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 1 or 3, 32, 32) in [0, 1] to logits (N, classes)."""
        return self.logits(self.features(images))

    def logits(self, features: Tensor) -> Tensor:
        """Features (N, 176) to logits (N, classes)."""
        found: Tensor = self.head(features) / 9  # small at first
        return found

    @torch.no_grad()
    def fit_whitening(self, images: Tensor) -> None:
        """Make the patches of images (N, 1 or 3, 32, 32) in [0, 1] uncorrelated by the first layer."""
        patches = _scaled(images).unfold(2, 2, 1).unfold(3, 2, 1).movedim(1, 3).reshape(-1, 12).double()
        variances, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (directions / (variances + _SMALLEST).sqrt()).T.reshape(12, 3, 2, 2).float()
        self.whiten.weight.copy_(torch.cat([filters, -filters]))
        nn.init.zeros_(self.whiten.bias)  # type: ignore[arg-type]

    @torch.inference_mode()
    def accuracy(self, images: Tensor, labels: Tensor) -> float:
        """The share of images, uint8 (N, 1 or 3, 32, 32), whose likeliest class is their label (N,)."""
        device = self.head.weight.device
        parts = (self.symmetric_features(part.to(device).float() / 255) for part in images.split(_PART))
        found = [self.logits(part).argmax(1).cpu() for part in parts]
        return float((torch.cat(found) == labels).double().mean())


def _scaled(images: Tensor) -> Tensor:
    return images.expand(-1, 3, -1, -1).sub(0.5).mul(4)  # nearly of deviation 1


def _group(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (before, after):
        convolution, norm = nn.Conv2d(inputs, after, 3, padding=1, bias=False), nn.BatchNorm2d(after, momentum=0.4)
        nn.init.dirac_(convolution.weight[:inputs])  # at first it passes its input on
        norm.weight.requires_grad_(False)
        layers += [convolution, *([nn.MaxPool2d(2)] if not layers else []), norm, nn.GELU()]
    return nn.Sequential(*layers)


def to_classifier(images: Tensor) -> Tensor:
    """Images uint8 (N, 1 or 3, H, W) as the classifier is trained on them: uint8 (N, 1 or 3, 32, 32)."""
    if images.shape[-2:] == (SIDE, SIDE):
        return images
    return resize(images.float() / 255, SIDE).mul(255).round().byte()


def train_classifier(
    images: Tensor,
    labels: Tensor,
    classes: int,
    *,
    epochs: int = 12,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: str = "",
) -> SmallClassifier:
    """A classifier that has learned from images, mirrored and moved at random.

    Args:
        images: uint8 (N, 1 or 3, 32, 32).
        labels: int64 (N,), from 0 to classes - 1.
        classes: the number of classes.
        epochs: how often it sees each image; oftener if that were less than 120 steps of 512 images.
        seed: of the initial weights, the order and the changes.
        device: where to compute.
        progress: what the progress bar says; none is shown without it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SmallClassifier(classes)
    network.fit_whitening(images[:_FITTED].float() / 255)
    network.to(device)
    random = torch_generator(seed)
    steps = max(_FEWEST_STEPS, epochs * -(-len(images) // _BATCH))
    norms = [module.bias for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    others = [each for each in network.parameters() if each.requires_grad and all(each is not norm for norm in norms)]
    groups = [
        {"params": others, "lr": _RATE, "weight_decay": _DECAY},
        {"params": norms, "lr": _RATE * _BIAS_RATE, "weight_decay": _DECAY / _BIAS_RATE},
    ]
    optimizer = torch.optim.SGD(groups, momentum=0.85, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [_RATE, _RATE * _BIAS_RATE], total_steps=steps, pct_start=0.23, div_factor=5, final_div_factor=100,
        anneal_strategy="linear", cycle_momentum=False,
    )  # fmt: skip
    kind = torch.device(device).type
    batches = islice(_batches(len(images), random), steps)
    for chosen in tqdm(batches, progress, steps, unit="step", disable=not progress):
        batch = _augmented(images[chosen].float() / 255, random).to(device)
        with torch.autocast(kind, torch.bfloat16, enabled=computes_in_bf16(kind)):
            logits = network(batch)
        optimizer.zero_grad()
        cross_entropy(logits.float(), labels[chosen].to(device), label_smoothing=0.2).backward()
        optimizer.step()
        schedule.step()
    return network.eval().requires_grad_(False)


def _batches(count: int, random: torch.Generator) -> Iterator[Tensor]:
    """The rows of batches, each image once an epoch, without end."""
    while True:
        yield from torch.randperm(count, generator=random).split(_BATCH)


def _augmented(images: Tensor, random: torch.Generator) -> Tensor:
    """Mirrored by chance, and moved by up to two pixels; each image its own way."""
    count = len(images)
    mirrored = torch.rand(count, 1, 1, 1, generator=random) < 0.5
    images = torch.where(mirrored, images.flip(-1), images)
    top, left = torch.randint(2 * _SHIFT + 1, (2, count, 1), generator=random)
    places = torch.arange(SIDE)
    rows, columns = top + places, left + places
    images = pad(images, (_SHIFT,) * 4, mode="reflect")
    return images[torch.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
