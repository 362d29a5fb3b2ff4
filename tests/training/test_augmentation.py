"""The augmentation of what the discriminator sees, against its formulas, and the control of its probability."""

import pytest
import torch
from torch import Tensor

from hubgan.networks import DISCRIMINATORS
from hubgan.training.augmentation import AdaptiveProbability, DiffAugment, Operation
from hubgan.training.penalties import zero_centred

ALL: tuple[Operation, ...] = ("color", "translation", "cutout")


def images(n: int = 6, channels: int = 3, height: int = 16, width: int = 24) -> Tensor:
    return torch.rand(n, channels, height, width) * 2 - 1


def one(operation: Operation, x: Tensor, *amounts: float) -> Tensor:
    """One operation on all images with the same draws; the first draw, which chooses, is below any probability."""
    augment = DiffAugment([operation])
    assert augment.draws == 1 + len(amounts)
    return augment(x, torch.tensor([[0.0, *amounts]]).repeat(len(x), 1), 1.0)


# -- when


@pytest.mark.parametrize("operations", [(), *((o,) for o in ALL), ALL])
def test_probability_0_is_the_identity(operations: tuple[Operation, ...]) -> None:
    x, augment = images(), DiffAugment(operations)
    draws = torch.rand(len(x), augment.draws)
    draws[0] = 0
    assert torch.equal(augment(x, draws, 0.0), x)


@pytest.mark.parametrize("operation", ALL)
def test_an_image_that_is_not_chosen_is_left_exactly(operation: Operation) -> None:
    x, augment = images(200), DiffAugment([operation])
    draws = torch.rand(len(x), augment.draws)
    changed = (augment(x, draws, 0.3) != x).flatten(1).any(1)
    assert not changed[draws[:, 0] >= 0.3].any()
    assert changed[draws[:, 0] < 0.3].float().mean() > 0.9  # a translation may be by nothing


def test_at_half_the_probability_half_the_images_change_each_operation_by_itself() -> None:
    x, augment = torch.ones(4000, 1, 8, 8), DiffAugment(["color", "cutout"])
    result = augment(x, torch.rand(len(x), augment.draws), 0.5)
    cut = (result == 0).flatten(1).any(1)
    brighter = result.flatten(1).amax(1) != 1
    assert cut.float().mean().item() == pytest.approx(0.5, abs=0.04)
    assert brighter.float().mean().item() == pytest.approx(0.5, abs=0.04)
    assert (cut & brighter).float().mean().item() == pytest.approx(0.25, abs=0.04)


# -- from what


def test_the_same_draws_do_the_same_to_real_and_fake_in_any_batch() -> None:
    augment = DiffAugment(ALL)
    real, draws = images(8), torch.rand(8, augment.draws)
    state = torch.get_rng_state()
    whole = augment(real, draws, 0.7)
    parts = torch.cat([augment(*part, 0.7) for part in zip(real.split(3), draws.split(3), strict=True)])
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(whole, parts)
    assert torch.equal(augment(real.clone(), draws, 0.7), whole)
    assert torch.equal(
        augment(torch.ones_like(real), draws, 0.7) == 0, augment(-torch.ones_like(real), draws, 0.7) == 0
    )


def test_operations_are_applied_in_the_order_given() -> None:
    x, augment = torch.zeros(1, 1, 16, 16), DiffAugment(["color", "cutout"])
    draws = torch.tensor([[0, 0.9, 0.5, 0.5, 0, 0.5, 0.5]])
    assert augment(x, draws, 1.0).unique().tolist() == pytest.approx([0.0, 0.4])
    draws = torch.tensor([[0, 0.5, 0.5, 0, 0.9, 0.5, 0.5]])
    assert DiffAugment(["cutout", "color"])(x, draws, 1.0).unique().tolist() == pytest.approx([0.4])


def test_unknown_operations_are_refused() -> None:
    with pytest.raises(KeyError, match="rotation"):
        DiffAugment(["rotation"])  # type: ignore[list-item]


# -- colour


@pytest.mark.parametrize("draw", [0.0, 0.25, 0.999])
def test_brightness_is_added(draw: float) -> None:
    x = images()
    torch.testing.assert_close(one("color", x, draw, 0.5, 0.5), x + draw - 0.5)


@pytest.mark.parametrize("draw", [0.0, 0.25, 0.999])
def test_saturation_stretches_around_grey(draw: float) -> None:
    x = images()
    grey = x.mean(1, keepdim=True)
    torch.testing.assert_close(one("color", x, 0.5, draw, 0.5), grey + 2 * draw * (x - grey))


@pytest.mark.parametrize("draw", [0.0, 0.25, 0.999])
def test_contrast_stretches_around_the_images_mean(draw: float) -> None:
    x = images()
    mean = x.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(one("color", x, 0.5, 0.5, draw), mean + (draw + 0.5) * (x - mean))


def test_saturation_leaves_grey_images() -> None:
    x = images(channels=1)
    torch.testing.assert_close(one("color", x, 0.5, 0.0, 0.5), x)


# -- translation


