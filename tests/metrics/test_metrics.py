"""Metrics against closed forms, hand-computed values and the library they are taken from."""

import math

import pytest
import torch
from torch import Tensor, nn

from hubgan.metrics import (
    PerceptualDistance,
    frechet_distance,
    kernel_distance,
    luma,
    psnr,
    sharpness_ratio,
    shrink,
    ssim,
)
from hubgan.metrics.features import load_efficientnet_lite


def standard(count: int, features: int) -> Tensor:
    """Samples whose mean is 0 and whose covariance is 1, not only nearly so."""
    x = torch.randn(count, features, dtype=torch.float64)
    x -= x.mean(0)
    return x @ torch.linalg.cholesky(torch.linalg.inv(x.T @ x / (count - 1)))


def grey(*values: float) -> Tensor:
    """One-coloured pictures, (N, 3, 20, 20)."""
    return torch.tensor(values).byte().view(-1, 1, 1, 1).expand(-1, 3, 20, 20)


# -- sets of features


def test_the_frechet_distance_of_normal_distributions_that_differ_in_mean_and_scale() -> None:
    x, mean, scale = standard(500, 4), torch.tensor([3.0, 0, 0, -4.0]), torch.tensor([1.0, 2.0, 0.5, 1.0])
    assert frechet_distance(x, x * scale + mean) == pytest.approx(25 + 1 + 0.25, rel=1e-6)


def test_the_frechet_distance_of_covariances_that_do_not_commute() -> None:
    x = standard(300, 2)
    one, two = torch.tensor([[2.0, 0.0], [1.0, 1.0]]).double(), torch.tensor([[1.0, 0.0], [-1.0, 3.0]]).double()
    first, second = one @ one.T, two @ two.T
    product = first @ second  # of a 2 x 2 matrix, tr(M^(1/2)) = (tr M + 2 det(M)^(1/2))^(1/2)
    root = math.sqrt(product.trace() + 2 * math.sqrt(torch.linalg.det(product)))
    wanted = float(first.trace() + second.trace()) - 2 * root
    assert frechet_distance(x @ one.T, x @ two.T) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.xdist_group("libraries")
def test_the_frechet_distance_is_the_librarys_though_it_comes_in_chunks() -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance  # which takes seconds, once in one worker

    real, fake = torch.randn(5000, 8), torch.randn(4100, 8) * 1.5 + 0.3
    extractor = nn.Identity()
    extractor.num_features = 8  # type: ignore[assignment]
    metric = FrechetInceptionDistance(feature=extractor)
    metric.update(real.double(), real=True)
    metric.update(fake.double(), real=False)
    assert frechet_distance(real, fake) == pytest.approx(float(metric.compute()), rel=1e-9)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_has_a_floor_that_falls_with_the_samples() -> None:
    x = torch.randn(2000, 16)
    few, many = frechet_distance(x[:50], x[50:100]), frechet_distance(x[:1000], x[1000:])
    assert few > 10 * many > 0


def test_the_kernel_distance_by_hand() -> None:
    real, fake = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [2.0]])
    # (xy + 1)^3: 1 between the two real ones and between the two fakes; 1, 1, 1 and 27 between real and fake.
    assert kernel_distance(real, fake) == (1 + 1 - 2 * (1 + 1 + 1 + 27) / 4, 0, 1, 2)


@pytest.mark.xdist_group("libraries")
def test_the_kernel_distance_is_the_librarys() -> None:
    from torchmetrics.image.kid import KernelInceptionDistance

    real, fake = torch.randn(60, 8).double(), torch.randn(60, 8).double() + 0.5
    metric = KernelInceptionDistance(feature=nn.Identity(), subsets=1, subset_size=60)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    assert kernel_distance(real, fake).mean == pytest.approx(float(metric.compute()[0]), rel=1e-9)


