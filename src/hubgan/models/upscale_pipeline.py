"""An upscaler called as diffusers' StableDiffusionUpscalePipeline."""

import logging
from abc import abstractmethod
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from PIL import Image
from torch import Tensor, nn

from hubgan.errors import ConfigError, ImageError
from hubgan.media.images import ImageInput
from hubgan.models.pipeline import Pictures, as_output, check_output_type, one_by_one, pipeline_output

if TYPE_CHECKING:
    from hubgan.models.pipeline import PipelineOutput

logger = logging.getLogger(__name__)

AUTO: Literal["auto"] = "auto"
# Further arguments of diffusers' StableDiffusionUpscalePipeline, whose model has steps and reads a prompt.
_WITHOUT_EFFECT = {
    "eta",
    "generator",
    "latents",
    "prompt_embeds",
    "negative_prompt_embeds",
    "callback",
    "callback_steps",
    "cross_attention_kwargs",
    "clip_skip",
}


class UpscalePipeline(nn.Module):
    """The calls of that pipeline, made of `upscale`."""

    @abstractmethod
    def upscale(
        self, image: ImageInput, *, strength: float | Literal["auto"] = AUTO, tile: int | None = None
    ) -> Image.Image:
        """Enlarge one picture."""

    @overload
    def __call__(self, images: Tensor, *strength: Tensor) -> Tensor: ...
    @overload
    def __call__(
        self,
        prompt: Pictures | None = ...,
        image: Pictures | Tensor | None = ...,
        *,
        output_type: Literal["pil"] = ...,
        return_dict: Literal[True] = ...,
        strength: float | Literal["auto"] = ...,
        tile: int | None = ...,
        **options: Any,
    ) -> "PipelineOutput[list[Image.Image]]": ...
    @overload
    def __call__(
        self,
        prompt: Pictures | None = ...,
        image: Pictures | Tensor | None = ...,
        *,
        output_type: Literal["np"],
        return_dict: Literal[True] = ...,
        strength: float | Literal["auto"] = ...,
        tile: int | None = ...,
        **options: Any,
    ) -> "PipelineOutput[np.ndarray]": ...
    @overload
    def __call__(
        self,
        prompt: Pictures | None = ...,
        image: Pictures | Tensor | None = ...,
        *,
        output_type: Literal["pt"],
        return_dict: Literal[True] = ...,
        strength: float | Literal["auto"] = ...,
        tile: int | None = ...,
        **options: Any,
    ) -> "PipelineOutput[Tensor]": ...
    @overload
    def __call__(
        self,
        prompt: Pictures | None = ...,
        image: Pictures | Tensor | None = ...,
        *,
        output_type: Literal["pil"] = ...,
        return_dict: Literal[False],
        strength: float | Literal["auto"] = ...,
        tile: int | None = ...,
        **options: Any,
    ) -> "tuple[list[Image.Image]]": ...
    @overload
    def __call__(
        self,
        prompt: Pictures | None = ...,
        image: Pictures | Tensor | None = ...,
        *,
        output_type: Literal["np"],
        return_dict: Literal[False],
        strength: float | Literal["auto"] = ...,
        tile: int | None = ...,
        **options: Any,
    ) -> "tuple[np.ndarray]": ...
    @overload
    def __call__(
        self,
        prompt: Pictures | None = ...,
        image: Pictures | Tensor | None = ...,
        *,
        output_type: Literal["pt"],
        return_dict: Literal[False],
        strength: float | Literal["auto"] = ...,
        tile: int | None = ...,
        **options: Any,
    ) -> "tuple[Tensor]": ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """A batch (N, C, H, W) goes to `forward`; any other call is that of diffusers' StableDiffusionUpscalePipeline.

        So code written for that pipeline runs with an upscaler in its place. A single argument is the picture, so
        `upscaler(picture)` works too. A GAN takes one step and reads no prompt. The arguments `prompt` (with a
        warning), `num_inference_steps`, `guidance_scale`, `noise_level`, `negative_prompt`, `eta`, `generator`,
        `latents`, `callback` and the like are accepted and have no effect. Pictures keep their size, which that
        pipeline rounds.

        Args:
            prompt: ignored, with a warning if there is one; the picture, if it is the only argument by position.
            image: a picture as in `upscale`, a list of them, or a batch: a tensor (N, C, H, W) or an array
                (N, H, W, C).
            num_images_per_prompt: the number of equal copies of each result. 1 by default.
            output_type: "pil" (the default) for a list of PIL images, "np" for an array (N, H, W, C), "pt" for a
                tensor (N, C, H, W) on the CPU, both float32 in [0, 1].
            return_dict: return diffusers.ImagePipelineOutput, whose `images` hold the result; else the tuple of it.
            strength, tile: as in `upscale`.

        Raises:
            ImageError: there is no picture, one cannot be read, or they differ in size and are to be an array.
            ConfigError: `num_images_per_prompt` below 1 or an unknown `output_type`.
            TypeError: an argument that the pipeline does not have.
        """
        if "images" in kwargs or (args and isinstance(args[0], Tensor) and args[0].ndim == 4):
            return super().__call__(*args, **kwargs)
        if len(args) == 1 and not {"prompt", "image"} & kwargs.keys():
            args = ("", *args)
        return self._pipeline(*args, **kwargs)

    def _pipeline(
        self,
        prompt: str | list[str] | None = None,
        image: ImageInput | list[Any] | None = None,
        num_inference_steps: int = 1,
        guidance_scale: float = 1.0,
        noise_level: int = 0,
        negative_prompt: str | list[str] | None = None,
        num_images_per_prompt: int | None = 1,
        *,
        output_type: str = "pil",
        return_dict: bool = True,
        strength: float | Literal["auto"] = AUTO,
        tile: int | None = None,
        **without_effect: Any,
    ) -> Any:
        if unknown := without_effect.keys() - _WITHOUT_EFFECT:
            raise TypeError(f"{type(self).__name__}() has no argument {', '.join(sorted(unknown))}")
        check_output_type(output_type)
        copies = 1 if num_images_per_prompt is None else num_images_per_prompt
        if copies < 1:
            raise ConfigError(f"num_images_per_prompt must be 1 or more, got {copies}")
        pictures = [] if image is None else one_by_one(image)
        if not pictures:
            raise ImageError("there is no picture", "Pass one, or a list of them, as image=")
        if prompt and any([prompt] if isinstance(prompt, str) else prompt):
            _warn_of_prompt()
        large = [self.upscale(picture, strength=strength, tile=tile) for picture in pictures]
        large = [picture.copy() for picture in large for _ in range(copies)]
        return pipeline_output(as_output(large, output_type), return_dict)


@cache
def _warn_of_prompt() -> None:
    logger.warning("the prompt is ignored: a GAN enlarges what the picture shows")
