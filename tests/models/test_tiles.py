"""Large pictures through a network in tiles, as if at once."""

import pytest
import torch
from torch import nn

from hubgan.errors import ConfigError, ImageError
from hubgan.models.tiling import upscale_tiled


class Network(nn.Module):
    """Three 3x3 convolutions and a pixel shuffle: it sees 3 pixels far. It remembers what it was shown."""

    radius = 3

    def __init__(self, scale: int = 2, channels: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1),
            nn.LeakyReLU(),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.LeakyReLU(),
            nn.Conv2d(8, channels * scale**2, 3, padding=1),
            nn.PixelShuffle(scale),
        )
        self.seen: list[tuple[int, int]] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.seen.append((image.shape[2], image.shape[3]))
        return self.body(image)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (16, 16), (17, 33)])
@pytest.mark.parametrize("scale", [1, 3])
def test_tiles_give_the_whole_picture(size: tuple[int, int], scale: int) -> None:
    network, image = Network(scale), torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole = network.body(image[None])[0]
    for tile in (0, 5, 16, 100):
        network.seen.clear()
        result = upscale_tiled(network, image, scale=scale, tile=tile, halo=network.radius)
        torch.testing.assert_close(result, whole, rtol=0, atol=1e-6)
        assert not result.requires_grad
        assert (network.seen == [size]) == (tile == 0 or max(size) <= tile)


def test_tiles_of_one_pixel() -> None:
    network, image = Network(), torch.rand(3, 4, 5)
    with torch.no_grad():
        whole = network.body(image[None])[0]
    result = upscale_tiled(network, image, scale=2, tile=1, halo=network.radius + 1)
    torch.testing.assert_close(result, whole, rtol=0, atol=1e-6)
    assert len(network.seen) == 20


@pytest.mark.parametrize("halo", [0, 1, 2])
def test_too_small_a_halo_shows_seams(halo: int) -> None:
    tile = 16 - halo  # so that a tile and its halo divide by 4, and it is shown no more
    network, image = Network(), torch.rand(3, 2 * tile, 2 * tile, generator=torch.Generator().manual_seed(1))
    result = upscale_tiled(network, image, scale=2, tile=tile, halo=halo)
    with torch.no_grad():
        error = (result - network.body(image[None])[0]).abs().amax(0)
    assert error.max() > 1e-5
    reach = 2 * (network.radius - halo)
    assert error[: 2 * tile - reach, : 2 * tile - reach].max() < 1e-6, "only pixels beside the seam may differ"


def test_the_network_sees_small_balanced_tiles() -> None:
    network = Network(channels=1)
    upscale_tiled(network, torch.rand(1, 33, 70), scale=2, tile=32, halo=4)
    assert len(network.seen) == 2 * 3
    assert {height for height, _ in network.seen} == {16 + 4, 17 + 4 + 3}  # where there is room, sizes divide by 4
    assert {width for _, width in network.seen} == {23 + 4 + 1, 24 + 4, 23 + 8 + 1}


@pytest.mark.parametrize("multiple", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [(47, 61), (5, 130)])
def test_networks_on_a_grid_get_tiles_that_start_on_it(size: tuple[int, int], multiple: int) -> None:
    image = torch.arange(size[0] * size[1], dtype=torch.float32).view(1, *size)
    starts: list[tuple[int, int]] = []

    def same(part: torch.Tensor) -> torch.Tensor:
        starts.append(divmod(int(part.flatten()[0]), size[1]))
        return part

    result = upscale_tiled(same, image, scale=1, tile=16, halo=3, multiple=multiple)
    assert torch.equal(result, image)
    assert all(side % multiple == 0 for start in starts for side in start)


def test_tiled_options_and_inputs_are_checked() -> None:
    network, image = Network(), torch.rand(3, 8, 8)
    for options in ({"scale": 0}, {"tile": -1}, {"halo": -1}, {"multiple": 0}, {"scale": 3}):
        with pytest.raises(ConfigError):
            upscale_tiled(network, image, **{"scale": 2, "tile": 4, "halo": 3, **options})
    for bad in (image[None], image[0], image[:, :0], (image * 255).byte()):
        with pytest.raises(ImageError):
            upscale_tiled(network, bad, scale=2, tile=4, halo=3)