def test_the_kernel_distance_of_subsets_goes_by_its_own_seed() -> None:
    real, fake = torch.randn(400, 8), torch.randn(300, 8)
    before = torch.get_rng_state()
    found = kernel_distance(real, fake, subsets=30, subset_size=100, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert found == kernel_distance(real, fake, subsets=30, subset_size=100, seed=1)
    assert found != kernel_distance(real, fake, subsets=30, subset_size=100, seed=2)
    assert (found.subsets, found.subset_size) == (30, 100)
    assert abs(found.mean) < 3 * found.deviation < 0.2
    assert kernel_distance(real, fake + 1, subsets=30, subset_size=100).mean > 0.5


# -- traps


def test_the_kernel_distance_does_not_fall_with_the_samples_as_the_frechet_distance_does() -> None:
    real, fake = torch.randn(3000, 16), torch.randn(3000, 16) + 0.3
    few, many = (kernel_distance(real[:n], fake[:n], subsets=50, subset_size=n // 2) for n in (200, 1000))
    assert few.mean == pytest.approx(many.mean, rel=0.25)
    assert frechet_distance(real[:200], fake[:200]) > 1.3 * frechet_distance(real, fake)


def test_the_order_of_samples_does_not_matter() -> None:
    real, fake = torch.randn(5000, 8), torch.randn(4500, 8) * 1.1
    shuffled, sorted_fake = real[torch.randperm(5000)], fake[fake[:, 0].argsort()]
    assert frechet_distance(shuffled, sorted_fake) == pytest.approx(frechet_distance(real, fake), rel=1e-9)
    some, other = real[:300], fake[:300]
    assert kernel_distance(some.flip(0), other.flip(0)).mean == pytest.approx(kernel_distance(some, other).mean)


def test_distances_are_computed_in_double_precision() -> None:
    real, fake = torch.randn(500, 8), torch.randn(500, 8) * 1.1
    moved = [(features + 1000).round(decimals=2) for features in (real, fake)]  # float32 has 4 digits left for squares
    wanted = frechet_distance(*(features.double() - 1000 for features in moved))
    assert frechet_distance(*moved) == pytest.approx(wanted, rel=1e-6)
    assert frechet_distance(real, real + 1e-4) == pytest.approx(8e-8, rel=0.05)


# -- fidelity


def test_luma_is_that_of_bt_601() -> None:
    black, white, red = [0, 0, 0], [255, 255, 255], [255, 0, 0]
    pixels = torch.tensor([black, white, red], dtype=torch.uint8).view(3, 3, 1, 1)
    assert luma(pixels).flatten().tolist() == [16, 235, 81]  # 81.481, rounded as MATLAB does
    assert luma(pixels[:2, :1]).flatten().tolist() == [0, 255]  # a grey picture is its own luma


def test_psnr_by_hand() -> None:
    each = [20 * math.log10(255 / difference) for difference in (8, 34)]  # lumas of 102 and 110, of 102 and 68
    assert psnr(grey(100, 100), grey(110, 60), border=4) == pytest.approx(sum(each) / 2, rel=1e-6)


def test_the_border_does_not_count() -> None:
    one = torch.randint(256, (1, 3, 20, 24), dtype=torch.uint8)
    other = one.clone()
    other[:, :, :4], other[:, :, :, -4:] = 0, 255
    assert psnr(one, other, border=4) == math.inf and ssim(one, other, border=4) == pytest.approx(1)
    assert psnr(one, other, border=3) < 40 and ssim(one, other, border=3) < 1


def test_ssim_by_hand() -> None:
    one, other = (round(16 + value * 219 / 255) for value in (100, 140))
    c1 = (0.01 * 255) ** 2
    wanted = (2 * one * other + c1) / (one**2 + other**2 + c1)
    assert ssim(grey(100), grey(140), border=4) == pytest.approx(wanted, rel=1e-6)


def test_ssim_of_a_single_window_by_hand() -> None:
    pictures = torch.randint(256, (2, 3, 15, 15), dtype=torch.uint8)
    x, y = luma(pictures)[:, 0, 2:13, 2:13]
    gauss = torch.exp(-((torch.arange(11) - 5.0) ** 2) / (2 * 1.5**2)).double()
    window = torch.outer(gauss, gauss) / gauss.sum() ** 2
    mx, my = (window * x).sum(), (window * y).sum()
    vx, vy = (window * x * x).sum() - mx**2, (window * y * y).sum() - my**2
    both = (window * x * y).sum() - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    wanted = (2 * mx * my + c1) * (2 * both + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert ssim(pictures[:1], pictures[1:], border=2) == pytest.approx(float(wanted), rel=1e-6)


# -- detail


def test_sharpness_is_the_energy_beyond_what_the_small_picture_holds() -> None:
    noise = torch.randint(96, 160, (1, 1, 64, 64), dtype=torch.uint8)
    assert sharpness_ratio(noise, noise, scale=4, border=4) == pytest.approx(1)
    half = (noise.float() - 128).div(2).add(128).round().byte()
    assert sharpness_ratio(half, noise, scale=4, border=4) == pytest.approx(0.25, abs=0.02)
    coarse = shrink(noise.float() / 255, 8).repeat_interleave(8, 2).repeat_interleave(8, 3)
    smooth = nn.functional.avg_pool2d(coarse, 15, 1, 7, count_include_pad=False).mul(255).round().byte()
    assert sharpness_ratio(smooth, noise, scale=4, border=8) < 0.01


@pytest.mark.parametrize("lite", [0, 2])
def test_the_perceptual_distance_sees_texture_that_pixels_do_not(lite: int) -> None:
    distance = PerceptualDistance(lite)
    texture = torch.rand(2, 3, 64, 64)
    shifted, blurred = texture.roll(1, -1), texture.mean((2, 3), keepdim=True).expand_as(texture)
    assert distance(texture, texture).tolist() == [0, 0]
    assert (shifted - texture).square().mean() > (blurred - texture).square().mean()
    assert (distance(shifted, texture) < distance(blurred, texture)).all()


def test_the_perceptual_distance_reaches_the_picture_and_not_its_own_weights() -> None:
    image = torch.rand(1, 1, 32, 32, requires_grad=True)
    distance = PerceptualDistance(lite=0)
    distance(image, torch.rand(1, 1, 32, 32)).sum().backward()
    assert image.grad is not None and image.grad.abs().sum() > 0
    assert all(not p.requires_grad for p in distance.parameters())


@pytest.mark.parametrize("lite", [0, 2])
def test_the_perceptual_distance_of_pictures_smaller_than_its_network_takes(lite: int) -> None:
    distance, texture = PerceptualDistance(lite), torch.rand(1, 3, 24, 5)
    assert distance(texture, texture).item() == 0 < distance(texture.flip(2), texture).item()


@pytest.mark.parametrize("lite", [0, 2])
def test_the_folded_network_computes_what_the_published_one_does(lite: int) -> None:
    distance, published = PerceptualDistance(lite), load_efficientnet_lite(lite).eval()
    images, targets = torch.rand(2, 3, 64, 48), torch.rand(2, 3, 64, 48)
    distances = []
    with torch.no_grad():
        x = published._swish(published._bn0(published._conv_stem(distance.standardise(torch.cat([images, targets])))))
        for index, block in enumerate([nn.Identity(), *published._blocks], -1):
            x = block(x)
            if index in distance.stages:
                one, other = nn.functional.normalize(x, dim=1).chunk(2)
                distances.append((one - other).square().sum(1).mean((1, 2)))
    torch.testing.assert_close(distance(images, targets), torch.stack(distances).mean(0), rtol=1e-4, atol=1e-5)


def test_the_perceptual_loss_in_bfloat16() -> None:
    distance, images, targets = PerceptualDistance(0), torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = distance(images, targets)
    torch.testing.assert_close(rounded, distance(images, targets), rtol=0.02, atol=0)


def test_small_pictures_have_eight_bits() -> None:
    small = shrink(torch.rand(2, 3, 16, 24), 4)
    assert small.shape == (2, 3, 4, 6)
    torch.testing.assert_close(small * 255, (small * 255).round())
    assert small.min() >= 0 and small.max() <= 1
