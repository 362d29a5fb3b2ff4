"""Pictures turned into training images: a fixed part that is done once, and a random part for each draw."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from hubgan.errors import ConfigError, DataError, ImageError, Remedy
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

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the training images."""
        return self.channels, self.size, self.size

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
            uint8 (N, *`self.shape`), a new tensor on the same device.
        """


class Squares(Transform):
    """The largest centred square, scaled to `size` x `size`; mirrored left to right at random if `flip`.

    Transparency becomes white, grey becomes RGB, and RGB becomes grey when `channels` is 1.

    Args:
        load_size: the side to scale to, of which `augment` takes a random crop of `size`; by default `size`.
    """

    unusable = "unusable"

    def __init__(self, *, size: int, channels: int, flip: bool, load_size: int | None = None) -> None:
        super().__init__(size=size, channels=channels, flip=flip)
        self.load_size = size if load_size is None else load_size
        if self.load_size < size:
            raise ConfigError(
                f"load_size is {load_size}, but a crop has {size} pixels",
                Remedy(f"Use {size} or more, or None", f"Set --load_size to {size} or more, or to None"),
            )
        self.draws = int(flip) + 2 * (self.load_size > size)
        self.key = f"squares-{self.load_size}-{channels}"

    def prepare(self, image: Image.Image) -> Tensor:
        return to_tensor(fit(image, self.load_size, self.channels))

    def middle(self, images: Tensor) -> Tensor:
        """The middle of prepared images, as large as training images."""
        start = (self.load_size - self.size) // 2
        return images[..., start : start + self.size, start : start + self.size]

    def augment(self, pixels: Sequence[Tensor] | Tensor, draws: Tensor) -> Tensor:
        if self.load_size > self.size:
            pixels = _cropped(pixels, self.size, draws[:, -2:])
        images = pixels if isinstance(pixels, Tensor) else torch.stack(list(pixels))
        if not self.flip:
            return images.clone() if images is pixels else images
        return _chosen(images, images.flip(-1), draws[:, 0])


class PairedSquares(Squares):
    """Both pictures of a pair, an input and a target, as `Squares` makes them; cropped and mirrored together.

    A pair is one image, so that it is kept and carried as one: the channels of the target, then those of the input.

    Args:
        input_channels: of the input, 1 or 3.
    """

    def __init__(
        self, *, size: int, channels: int, flip: bool, load_size: int | None = None, input_channels: int = 3
    ) -> None:
        super().__init__(size=size, channels=channels, flip=flip, load_size=load_size)
        self.input_channels = input_channels
        self.key = f"paired-squares-{self.load_size}-{channels}-{input_channels}"

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels + self.input_channels, self.size, self.size

    def prepare(self, image: Image.Image, given: Image.Image | None = None) -> Tensor:
        """The fixed part: the target and the input of a pair, to uint8 (channels + input_channels, load_size,
        load_size).

        Raises:
            DataError: the pictures have different shapes.
        """
        if given is None:
            raise TypeError("a pair has two pictures")
        (width, height), (given_width, given_height) = image.size, given.size
        if abs(width * given_height - given_width * height) > max(width * given_height, given_width * height) * 0.01:
            raise DataError(
                f"the target picture has {width} x {height} pixels and its input {given_width} x {given_height}."
                " Their aspect ratios differ, so they do not show the same",
                "Crop or resize one of them, or remove this pair",
            )
        return torch.cat([super().prepare(image), to_tensor(fit(given, self.load_size, self.input_channels))])

    def split(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The targets (..., channels, H, W) and the inputs (..., input_channels, H, W) of prepared images."""
        target, given = images.split((self.channels, self.input_channels), dim=-3)
        return target, given


class UnpairedSquares(PairedSquares):
    """Pictures of two domains, inputs and targets that do not belong together, each as `Squares` makes it.

    A picture of each is one image, as in `PairedSquares`, but each is prepared, cropped and mirrored by itself.

    Attributes:
        inputs, targets: the transforms of the two domains. `prepare` is that of the inputs.
    """

    def __init__(self, *, size: int, channels: int, flip: bool, load_size: int | None = None) -> None:
        super().__init__(size=size, channels=channels, flip=flip, load_size=load_size, input_channels=channels)
        self.inputs, self.targets = (
            Squares(size=size, channels=channels, flip=flip, load_size=load_size) for _ in range(2)
        )

    def prepare(self, image: Image.Image, given: Image.Image | None = None) -> Tensor:
        """The fixed part of an input, to uint8 (channels, size, size)."""
        return self.inputs.prepare(image)


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
        return self._plain(image, (width, height))

    def _plain(self, image: Image.Image, size: tuple[int, int] | None = None) -> Tensor:
        """A whole picture, of another size if one is given, as uint8 (channels, H, W)."""
        plain = flatten(image).convert("L" if self.channels == 1 else "RGB")
        return to_tensor(plain.resize(size or image.size, Image.Resampling.BICUBIC))  # of the same size: a copy

    def augment(self, pixels: Sequence[Tensor] | Tensor, draws: Tensor) -> Tensor:
        return self._turned(_cropped(pixels, self.size, draws), draws)

    def _turned(self, crops: Tensor, draws: Tensor) -> Tensor:
        if self.flip:
            for column, dimension in ((2, -1), (3, -2)):
                crops = _chosen(crops, crops.flip(dimension), draws[:, column])
            crops = _chosen(crops, crops.transpose(-1, -2), draws[:, 4])
        return crops


