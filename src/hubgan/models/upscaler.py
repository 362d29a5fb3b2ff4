"""The image upscaler."""

import logging
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import fields
from functools import partial
from pathlib import Path
from statistics import median
from threading import Lock
from typing import Any, Literal, TypeVar

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import interpolate

from hubgan.errors import ConfigError, ModelError, Remedy
from hubgan.hub.download import ModelSource
from hubgan.media.images import LUMA, WHITE_16, ImageInput
from hubgan.models import community
from hubgan.models.base import HubModel
from hubgan.models.card import upscaler_purpose
from hubgan.models.config import CONFIG, PIXEL_WEIGHTS
from hubgan.models.finite import check_weights, is_finite, not_finite
from hubgan.models.picture import Picture, warn_of_parts
from hubgan.models.tiling import upscale_tiled
from hubgan.models.upscale_pipeline import AUTO, UpscalePipeline
from hubgan.models.weights import mix
from hubgan.networks import UPSCALERS
from hubgan.networks.community import COMMUNITY, CommunityNetwork
from hubgan.runtime.devices import computes_in_bf16

logger = logging.getLogger(__name__)

_TILE = 256
_LARGE_TILE = 512  # for networks that work best on the whole picture, within the limits of memory
SEEN, SEEN_SIDE = 9, 192
"""The strength is estimated by this number of parts of a picture, of this side in pixels."""
CLEARLY = 0.25
"""Twice the error of an estimated strength."""
FAINT = 0.1
"""An estimate below this counts as 0."""
_NO_STRENGTH = Remedy("Leave out strength", "Remove --strength")
_NO_FIDELITY = Remedy("Leave out fidelity", "Remove --fidelity")
_one_at_a_time = Lock()

Self = TypeVar("Self", bound="Upscaler")


