"""Pictures turned into training images: a fixed part that is done once, and a random part for each draw."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from hubgan.errors import ConfigError, ImageError
from hubgan.media.images import fit, flatten, to_tensor


class Transform(ABC):
    """Turns a picture into a training image, in a fixed part and a random one.

    Attributes:
        draws: the number of uniform random numbers in [0, 1) that `augment` needs for each image.
        key: identifies `prepare` and its options; part of a file name.
        unusable: describes the pictures that `prepare` refuses, such as "smaller than a crop of 32 pixels".
    """

    draws: int
    key: str
    unusable: str

    def __init__(self, *, size: int, channels: int, flip: bool) -> None:
        if size < 1 or channels not in (1, 3):
            raise ConfigError(
                f"a picture cannot be {size} x {size} x {channels}", "Use a size >= 1, and channels 1 or 3"
            )
        self.size, self.channels, self.flip = size, channels, flip

    @abstractmethod
    def prepare(self, image: Image.Image) -> Tensor:
        """The fixed part: a picture to uint8 (C, H, W), the same each time. Raises ImageError for an unusable one."""

    @abstractmethod
    def augment(self, pixels: Sequence[Tensor] | Tensor, draws: Tensor) -> Tensor:
        """The random part: prepared images to training images.

        Args:
            pixels: N prepared images, uint8 (C, H, W), or all in one tensor (N, C, H, W).
            draws: float (N, `self.draws`) in [0, 1), on the device of the pixels.

        Returns:
            uint8 (N, C, size, size), a new tensor on the same device.
        """


class Squares(Transform):
    """The largest centred square, scaled to `size` x `size`; mirrored left to right at random if `flip`.

    Transparency becomes white, grey becomes RGB, and RGB becomes grey when `channels` is 1.
    """

    unusable = "unusable"

    def __init__(self, *, size: int, channels: int, flip: bool) -> None:
        super().__init__(size=size, channels=channels, flip=flip)
        self.draws = int(flip)
        self.key = f"squares-{size}-{channels}"

    def prepare(self, image: Image.Image) -> Tensor:
        return to_tensor(fit(image, self.size, self.channels))

    def augment(self, pixels: Sequence[Tensor] | Tensor, draws: Tensor) -> Tensor:
        images = pixels if isinstance(pixels, Tensor) else torch.stack(list(pixels))
        if not self.flip:
            return images.clone() if images is pixels else images
        return _chosen(images, images.flip(-1), draws[:, 0])


class Crops(Transform):
    """A random crop of `size` x `size` pixels; mirrored and turned at random if `flip`.

    Every position is equally likely, and so are the eight orientations of a square. Transparency becomes white, grey
    becomes RGB, and RGB becomes grey if `channels` is 1. Pictures smaller than a crop are refused.

    Args:
        reduce: the factor, above 0 and at most 1, by which pictures are resized first. Below 1 the blocks of a JPEG
            are no longer at positions that a network could learn.
    """

    def __init__(self, *, size: int, channels: int, flip: bool, reduce: float = 1.0) -> None:
        super().__init__(size=size, channels=channels, flip=flip)
        if not 0 < reduce <= 1:
            raise ConfigError(f"reduce is {reduce:g}", "Use a value above 0 and at most 1")
        self.reduce = reduce
        self.draws = 5 if flip else 2
        self.key = f"whole-{size}-{channels}"
        self.unusable = f"smaller than a crop of {size} pixels"
        if reduce < 1:
            self.key += f"-{reduce:g}"
            self.unusable += f", made {reduce:g} times as large"

    def prepare(self, image: Image.Image) -> Tensor:
        width, height = (round(side * self.reduce) for side in image.size)
        if min(width, height) < self.size:
            raise ImageError(f"{image.width} x {image.height} pixels are {self.unusable}")
        plain = flatten(image).convert("L" if self.channels == 1 else "RGB")
        return to_tensor(plain.resize((width, height), Image.Resampling.BICUBIC))  # of the same size: a copy

    def augment(self, pixels: Sequence[Tensor] | Tensor, draws: Tensor) -> Tensor:
        crops = torch.stack(
            [self._crop(image, *places) for image, places in zip(pixels, draws[:, :2].tolist(), strict=True)]
        )
        if self.flip:
            for column, dimension in ((2, -1), (3, -2)):
                crops = _chosen(crops, crops.flip(dimension), draws[:, column])
            crops = _chosen(crops, crops.transpose(-1, -2), draws[:, 4])
        return crops

    def _crop(self, image: Tensor, vertical: float, horizontal: float) -> Tensor:
        # In Python's double precision a draw below 1 never rounds up to the position after the last.
        top = int(vertical * (image.shape[1] - self.size + 1))
        left = int(horizontal * (image.shape[2] - self.size + 1))
        return image[:, top : top + self.size, left : left + self.size]


def _chosen(images: Tensor, others: Tensor, draws: Tensor) -> Tensor:
    """Images, replaced by the others if the draw is below 0.5; indexing whole images is faster than `torch.where`."""
    count = len(images)
    chosen = torch.arange(count, device=images.device) + count * (draws < 0.5)
    return torch.cat([images, others]).index_select(0, chosen)