@pytest.mark.parametrize(
    ("vertical", "horizontal", "down", "right"), [(0.0, 0.999, -2, 3), (0.999, 0.0, 2, -3), (0.5, 0.5, 0, 0)]
)
def test_translation_moves_by_whole_pixels_up_to_an_eighth(
    vertical: float, horizontal: float, down: int, right: int
) -> None:
    x = images(height=16, width=24)
    expected = torch.zeros_like(x)
    for row in range(16):
        for column in range(24):
            if 0 <= row - down < 16 and 0 <= column - right < 24:
                expected[:, :, row, column] = x[:, :, row - down, column - right]
    assert torch.equal(one("translation", x, vertical, horizontal), expected)


def test_every_translation_is_as_likely() -> None:
    x, augment = torch.zeros(9000, 1, 8, 8), DiffAugment(["translation"])
    x[:, :, 4, 4] = 1
    where = augment(x, torch.rand(len(x), augment.draws), 1.0).mean(0)[0]
    assert (where > 0).nonzero().tolist() == [[r, c] for r in (3, 4, 5) for c in (3, 4, 5)]
    torch.testing.assert_close(where[3:6, 3:6], torch.full((3, 3), 1 / 9), atol=0.02, rtol=0)


# -- cutout


def test_cutout_hides_half_of_each_side_or_less_at_the_border() -> None:
    x = torch.ones(1, 2, 16, 24)
    middle = one("cutout", x, 0.5, 0.5)
    assert (middle == 0).float().mean().item() == 0.25
    hidden = (middle[0, 0] == 0).nonzero()
    assert (hidden.amin(0).tolist(), hidden.amax(0).tolist()) == ([4, 6], [11, 17])
    corner = one("cutout", x, 0.0, 0.999)
    assert (corner[0, 0] == 0).nonzero().amin(0).tolist() == [0, 18]
    assert (corner == 0).float().mean().item() == 1 / 16


@pytest.mark.parametrize("side", [8, 15, 18, 32])
def test_cutout_reaches_everywhere_and_changes_nothing_else(side: int) -> None:
    x, augment = images(3000, 1, side, side), DiffAugment(["cutout"])
    result = augment(x, torch.rand(len(x), augment.draws), 1.0)
    hidden = result == 0
    assert torch.equal(result[~hidden], x[~hidden])
    shares = hidden.float().mean((1, 2, 3))
    limit = (side // 2 / side) ** 2
    assert limit / 5 < shares.min() and shares.max() <= limit + 1e-6
    assert hidden.any(0).all() and (~hidden).any(0).all()


# -- gradients, types, memory


@pytest.mark.slow
def test_gradients_pass_once_and_twice() -> None:
    augment = DiffAugment(ALL)
    x = images(4, 3, 8, 8).double().requires_grad_()
    draws = torch.rand(4, augment.draws, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: augment(x, draws, 0.8), x)
    network = DISCRIMINATORS["dcgan"](image_size=8, width=4, norm="none").double()
    zero_centred(lambda x: network(augment(x, draws, 0.8)), x).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for n, p in network.named_parameters() if "weight" in n)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_dtype_and_memory_format_are_kept_under_autocast_too(
    dtype: torch.dtype, memory_format: torch.memory_format
) -> None:
    augment, x = DiffAugment(ALL), images()
    draws = torch.rand(len(x), augment.draws)
    expected = augment(x, draws, 0.8)
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            result = augment(x.to(dtype, memory_format=memory_format), draws, 0.8)
        assert result.dtype == dtype
        assert result.is_contiguous(memory_format=memory_format)
        torch.testing.assert_close(result.float(), expected, atol=0.03 if dtype.itemsize == 2 else 1e-5, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_are_kept(channels: int) -> None:
    augment = DiffAugment(ALL)
    for size in ((1, channels, 8, 8), (2, channels, 17, 33)):
        assert augment(torch.zeros(size), torch.rand(size[0], augment.draws), 1.0).shape == size


# -- ADA


def test_the_probability_moves_both_ways_at_the_stated_speed() -> None:
    control = AdaptiveProbability(0.6, images=1000)
    assert control.probability == 0
    control.update(0.9, 250)
    assert control.probability == pytest.approx(0.25)
    control.update(0.61, 250)
    assert control.probability == pytest.approx(0.5)
    control.update(-1.0, 100)
    assert control.probability == pytest.approx(0.4)
    control.update(0.6, 200)
    assert control.probability == pytest.approx(0.4)


def test_by_default_it_takes_half_a_million_images_from_0_to_1() -> None:
    fine, coarse = AdaptiveProbability(0.6), AdaptiveProbability(0.6)
    for _ in range(100):
        fine.update(1.0, 5000)
    coarse.update(1.0, 500_000)
    assert fine.probability == pytest.approx(coarse.probability) == pytest.approx(1)


def test_the_probability_stays_between_0_and_1() -> None:
    control = AdaptiveProbability(0.6, images=100)
    control.update(0.0, 1000)
    assert control.probability == 0
    control.update(1.0, 4000)
    assert control.probability == 1
    control.update(0.0, 10)
    assert control.probability == pytest.approx(0.9)


def test_the_probability_waits_for_a_number() -> None:
    control = AdaptiveProbability(0.6, images=100, probability=0.5)
    control.update(float("nan"), 50)
    assert control.probability == 0.5


def test_the_probability_resumes() -> None:
    control, later = AdaptiveProbability(0.6, images=1000), AdaptiveProbability(0.6, images=1000)
    control.update(1.0, 300)
    later.load_state_dict(control.state_dict())
    for each in (control, later):
        each.update(1.0, 100)
    assert later == control
    assert later.probability == pytest.approx(0.4)