class Upscaler(UpscalePipeline, HubModel, pipeline_tag="image-to-image", tags=["gan", "super-resolution"]):
    """Pictures to larger pictures.

    Args:
        architecture: the network, `edsr` by default; or one made elsewhere, as `from_pretrained` loads it.
        **options: its options; for `edsr` scale (4), channels (3), width (48), depth (10, blocks), stride (1) and
            strength (False).

    Raises:
        ConfigError: an unknown architecture or option, or a value out of bounds.
    """

    networks = UPSCALERS
    description = "An image upscaler"

    def __init__(self, architecture: str | CommunityNetwork = "edsr", **options: Any) -> None:
        if isinstance(architecture, CommunityNetwork):
            nn.Module.__init__(self)  # HubModel's builds a network by its name
            self.network, self.training_run = architecture, None
            self.config = {"architecture": COMMUNITY, **architecture.options, **options}
        else:
            super().__init__(architecture, **options)
        self._origin: ModelSource | None = None
        self._fidelity = 0.0
        self._overflows = False  # in half precision
        self._at: dict[float, Upscaler] = {}  # the last other fidelity asked for, no submodule
        self.scale: int = self.config["scale"]
        self.channels: int = self.config["channels"]

    @property
    def has_strength(self) -> bool:
        """Whether the network takes a strength beside the picture."""
        return bool(self.config.get("strength"))

    @property
    def purpose(self) -> str:
        """One line on what the model is for: which pictures, and how many times as large."""
        return upscaler_purpose(self.scale, self.training_run or {})

    def forward(self, images: Tensor, *strength: Any) -> Any:
        """Images (N, channels, H, W) in [0, 1] to (N, channels, H*scale, W*scale), nominally in [0, 1].

        A network with a strength takes that too: (N,) or (1,), from 0 to 1; by default it estimates it.
        """
        return self.network(images, *strength)

    @torch.no_grad()
    def upscale(
        self,
        image: ImageInput,
        *,
        scale: float | None = None,
        strength: float | Literal["auto"] = AUTO,
        fidelity: float | None = None,
        tile: int | None = None,
        bf16: bool | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Image.Image:
        """Enlarge one picture.

        Large pictures go through the network tile by tile. Each tile has a margin as wide as the network's receptive
        field, so the result is that of the whole picture, without seams. (Some networks made elsewhere depend slightly
        on pixels beyond their margin of 32.) The alpha plane goes through the network too, unless it is flat; opaque
        areas stay opaque, and transparent ones transparent. The colour profile is kept. Grey stays grey, and keeps 16
        bits (mode I;16). The EXIF orientation is applied, and all other EXIF, the resolution, XMP and IPTC are kept in
        `info`. If half precision overflows, the model becomes float32, with a warning.

        Args:
            image: a path (of an animation the first frame), the bytes of a file, a PIL image, an array (H, W[, 1, 3 or
                4]) or a tensor (1 or 3, H, W). Arrays and tensors are uint8, or floats in [0, 1]; a single channel may
                be uint16.
            scale: how many times as large the result is; by default the network's scale. For a smaller one the
                network's result is reduced by Lanczos resampling.
            strength: how strongly noise and traces of compression are cleaned away, from 0 (trust the pixels) to 1. By
                default that of the JPEG file, or the estimated one; see `estimate_strength`. Only
                for models that have a strength (`has_strength`).
            fidelity: from 0 to 1 as in `from_pretrained`, whose fidelity is the default. Another one is read from the
                files that the model was loaded from, and kept for the next call.
            tile: side of a tile in pixels of the input; 0 is the whole picture at once. By default 256, or 512 for
                networks that work best on the whole picture.
            bf16: compute the detail that is added to the picture in bfloat16: twice as fast, and rarely off by a grey
                level. By default True if the device has instructions for it, the weights are float32 and the picture
                has 8 bits. Networks made elsewhere ignore it.
            progress: called after each tile with the share that is done; an exception that it raises ends the work.

        Raises:
            ImageError: the picture cannot be read, is empty, or too large.
            ConfigError: `tile` is negative, `scale` is not above 0 or more than the network's, `strength` is not
                between 0 and 1, or the model has none; likewise `fidelity`.
            ModelError: the network computes NaN or infinity.
        """
        if fidelity is not None and fidelity != self._fidelity:
            return self._with_fidelity(fidelity).upscale(
                image, scale=scale, strength=strength, tile=tile, bf16=bf16, progress=progress
            )
        wanted = self.checked_scale(scale)
        self.check_strength(strength)
        warn_of_parts(image, "enlarged. `hubgan upscale` enlarges all")
        if tile is None:
            tile = _TILE if getattr(self.network, "tiles", True) else _LARGE_TILE
        was_training = self.training
        self.eval()
        try:
            picture = Picture.open(image, self.channels)
            tiled = partial(
                upscale_tiled,
                scale=self.scale,
                tile=tile,
                halo=int(self.network.receptive_field),  # type: ignore[arg-type]
                multiple=int(getattr(self.network, "multiple", 1)),
            )
            chosen = 0.0
            if self.has_strength:
                chosen = self._auto_strength(picture) if strength == AUTO else float(strength)
            fast = self._in_bf16(False if picture.deep and bf16 is None else bf16)
            plane = picture.alpha_pixels if self.scale > 1 else None
            function = partial(self._tile, strength=chosen, fast=fast, deep=picture.deep)
            pixels = tiled(function, picture.pixels, progress=progress if plane is None else _half(progress, 0))
            if plane is not None:
                plane = tiled(partial(self._alpha_tile, fast=fast), plane, progress=_half(progress, 1))
        finally:
            self.train(was_training)
        large = picture.enlarged(pixels, plane)
        if wanted == self.scale:
            return large
        width, height = (max(round(side * wanted), 1) for side in picture.colour.size)
        return large.resize((width, height), Image.Resampling.LANCZOS)

    def checked_scale(self, scale: float | None) -> float:
        """The scale to enlarge by: the network's own if `scale` is None.

        Raises:
            ConfigError: it is not above 0, or more than the network's.
        """
        if scale is None:
            return self.scale
        if not 0 < scale <= self.scale:
            raise ConfigError(
                f"scale is {scale:g}, but this model enlarges {self.scale} times",
                f"Use a scale above 0 and at most {self.scale}",
            )
        return scale

    @property
    def _bare(self) -> nn.Module:
        """The network without what `torch.compile` wraps around it."""
        bare: nn.Module = getattr(self.network, "_orig_mod", self.network)
        return bare

    @property
    def _own(self) -> bool:
        return not isinstance(self._bare, CommunityNetwork)

    def _in_bf16(self, wanted: bool | None) -> bool:
        able = self._own and self.dtype == torch.float32
        return able and (computes_in_bf16(self.device) if wanted is None else wanted)

    def check_strength(self, strength: float | Literal["auto"]) -> None:
        """Check a strength that `upscale` is to be called with.

        Raises:
            ConfigError: it is neither "auto" nor between 0 and 1, or the model has no strength.
        """
        if strength == AUTO:
            return
        if not self.has_strength:
            raise ConfigError("this model has no strength", _NO_STRENGTH)
        if isinstance(strength, str) or not 0 <= strength <= 1:
            raise ConfigError(
                f"strength is {strength}", "Use a value from 0 (trust the pixels) to 1 (clean up), or auto"
            )

    @torch.no_grad()
    def estimate_strength(self, image: ImageInput) -> float:
        """The strength, from 0 to 1, with which `upscale` cleans a picture unless another one is passed.

        The quantisation tables of a JPEG file tell how strongly it was compressed. A small network beside the upscaler
        looks at the picture. It counts where there are no tables, and where the picture looks clearly worse than they
        tell: a file may have been compressed before.

        Args:
            image: a picture, as in `upscale`.

        Raises:
            ImageError: the picture cannot be read, is empty, or too large.
            ConfigError: the model has no strength.
        """
        if not self.has_strength:
            raise ConfigError("this model has no strength", _NO_STRENGTH)
        return self._auto_strength(Picture.open(image, self.channels))

    def estimate_clip_strength(self, frames: Iterable[ImageInput]) -> float:
        """One strength, from 0 to 1, for all frames of a video, because another one for each would flicker.

        Args:
            frames: some of them, such as those of `hubgan.media.clip.Clip.samples`.

        Raises:
            ImageError: a frame cannot be read, is empty, or too large.
            ConfigError: the model has no strength.
        """
        return median(map(self.estimate_strength, frames))

    def _auto_strength(self, picture: Picture) -> float:
        parts = picture.squares(SEEN, SEEN_SIDE)

        def compute(network: nn.Module, fast: bool) -> Tensor:
            return network.estimator(parts.to(next(network.parameters())))  # type: ignore[operator, no-any-return]

        estimated = float(self._finite(compute).mean())
        exact = picture.colour.info.get("strength")
        if exact is None and estimated < FAINT:
            return 0.0
        return estimated if exact is None or estimated > exact + CLEARLY else float(exact)

    def _tile(self, pixels: Tensor, strength: float, fast: bool, deep: bool = False) -> Tensor:
        """A tile (1, C, h, w) as the grey levels of the enlarged one; a grey tile stays a single channel."""
        grey = pixels.shape[1] == 1

        def compute(network: nn.Module, fast: bool) -> Tensor:
            images = pixels.to(next(network.parameters())).expand(-1, self.channels, -1, -1)
            if self._own:  # convolutions are faster in this layout; networks made elsewhere may need the usual one
                images = images.contiguous(memory_format=torch.channels_last)
            inputs = (torch.tensor([strength], device=images.device),) if self.has_strength else ()
            with torch.autocast(images.device.type, torch.bfloat16, enabled=fast):
                return network(images, *inputs)  # type: ignore[no-any-return]

        large = self._finite(compute, fast).float().clamp(0, 1)
        if grey and self.channels == 3:
            large = (large * large.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
        # Rounded here, tile by tile, because floats would take four times the memory of the whole picture.
        if deep:
            return large.mul(WHITE_16).round().to(torch.uint16).cpu()
        return large.mul(255).round().byte().cpu()

    def _finite(self, compute: Callable[[nn.Module, bool], Tensor], fast: bool = False) -> Tensor:
        """What `compute` makes with the network: in bfloat16 if `fast`, and in float32 if half precision overflows.

        Other threads may compute with the same model. So its network is replaced, not changed, by one in float32.

        Raises:
            ModelError: it holds NaN or infinity in float32 too.
        """
        network, fast = self.network, fast and not self._overflows
        result = compute(network, fast)
        if is_finite(result):
            return result
        is_half = next(network.parameters()).dtype.itemsize < torch.float32.itemsize
        if not fast and not is_half:
            raise not_finite(self)
        check_weights(self)
        with _one_at_a_time:
            if self.network is network and (is_half or not self._overflows):  # else another thread was first
                name = self.loaded_from or "this model"
                logger.warning("%s overflows in half precision, so it now computes in float32", name)
                self._overflows = True
                if is_half:
                    self.network = deepcopy(network).float()
        return self._finite(compute)

    def _alpha_tile(self, pixels: Tensor, fast: bool) -> Tensor:
        """A tile of the alpha plane, which is clean: its strength is 0."""
        if ((pixels > 0) & (pixels < 1)).any():
            return self._tile(pixels, 0.0, fast)
        # Most of a cut-out is opaque or transparent, and `refine_alpha` uses no network there.
        return interpolate(pixels, scale_factor=self.scale).mul(255).round().byte()

    @classmethod
    def from_pretrained(
        cls: type[Self],
        pretrained_model_name_or_path: str | Path,
        *,
        fidelity: float = 0.0,
        weights_name: str | None = None,
        allow_pickle: bool = False,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        torch_dtype: torch.dtype | None = None,
        use_safetensors: bool = True,
        strict: bool = True,
        **source_options: Any,
    ) -> Self:
        """Load an upscaler that hubgan saved, or weights made elsewhere (ESRGAN, SPAN, SwinIR, ...).

        The model is in evaluation mode. Weights made elsewhere need spandrel (pip install 'hubgan[community]').
        Float16 weights stay float16 if their architecture computes in it; all others become float32.

        Args:
            pretrained_model_name_or_path: a file, a folder or a Hub name. If its `config.json` is hubgan's, that
                describes the model; otherwise its only `.safetensors` file is loaded.
            fidelity: 0 uses the weights of the whole training, with the most detail, some of it invented. 1 uses those
                of its pixel part, which are smoother and closest to the original. Values between mix the two. Above 0
                the model must hold `pixel.safetensors`, which training with both parts writes.
            weights_name: the file to load, if there are several.
            allow_pickle: also read pickled weights (.pth, .ckpt), with spandrel's restricted unpickler, which creates
                only tensors. TorchScript is always refused.
            device: the device of the weights.
            dtype: the dtype to convert the weights to.
            torch_dtype: diffusers' older name of `dtype`.
            use_safetensors: as in diffusers; only True is accepted, because `allow_pickle` decides about pickles.
            strict: refuse weights with missing or extra keys; weights made elsewhere are always refused then.
            **source_options: subfolder, revision, token, cache_dir, force_download and local_files_only, as in
                `HubModel.from_pretrained`.

        Raises:
            ModelError: the model cannot be found or reached, its bytes are damaged, or its weights do not fit;
                there are several files, or only pickles; spandrel is missing or does not know the architecture; or
                the network does not enlarge or restore pictures.
            ConfigError: its `config.json` is hubgan's and damaged, or asks for something impossible; or `fidelity` is
                out of range.
        """
        if not 0 <= fidelity <= 1:
            raise ConfigError(
                f"fidelity is {fidelity:g}", "Use a value from 0 (most detail) to 1 (nearest to the original)"
            )
        if unknown := source_options.keys() - {field.name for field in fields(ModelSource)}:
            raise TypeError(f"{cls.__name__}.from_pretrained() has no argument {', '.join(sorted(unknown))}")
        if not use_safetensors:
            raise ConfigError("use_safetensors=False has no effect", "Pass allow_pickle=True to read a .pth")
        name, dtype = str(pretrained_model_name_or_path), dtype or torch_dtype
        found = community.find(ModelSource(name, **source_options), weights_name, allow_pickle)
        if found is None:
            model = super().from_pretrained(name, device=device, dtype=dtype, strict=strict, **source_options)
            model._origin, model._fidelity = ModelSource(name, **source_options), fidelity
            return model._mixed(fidelity, model._origin) if fidelity else model
        if fidelity:
            raise ConfigError(f"{name} was made elsewhere, and has only one set of weights", _NO_FIDELITY)
        model = cls(community.load(found, dtype), source=found.source)
        model.training_run = found.config.training_run if found.config else None
        model.loaded_from = name
        return model.to(device).eval()

    @staticmethod
    def has_fidelity(pretrained_model_name_or_path: str | Path, **source_options: Any) -> bool:
        """Whether a model also holds the weights of its pixel part, so that `from_pretrained` accepts a `fidelity`.

        Args:
            pretrained_model_name_or_path: a folder or a Hub name; a file holds only one kind of weights.
            **source_options: subfolder, revision, token, cache_dir and local_files_only, as in `from_pretrained`.

        Raises:
            ModelError: it cannot be found or reached.
        """
        name = str(pretrained_model_name_or_path)
        return not Path(name).is_file() and PIXEL_WEIGHTS in ModelSource(name, **source_options).files()

    def _with_fidelity(self, fidelity: float) -> "Upscaler":
        """This model as loaded with another fidelity."""
        if self._origin is None:
            raise ConfigError(
                "the model was not loaded by from_pretrained, so it has only one set of weights", _NO_FIDELITY
            )
        if fidelity not in self._at:
            options = {field.name: getattr(self._origin, field.name) for field in fields(ModelSource)}
            name = options.pop("name")
            self._at = {fidelity: type(self).from_pretrained(name, fidelity=fidelity, dtype=self.dtype, **options)}
        return self._at[fidelity].to(self.device)

    def _mixed(self: Self, fidelity: float, source: ModelSource) -> Self:
        at_commit = source.at_commit_of(source.file(CONFIG))
        if PIXEL_WEIGHTS not in at_commit.files():
            raise ModelError(f"{source.name} has no {PIXEL_WEIGHTS}, so there are no weights to mix", _NO_FIDELITY)
        mix(self, at_commit.file(PIXEL_WEIGHTS), fidelity)
        return self

    def _weights(self) -> dict[str, Tensor]:
        """The tensors of `model.safetensors`; networks made elsewhere keep the names that other programs know."""
        if isinstance(self._bare, CommunityNetwork):
            return self._bare.weights()
        return super()._weights()


def _half(progress: Callable[[float], None] | None, number: int) -> Callable[[float], None] | None:
    """What the first (0) or second (1) half of the work reports its share to."""
    return progress and (lambda share: progress((number + share) / 2))
