"""Do synthetic images help a classifier that has few real ones?

A small convolutional network learns from a part of the real training images, with and without a labelled synthetic
data set, in the same number of steps, with several seeds; its accuracy on the real test images is what counts. Half of
a mixed batch is synthetic.

    hubgan synthesize model_cards/cifar-r3gan -n 10000 -o fakes
    python -m benchmarks.augmentation --dataset uoft-cs/cifar10 --synthetic fakes
"""

import argparse
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from benchmarks.common import markdown, write
from hubgan.data import DecodedImages, Squares, load_images

_BATCH = 128


def main() -> None:
    """Train, write results/augmentation.json, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--dataset-name", help="what the results call it")
    parser.add_argument("--synthetic", required=True, help="the folder that `hubgan synthesize` wrote")
    parser.add_argument("--share", type=float, default=0.1, help="of the real training images")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    train, test, fakes = (
        _images(*place) for place in ((args.dataset, "train"), (args.dataset, "test"), (args.synthetic, "train"))
    )
    table: list[dict[str, Any]] = []
    for seed in args.seeds:
        order = torch.randperm(len(train[0]), generator=torch.Generator().manual_seed(seed))
        few = order[: round(args.share * len(order))]
        real = train[0][few], train[1][few]
        for name, sets in (("real", [real]), ("real and synthetic", [real, fakes]), ("synthetic", [fakes])):
            accuracy = _accuracy(_trained(sets, args.steps, seed), *test)
            table.append({"trained on": name, "seed": seed, "accuracy": accuracy})
            print(table[-1], flush=True)
    means = []
    for name in dict.fromkeys(row["trained on"] for row in table):
        found = torch.tensor([row["accuracy"] for row in table if row["trained on"] == name]).double()
        means.append({"trained on": name, "accuracy": float(found.mean()), "deviation": float(found.std())})
    about = {"data": args.dataset_name or args.dataset, "real images": round(args.share * len(train[0]))}
    about |= {"synthetic images": len(fakes[0]), "steps": args.steps, "batch": _BATCH}
    write("augmentation", table, **about, means=means)
    print(markdown(means))


def _images(dataset: str, split: str) -> tuple[Tensor, Tensor]:
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


def _trained(sets: list[tuple[Tensor, Tensor]], steps: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    network = _network().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps, pct_start=0.2)
    for _ in range(steps):
        parts = [_draw(*each, _BATCH // len(sets)) for each in sets]
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
    """In [-1, 1], mirrored and moved by up to four pixels at random, all images of a batch alike in the latter."""
    images = images.float().div(127.5).sub(1)
    images = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(-1), images)
    top, left = torch.randint(9, (2,)).tolist()
    return pad(images, (4, 4, 4, 4))[:, :, top : top + 32, left : left + 32]


@torch.inference_mode()
def _accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    parts = [network(part.float().div(127.5).sub(1)).argmax(1) for part in images.split(500)]
    return float((torch.cat(parts) == labels).double().mean())


if __name__ == "__main__":
    main()
