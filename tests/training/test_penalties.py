"""The gradient penalties against closed forms, finite differences, and a float64 reference in two processes."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from helpers.forking import run_script
from hubgan.networks import DISCRIMINATORS
from hubgan.training.losses import OBJECTIVES
from hubgan.training.penalties import Discriminate, Penalties, interpolated, zero_centred

SHAPE = (5, 3, 4, 4)


def linear(weight: Tensor) -> Discriminate:
    return lambda images: images.flatten(1) @ weight.to(images.dtype)


def batch(shape: tuple[int, ...] = SHAPE, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Real, fake, mix."""
    return torch.rand(shape, dtype=dtype), -torch.rand(shape, dtype=dtype), torch.rand(shape[0], dtype=dtype)


# -- closed forms


def test_a_linear_critic_has_the_same_gradient_everywhere() -> None:
    weight = torch.randn(48, dtype=torch.float64)
    real, fake, mix = batch()
    torch.testing.assert_close(zero_centred(linear(weight), real), weight.square().sum())
    torch.testing.assert_close(interpolated(linear(weight), real, fake, mix), (weight.norm() - 1).square())


def test_a_quadratic_critics_gradient_is_the_image() -> None:
    def critic(images: Tensor) -> Tensor:
        return images.square().sum((1, 2, 3)) / 2

    real, fake, mix = batch()
    torch.testing.assert_close(zero_centred(critic, real), real.square().sum((1, 2, 3)).mean())
    share = mix.view(-1, 1, 1, 1)
    norms = (share * real + (1 - share) * fake).flatten(1).norm(dim=1)
    torch.testing.assert_close(interpolated(critic, real, fake, mix), (norms - 1).square().mean())


def test_the_ends_of_the_mixture_are_real_and_fake() -> None:
    seen: list[Tensor] = []
    real, fake, _ = batch()

    def critic(images: Tensor) -> Tensor:
        seen.append(images)
        return images.sum((1, 2, 3))

    interpolated(critic, real, fake, torch.tensor([1.0, 0, 1, 0, 1]))
    torch.testing.assert_close(seen[0][::2], real[::2])
    torch.testing.assert_close(seen[0][1::2], fake[1::2])


def test_the_logits_of_an_images_patches_are_summed() -> None:
    real, fake, mix = batch()
    weight = torch.randn(3, dtype=torch.float64)

    def patches(images: Tensor) -> Tensor:
        return torch.einsum("nchw,c->nhw", images, weight)

    expected = 16 * weight.square().sum()  # each of the 4 x 4 pixels has the gradient `weight`
    torch.testing.assert_close(zero_centred(patches, real), expected)
    torch.testing.assert_close(interpolated(patches, real, fake, mix), (expected.sqrt() - 1).square())


def test_a_flat_critic_has_a_finite_slope() -> None:
    weight = torch.zeros(48, requires_grad=True)
    real, fake, mix = batch(dtype=torch.float32)
    loss = interpolated(linear(weight), real, fake, mix)
    loss.backward()
    assert loss.item() == pytest.approx(1, abs=1e-5)
    assert weight.grad is not None and weight.grad.isfinite().all()


# -- weights


def test_weights_and_the_lazy_factor() -> None:
    weight = torch.randn(48, dtype=torch.float64)
    square, real, fake, mix = weight.square().sum().item(), *batch()
    terms = Penalties(r1=3.0, r2=0.5, gradient_penalty=10.0, every=4)(linear(weight), real, fake, mix)
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {"r1": 3 / 2 * 4 * square, "r2": 0.5 / 2 * 4 * square, "gradient_penalty": 10 * 4 * (square**0.5 - 1) ** 2}
    )


def test_weights_of_0_cost_nothing() -> None:
    def never(images: Tensor) -> Tensor:
        raise AssertionError

    assert Penalties()(never, *batch()) == {}
    assert Penalties(r2=1.0)(linear(torch.ones(48)), *batch()).keys() == {"r2"}


