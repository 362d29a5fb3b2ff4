"""R3GAN's networks, against the paper's description."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad

from hubgan import Generator
from hubgan.errors import ConfigError
from hubgan.networks.r3gan import R3GANDiscriminator, R3GANGenerator, _Block, _double, _halve


def pair(classes: int = 0, size: int = 32, **options: int) -> tuple[R3GANGenerator, R3GANDiscriminator]:
    options = {"width": 16, "depth": 1, "group_width": 8, "classes": classes, **options}
    return R3GANGenerator(size, latent_dim=10, **options), R3GANDiscriminator(size, **options)


def labels(n: int, classes: int) -> Tensor | None:
    return torch.arange(n) % classes if classes else None


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("size", [32, 64, 128])
def test_shapes_and_ranges(size: int, patch: int, classes: int) -> None:
    generator, discriminator = pair(classes, size, patch=patch)
    images = generator(torch.randn(2, 10, 1, 1), labels(2, classes))
    assert images.shape == (2, 3, size, size)
    assert images.abs().max() <= 1
    assert discriminator(images, labels(2, classes)).shape == (2,)


def test_resampling_is_by_1_2_1() -> None:
    filter = torch.tensor([1.0, 2.0, 1.0])
    kernel = torch.outer(filter, filter)[None, None].double() / 16
    x = torch.randn(2, 1, 8, 8).double()
    torch.testing.assert_close(_halve(x), conv2d(pad(x, (1, 1, 1, 1)), kernel, stride=2))
    # Twice the resolution: zeros between the pixels, filtered; what an edge pixel lacks is its own copy.
    expected = conv_transpose2d(x, 4 * kernel, stride=2)[:, :, 1:, 1:]
    torch.testing.assert_close(_double(x)[:, :, :-1, :-1], expected[:, :, :15, :15])
    assert _double(torch.ones(1, 1, 4, 4))[:, :, :-1, :-1].eq(1).all()


def test_there_is_no_normalisation_and_blocks_start_as_the_identity() -> None:
    for network in pair(classes=2):
        assert not any("Norm" in type(module).__name__ for module in network.modules())
        blocks = [module for module in network.modules() if isinstance(module, _Block)]
        assert len(blocks) == 4  # one at 32, 16, 8 and 4
        x = torch.randn(1, blocks[0].widen.in_channels, 4, 4)
        assert torch.equal(blocks[0](x), x)
        for block in blocks:
            assert block.mix.in_channels == 2 * block.widen.in_channels
            assert block.mix.in_channels // block.mix.groups == 8


def test_the_start_is_scaled_down_by_depth() -> None:
    networks = (R3GANDiscriminator(width=64, depth=depth) for depth in (1, 16))
    shallow, deep = (network.layers[1].widen.weight.std().item() for network in networks)
    assert deep / shallow == pytest.approx(0.5, rel=0.1)  # (16 / 1) ** -(1 / 4)


def test_the_signal_keeps_its_size_at_the_start() -> None:
    generator, discriminator = pair(width=64)
    images = generator.layers[:-1](generator.weights(torch.randn(64, 10))[:, :, None, None] * generator.basis)
    assert 0.2 < images.std() < 2
    assert 0.02 < discriminator(torch.randn(64, 3, 32, 32)).std() < 2


def test_channels_double_as_the_resolution_halves() -> None:
    def widths(network: nn.Module) -> list[int]:
        return [module.widen.in_channels for module in network.modules() if isinstance(module, _Block)]

    generator, discriminator = pair(size=256)
    assert widths(discriminator) == [8, 16, 32, 64, 128, 128, 128]
    assert widths(generator) == widths(discriminator)[::-1]
    assert widths(pair(patch=2)[0]) == [64, 32, 16]


def test_labels_matter_and_are_asked_for() -> None:
    generator, discriminator = pair(classes=3)
    z, x = torch.randn(1, 10, 1, 1), torch.randn(1, 3, 32, 32)
    assert not torch.equal(generator(z, torch.tensor([0])), generator(z, torch.tensor([1])))
    assert not torch.equal(discriminator(x, torch.tensor([0])), discriminator(x, torch.tensor([1])))
    for network, given in ((generator, z), (discriminator, x)):
        with pytest.raises(ValueError, match="it needs labels"):
            network(given)
    with pytest.raises(ValueError, match="it takes no labels"):
        pair()[1](x, torch.tensor([0]))


def test_groups_must_divide_the_channels() -> None:
    with pytest.raises(ConfigError, match=r"r3gan: a stage of 28 channels .* 16 does not divide"):
        Generator("r3gan", width=28, patch=2)


def test_a_penalty_can_be_trained() -> None:
    _, discriminator = pair(classes=3)
    images = torch.randn(2, 3, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(discriminator(images, labels(2, 3)).sum(), images, create_graph=True)
    gradient.square().sum().backward()
    reached = [name for name, p in discriminator.named_parameters() if p.grad is not None and p.grad.any()]
    assert {"basis.weight", "last.weight", "embedding.weight", "layers.1.narrow.weight"} <= set(reached)
    assert all(p.grad is None or p.grad.isfinite().all() for p in discriminator.parameters())
