"""SNGAN's networks, against the paper's tables."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from torch.nn.utils.parametrize import is_parametrized

from helpers.common import equal
from hubgan.networks.sngan import SNGANDiscriminator, SNGANGenerator

NORMS = ["spectral", "none"]


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def conv(before: int, after: int, kernel: int) -> int:
    return before * after * kernel**2 + after


def pair(classes: int, size: int = 32, norm: str = "spectral") -> tuple[SNGANGenerator, SNGANDiscriminator]:
    return (
        SNGANGenerator(size, latent_dim=10, width=8, classes=classes),
        SNGANDiscriminator(size, width=8, classes=classes, norm=norm),
    )


def labels(n: int, classes: int) -> Tensor | None:
    return torch.arange(n) % classes if classes else None


# -- the paper's tables


def test_reference_networks_have_the_parameters_of_the_paper() -> None:
    with torch.device("meta"):
        generator, discriminator = SNGANGenerator(), SNGANDiscriminator(norm="none")
    up = 2 * conv(256, 256, 3) + conv(256, 256, 1) + 2 * 2 * 256
    assert count(generator) == 129 * 16 * 256 + 3 * up + 2 * 256 + conv(256, 3, 3) == 4_276_739
    first = conv(3, 128, 3) + conv(128, 128, 3) + conv(3, 128, 1)
    assert count(discriminator) == first + 6 * conv(128, 128, 3) + conv(128, 128, 1) + 128 == 1_053_824


@pytest.mark.parametrize(
    ("size", "widths"),
    [(32, [1, 1, 1, 1]), (64, [1, 2, 4, 8, 16]), (128, [1, 2, 4, 8, 16, 16]), (16, [1, 1, 1])],
)
def test_channels_follow_the_tables(size: int, widths: list[int]) -> None:
    with torch.device("meta"):
        generator, discriminator = SNGANGenerator(size), SNGANDiscriminator(size, norm="none")
    for found, width in (
        ([generator.blocks[0].conv1.in_channels, *(block.conv1.out_channels for block in generator.blocks)][::-1],
         256 if size <= 32 else 64),
        ([block.conv2.out_channels for block in discriminator.blocks], 128 if size <= 32 else 64),
    ):  # fmt: skip
        assert found == [width * times for times in widths]


def test_classes_cost_what_the_paper_adds_and_nothing_without() -> None:
    with torch.device("meta"):
        generators = [SNGANGenerator(classes=n) for n in (0, 10)]
        discriminators = [SNGANDiscriminator(classes=n, norm="none") for n in (0, 10)]
    assert not any("embedding" in name for n in (generators[0], discriminators[0]) for name in n.state_dict())
    assert count(generators[1]) - count(generators[0]) == 6 * 9 * 2 * 256
    assert count(discriminators[1]) - count(discriminators[0]) == 10 * 128


@pytest.mark.parametrize("classes", [0, 3])
def test_every_layer_of_the_discriminator_is_normalised_or_none(classes: int) -> None:
    for norm in NORMS:
        network = pair(classes, norm=norm)[1]
        layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
        assert len(layers) == 2 * 4 + 2 + 1 + bool(classes)
        for layer in layers:
            assert is_parametrized(layer, "weight") is (norm == "spectral")
            if norm == "spectral":
                assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


# -- forward


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize(("size", "channels"), [(8, 3), (16, 1), (32, 3), (64, 1), (128, 3)])
def test_shapes_and_ranges(size: int, channels: int, classes: int) -> None:
    generator = SNGANGenerator(size, channels, width=4, classes=classes)
    assert (generator.image_size, generator.channels, generator.latent_dim, generator.classes) == (
        size, channels, 128, classes,
    )  # fmt: skip
    images = generator(torch.randn(2, 128, 1, 1), labels(2, classes))
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1 and 0.2 < images.std() < 0.9
    logits = SNGANDiscriminator(size, channels, width=4, classes=classes)(images, labels(2, classes))
    assert logits.shape == (2,) and logits.isfinite().all()


def test_blocks_are_as_the_authors_wrote_them() -> None:
    generator, discriminator = (network.double() for network in pair(0))
    x = torch.randn(2, 8, 4, 4, dtype=torch.float64)

    block = generator.blocks[0].eval()
    large = block.norm1.norm(x).relu().repeat_interleave(2, 2).repeat_interleave(2, 3)
    by_hand = block.conv2(block.norm2.norm(block.conv1(large)).relu())
    by_hand = by_hand + block.shortcut(x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    torch.testing.assert_close(block(x, None), by_hand)

    first, second, third, _ = discriminator.eval().blocks
    image = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    by_hand = avg_pool2d(first.conv2(first.conv1(image).relu()), 2) + first.shortcut(avg_pool2d(image, 2))
    torch.testing.assert_close(first(image), by_hand)
    by_hand = avg_pool2d(second.conv2(second.conv1(x.relu()).relu()) + second.shortcut(x), 2)
    torch.testing.assert_close(second(x), by_hand)
    torch.testing.assert_close(third(x), third.conv2(third.conv1(x.relu()).relu()) + x)


def test_the_projection_is_the_papers_formula() -> None:
    network = pair(3)[1].eval()
    images, classes = torch.randn(4, 3, 32, 32), torch.tensor([0, 2, 1, 2])
    found = network.blocks(images).relu().sum((2, 3))
    by_hand = [
        sum((network.last.weight[0, i] + network.embedding.weight[label, i]) * row[i] for i in range(8))
        for row, label in zip(found, classes, strict=True)
    ]
    torch.testing.assert_close(network(images, classes), torch.stack(by_hand))


# -- labels


def test_each_label_has_its_own_scale_and_shift() -> None:
    generator = pair(2)[0].eval()
    latents, zeros, ones = torch.randn(2, 10, 1, 1), torch.zeros(2).long(), torch.ones(2).long()
    before = generator(latents, zeros)
    torch.testing.assert_close(generator(latents, ones), before)  # they start alike
    with torch.no_grad():
        for block in generator.blocks:
            block.norm1.embedding.weight[1] += 0.5
    torch.testing.assert_close(generator(latents, zeros), before)
    assert (generator(latents, ones) - before).abs().mean() > 0.01


def test_labels_change_what_is_judged() -> None:
    network, images = pair(2)[1].eval(), torch.randn(2, 3, 32, 32)
    assert (network(images, torch.tensor([0, 0])) - network(images, torch.tensor([1, 1]))).abs().min() > 1e-3


@pytest.mark.parametrize(("classes", "given"), [(0, torch.tensor([0, 1])), (3, None)])
def test_labels_that_are_missing_or_in_the_way_are_refused(classes: int, given: Tensor | None) -> None:
    generator, discriminator = pair(classes)
    for network, inputs in ((generator, torch.randn(2, 10, 1, 1)), (discriminator, torch.randn(2, 3, 32, 32))):
        with pytest.raises(ValueError, match="labels"):
            network(inputs, given)


# -- training


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("classes", [0, 3])
def test_every_parameter_learns(norm: str, classes: int) -> None:
    generator, discriminator = pair(classes, norm=norm)
    discriminator(generator(torch.randn(3, 10, 1, 1), labels(3, classes)), labels(3, classes)).sum().backward()
    for network in (generator, discriminator):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("classes", [0, 3])
def test_gradient_penalties_can_be_learned_from(norm: str, classes: int) -> None:
    network = pair(classes, norm=norm)[1]
    images = torch.randn(3, 3, 32, 32, requires_grad=True)
    (slope,) = torch.autograd.grad(network(images, labels(3, classes)).sum(), images, create_graph=True)
    slope.square().sum().backward()
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    assert all(grad.isfinite().all() for grad in found.values())
    assert all(found[name].abs().max() > 0 for name in found if "weight" in name)
    assert sum("weight" in name for name in found) == 2 * 4 + 2 + 1 + bool(classes)


def test_the_second_derivative_is_right() -> None:
    network = SNGANDiscriminator(8, width=4, norm="none").double()
    images = torch.randn(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    parameter = network.blocks[1].conv1.weight

    def penalty() -> Tensor:
        return torch.autograd.grad(network(images).sum(), images, create_graph=True)[0].square().sum()

    (slope,) = torch.autograd.grad(penalty(), parameter)
    step = 1e-6 * torch.randn_like(parameter)
    with torch.no_grad():
        parameter += step
    after = penalty()
    with torch.no_grad():
        parameter -= 2 * step
    assert (after - penalty()).item() == pytest.approx(2 * (slope * step).sum().item(), rel=1e-3)


@pytest.mark.parametrize("size", [32, 128])
def test_without_a_norm_the_logits_start_in_proportion(size: int) -> None:
    network = SNGANDiscriminator(size, width=16, norm="none")
    logits = network(images := torch.randn(4, 3, size, size, requires_grad=True))
    assert logits.square().mean().sqrt() < 10
    (slope,) = torch.autograd.grad(logits.sum(), images)
    assert 0.01 < slope.flatten(1).norm(dim=1).mean() < 10


# -- the ways it is used


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("classes", [0, 3])
def test_state_and_copies_make_the_same_network(norm: str, classes: int) -> None:
    inputs = torch.randn(3, 10, 1, 1), torch.randn(3, 3, 32, 32)
    for network, other, x in zip(pair(classes, norm=norm), pair(classes, norm=norm), inputs, strict=True):
        network(x, labels(3, classes))
        other.load_state_dict(network.state_dict())
        copied = copy.deepcopy(network)
        assert equal(network, other) and equal(network, copied)
        expected = network.eval()(x, labels(3, classes))
        for same in (other, copied):
            assert torch.equal(same.eval()(x, labels(3, classes)), expected)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("classes", [0, 3])
def test_bfloat16_and_channels_last_come_close(norm: str, classes: int) -> None:
    inputs = torch.randn(4, 10, 1, 1), torch.randn(4, 3, 32, 32)
    for network, x in zip(pair(classes, norm=norm), inputs, strict=True):
        network.eval()
        expected = network(x, labels(4, classes))
        network.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(network(x, labels(4, classes)), expected, rtol=1e-3, atol=1e-4)
        with torch.autocast("cpu", torch.bfloat16):
            result = network.train()(x, labels(4, classes))
            network.eval()
            close = network(x, labels(4, classes)).float()
        result.float().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
        assert (close - expected).square().mean().sqrt() < 0.1 * expected.square().mean().sqrt() + 0.05


def test_conditional_batchnorm_keeps_half_precision() -> None:
    seen = []
    generator = pair(3)[0]
    generator.blocks[0].norm1.register_forward_hook(lambda *call: seen.append(call[2].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        generator(torch.randn(3, 10, 1, 1), labels(3, 3))
    assert seen == [torch.bfloat16]