def test_r1_is_at_real_images_and_r2_at_fakes() -> None:
    def critic(images: Tensor) -> Tensor:
        return images.square().sum((1, 2, 3)) / 2

    real, fake, mix = batch()
    terms = Penalties(r1=2.0, r2=2.0)(critic, real, 3 * fake, mix)
    assert terms["r1"].item() == pytest.approx(real.square().sum((1, 2, 3)).mean().item())
    assert terms["r2"].item() == pytest.approx(9 * fake.square().sum((1, 2, 3)).mean().item())


# -- gradients


def test_first_and_second_derivatives_by_the_weights() -> None:
    real, fake, mix = batch((3, 1, 2, 2))
    inner, outer = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((4, 3), (3,)))
    terms = Penalties(r1=1.0, r2=0.3, gradient_penalty=2.0, every=2)

    def loss(inner: Tensor, outer: Tensor) -> Tensor:
        found = terms(lambda images: (images.flatten(1) @ inner).tanh() @ outer, real, fake, mix)
        return torch.stack(list(found.values())).sum()

    assert torch.autograd.gradcheck(loss, (inner, outer))
    assert torch.autograd.gradgradcheck(loss, (inner, outer))


@pytest.mark.parametrize(
    ("architecture", "options"),
    [("dcgan", {"norm": norm, "image_size": 8}) for norm in ("batch", "spectral", "none")]
    + [("patch", {"norm": norm, "depth": 2}) for norm in ("spectral", "none")],
)
def test_gradients_through_the_discriminators(architecture: str, options: dict[str, object]) -> None:
    # In evaluation mode: in training each pass moves the statistics that the next one uses.
    network = DISCRIMINATORS[architecture](width=4, **options).double().eval()  # type: ignore[arg-type]
    terms = Penalties(r1=1.0, r2=1.0, gradient_penalty=1.0)
    data = batch((3, 3, 8, 8))
    names, values = zip(*((n, p) for n, p in network.named_parameters() if not n.endswith("bias")), strict=True)

    def loss(*parameters: Tensor) -> Tensor:
        weights = dict(zip(names, parameters, strict=True))
        found = terms(lambda images: torch.func.functional_call(network, weights, (images,)), *data)
        return torch.stack(list(found.values())).sum()

    assert torch.autograd.gradcheck(loss, values, fast_mode=True)


def test_the_images_own_graph_is_left_alone() -> None:
    weight = torch.randn(48, requires_grad=True)
    real, fake, mix = batch(dtype=torch.float32)
    leaf = fake.requires_grad_()
    terms = Penalties(r1=1.0, r2=1.0, gradient_penalty=1.0)(linear(weight), real, leaf.tanh(), mix)
    torch.stack(list(terms.values())).sum().backward()
    assert leaf.grad is None
    assert weight.grad is not None and weight.grad.abs().sum() > 0


# -- precision


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_and_half_images_do_not_coarsen_them(dtype: torch.dtype) -> None:
    network = DISCRIMINATORS["dcgan"](image_size=8, width=4, norm="none")
    real, fake, mix = batch((4, 3, 8, 8), torch.float32)
    fake = fake.to(dtype)
    terms = Penalties(r1=1.0, r2=1.0, gradient_penalty=1.0)
    expected = terms(network, real, fake.float(), mix)
    with torch.autocast("cpu", dtype):
        found = terms(network, real, fake, mix)
    assert all(term.dtype == torch.float32 and torch.equal(term, expected[name]) for name, term in found.items())


def test_gradients_beyond_the_range_of_half_precision() -> None:
    weight = torch.full((48,), 1000.0, requires_grad=True)
    real, _, _ = batch(dtype=torch.float32)
    with torch.autocast("cpu", torch.float16):
        loss = zero_centred(lambda images: nn.functional.linear(images.flatten(1), weight[None]).flatten(), real)
    loss.backward()
    assert loss.item() == pytest.approx(48e6)
    assert weight.grad is not None and weight.grad.isfinite().all()


