"""What training sees of a picture: what is made of it once, and what is drawn at random each time."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from hubgan.errors import ConfigError, ImageError
from hubgan.images import fit, flatten, to_tensor


class View(ABC):
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
            raise ConfigError(f"A picture cannot be {size} x {size} x {channels}: size >= 1, channels 1 or 3.")
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


class Squares(View):
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
        return _flip(images, draws[:, 0], -1)


class Crops(View):
    """A square of `size` x `size` at a random place of the whole picture; mirrored both ways at random if `flip`.

    Every place is equally likely. Transparency becomes white, grey becomes RGB, and RGB becomes grey when `channels`
    is 1. Pictures smaller than a crop are refused.
    """

    def __init__(self, *, size: int, channels: int, flip: bool) -> None:
        super().__init__(size=size, channels=channels, flip=flip)
        self.draws = 4 if flip else 2
        self.key = f"whole-{size}-{channels}"
        self.unusable = f"smaller than a crop of {size} pixels"

    def prepare(self, image: Image.Image) -> Tensor:
        if min(image.size) < self.size:
            raise ImageError(f"{image.width} x {image.height} pixels are {self.unusable}")
        return to_tensor(flatten(image).convert("L" if self.channels == 1 else "RGB"))

    def augment(self, pixels: Sequence[Tensor] | Tensor, draws: Tensor) -> Tensor:
        crops = torch.stack(
            [self._crop(image, *places) for image, places in zip(pixels, draws[:, :2].tolist(), strict=True)]
        )
        if self.flip:
            for column, dimension in ((2, -1), (3, -2)):
                crops = _flip(crops, draws[:, column], dimension)
        return crops

    def _crop(self, image: Tensor, vertical: float, horizontal: float) -> Tensor:
        # In Python's double precision a draw below 1 never rounds up to the place after the last.
        top = int(vertical * (image.shape[1] - self.size + 1))
        left = int(horizontal * (image.shape[2] - self.size + 1))
        return image[:, top : top + self.size, left : left + self.size]


def _flip(images: Tensor, draws: Tensor, dimension: int) -> Tensor:
    """Flip those images whose draw is below a half; by choosing whole images, which is faster than `torch.where`."""
    count = len(images)
    chosen = torch.arange(count, device=images.device) + count * (draws < 0.5)
    return torch.cat([images, images.flip(dimension)]).index_select(0, chosen)
