"""The image generator."""

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate, one_hot, pad

from hubgan.errors import ConfigError, Remedy, nearest
from hubgan.media.images import ImageInput
from hubgan.models.base import HubModel
from hubgan.models.directions import ganspace, moved, named, sefa
from hubgan.models.finite import is_finite, not_finite
from hubgan.models.generate_pipeline import GeneratePipeline
from hubgan.models.inversion import Inversion, invert
from hubgan.models.labels import Labels, check_labels, numbers_of
from hubgan.models.latents import positions, truncate, walk
from hubgan.models.pipeline import Images, OutputType, as_output, check_output_type
from hubgan.networks import GENERATORS
from hubgan.runtime.devices import same_kernels
from hubgan.runtime.seeding import normals, torch_generator

# The network always gets this many latents at once: kernels round differently for other batch sizes, and a seed must
# give the same images whatever the batch size. A larger group would be faster for many images and slower for a few.
GROUP = 16

Method: TypeAlias = Literal["sefa", "ganspace"]
"""How directions are found."""

_FEWEST, _SIDE = 1024, 32  # images for GANSpace, and their side in pixels


class Generator(GeneratePipeline, HubModel, pipeline_tag="unconditional-image-generation", tags=["gan"]):
    """Latents to images, with class labels if the model has classes.

    Args:
        architecture: the network, `dcgan` by default, `sngan` or `r3gan`.
        labels: the names of the classes; none by default.
        direction_names: names of `directions`, each with its number, such as `{"brightness": 0}`.
        **options: its options; for `dcgan` image_size (a power of two, 8 to 512, default 32), channels (1 or 3),
            latent_dim (100), width (64, channels at half the image's resolution) and norm ("batch" or "none").

    Attributes:
        labels: the names of the classes, () for a model without classes.
        direction_names: the names of directions and their numbers; `name_directions` changes them.

    Raises:
        ConfigError: an unknown architecture or option, a value out of bounds, or names that are not different words.
    """

    networks = GENERATORS
    description = "An image generator"

    def __init__(
        self,
        architecture: str = "dcgan",
        *,
        labels: Sequence[str] = (),
        direction_names: Mapping[str, int] = MappingProxyType({}),
        **options: Any,
    ) -> None:
        if not isinstance(labels, list | tuple):
            raise ConfigError(f"labels must be a list of names, not {labels!r}")
        super().__init__(architecture, **(options | ({"classes": len(labels)} if labels else {})))
        classes: int = self.config["classes"]
        self.labels = tuple(labels) or tuple(map(str, range(classes)))
        if not all(isinstance(label, str) and label for label in self.labels) or len({*self.labels}) != classes:
            raise ConfigError(f"labels must be the {classes} class names, all different, not {list(labels)!r}")
        if classes:
            self.config["labels"] = list(self.labels)
        self.image_size: int = self.config["image_size"]
        self.channels: int = self.config["channels"]
        self.latent_dim: int = self.config["latent_dim"]
        self.direction_names: dict[str, int] = {}
        if direction_names:
            self.name_directions(direction_names)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, latent_dim), or (N, latent_dim, 1, 1), to images (N, channels, size, size) in [-1, 1].

        A model with classes needs their numbers too, int64 (N,), or their weights, float (N, classes). ValueError if
        they are missing, or are given to a model without classes.
        """
        images: Tensor = self.network(latents.reshape(latents.shape[0], self.latent_dim, 1, 1), labels)
        return images

    def latents(self, n: int, *, seed: int | None = None) -> Tensor:
        """`n` latents (n, latent_dim) from a standard normal, drawn on the CPU: a seed gives the same ones everywhere.

        With a larger `n` the first latents stay the same.
        """
        return normals(torch_generator(seed), n, self.latent_dim)

    def label_ids(self, n: int, labels: Labels | None = None, *, seed: int | None = None) -> Tensor | None:
        """The classes of `n` images as numbers, int64 (n,); None for a model without classes.

        Args:
            n: the number of images.
            labels: names or numbers, used in turn until there are `n`; None draws random ones.
            seed: of the random labels. With a larger `n` the first labels stay the same.

        Raises:
            ConfigError: an unknown label, or labels for a model without classes.
        """
        if labels is not None:
            return numbers_of(labels, n, self.labels)
        return (
            torch.randint(len(self.labels), (n,), generator=torch_generator(seed, "labels")) if self.labels else None
        )

    @overload
    def sample(
        self,
        n: int | None = ...,
        *,
        labels: Labels | None = ...,
        seed: int | None = ...,
        truncation: float | None = ...,
        batch_size: int = ...,
        output_type: Literal["pil"] = ...,
    ) -> list[Image.Image]: ...
    @overload
    def sample(
        self,
        n: int | None = ...,
        *,
        labels: Labels | None = ...,
        seed: int | None = ...,
        truncation: float | None = ...,
        batch_size: int = ...,
        output_type: Literal["np"],
    ) -> np.ndarray: ...
    @overload
    def sample(
        self,
        n: int | None = ...,
        *,
        labels: Labels | None = ...,
        seed: int | None = ...,
        truncation: float | None = ...,
        batch_size: int = ...,
        output_type: Literal["pt"],
    ) -> Tensor: ...
    def sample(
        self,
        n: int | None = None,
        *,
        labels: Labels | None = None,
        seed: int | None = None,
        truncation: float | None = None,
        batch_size: int = 64,
        output_type: OutputType = "pil",
    ) -> Images:
        """Make images.

        Args:
            n: the number of images, at least 1; by default as many as `labels`, else 1.
            labels: classes by name or number, such as `["horse", "ship"]`, used in turn until there are `n`; None
                draws random ones by the seed.
            seed: the same seed gives the same images on the same machine, whatever `batch_size` is; None is random.
                With a larger `n` the first images stay the same.
            truncation: the threshold of `hubgan.models.latents.truncate`. A lower one gives more typical and less
                diverse images; 1 to 2 are usual. None does not truncate.
            batch_size: the most images on the device at once, rounded up to a multiple of 16.
            output_type: as in `images_from`.

        Raises:
            ConfigError: `n` or `batch_size` is below 1 or no whole number, `truncation` not above 0, an unknown label
                or `output_type`, or labels for a model without classes.
            ModelError: the network computes NaN or infinity.
        """
        if n is None:
            n = 1 if labels is None or isinstance(labels, int | str) else len(labels)
        n = _count("n", n)
        numbers, latents = self.label_ids(n, labels, seed=seed), self.latents(n, seed=seed)
        if truncation is not None:
            latents = truncate(latents, truncation)
        return self.images_from(latents, numbers, batch_size=batch_size, output_type=output_type)

    def walk(
        self,
        seeds: Sequence[int] | Tensor,
        frames: int,
        *,
        labels: Labels | None = None,
        truncation: float | None = None,
        loop: bool = True,
        blend_labels: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The latents, and the labels, on a path from the first image of each seed to that of the next.

        Args:
            seeds: two or more, or the latents of two or more images, (k, latent_dim), such as `invert` finds them. In
                a `loop` the last one leads back to the first.
            frames: the number of images.
            labels: used for the seeds in turn, and changed half way between two seeds. None draws one label for all,
                by the first seed.
            truncation: as in `sample`.
            loop: whether the path ends where it began, so that the first image follows the last one.
            blend_labels: change the labels steadily from seed to seed, by weights of the classes.

        Returns:
            Arguments of `images_from` and `parts`: latents (frames, latent_dim), and for a model with classes the
            numbers of the labels (frames,), or their weights (frames, classes) if they are blended; else None.

        Raises:
            ConfigError: fewer than two seeds or fewer than one frame, labels to blend for a model without classes, or
                as in `sample`.
        """
        if len(seeds) < 2:
            raise ConfigError("a walk needs at least two seeds", "Pass two seeds or more")
        if isinstance(seeds, Tensor):
            self._check_latents(seeds)
            points, first = seeds, None
        else:
            points, first = torch.cat([self.latents(1, seed=seed) for seed in seeds]), seeds[0]
        if truncation is not None:
            points = truncate(points, truncation)
        number = 1 if labels is None else len(seeds)
        numbers = self.label_ids(number, labels, seed=first)
        way = walk(points, frames, loop=loop)
        if numbers is None:
            if blend_labels:
                raise ConfigError(
                    "this model has no classes, so no labels can be blended",
                    Remedy("Leave out blend_labels", "Remove --blend-labels"),
                )
            return way, None
        at = positions(len(seeds), frames, loop=loop)
        if not blend_labels:
            return way, numbers[(at + 0.5).floor().long() % len(seeds) % number]
        weights, start = one_hot(numbers, len(self.labels)).float(), at.floor().long()
        before, after = (weights[each % len(seeds) % number] for each in (start, start + 1))
        return way, torch.lerp(before, after, (at - start).float()[:, None])

    def directions(self, k: int = 8, *, method: Method | None = None) -> Tensor:
        """The directions in which latents change the image the most, found without labels: unit vectors.

        SeFa (Shen and Zhou 2021, https://arxiv.org/abs/2007.06600) takes those that the network's first layer
        stretches the most. GANSpace (Haerkoenen et al. 2020, https://arxiv.org/abs/2004.02546) takes the principal
        components of what the network makes of many latents: here of 1,024 images or more, as small ones.

        A direction is one of this model alone. It often changes several things at once, such as brightness and
        background, and it may mean something else for another image. Its largest number is positive.

        Args:
            k: the number of directions, the strongest first; with a larger `k` the first ones stay the same.
            method: "sefa" or "ganspace"; by default SeFa if the network says what its first layer is.

        Returns:
            float32 (k, latent_dim), the same at every call.

        Raises:
            ConfigError: `k` below 1 or more than there are, an unknown method, or SeFa for a network without
                `first_weight`.
        """
        k, found = _count("k", k), self._all_directions(method)
        if k > len(found):
            raise ConfigError(f"the model has {len(found)} directions, not {k}", f"Use k from 1 to {len(found)}")
        return found[:k]

    def _all_directions(self, method: Method | None) -> Tensor:
        weight = getattr(self.network, "first_weight", None)
        if method not in (None, *get_args(Method)):
            raise ConfigError(f"unknown method {method!r}", "Use 'sefa' or 'ganspace'")
        if method == "sefa" and weight is None:
            raise ConfigError(f"{self.config['architecture']} has no first_weight for SeFa", "Use 'ganspace'")
        return self._components() if weight is None or method == "ganspace" else sefa(weight)

    def _components(self) -> Tensor:
        n = max(_FEWEST, 4 * self.latent_dim)
        latents, labels, side = self.latents(n, seed=0), self.label_ids(n, seed=0), min(_SIDE, self.image_size)
        parts = self.parts(latents, labels, output_type="pt")
        return ganspace(latents, torch.cat([interpolate(torch.as_tensor(part), side, mode="area") for part in parts]))

    def name_directions(self, names: Mapping[str, int]) -> None:
        """Give `directions` names, in place of all earlier ones. `save_pretrained` and `push_to_hub` keep them.

        Args:
            names: each name with the number of its direction, from 0 on, such as `{"brightness": 0}`.

        Raises:
            ConfigError: a name that is empty or a number, a number that is no direction's, or two names for one.
        """
        known = named(names, self.latent_dim)
        self.direction_names = known
        self.config.pop("direction_names", None)
        if known:
            self.config["direction_names"] = dict(known)

    def edit(
        self,
        latents: Tensor,
        direction: int | str | Tensor,
        amount: float | Sequence[float] | Tensor,
        *,
        method: Method | None = None,
    ) -> Tensor:
        """Latents moved along a direction; several calls in a row move them along several.

        Args:
            latents: (n, latent_dim), or (latent_dim,) for one image.
            direction: the number of one of `directions`, its name, or a vector (latent_dim,) of any length.
            amount: how far, in standard deviations of the latents: -3 to 3 is usual, 0 changes nothing. Several, (m,),
                are for the latents in turn, or all for the only one.
            method: of `directions`.

        Returns:
            (n, latent_dim), or (m, latent_dim) if there is one latent and m amounts.

        Raises:
            ConfigError: an unknown direction, a vector of another shape, or amounts that are not finite numbers, or
                not as many as the latents.
        """
        self._check_latents(latents[None] if latents.ndim == 1 else latents)
        vector = self._direction(direction, method).to(latents)
        return moved(latents, vector, amount)

    def _direction(self, direction: int | str | Tensor, method: Method | None) -> Tensor:
        if isinstance(direction, Tensor):
            if direction.shape != (self.latent_dim,) or not 0 < float(direction.norm()) < math.inf:
                raise ConfigError(
                    f"a direction must be a finite vector ({self.latent_dim},) other than 0, got"
                    f" {tuple(direction.shape)}"
                )
            unit: Tensor = direction / direction.norm()
            return unit
        if isinstance(direction, str):
            return self._direction(self.direction_number(direction), method)
        number, found = operator.index(direction), self._all_directions(method)
        if not 0 <= number < len(found):
            raise ConfigError(f"there is no direction {number}", f"Use a number from 0 to {len(found) - 1}")
        return found[number]

    def invert(
        self,
        image: ImageInput,
        *,
        label: int | str | None = None,
        seed: int = 0,
        starts: int = 8,
        steps: int = 150,
        tuning_steps: int = 0,
        progress: Callable[[float], None] | None = None,
    ) -> Inversion:
        """Find the latents whose image is most like a picture, so that it can be walked and edited.

        Latents are drawn by the seed. The best of them are optimised, and the best of these is kept. The loss is a
        perceptual distance (EfficientNet-Lite0), the squared distance of pixels, and a pull to the length that latents
        usually have.

        A model can only show what is like its training images, so the image may differ a lot. Tuning (Roich et al.
        2021, https://arxiv.org/abs/2106.05744) then changes the weights of a copy, until its image is the picture.

        Args:
            image: a picture as in `Upscaler.upscale`. It is cropped to a square and scaled as in the training.
                Transparency becomes white; grey becomes RGB or the other way round, as the model needs it.
            label: its class by name or number; None finds one. Only for a model with classes.
            seed: the same one finds the same latents on the same machine.
            starts: how many drawn latents are optimised. More take longer, and may find a better image.
            steps: of optimising the latents.
            tuning_steps: of tuning the weights, 0 for none; 100 are usual.
            progress: called after each step with the share that is done; an exception that it raises ends the work.

        Returns:
            Latents, label, image, how near it is, and the tuned generator.

        Raises:
            ImageError: the picture cannot be read, is empty, or too large; or an array or tensor holds NaN.
            ConfigError: an unknown label, or one for a model without classes; numbers out of range; or the packages of
                the `train` extra are missing.
            ModelError: the network computes NaN or infinity.
        """
        if isinstance(tuning_steps, bool) or not isinstance(tuning_steps, int) or tuning_steps < 0:
            raise ConfigError(f"tuning_steps must be a whole number of 0 or more, not {tuning_steps!r}")
        return invert(
            self,
            image,
            label=label,
            seed=seed,
            starts=_count("starts", starts),
            steps=_count("steps", steps),
            tuning_steps=tuning_steps,
            progress=progress,
        )

    def direction_number(self, direction: str) -> int:
        """The number of a direction by its name, or by the number as a word.

        Raises:
            ConfigError: an unknown name.
        """
        if direction.isdecimal():  # from a command line
            return int(direction)
        if direction in self.direction_names:
            return self.direction_names[direction]
        remedy = nearest(direction, self.direction_names) if self.direction_names else "Use its number, from 0 on"
        raise ConfigError(f"the model has no direction {direction!r}", remedy)

    @torch.no_grad()
    def images_from(
        self,
        latents: Tensor,
        labels: Tensor | None = None,
        *,
        batch_size: int = 64,
        output_type: OutputType = "pil",
    ) -> Images:
        """Latents (n, latent_dim), and the labels of a model with classes, to n images.

        Args:
            latents: as `latents` draws them. An image depends only on its latent and label. Latents that are split at
                multiples of 16 give the same images, bit for bit, as all at once.
            labels: int64 (n,), as `label_ids` makes them; or weights of the classes, float (n, classes), to mix them.
            batch_size: the most images on the device at once, rounded up to a multiple of 16.
            output_type: "pil" for a list of PIL images, "np" for an array (n, size, size, channels) and "pt" for a
                tensor (n, channels, size, size) on the CPU, both float32 in [0, 1].

        Raises:
            ConfigError: latents of another shape, `batch_size` below 1, an unknown `output_type`, or labels that are
                missing, out of range, or given to a model without classes.
            ModelError: the network computes NaN or infinity.
        """
        self._check_latents(latents)
        batch_size = _count("batch_size", batch_size)
        check_labels(labels, len(latents), len(self.labels))
        check_output_type(output_type)
        was_training = self.training
        self.eval()
        try:
            missing, part = -len(latents) % GROUP, -(-batch_size // GROUP) * GROUP
            inputs = [pad(latents, (0, 0, 0, missing)).split(part)]
            if labels is not None:
                inputs.append(pad(labels, (*[0, 0] * (labels.ndim - 1), 0, missing)).split(part))
            images = torch.cat([self._make(*batch) for batch in zip(*inputs, strict=True)])[: len(latents)]
        finally:
            self.train(was_training)
        return as_output(images, output_type)

    def parts(
        self,
        latents: Tensor,
        labels: Tensor | None = None,
        *,
        batch_size: int = 64,
        output_type: OutputType = "pil",
    ) -> Iterator[Images]:
        """The images of `images_from` in parts, for more images than fit into memory at once.

        Args:
            latents, labels, output_type: as in `images_from`.
            batch_size: images in a part, rounded up to a multiple of 16.

        Raises:
            ConfigError, ModelError: as in `images_from`.
        """
        # Split elsewhere, the last bits of the images might differ.
        part = -(-_count("batch_size", batch_size) // GROUP) * GROUP
        for start in range(0, len(latents), part):
            here = slice(start, start + part)
            some = None if labels is None else labels[here]
            yield self.images_from(latents[here], some, batch_size=part, output_type=output_type)

    def _check_latents(self, latents: Tensor) -> None:
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim or not len(latents):
            raise ConfigError(f"latents must be (n, {self.latent_dim}), got {tuple(latents.shape)}")

    def _make(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        inputs = [latents.to(self.device, self.dtype).split(GROUP)]
        if labels is not None:
            inputs.append(labels.to(self.device).split(GROUP))
        with same_kernels():
            images = torch.cat([self(*group) for group in zip(*inputs, strict=True)])
        if not is_finite(images):
            raise not_finite(self)
        return images.float().add(1).div(2).clamp(0, 1).cpu()


def _count(name: str, value: object) -> int:
    """The value of an argument that counts something; a ConfigError if it does not."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError as error:
        raise ConfigError(f"{name} must be a whole number, not {value!r} ({type(value).__name__})") from error
    if number < 1:
        raise ConfigError(f"{name} must be 1 or more, got {number}")
    return number