# Each process has half of a batch. The objective goes through DDP and autocast, the penalties past both; the gradients
# of the penalties are what the objective alone leaves out. Accelerate computes fp16 on the CPU in float32 without a
# word, so autocast and the scaler are PyTorch's own there.
SCRIPT = """
import sys
from copy import deepcopy

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs

from hubgan.networks import DISCRIMINATORS
from hubgan.training.losses import OBJECTIVES
from hubgan.training.penalties import Penalties

half = {"bf16": torch.bfloat16, "fp16": torch.float16}[sys.argv[1]]
accelerator = Accelerator(
    cpu=True,
    mixed_precision="bf16" if half == torch.bfloat16 else "no",
    kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
)
assert accelerator.num_processes == 2
scaler = torch.amp.GradScaler("cpu", init_scale=256.0, enabled=half == torch.float16)
penalties = Penalties(r1=1.0, r2=0.5, gradient_penalty=2.0, every=2)


def autocast():
    return accelerator.autocast() if half == torch.bfloat16 else torch.autocast("cpu", half)


def gradients(network):
    # The last bias shifts all logits alike, which no penalty sees: it may be None.
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in network.parameters()]


def compare(architecture, options):
    torch.manual_seed(0)
    network = DISCRIMINATORS[architecture](width=4, **options).eval()  # eval: fixed singular vectors
    data = torch.rand(8, 3, 8, 8) * 2 - 1, (torch.rand(8, 3, 8, 8) - 1).to(half).float(), torch.rand(8)
    reference = deepcopy(network).double()
    sum(penalties(reference, *(t.double() for t in data)).values()).backward()

    dtypes = []
    network.layers[0].register_forward_hook(lambda layer, inputs, output: dtypes.append(output.dtype))
    network = network.to(memory_format=torch.channels_last)
    wrapped = accelerator.prepare_model(network)
    bare = accelerator.unwrap_model(wrapped)
    real, fake, mix = (t.chunk(2)[accelerator.process_index] for t in data)

    def backward(with_penalties):
        network.zero_grad()
        with autocast():
            loss = OBJECTIVES["non_saturating"].discriminator(wrapped(real).float(), wrapped(fake).float())
            if with_penalties:
                terms = penalties(lambda images: type(bare).forward(bare, images), real, fake.to(half), mix)
                loss = torch.stack([loss, *terms.values()]).sum()
        accelerator.backward(scaler.scale(loss))
        return [gradient / scaler.get_scale() for gradient in gradients(network)]

    alone, both = backward(False), backward(True)
    assert dtypes == [half] * 4 + [torch.float32] * 3, dtypes
    expected = gradients(reference)
    largest = max(g.abs().max() for g in expected)
    for before, after, gradient in zip(alone, both, expected):
        torch.testing.assert_close((after - before).double(), gradient, rtol=1e-4, atol=1e-6 * float(largest))


compare("dcgan", {"image_size": 8, "norm": "none"})
compare("patch", {"depth": 2})
accelerator.end_training()
"""


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_two_processes_with_mixed_precision_give_the_whole_batchs_gradients(precision: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    run_script(script, precision, folder=tmp_path, processes=2)


def test_a_penalised_critic_learns_the_slope_it_is_asked_for() -> None:
    """Between two point masses 2 apart a slope s has the loss -2s + 10(s - 1)^2, which is least at s = 1.1."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1), nn.Flatten(0)).double()
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    real, fake = (torch.full((16, 1, 1, 1), value, dtype=torch.float64) for value in (1.0, -1.0))
    penalties = Penalties(gradient_penalty=10.0)
    for _ in range(300):
        loss = OBJECTIVES["wasserstein"].discriminator(network(real), network(fake))
        terms = penalties(network, real, fake, torch.rand(16, dtype=torch.float64))
        optimizer.zero_grad()
        (loss + terms["gradient_penalty"]).backward()
        optimizer.step()
    assert -loss.item() == pytest.approx(2.2, abs=0.02)
