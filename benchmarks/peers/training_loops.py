"""The training loops that a user would otherwise write or copy, around hubgan's networks, each in its own process.

    python -m benchmarks.peers.training_loops TASK LOOP --dataset NAME --images 10000 --batch-size 128

TASK is `generation` (DCGAN, binary cross-entropy, as in PyTorch's DCGAN tutorial) or `upscaling` (EDSR, L1, bicubic
reduction). LOOP is `plain` (a DataLoader of two workers, torchvision's transforms, float32, `.item()` for the log),
`with_transform` (the same by `datasets.with_transform` and Accelerate, as huggan's scripts have it) or `bf16` (the
plain one in bfloat16 with the channels last). It prints the seconds of every step as JSON, and those spent waiting for
data.
"""

import argparse
import json
import random
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from time import perf_counter
from typing import Any

import datasets
import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from hubgan.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from hubgan.networks.edsr import EDSR

_CROP, _SCALE = 192, 4

_SQUARES = transforms.Compose(
    [
        transforms.Resize(32),
        transforms.CenterCrop(32),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.5,) * 3, (0.5,) * 3),
    ]
)
_CROPS = transforms.Compose(
    [
        transforms.RandomCrop(_CROP, pad_if_needed=True, padding_mode="reflect"),
        transforms.RandomHorizontalFlip(),
        transforms.RandomVerticalFlip(),
    ]
)


def _pair(image: Image.Image) -> tuple[Tensor, Tensor]:
    """A crop made small, and the crop."""
    crop = _CROPS(image.convert("RGB"))
    small = crop.resize((_CROP // _SCALE,) * 2, Image.Resampling.BICUBIC)
    return transforms.functional.to_tensor(small), transforms.functional.to_tensor(crop)


class _Pictures(Dataset[Any]):
    """Pictures of a data set, each put through a transform when it is asked for."""

    def __init__(self, source: Any, column: str, transform: Callable[[Image.Image], Any]) -> None:
        self.source, self.column, self.transform = source, column, transform

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Any:
        return self.transform(self.source[index][self.column])


class GAN:
    """DCGAN's two updates."""

    def __init__(self, fast: bool) -> None:
        torch.manual_seed(0)
        # Their layers alone: around them hubgan's generator sees to the memory format.
        self.networks: list[nn.Module] = [DCGANGenerator().layers, DCGANDiscriminator().layers]
        if fast:
            self.networks = [network.to(memory_format=torch.channels_last) for network in self.networks]
        self.optimizers = [torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999)) for network in self.networks]

    def step(self, real: Tensor, cast: Any, backward: Callable[[Tensor], None]) -> float:
        generator, discriminator = self.networks
        with cast():
            fake = generator(torch.randn(len(real), 100, 1, 1, device=real.device))
            loss = _cross_entropy(discriminator(real), 1) + _cross_entropy(discriminator(fake.detach()), 0)
        self.optimizers[1].zero_grad()
        backward(loss)
        self.optimizers[1].step()
        with cast():
            adversarial = _cross_entropy(discriminator(fake), 1)
        self.optimizers[0].zero_grad()
        backward(adversarial)
        self.optimizers[0].step()
        return loss.item() + adversarial.item()


class SR:
    """The pixel loss."""

    def __init__(self, fast: bool) -> None:
        torch.manual_seed(0)
        network: nn.Module = EDSR(scale=_SCALE, width=48, depth=13)
        self.networks = [network.to(memory_format=torch.channels_last) if fast else network]
        self.optimizers = [torch.optim.Adam(network.parameters(), 1e-3, (0.9, 0.99))]

    def step(self, pair: list[Tensor], cast: Any, backward: Callable[[Tensor], None]) -> float:
        small, large = pair
        with cast():
            loss = l1_loss(self.networks[0](small).float(), large)
        self.optimizers[0].zero_grad()
        backward(loss)
        self.optimizers[0].step()
        return loss.item()


def _cross_entropy(logits: Tensor, target: float) -> Tensor:
    return binary_cross_entropy_with_logits(
        logits.float().flatten(), torch.full((len(logits),), float(target)).to(logits.device)
    )


def main() -> None:
    """Train for a number of images, and print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["generation", "upscaling"])
    parser.add_argument("loop", choices=["plain", "with_transform", "bf16"])
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    random.seed(0)
    fast = args.loop == "bf16"
    source = datasets.load_dataset(args.dataset, split="train")
    column = next(name for name, feature in source.features.items() if isinstance(feature, datasets.Image))
    transform: Callable[[Image.Image], Any] = _SQUARES if args.task == "generation" else _pair
    pictures: Any = _Pictures(source, column, transform)
    if args.loop == "with_transform":
        pictures = source.with_transform(lambda rows: {"pictures": [transform(image) for image in rows[column]]})
    loader: Any = DataLoader(
        pictures,
        args.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=2,
        persistent_workers=True,
        multiprocessing_context="fork",  # the transform is no function of a module
    )
    trainer: GAN | SR = GAN(fast) if args.task == "generation" else SR(fast)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if args.loop == "with_transform":
        accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="no")
        n = len(trainer.networks)
        prepared = accelerator.prepare(*trainer.networks, *trainer.optimizers, loader)
        trainer.networks, trainer.optimizers, loader = list(prepared[:n]), list(prepared[n:-1]), prepared[-1]
        backward: Callable[[Tensor], None] = accelerator.backward
    else:
        trainer.networks = [network.to(device) for network in trainer.networks]
        backward = Tensor.backward

    def cast() -> Any:
        return torch.autocast(device.type, torch.bfloat16) if fast else nullcontext()

    steps: list[float] = []
    waited: list[float] = []
    seen = 0
    batches = _for_ever(loader)
    while seen < args.images:
        start = perf_counter()
        batch = next(batches)
        batch = batch["pictures"] if isinstance(batch, dict) else batch
        ready = perf_counter()
        tensors = [
            tensor.to(device, memory_format=torch.channels_last if fast else torch.preserve_format)
            for tensor in (batch if isinstance(batch, list | tuple) else [batch])
        ]
        trainer.step(tensors if args.task == "upscaling" else tensors[0], cast, backward)  # type: ignore[arg-type]
        steps.append(perf_counter() - start)
        waited.append(ready - start)
        seen += args.batch_size
    print(json.dumps({"steps": steps, "waited": waited}))


def _for_ever(loader: Iterable[Any]) -> Any:
    while True:
        yield from loader


if __name__ == "__main__":
    main()
