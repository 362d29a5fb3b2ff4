"""DINOv2 by a small network of the same interface: how it is loaded, fitted to 224 x 224, and called."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models import register_model
from timm.models.vision_transformer import VisionTransformer, _create_vision_transformer
from torch.nn.functional import interpolate

from hubgan.errors import ConfigError
from hubgan.metrics import DINOv2, registry
from hubgan.metrics.features import ImageNetScale

_NAME = "vit_tiny_patch14_dinov2"


@pytest.fixture(scope="module", autouse=True)
def small_network() -> Iterator[None]:
    """A network of timm's DINOv2 class, with 16 features and a single block."""

    def vit_tiny_patch14_dinov2(pretrained: bool = False, **options: Any) -> VisionTransformer:
        size = {"patch_size": 14, "img_size": 518, "embed_dim": 16, "depth": 1, "num_heads": 2, "init_values": 1e-5}
        return _create_vision_transformer(_NAME, pretrained=pretrained, **{**size, **options})

    vit_tiny_patch14_dinov2.__module__ = "timm.models.vision_transformer"
    register_model(vit_tiny_patch14_dinov2)
    yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = timm.create_model(_NAME, num_classes=0)
    path = tmp_path_factory.mktemp("dinov2") / "model.safetensors"
    save_file({**network.state_dict(), "mask_token": torch.zeros(1, 16)}, path)  # as DINOv2's own file has it
    return path


def test_features_are_the_class_token_of_the_network(weights: Path) -> None:
    extractor = DINOv2(weights, network=_NAME)
    images = torch.rand(2, 3, 224, 224)
    tokens = extractor.network.forward_features(ImageNetScale()(images))
    assert tokens.shape == (2, 1 + 16 * 16, 16)
    torch.testing.assert_close(extractor(images), tokens[:, 0])
    whole = timm.create_model(_NAME, num_classes=0, pretrained=True, pretrained_cfg_overlay={"file": str(weights)})
    places = whole.pos_embed[:, 1:].unflatten(1, (37, 37)).movedim(-1, 1)
    wanted = interpolate(places, scale_factor=16.1 / 37, mode="bicubic").flatten(2).movedim(1, 2)
    torch.testing.assert_close(extractor.network.pos_embed[:, 1:], wanted)
    bytes_of = torch.randint(256, (1, 1, 8, 8), dtype=torch.uint8)
    torch.testing.assert_close(extractor(bytes_of), extractor(bytes_of.expand(-1, 3, -1, -1) / 255))
    assert extractor(bytes_of).shape == (1, extractor.num_features) == (1, 16)


def test_figures_by_dinov2(weights: Path) -> None:
    extractor = DINOv2(weights, network=_NAME)
    assert (extractor.frechet_name, extractor.kernel_name) == ("FD-DINOv2", "KD-DINOv2")
    assert extractor.key == f"dinov2-{extractor.version}" and len(extractor.version) == 8
    match = registry.find("fd-dinov2")
    assert match and match.name == "FD-DINOv2" and registry.fewest("fd-dinov2") == 2048
    assert not extractor.classifies  # so there is no Inception score by it


def test_files_that_do_not_hold_the_weights(weights: Path, tmp_path: Path) -> None:
    broken, other = tmp_path / "broken.safetensors", tmp_path / "other.safetensors"
    broken.write_bytes(weights.read_bytes()[:1000])
    save_file({"weight": torch.ones(1)}, other)
    for path in (broken, other, tmp_path / "missing.safetensors"):
        with pytest.raises(
            ConfigError, match=rf"{path.name} does not hold the weights of DINOv2.*Pass the path"
        ) as at:
            DINOv2(path, network=_NAME)
        assert "--extractor-weights" in at.value.for_command_line()


def test_weights_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match=r"cannot download the weights of DINOv2 .*timm.*cannot be reached.*enl0"):
        DINOv2()
