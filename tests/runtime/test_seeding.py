"""Seeds mean what they have always meant: published images and recorded runs depend on these numbers."""

import subprocess
import sys
from itertools import islice
from types import SimpleNamespace

import pytest
import torch

from hubgan import Generator
from hubgan.data import EndlessSampler
from hubgan.data.degradation import Heavy
from hubgan.errors import ConfigError
from hubgan.models.latents import neighbours
from hubgan.runtime.seeding import SharedRandom, derive, normals, permutation, torch_generator, uniforms


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(width=4, latent_dim=10, labels=list("abcde"))


def near(found: torch.Tensor, wanted: list[float]) -> bool:
    """Equal but for the last bits, in which processors differ."""
    return torch.allclose(found, torch.tensor(wanted), rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("path", "seed"),
    [
        ((), 3),
        (("labels",), 3 ^ 0x5DEECE66D),
        (("neighbours",), 3 ^ 0x9E3779B9),
        (("rollback", 0), 3),
        (("rollback", 2), 4294967299),
        (("epoch", -1), 7737373078893366108),
        (("epoch", 0), 1146185861845966826),
        (("epoch", 1), 3190542561183747467),
        (("epoch", 1000), 1345587495553760609),
        (("update", 96), 3995805968065417865),
        ((96,), 5227566068789357943),
        ((96, 2), 6314188669367192438),
    ],
)
def test_each_stream_of_a_seed_keeps_its_rule(path: tuple[str | int, ...], seed: int) -> None:
    assert derive(3, *path) == seed


def test_seeds_of_any_size_have_epochs() -> None:
    assert derive(-1, "epoch", 0) == 1221138829356728908
    assert derive(2**64 + 3, "epoch", 0) == derive(3, "epoch", 0)


@pytest.mark.parametrize("path", [("label",), ("labels", 1), ("rollback",), ("epoch", "1"), (1, "labels")])
def test_a_stream_without_a_rule_is_an_error(path: tuple[str | int, ...]) -> None:
    with pytest.raises(LookupError, match="no stream of random numbers"):
        derive(3, *path)


@pytest.mark.e2e
def test_another_process_derives_the_same_seeds_without_the_training_packages() -> None:
    code = (
        "import sys; from hubgan.runtime.seeding import derive;"
        "print(derive(3, 96, 2), derive(3, 'epoch', 1), 'accelerate' in sys.modules)"
    )
    environment = {"PYTHONHASHSEED": "1", "PYTHONPATH": ":".join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["6314188669367192438", "3190542561183747467", "False"]


def test_latents_and_labels(generator: Generator) -> None:
    assert near(generator.latents(20, seed=7)[0, :3], [-0.8201345, 0.3956312, 0.8989085])
    assert generator.label_ids(12, seed=7).tolist() == [3, 0, 3, 0, 2, 3, 0, 2, 0, 4, 4, 4]
    assert generator.latents(1, seed=2**64 - 1).isfinite().all() and generator.latents(1, seed=-5).isfinite().all()


def test_neighbours(generator: Generator) -> None:
    around = neighbours(generator.latents(1, seed=7)[0], 5, spread=0.5, seed=7)
    assert near(around[0, :3], [-0.9846754, 0.9416326, 0.5195224])


def test_a_walk(generator: Generator) -> None:
    latents, labels = generator.walk([1, 2, 3], 6)
    assert near(latents[1, :3], [-1.4835947, 0.1122096, -1.1416190])
    assert labels is not None and labels.tolist() == [0] * 6


def test_the_order_of_training_images() -> None:
    batch = next(islice(EndlessSampler(10, 25, 3), 1))
    assert batch == [1, 8, 6, 9, 0, 2, 3, 5, 7, 4, 16, 14, 15, 12, 11, 10, 18, 17, 19, 13, 23, 20, 26, 29, 28]


def test_uniforms_by_key() -> None:
    assert uniforms(3, torch.tensor([0, 77, 2**40]), 3).tolist() == [
        [0.4882746934890747, 0.40056872367858887, 0.29823291301727295],
        [0.9102084040641785, 0.47208553552627563, 0.012935757637023926],
        [0.6823925375938416, 0.8340608477592468, 0.22322231531143188],
    ]


def test_degraded_pictures() -> None:
    large = torch.linspace(0, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)
    levels = Heavy().by_seed(large, 4, seed=5, number=17)[0].mul(255).round()
    assert levels.flatten()[:8].sub(torch.tensor([3, 3, 4, 5, 6, 6, 7, 7])).abs().max() <= 1


def test_numbers_that_processes_share() -> None:
    second = SimpleNamespace(device=torch.device("cpu"), process_index=1, num_processes=2)
    random = SharedRandom(11, second, span=32)  # type: ignore[arg-type]
    wanted = {
        (0,): ([-0.6420295, -0.2688610, 2.3756752], [0.7324554, 0.3723764], [96, 20, 54, 75]),
        (96,): ([-0.4241070, 0.4953968, 1.0664750], [0.9836413, 0.5525439], [50, 51, 71, 76]),
        (96, 2): ([0.5666415, 1.1432401, 0.6095768], [0.9523618, 0.6046042], [21, 23, 77, 55]),
        (100, 2): ([0.9007759, 0.8422995, -0.3792853], [0.9676038, 0.3764243], [21, 23, 77, 55]),  # the same update
    }
    for place, (normal, uniform, integers) in wanted.items():
        random.seek(*place)
        assert near(random.normal(2, 3)[0], normal) and near(random.uniform(2), uniform)
        assert random.integers(4, 100) == integers


def test_normals_do_not_depend_on_how_many_are_drawn() -> None:
    many = normals(torch_generator(7), 40, 3)
    for n in (1, 5, 16, 17):
        assert torch.equal(normals(torch_generator(7), n, 3), many[:n])
    torch.manual_seed(7)
    assert torch.equal(normals(None, 5, 3), many[:5])


def test_a_permutation_is_one_of_its_seed() -> None:
    order = permutation(50, 3)
    assert torch.equal(order, torch.randperm(50, generator=torch.Generator().manual_seed(3)))
    assert not torch.equal(order, permutation(50, 3, "epoch", 0))


def test_no_seed_draws_anew_and_an_unusable_one_is_named() -> None:
    assert torch_generator().initial_seed() != torch_generator().initial_seed()
    for seed in (2**64, -(2**63) - 1, "7", 1.5):
        with pytest.raises(ConfigError, match="seed must be a whole number of at most 64 bits"):
            torch_generator(seed)  # type: ignore[arg-type]
