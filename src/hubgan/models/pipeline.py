"""The inputs and outputs of diffusers' pipelines: pictures one by one or in a batch; as PIL, arrays or tensors."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hubgan.errors import ConfigError, ImageError
from hubgan.media.images import WHITE_16, ImageInput, to_image

OutputType: TypeAlias = Literal["pil", "np", "pt"]
Pictures: TypeAlias = str | Path | bytes | Image.Image | np.ndarray | list[Any]
"""A picture, several, or a batch; a tensor is one too, but a batch as the first argument goes to `forward`."""
Images: TypeAlias = list[Image.Image] | np.ndarray | Tensor


def check_output_type(output_type: str) -> None:
    """Raise ConfigError for an unknown type, before the work rather than after it."""
    if output_type not in get_args(OutputType):
        raise ConfigError(f"unknown output_type {output_type!r}", "Use 'pil', 'np' or 'pt'")


def as_output(images: Tensor | Sequence[Image.Image], output_type: str) -> Images:
    """Images as a list of PIL images ("pil"), an array (N, H, W, C) ("np") or a tensor (N, C, H, W) ("pt").

    Args:
        images: PIL images, or a float32 tensor (N, C, H, W) in [0, 1] on the CPU. "np" and "pt" are float32 in [0, 1]
            too.
        output_type: "pil", "np" or "pt".

    Raises:
        ConfigError: an unknown `output_type`.
        ImageError: PIL images of different sizes or modes are to be one array or tensor.
    """
    check_output_type(output_type)
    if isinstance(images, Tensor):
        if output_type == "pil":
            return [to_image(image) for image in images]
        return images.permute(0, 2, 3, 1).numpy() if output_type == "np" else images
    if output_type == "pil":
        return list(images)
    shapes = {f"{image.width} x {image.height} {image.mode}" for image in images}
    if len(shapes) > 1:
        raise ImageError(
            f"images of different shapes ({', '.join(sorted(shapes))}) cannot form a batch", "Use output_type='pil'"
        )
    white = WHITE_16 if images[0].mode == "I;16" else 255
    batch = torch.from_numpy(np.stack([np.atleast_3d(np.asarray(image, np.float32)) for image in images]) / white)
    return as_output(batch.permute(0, 3, 1, 2).contiguous(), output_type)


if TYPE_CHECKING:
    from diffusers import ImagePipelineOutput

    T = TypeVar("T", list[Image.Image], np.ndarray, Tensor)

    class PipelineOutput(ImagePipelineOutput, Generic[T]):
        """`diffusers.ImagePipelineOutput`, with the type that `output_type` gives its images."""

        images: T


def pipeline_output(images: Images, return_dict: bool = True) -> Any:
    """diffusers.ImagePipelineOutput with `images` as its `.images`; or the tuple (images,)."""
    if not return_dict:
        return (images,)
    from diffusers import ImagePipelineOutput  # here, as it takes a while to import

    return ImagePipelineOutput(images=images)


def one_by_one(images: ImageInput | Sequence[Any]) -> list[ImageInput]:
    """One picture, a list of pictures, or a batch (a tensor (N, C, H, W), an array (N, H, W, C)) as a list."""
    if isinstance(images, list | tuple):
        return [picture for item in images for picture in one_by_one(item)]
    if isinstance(images, np.ndarray | Tensor) and images.ndim == 4:
        return list(images)
    return [images]  # type: ignore[list-item]
