"""Metrics of neighbourhoods, classes and labels: closed forms, sets by hand, and the packages of their authors."""

import pytest
import torch
from torch import Tensor

from hubgan.errors import DataError
from hubgan.metrics import (
    LinearClassifier,
    density_coverage,
    inception_score,
    memorisation,
    nearest,
    precision_recall,
)
from hubgan.metrics import neighbours as module


def line(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1)


# -- precision, recall, density, coverage


def test_the_figures_of_the_authors_package() -> None:
    prdc = pytest.importorskip("prdc", reason="prdc is not installed")
    real, fake = torch.randn(300, 12), torch.randn(200, 12) * 0.8 + 0.3
    for neighbours in (3, 5):
        wanted = prdc.compute_prdc(real.numpy(), fake.numpy(), neighbours)
        precision, recall = precision_recall(real, fake, neighbours=neighbours)
        density, coverage = density_coverage(real, fake, neighbours=neighbours)
        found = {"precision": precision, "recall": recall, "density": density, "coverage": coverage}
        assert found == pytest.approx(wanted, abs=1e-12)
        assert 0.1 < recall < 1 and 0.1 < coverage < 1


def test_sets_on_a_line_by_hand() -> None:
    real, fake = line(0, 1, 3, 7), line(0.5, 3.5, 20, 25)
    # With one neighbour the balls are 0+-1, 1+-1, 3+-2, 7+-4 and 0.5+-3, 3.5+-3, 20+-5, 25+-5.
    assert precision_recall(real, fake, neighbours=1) == (2 / 4, 3 / 4)
    # 0.5 is in the balls of 0 and 1; 3.5 in those of 3 and 7.
    assert density_coverage(real, fake, neighbours=1) == (4 / 4, 1)
    assert density_coverage(real, fake[1:], neighbours=1) == (2 / 3, 2 / 4)


def test_identical_and_disjoint_sets() -> None:
    x = torch.randn(400, 64) + 30  # far from the origin, where distances of float32 lose their digits
    assert precision_recall(x, x) == (1, 1)
    assert density_coverage(x, x[torch.randperm(400)]) == (1, 1)
    assert precision_recall(x, -x) == (0, 0) and density_coverage(x, -x) == (0, 0)


def test_a_point_at_the_very_radius_is_outside() -> None:
    assert precision_recall(line(0, 1), line(2, 3), neighbours=1) == (0, 0)
    assert precision_recall(line(0, 1), line(1.999, 3), neighbours=1) == (0.5, 0.5)
    # Nothing is in a ball of radius 0: of four equal images each has three at distance 0.
    assert precision_recall(line(1, 1, 1, 1), line(1, 1, 1, 1)) == (0, 0)


def test_parts_do_not_change_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = torch.randn(97, 5), torch.randn(61, 5)
    whole = precision_recall(real, fake), density_coverage(real, fake), nearest(fake, real, count=3)
    monkeypatch.setattr(module, "_PART", 1000)
    assert (precision_recall(real, fake), density_coverage(real, fake)) == whole[:2]
    assert torch.equal(nearest(fake, real, count=3).indices, whole[2].indices)


def test_density_and_coverage_of_one_distribution() -> None:
    density, coverage = density_coverage(torch.randn(2000, 8), torch.randn(2000, 8))
    assert density == pytest.approx(1, abs=0.05) and coverage == pytest.approx(1 - 2**-5, abs=0.02)


def test_an_outlier_spoils_precision_but_not_density() -> None:
    fake, outlier = torch.randn(300, 2) * 0.1 + 8, line(40).expand(1, 2)
    real = torch.cat([torch.randn(300, 2), outlier])
    assert precision_recall(real, fake).precision == 1 and density_coverage(real, fake).density < 0.5


def test_sets_that_are_too_small() -> None:
    with pytest.raises(DataError, match=r"3 images are too few for 3 neighbours each\. Use more"):
        precision_recall(torch.randn(3, 2), torch.randn(9, 2))
    with pytest.raises(DataError, match="no samples"):
        density_coverage(torch.randn(9, 2), torch.randn(0, 2))


# -- memorisation


def test_the_nearest_by_hand() -> None:
    found = nearest(line(0, 5.9), line(6, 1, -3), count=2)
    assert found.indices.tolist() == [[1, 2], [0, 1]]
    torch.testing.assert_close(found.distances, torch.tensor([[1.0, 3.0], [0.1, 4.9]]).double(), rtol=1e-6, atol=1e-6)
    with pytest.raises(DataError, match="2 samples cannot have 4 nearest neighbours each among 3 images"):
        nearest(line(0, 1), line(0, 1, 2), count=4)


def test_equal_features_have_distance_zero_far_from_the_origin() -> None:
    x = torch.randn(50, 1280) + 30
    found = nearest(x * (1 + 1e-7), x)
    assert torch.equal(found.indices[:, 0], torch.arange(50)) and found.distances.max() == 0


