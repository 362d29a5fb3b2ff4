"""A small classifier of 32x32 images, trained from nothing: six 3x3 convolutions."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from hubgan.data import DecodedImages, Squares, load_images

BATCH = 128


def images_of(dataset: str, split: str) -> tuple[Tensor, Tensor]:
    """uint8 images (N, 3, 32, 32) and labels (N,)."""
    source = load_images(dataset, split=split)
    view = Squares(size=32, channels=3, flip=False)
    images = DecodedImages(source, view, memory=10**10, labelled=True)
    keys = list(range(len(images)))
    labels = images.labels(keys)
    assert labels is not None
    return images.batch(keys, 0), labels


def _network() -> nn.Module:
    """Six 3x3 convolutions with BatchNorm, halved three times: 0.29 M parameters."""
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 128)):
        for one, two in ((before, after), (after, after)):
            layers += [nn.Conv2d(one, two, 3, padding=1, bias=False), nn.BatchNorm2d(two), nn.ReLU(inplace=True)]
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


def trained(sets: list[tuple[Tensor, Tensor]], steps: int, seed: int) -> nn.Module:
    """A classifier that has learned from batches with an equal part of each set."""
    torch.manual_seed(seed)
    network = _network().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps, pct_start=0.2)
    for _ in range(steps):
        parts = [_draw(*each, BATCH // len(sets)) for each in sets]
        images, labels = (torch.cat(part) for part in zip(*parts, strict=True))
        with torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu._is_avx512_bf16_supported()):
            logits = network(_augmented(images).contiguous(memory_format=torch.channels_last))
        optimizer.zero_grad()
        cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def _draw(images: Tensor, labels: Tensor, count: int) -> tuple[Tensor, Tensor]:
    chosen = torch.randint(len(images), (count,))
    return images[chosen], labels[chosen]


def _augmented(images: Tensor) -> Tensor:
    """In [-1, 1], mirrored and moved at random by up to four pixels; all images of a batch move alike."""
    images = images.float().div(127.5).sub(1)
    images = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(-1), images)
    top, left = torch.randint(9, (2,)).tolist()
    return pad(images, (4, 4, 4, 4))[:, :, top : top + 32, left : left + 32]


@torch.inference_mode()
def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images whose likeliest class is their label."""
    parts = [network(part.float().div(127.5).sub(1)).argmax(1) for part in images.split(500)]
    return float((torch.cat(parts) == labels).double().mean())
