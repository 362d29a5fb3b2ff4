"""Features by DINOv2, which judge images more as people do than those of Inception."""

import pickle
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.functional import interpolate

from hubgan.errors import ConfigError, Remedy
from hubgan.metrics.bicubic import resize
from hubgan.metrics.features import FeatureExtractor, ImageNetScale
from hubgan.runtime.files import sha256
from hubgan.runtime.names import hub_answers

_NETWORK = "vit_large_patch14_dinov2.lvd142m"
_REPOSITORY, _FILE = f"timm/{_NETWORK}", "model.safetensors"
_ELSE = "or use the extractor enl0, which needs no download"
_REMEDY = Remedy(
    python=f"Pass the path of {_FILE} of {_REPOSITORY} as weights, {_ELSE}",
    command_line=f"Pass the path of {_FILE} of {_REPOSITORY} with --extractor-weights, {_ELSE}",
)


class DINOv2(FeatureExtractor):
    """The class token of DINOv2's ViT-L/14, as Stein et al. 2023 (https://arxiv.org/abs/2306.04675) use it.

    It is trained on pictures without labels, so it has no probabilities. Network and weights are timm's.

    Args:
        weights: a file with the weights, timm's or DINOv2's own. By default they are downloaded once from the Hub
            (1.2 GB), into its cache.
        network: another network of timm with the interface of this one.

    Raises:
        ConfigError: timm is missing, the weights cannot be downloaded, or the file does not hold them.
    """

    name = "DINOv2"
    description = "DINOv2 (ViT-L/14), 1,024 features of the class token"
    preparation = "224 x 224, antialiased bicubic, clipped; ImageNet mean and deviation"
    num_features = 1024
    classifies = False
    _SIDE = 224

    def __init__(self, weights: str | Path | None = None, *, network: str = _NETWORK) -> None:
        super().__init__()
        try:
            import timm
        except ImportError as error:
            raise ConfigError(
                f"the package {error.name} is missing", "Install it: pip install 'hubgan[train]'"
            ) from error
        path = _download() if weights is None else Path(weights).expanduser()
        self.standardise = ImageNetScale()
        try:
            self.network: Any = timm.create_model(
                network, pretrained=True, pretrained_cfg_overlay={"file": str(path)}, num_classes=0
            )
        except (OSError, EOFError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(f"{path} does not hold the weights of DINOv2 ({reason})", _REMEDY) from error
        self.version = sha256(path)[:8]
        self.num_features = cast(int, self.network.num_features)
        self._shrink()
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        images = images.float() if images.is_floating_point() else images.float() / 255
        features: Tensor = self.network(self.standardise(resize(images, self._SIDE)))
        return features

    def _shrink(self) -> None:
        """Fit the network to smaller images as DINOv2's own code does, and not, as timm does, with antialiasing."""
        old, new = self.network.patch_embed.grid_size[0], self._SIDE // self.network.patch_embed.patch_size[0]
        token, places = self.network.pos_embed.detach().split([1, old * old], dim=1)
        places = places.unflatten(1, (old, old)).movedim(-1, 1)
        places = interpolate(places, scale_factor=(new + 0.1) / old, mode="bicubic").movedim(1, -1)
        self.network.patch_embed.set_input_size((self._SIDE, self._SIDE))
        self.network.pos_embed = nn.Parameter(torch.cat([token, places.flatten(1, 2)], dim=1))


def _download() -> Path:
    try:
        return Path(hf_hub_download(_REPOSITORY, _FILE, local_files_only=not hub_answers()))
    except (OSError, RuntimeError, ValueError, HTTPError) as error:
        offline = isinstance(error, LocalEntryNotFoundError)
        reason = "the Hub cannot be reached" if offline else " ".join(str(error).split())[:200]
        raise ConfigError(f"cannot download the weights of DINOv2 from {_REPOSITORY} ({reason})", _REMEDY) from error
