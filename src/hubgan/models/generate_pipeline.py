"""A generator called as diffusers' DDPMPipeline."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from typing_extensions import TypedDict, Unpack

from hubgan.errors import ConfigError
from hubgan.models.labels import Labels
from hubgan.models.pipeline import Images, OutputType, pipeline_output
from hubgan.runtime.seeding import normals

if TYPE_CHECKING:
    from hubgan.models.pipeline import PipelineOutput


class _Options(TypedDict, total=False):
    """The classes of a call, which are passed by name."""

    labels: Labels | None
    class_labels: Labels | None


class GeneratePipeline(nn.Module):
    """The calls of that pipeline, made of `images_from`."""

    labels: tuple[str, ...]
    latent_dim: int

    @abstractmethod
    def label_ids(self, n: int, labels: Labels | None = None, *, seed: int | None = None) -> Tensor | None:
        """The classes of `n` images as numbers."""

    @abstractmethod
    def images_from(
        self, latents: Tensor, labels: Tensor | None = None, *, batch_size: int = 64, output_type: OutputType = "pil"
    ) -> Images:
        """Latents to images."""

    @overload
    def __call__(self, latents: Tensor, labels: Tensor | None = ...) -> Tensor: ...
    @overload
    def __call__(
        self,
        batch_size: int = ...,
        generator: torch.Generator | list[torch.Generator] | None = ...,
        num_inference_steps: int = ...,
        *,
        output_type: Literal["pil"] = ...,
        return_dict: Literal[True] = ...,
        **options: Unpack[_Options],
    ) -> "PipelineOutput[list[Image.Image]]": ...
    @overload
    def __call__(
        self,
        batch_size: int = ...,
        generator: torch.Generator | list[torch.Generator] | None = ...,
        num_inference_steps: int = ...,
        *,
        output_type: Literal["np"],
        return_dict: Literal[True] = ...,
        **options: Unpack[_Options],
    ) -> "PipelineOutput[np.ndarray]": ...
    @overload
    def __call__(
        self,
        batch_size: int = ...,
        generator: torch.Generator | list[torch.Generator] | None = ...,
        num_inference_steps: int = ...,
        *,
        output_type: Literal["pt"],
        return_dict: Literal[True] = ...,
        **options: Unpack[_Options],
    ) -> "PipelineOutput[Tensor]": ...
    @overload
    def __call__(
        self,
        batch_size: int = ...,
        generator: torch.Generator | list[torch.Generator] | None = ...,
        num_inference_steps: int = ...,
        *,
        output_type: Literal["pil"] = ...,
        return_dict: Literal[False],
        **options: Unpack[_Options],
    ) -> "tuple[list[Image.Image]]": ...
    @overload
    def __call__(
        self,
        batch_size: int = ...,
        generator: torch.Generator | list[torch.Generator] | None = ...,
        num_inference_steps: int = ...,
        *,
        output_type: Literal["np"],
        return_dict: Literal[False],
        **options: Unpack[_Options],
    ) -> "tuple[np.ndarray]": ...
    @overload
    def __call__(
        self,
        batch_size: int = ...,
        generator: torch.Generator | list[torch.Generator] | None = ...,
        num_inference_steps: int = ...,
        *,
        output_type: Literal["pt"],
        return_dict: Literal[False],
        **options: Unpack[_Options],
    ) -> "tuple[Tensor]": ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Latents go through the network (`forward`); any other call is that of a `diffusers.DDPMPipeline`.

        So code written for such a pipeline runs with a generator in its place. Its arguments, by position or name:
        `batch_size` (1), `generator` (a `torch.Generator`, or a list of one for each image, which draw the latents),
        `num_inference_steps` (no effect: a GAN makes an image in one step), `output_type` ("pil"; "np" or "pt" as in
        `images_from`) and `return_dict` (True). `labels`, or `class_labels` as in `diffusers.DiTPipeline`, is a name
        or a number for each image, drawn at random like the latents if it is left out.

        Returns:
            `diffusers.ImagePipelineOutput`, whose `images` hold the result; a tuple of the images if `return_dict` is
            False; or, for latents, the network's output in [-1, 1].

        Raises:
            ConfigError: a batch size below 1, a list of generators of another length, or both `labels` and
                `class_labels`.
        """
        if "latents" in kwargs or (args and isinstance(args[0], Tensor)):
            return super().__call__(*args, **kwargs)
        return self._pipeline(*args, **kwargs)

    def _pipeline(
        self,
        batch_size: int = 1,
        generator: torch.Generator | list[torch.Generator] | None = None,
        num_inference_steps: int = 1,
        output_type: OutputType = "pil",
        return_dict: bool = True,
        class_labels: Labels | None = None,
        labels: Labels | None = None,
    ) -> Any:
        if labels is not None:
            if class_labels is not None:
                raise ConfigError("labels and class_labels are the same argument", "Pass only one of them")
            class_labels = labels
        if class_labels is not None and not isinstance(class_labels, int | str):
            if batch_size not in (1, len(class_labels)):
                raise ConfigError(
                    f"batch_size is {batch_size}, but there are {len(class_labels)} labels", "Leave out one of the two"
                )
            batch_size = len(class_labels)
        if batch_size < 1 or (isinstance(generator, list) and len(generator) != batch_size):
            generators = f" for {len(generator)} generators" if isinstance(generator, list) else ""
            raise ConfigError(
                f"batch_size is {batch_size}{generators}",
                "Use a batch_size of at least 1, and one generator, or a list with one for each image",
            )
        if isinstance(generator, list):
            latents = torch.cat([normals(source, 1, self.latent_dim) for source in generator])
        else:
            latents = normals(generator, batch_size, self.latent_dim)
        if self.labels and class_labels is None:
            sources = generator if isinstance(generator, list) else [generator] * batch_size
            class_labels = [int(torch.randint(len(self.labels), (1,), generator=source, device=_device(source)))
                            for source in sources]  # fmt: skip
        numbers = self.label_ids(batch_size, class_labels)
        return pipeline_output(self.images_from(latents, numbers, output_type=output_type), return_dict)


def _device(source: torch.Generator | None) -> torch.device | str:
    return source.device if source else "cpu"
