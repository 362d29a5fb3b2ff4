"""Extractors against the networks they come from, and what must not be done to images before them."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from hubgan.errors import ConfigError
from hubgan.metrics import (
    EXTRACTORS,
    Cifar10Classifier,
    DINOv2,
    EfficientNetLite0,
    InceptionV3,
    extract,
    frechet_distance,
    inception_score,
    kernel_distance,
)
from hubgan.metrics.bicubic import resize

# -- EfficientNet-Lite0


@pytest.fixture(scope="module")
def extractor() -> EfficientNetLite0:
    return EfficientNetLite0()


@pytest.mark.slow
def test_features_are_the_same_of_bytes_and_floats_of_grey_and_of_equal_channels(extractor: EfficientNetLite0) -> None:
    images = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    features = extractor(images)
    assert features.shape == (2, 1280) and features.dtype == torch.float32
    torch.testing.assert_close(extractor(images.float() / 255), features)
    torch.testing.assert_close(extractor(images[:, :1]), extractor(images[:, :1].expand(-1, 3, -1, -1)))


def test_features_are_what_the_classifier_sees(extractor: EfficientNetLite0) -> None:
    images = torch.rand(1, 3, 128, 128)  # of the size at which nothing is resized
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    logits = extractor.network((images - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1))
    torch.testing.assert_close(extractor.network._fc(extractor(images)), logits, rtol=1e-3, atol=1e-3)
    probabilities = extractor.probabilities(extractor(images).double())
    assert probabilities.shape == (1, 1000) and probabilities.dtype == torch.float32
    torch.testing.assert_close(probabilities, logits.softmax(1), rtol=1e-3, atol=1e-6)


def test_features_of_images_that_come_one_by_one(extractor: EfficientNetLite0) -> None:
    images = torch.randint(256, (35, 3, 8, 8), dtype=torch.uint8)
    features = extract(extractor, iter(images))
    assert features.shape == (35, 1280) and not features.requires_grad
    torch.testing.assert_close(features[32:], extractor(images[32:]), rtol=1e-3, atol=1e-4)
    assert extract(extractor, []).shape == (0, 1280)


def test_figures_are_named_by_the_extractor(extractor: EfficientNetLite0) -> None:
    names = (extractor.key, extractor.frechet_name, extractor.kernel_name, "IS" + extractor.suffix)
    assert names == ("enl0-1", "FD-ENL0", "KD-ENL0", "IS-ENL0")
    assert {
        "enl0": EfficientNetLite0, "c10": Cifar10Classifier, "inception": InceptionV3, "dinov2": DINOv2
    } == EXTRACTORS  # fmt: skip


# -- Inception


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, of a scale at which images are told apart, in place of the 95 MB that would be downloaded."""
    pytest.importorskip("torch_fidelity", reason="torch-fidelity is not installed")
    from torchvision.models import Inception3  # which takes seconds, once in one worker

    network = Inception3(num_classes=1008, aux_logits=False, init_weights=False)
    random = torch.Generator().manual_seed(0)
    for weight in network.parameters():
        if weight.dim() > 1:
            torch.nn.init.kaiming_normal_(weight, generator=random)
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def inception(weights: Path) -> InceptionV3:
    return InceptionV3(weights)


