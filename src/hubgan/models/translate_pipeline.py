"""A translator called as diffusers' pipelines are."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from PIL import Image
from torch import Tensor, nn
from typing_extensions import TypedDict, Unpack

from hubgan.errors import ImageError
from hubgan.media.images import ImageInput
from hubgan.models.pipeline import OutputType, Pictures, as_output, check_output_type, one_by_one, pipeline_output

if TYPE_CHECKING:
    from hubgan.models.pipeline import PipelineOutput


class _Options(TypedDict, total=False):
    """What a call passes on to `translate`."""

    seed: int | None
    size: int | None
    prepare: bool


class TranslatePipeline(nn.Module):
    """Calls that return what a pipeline returns, made of `translate`."""

    @abstractmethod
    def translate(
        self, image: ImageInput, *, seed: int | None = None, size: int | None = None, prepare: bool = False
    ) -> Image.Image:
        """Translate one picture."""

    @overload
    def __call__(self, images: Tensor, latents: Tensor | None = ...) -> Tensor: ...
    @overload
    def __call__(
        self,
        image: Pictures | Tensor,
        *,
        output_type: Literal["pil"] = ...,
        return_dict: Literal[True] = ...,
        **options: Unpack[_Options],
    ) -> "PipelineOutput[list[Image.Image]]": ...
    @overload
    def __call__(
        self,
        image: Pictures | Tensor,
        *,
        output_type: Literal["np"],
        return_dict: Literal[True] = ...,
        **options: Unpack[_Options],
    ) -> "PipelineOutput[np.ndarray]": ...
    @overload
    def __call__(
        self,
        image: Pictures | Tensor,
        *,
        output_type: Literal["pt"],
        return_dict: Literal[True] = ...,
        **options: Unpack[_Options],
    ) -> "PipelineOutput[Tensor]": ...
    @overload
    def __call__(
        self,
        image: Pictures | Tensor,
        *,
        output_type: Literal["pil"] = ...,
        return_dict: Literal[False],
        **options: Unpack[_Options],
    ) -> "tuple[list[Image.Image]]": ...
    @overload
    def __call__(
        self,
        image: Pictures | Tensor,
        *,
        output_type: Literal["np"],
        return_dict: Literal[False],
        **options: Unpack[_Options],
    ) -> "tuple[np.ndarray]": ...
    @overload
    def __call__(
        self,
        image: Pictures | Tensor,
        *,
        output_type: Literal["pt"],
        return_dict: Literal[False],
        **options: Unpack[_Options],
    ) -> "tuple[Tensor]": ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """A batch (N, C, H, W) goes to `forward`; any other call translates pictures, as `translate` does.

        Args:
            image: a picture as in `translate`, a list of them, or an array (N, H, W, C).
            seed, size, prepare: as in `translate`; all pictures have the same.
            output_type: "pil" (the default) for a list of PIL images, "np" for an array (N, H, W, C), "pt" for a
                tensor (N, C, H, W) on the CPU, both float32 in [0, 1].
            return_dict: return diffusers.ImagePipelineOutput, whose `images` hold the result; else the tuple of it.

        Raises:
            ImageError: there is no picture, or the results differ in size and are to be an array; or as `translate`.
            ConfigError: an unknown `output_type`; or as `translate`.
            ModelError: as `translate`.
        """
        if "images" in kwargs or (args and isinstance(args[0], Tensor) and args[0].ndim == 4):
            return super().__call__(*args, **kwargs)
        return self._pipeline(*args, **kwargs)

    def _pipeline(
        self,
        image: ImageInput | list[Any],
        *,
        output_type: OutputType = "pil",
        return_dict: bool = True,
        **options: Unpack[_Options],
    ) -> Any:
        check_output_type(output_type)
        pictures = one_by_one(image)
        if not pictures:
            raise ImageError("there is no picture", "Pass one, or a list of them")
        return pipeline_output(
            as_output([self.translate(picture, **options) for picture in pictures], output_type), return_dict
        )