def test_planted_copies_are_found() -> None:
    train, test, fake = torch.randn(1000, 32), torch.randn(500, 32), torch.randn(400, 32)
    clean = memorisation(fake, train, test)
    assert clean.closer == pytest.approx(0.5, abs=0.05)
    assert clean.copies < 0.03 and clean.expected == 0.01
    fake[:40] = train[100:140] + torch.randn(40, 32) * 0.05
    planted = memorisation(fake, train, test)
    assert planted.copies == pytest.approx(0.1 + clean.copies, abs=0.01)
    found = planted.distances <= planted.threshold
    assert found[:40].all() and planted.nearest[:40].tolist() == list(range(100, 140))
    assert memorisation(train[:200], train, test)[:2] == (1, 1)


def test_samples_in_the_middle_of_everything_are_no_copies() -> None:
    """As blurred images are, which are near to many training images and to none in particular."""
    train, test = torch.randn(1000, 32), torch.randn(500, 32)
    blurred = torch.randn(200, 32) * 0.1
    assert nearest(blurred, train).distances.median() < 0.8 * nearest(test, train).distances.median()
    found = memorisation(blurred, train, test)
    assert found.closer < 0.8 and found.copies < 0.03


def test_memorisation_on_a_line_by_hand() -> None:
    found = memorisation(line(0, 10.5, 23, 32), train=line(0, 10, 20, 30), test=line(1, 12, 23, 34, 25))
    wanted = [0, 0.5 / 10, 3 / 11.5, 2 / 17]  # held-out images: 1 / 14.5, 2 / 10, 3 / 11.5, 4 / 19, 5 / 12.5
    torch.testing.assert_close(found.distances, torch.tensor(wanted).double(), rtol=1e-6, atol=1e-7)
    assert found.nearest.tolist() == [0, 1, 2, 3] and found.threshold == pytest.approx(1 / 14.5)
    assert found.closer == pytest.approx((5 + 5 + 1.5 + 4) / 20) and (found.copies, found.expected) == (0.5, 0.2)


def test_what_memorisation_needs() -> None:
    train = torch.randn(20, 4)
    with pytest.raises(DataError, match="1 training images are too few"):
        memorisation(torch.randn(5, 4), train[:1], train[1:])
    with pytest.raises(DataError, match="no held-out images"):
        memorisation(torch.randn(5, 4), train, train[:0])


# -- the Inception score


def test_the_inception_score_from_one_to_the_number_of_classes() -> None:
    assert inception_score(torch.full((60, 7), 1 / 7), splits=3) == pytest.approx((1, 0))
    assert inception_score(torch.eye(7).repeat(30, 1), splits=1) == pytest.approx((7, 0))
    assert inception_score(torch.eye(7)[:1].expand(40, 7)) == pytest.approx((1, 0))  # always the same class
    with pytest.raises(DataError, match="9 samples cannot be split into 10 parts"):
        inception_score(torch.eye(9))


def test_the_inception_score_of_sorted_samples() -> None:
    for labels in (torch.arange(10).repeat_interleave(200), torch.arange(10).repeat(200)):
        assert inception_score(torch.eye(10)[labels]).mean > 9.5


def test_the_inception_score_is_torch_fidelitys() -> None:
    score = pytest.importorskip("torch_fidelity.metric_isc", reason="torch-fidelity is not installed")
    logits = torch.randn(500, 20).double() * 3
    order = torch.randperm(500, generator=torch.Generator().manual_seed(0))
    wanted = score.isc_features_to_metric(logits[order], splits=10, shuffle=False)
    found = inception_score(logits.softmax(1))
    assert found == pytest.approx((wanted["inception_score_mean"], wanted["inception_score_std"]), rel=1e-9)


# -- labels


def clusters(count: int) -> tuple[Tensor, Tensor]:
    """Features of three classes, of very different scales, one of which never changes."""
    labels = torch.arange(count) % 3
    features = torch.randn(count, 5) + 4 * torch.eye(3, 5)[labels]
    return features * torch.tensor([1.0, 100, 0.01, 1, 0]) + 7, labels


def test_the_judge_of_labels() -> None:
    (features, labels), (others, their_labels) = clusters(600), clusters(300)
    judge = LinearClassifier.fit(features, labels, 3)
    assert judge.accuracy(others, their_labels) > 0.95
    assert judge.accuracy(others, (their_labels + 1) % 3) < 0.05
    assert judge.accuracy(others, torch.zeros(300)) == pytest.approx(1 / 3, abs=0.03)
    again = LinearClassifier.fit(features, labels, 3)
    assert torch.equal(judge.weight, again.weight) and torch.equal(judge.bias, again.bias)


def test_the_judge_is_the_minimum() -> None:
    features, labels = clusters(300)
    judge = LinearClassifier.fit(features, labels, 3, penalty=30)
    weight, bias = judge.weight.requires_grad_(), judge.bias.requires_grad_()
    logits = (features - judge.mean) / judge.deviation @ weight + bias
    (torch.nn.functional.cross_entropy(logits, labels) + 15 / 300 * weight.square().sum()).backward()
    assert weight.grad is not None and weight.grad.abs().max() < 1e-4
    assert bias.grad is not None and bias.grad.abs().max() < 1e-4


def test_labels_that_do_not_fit() -> None:
    features, labels = clusters(30)
    with pytest.raises(DataError, match="labels from 0 to 2 do not fit 2 classes"):
        LinearClassifier.fit(features, labels, 2)
    with pytest.raises(DataError, match="30 images with 20 labels"):
        LinearClassifier.fit(features, labels[:20], 3)