@pytest.mark.slow
@pytest.mark.xdist_group("libraries")
def test_inception_and_its_figures_are_torch_fidelitys(inception: InceptionV3, weights: Path) -> None:
    fidelity = pytest.importorskip("torch_fidelity")
    sets = [torch.randint(low, 256, (5, 3, 40, 32), dtype=torch.uint8) for low in (0, 128)]
    network = fidelity.FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], str(weights))
    features, logits = network(sets[0])
    found = extract(inception, sets[0])
    assert torch.equal(found, features) and found.std(0).mean() > 0
    torch.testing.assert_close(inception.probabilities(found), logits.softmax(1))

    class Images(torch.utils.data.Dataset):  # torch-fidelity takes nothing else
        def __init__(self, images: Tensor) -> None:
            self.images = images

        def __len__(self) -> int:
            return len(self.images)

        def __getitem__(self, index: int) -> Tensor:
            return self.images[index]

    wanted = fidelity.calculate_metrics(
        input1=Images(sets[0]), input2=Images(sets[1]), isc=True, kid=True, kid_subset_size=5, kid_subsets=1,
        isc_splits=1, feature_extractor_weights_path=str(weights), batch_size=5, cuda=False, cache=False,
        save_cpu_ram=True, verbose=False,
    )  # fmt: skip
    kernel = kernel_distance(found, extract(inception, sets[1])).mean
    assert kernel == pytest.approx(wanted["kernel_inception_distance_mean"], rel=1e-3)  # theirs is of float32
    score = inception_score(inception.probabilities(found), splits=1).mean
    assert score == pytest.approx(wanted["inception_score_mean"], rel=1e-5)


@pytest.mark.xdist_group("libraries")
def test_inception_takes_floats_as_eight_bits_and_grey_as_rgb(inception: InceptionV3) -> None:
    images = torch.randint(256, (1, 1, 16, 16), dtype=torch.uint8)
    features = inception(images.expand(-1, 3, -1, -1))
    assert features.shape == (1, inception.num_features) == (1, 2048)
    assert torch.equal(inception(images), features) and torch.equal(inception(images / 255 + 1e-3), features)


@pytest.mark.xdist_group("libraries")
def test_inceptions_figures_bear_the_names_of_the_literature(inception: InceptionV3) -> None:
    assert (inception.frechet_name, inception.kernel_name, "IS" + inception.suffix) == ("FID", "KID", "IS")
    assert inception.key == f"inception-{inception.version}" and len(inception.version) == 8


@pytest.mark.xdist_group("libraries")
def test_files_that_do_not_hold_inceptions_weights(weights: Path, tmp_path: Path) -> None:
    broken, other, unsafe = (tmp_path / name for name in ("broken.pth", "other.pth", "unsafe.pth"))
    broken.write_bytes(weights.read_bytes()[:1000])
    torch.save({"weight": torch.ones(1)}, other)
    torch.save({"path": Path("run me")}, unsafe)
    for path in (broken, other, unsafe, tmp_path / "missing.pth"):
        with pytest.raises(ConfigError, match=rf"{path.name}.*weights-inception-2015-12-05-6726825d.pth.*enl0"):
            InceptionV3(path)


@pytest.mark.xdist_group("libraries")
def test_weights_that_cannot_be_downloaded(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody listens
    with pytest.raises(ConfigError, match=r"cannot download .*6726825d\.pth .*Pass the path .*enl0"):
        InceptionV3()


# -- traps


@pytest.mark.xdist_group("libraries")
def test_small_patterns_become_grey_rather_than_other_patterns() -> None:
    stripes = (torch.arange(384) % 3 == 0).float().expand(1, 3, 384, 384)  # every third pixel: sampled, all or nothing
    inner = resize(stripes, 128)[..., 4:-4]
    torch.testing.assert_close(inner, torch.full_like(inner, 1 / 3), atol=0.02, rtol=0)


@pytest.mark.xdist_group("libraries")
def test_resizing_does_not_leave_the_range() -> None:
    edge = (torch.arange(32) < 16).float().expand(1, 3, 32, 32)
    large = resize(edge, 128)
    assert large.min() == 0 and large.max() == 1


@pytest.mark.slow
@pytest.mark.xdist_group("libraries")
def test_rounding_moves_features_less_than_cutting_off_does(extractor: EfficientNetLite0) -> None:
    images = torch.nn.functional.interpolate(torch.rand(24, 3, 8, 8), size=(32, 32), mode="bilinear")
    exact = extract(extractor, images)
    rounded, cut = (extract(extractor, levels.byte()) for levels in ((images * 255).round(), images * 255))
    assert 0 < frechet_distance(exact, rounded) < frechet_distance(exact, cut)
    assert 0 < (exact - rounded).abs().mean() < (exact - cut).abs().mean()