class PairedCrops(Crops):
    """The same random crop of both pictures of a pair: an input, and a target that is `scale` times as large.

    A pair is one image, so that it is kept, cropped and carried as one: the target in blocks of `scale` x `scale`
    pixels (`pixel_unshuffle`), and the input as further channels. `size` is that of the target's crops.

    Args:
        scale: how many times as large the target is, a side.
    """

    def __init__(self, *, size: int, channels: int, flip: bool, scale: int = 1) -> None:
        super().__init__(size=size, channels=channels, flip=flip)
        if scale < 1 or size % scale:
            raise ConfigError(f"a crop of {size} pixels has no input at scale {scale}", "Use a multiple of the scale")
        self.scale = scale
        self.key = f"pairs-{scale}-{size}-{channels}"

    @property
    def shape(self) -> tuple[int, int, int]:
        side = self.size // self.scale
        return self.channels * (self.scale**2 + 1), side, side

    def prepare(self, image: Image.Image, given: Image.Image | None = None) -> Tensor:
        """The fixed part: the target and the input picture of a pair, to uint8 (channels * (scale^2 + 1), h, w).

        Raises:
            ImageError: the target is smaller than a crop.
            DataError: the target is not exactly `scale` times as large as the input.
        """
        if given is None:
            raise TypeError("a pair has two pictures")
        if image.size != (given.width * self.scale, given.height * self.scale):
            raise self._misfit(image.size, given.size)
        return self._joined(super().prepare(image), self._plain(given))

    def augment(self, pixels: Sequence[Tensor] | Tensor, draws: Tensor) -> Tensor:
        crops = _cropped(pixels, self.size // self.scale, draws)
        return self._joined(*(self._turned(part, draws) for part in self.split(crops)))

    def split(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The targets (..., channels, H, W) and the inputs (..., channels, H/scale, W/scale) of prepared images."""
        blocks, given = images.split((self.channels * self.scale**2, self.channels), dim=-3)
        return pixel_shuffle(blocks, self.scale), given

    def _joined(self, target: Tensor, given: Tensor) -> Tensor:
        return torch.cat([pixel_unshuffle(target, self.scale), given], dim=-3)

    def _misfit(self, target: tuple[int, int], given: tuple[int, int]) -> DataError:
        (width, height), (given_width, given_height), scale = target, given, self.scale
        wanted = f"{scale} times as large on both sides" if scale > 1 else "of the same size"
        message = (
            f"the target picture has {width} x {height} pixels and its input {given_width} x {given_height},"
            f" but the target must be {wanted}"
        )
        other = width // given_width
        if other != scale and (width, height) == (given_width * other, given_height * other):
            return DataError(message, Remedy(f"Use the scale {other}", f"Pass --upscaler.scale {other}"))
        if width < given_width and height < given_height:
            return DataError(
                message,
                Remedy("Swap column and input_column", "Swap --image_column and --input_column"),
            )
        fitting = f"{given_width * scale} x {given_height * scale}"
        return DataError(message, f"Crop or resize the target to {fitting} pixels, or remove this pair")


def _cropped(pixels: Sequence[Tensor] | Tensor, side: int, draws: Tensor) -> Tensor:
    """Crops of `side` pixels, (N, C, side, side), at the places that the first two draws of each choose."""
    crops = []
    for image, (vertical, horizontal) in zip(pixels, draws[:, :2].tolist(), strict=True):
        # In Python's double precision a draw below 1 never rounds up to the position after the last.
        top, left = int(vertical * (image.shape[1] - side + 1)), int(horizontal * (image.shape[2] - side + 1))
        crops.append(image[:, top : top + side, left : left + side])
    return torch.stack(crops)


def _chosen(images: Tensor, others: Tensor, draws: Tensor) -> Tensor:
    """Images, replaced by the others if the draw is below 0.5; indexing whole images is faster than `torch.where`."""
    count = len(images)
    chosen = torch.arange(count, device=images.device) + count * (draws < 0.5)
    return torch.cat([images, others]).index_select(0, chosen)
