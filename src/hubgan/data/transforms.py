"""What training sees of a picture: what is made of it once, and what is drawn at random each time."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from hubgan.errors import ConfigError, ImageError
from hubgan.media.images import fit, flatten, to_tensor


class Transform(ABC):
    """A picture's way to a training image, in a fixed part and a random one.

    Attributes:
        draws: how many uniform numbers in [0, 1) `augment` wants for each image.
        key: identifies `prepare` and its options; part of a file name.
        unusable: what the pictures are that `prepare` refuses, such as "smaller than a crop of 32 pixels".
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
        """What is kept of a picture: uint8 (C, H, W), the same each time. Raises ImageError for an unusable one."""

    @abstractmethod
    def augment(self, pixels: Sequence[Tensor] | Tensor, draws: Tensor) -> Tensor:
        """Prepared images to training images.

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
    """A square of `size` x `size` at a random place of the whole picture; mirrored and turned at random if `flip`.

    Every place is equally likely, and so are the eight ways to lay a square. Transparency becomes white, grey becomes
    RGB, and RGB becomes grey when `channels` is 1. Pictures smaller than a crop are refused.

    Args:
        reduce: the pictures are made so many times as large first, 0 to 1: at less than 1 the blocks of a JPEG are no
            longer where a network could learn them.
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
        # In Python's double precision a draw below 1 never rounds up to the place after the last.
        top = int(vertical * (image.shape[1] - self.size + 1))
        left = int(horizontal * (image.shape[2] - self.size + 1))
        return image[:, top : top + self.size, left : left + self.size]


def _chosen(images: Tensor, others: Tensor, draws: Tensor) -> Tensor:
    """The others where the draw is below a half; by choosing whole images, which is faster than `torch.where`."""
    count = len(images)
    chosen = torch.arange(count, device=images.device) + count * (draws < 0.5)
    return torch.cat([images, others]).index_select(0, chosen)
