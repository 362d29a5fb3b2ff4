"""The small classifier: what it learns, the weights that come with hubgan, and the figures by them."""

import pytest
import torch
from torch import Tensor

from helpers.common import SAMPLE
from hubgan.data import Squares, load_images
from hubgan.metrics import (
    Cifar10Classifier,
    SmallClassifier,
    classification_accuracy_score,
    classifier,
    extract,
    recognised,
    train_classifier,
)
from hubgan.metrics.cifar10 import WEIGHTS
from hubgan.runtime.files import sha256


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "_FEWEST_STEPS", 10)


def dark_and_light(count: int) -> tuple[Tensor, Tensor]:
    labels = torch.arange(count) % 2
    noise = torch.randint(100, (count, 3, 32, 32), dtype=torch.uint8)
    return noise + 150 * labels.byte().view(-1, 1, 1, 1), labels


@pytest.mark.slow
def test_the_score_is_high_of_samples_of_their_class_and_low_of_others() -> None:
    torch.manual_seed(0)
    (samples, labels), test = dark_and_light(16), dark_and_light(20)
    state = torch.get_rng_state()
    assert classification_accuracy_score((samples, labels), test, 2) > 0.9
    assert classification_accuracy_score((samples, 1 - labels), test, 2) < 0.1
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.slow
def test_training_depends_on_the_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "_FEWEST_STEPS", 2)
    images, labels = dark_and_light(8)
    one, same, other = (train_classifier(images[:, :1], labels, 2, epochs=1, seed=seed) for seed in (1, 1, 2))
    found = [each(images.float() / 255) for each in (one, same, other)]
    assert torch.equal(found[0], found[1]) and not torch.allclose(found[0], found[2])


def test_changes_keep_images_apart() -> None:
    images = torch.stack([torch.full((3, 32, 32), value) for value in (0.1, 0.9)])
    changed = classifier._augmented(images, torch.Generator().manual_seed(0))
    for image, value in zip(changed, (0.1, 0.9), strict=True):
        assert torch.allclose(image, torch.tensor(value))


def test_the_first_layer_makes_patches_uncorrelated() -> None:
    images = torch.randn(20, 3, 4, 4).cumsum(2).cumsum(3).sigmoid().repeat_interleave(8, 2).repeat_interleave(8, 3)
    network = SmallClassifier(2)
    network.fit_whitening(images)
    found = network.whiten((images - 0.5) * 4).movedim(1, -1).reshape(-1, 24)[:, :12].double()
    products = found.T @ found / len(found)
    assert (products - products.diag().diag()).abs().max() < 1e-3 and 0.9 < products.diag().max() < 1.001


def test_images_of_other_sizes_are_resized() -> None:
    same = torch.randint(256, (1, 3, 32, 32), dtype=torch.uint8)
    assert classifier.to_classifier(same) is same
    assert classifier.to_classifier(torch.full((2, 1, 50, 50), 7, dtype=torch.uint8)).unique().tolist() == [7]


def test_the_weights_that_come_with_hubgan_know_cifar_10() -> None:
    source, extractor = load_images(str(SAMPLE)), Cifar10Classifier()
    assert source.classes == extractor.classes
    transform = Squares(size=32, channels=3, flip=False)
    images = torch.stack([transform.prepare(source.image(row)) for row in range(0, 500, 10)])
    features = extract(extractor, images)
    assert features.shape == (50, extractor.num_features) == (50, SmallClassifier.num_features)
    probabilities = extractor.probabilities(features)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(50))
    assert recognised(probabilities, source.labels()[::10]) > 0.8
    torch.testing.assert_close(extractor(images / 255), features)
    large = extractor(images.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert torch.nn.functional.cosine_similarity(large, features).min() > 0.95
    assert (extractor.probabilities(large).argmax(1) == probabilities.argmax(1)).float().mean() > 0.95


def test_names_of_figures() -> None:
    extractor = Cifar10Classifier()
    assert (extractor.frechet_name, extractor.kernel_name) == ("FD-C10", "KD-C10")
    assert extractor.key == f"c10-{sha256(WEIGHTS)[:8]}"  # other weights, other features in the cache
