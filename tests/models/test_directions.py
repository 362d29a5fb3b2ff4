"""Directions found without labels, edits along them, and mixed classes."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hubgan import Generator
from hubgan.errors import ConfigError
from hubgan.models.directions import ganspace, sefa

LABELS = ["cat", "dog", "cow"]


@pytest.fixture(scope="module", params=["dcgan", "r3gan", "sngan"])
def generator(request: pytest.FixtureRequest) -> Generator:
    torch.manual_seed(0)
    model = Generator(request.param, image_size=8, width=16, latent_dim=8, labels=LABELS).eval()
    for module in model.modules():
        if isinstance(module, nn.Embedding):  # the SNGAN's classes start equal
            nn.init.normal_(module.weight)
    return model


@pytest.fixture
def plain() -> Generator:
    return Generator(image_size=8, width=8, latent_dim=6).eval()


def first_features(generator: Generator, latents: Tensor) -> Tensor:
    """What the first layer makes of latents, less what it makes of zeros."""
    network, found = generator.network, []
    second = {"dcgan": lambda: network.layers[1], "r3gan": lambda: network.layers, "sngan": lambda: network.blocks[0]}
    layer: nn.Module = second[generator.config["architecture"]]()
    handle = layer.register_forward_pre_hook(lambda _, args: found.append(args[0]))
    with torch.no_grad():
        generator(torch.cat([latents, latents * 0]), torch.zeros(2 * len(latents), dtype=torch.int64))
    handle.remove()
    features, nothing = found[0].flatten(1).chunk(2)
    return features - nothing


def test_directions_are_those_that_the_first_layer_stretches_the_most(generator: Generator) -> None:
    directions = generator.directions(8)
    torch.testing.assert_close(directions @ directions.T, torch.eye(8))
    sizes = first_features(generator, directions).norm(dim=1)
    assert (sizes.diff() <= 1e-5).all() and sizes[0] > 1.2 * sizes[-1]
    turned = torch.randn(64, 8)
    assert (first_features(generator, turned / turned.norm(dim=1, keepdim=True)).norm(dim=1) <= sizes[0] + 1e-5).all()


def test_directions_repeat_and_the_first_do_not_depend_on_their_number(generator: Generator) -> None:
    assert torch.equal(generator.directions(8), generator.directions(8))
    assert torch.equal(generator.directions(3), generator.directions(8)[:3])
    assert (generator.directions(8).gather(1, generator.directions(8).abs().argmax(1)[:, None]) > 0).all()


def test_ganspace_finds_what_changes_linear_features_most() -> None:
    """Where features are linear in latents, both methods find the same."""
    weight = torch.randn(20, 4) * torch.tensor([9.0, 5.0, 3.0, 1.0])
    latents = torch.randn(4000, 4)
    found, wanted = ganspace(latents, latents @ weight.T), sefa(weight)
    assert ((found * wanted).sum(1) > 0.98).all()


def test_a_network_that_does_not_name_its_first_layer_is_searched_by_its_images(plain: Generator) -> None:
    class Painter(nn.Module):
        """The first latent makes the image bright; the second makes half of it bright, and less so."""

        def __init__(self) -> None:
            super().__init__()
            self.brush = nn.Parameter(torch.zeros(6, 3 * 8 * 8))
            self.brush.data[0], self.brush.data[1, ::2] = 0.1, 0.05

        def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
            return (latents.flatten(1) @ self.brush).unflatten(1, (3, 8, 8))

    with pytest.raises(ConfigError, match="Use k from 1 to 6"):
        plain.directions(7)
    by_images = plain.directions(6, method="ganspace")
    torch.testing.assert_close(by_images.norm(dim=1), torch.ones(6))
    plain.network = Painter()
    assert plain.directions(2).abs().argmax(1).tolist() == [0, 1]
    with pytest.raises(ConfigError, match="no first_weight for SeFa"):
        plain.directions(method="sefa")


def test_an_edit_moves_latents_by_standard_deviations(plain: Generator) -> None:
    latents, direction = plain.latents(3, seed=0), plain.directions(2)[1]
    torch.testing.assert_close(plain.edit(latents, 1, 2.0), latents + 2 * direction)
    torch.testing.assert_close(plain.edit(latents, 5 * direction, [-1, 0, 1])[0], latents[0] - direction)
    strip = plain.edit(latents[:1], 1, [-3, 0, 3])
    assert strip.shape == (3, 6) and torch.equal(strip[1], latents[0])
    assert torch.equal(plain.edit(latents[0], 1, [-3, 0, 3]), strip)
    assert torch.equal(plain.edit(latents[0], 1, -3), strip[0])
    assert len(plain.images_from(strip)) == 3


def test_names_of_directions_are_kept_with_the_model(plain: Generator, tmp_path: Path) -> None:
    plain.name_directions({"light": 0, "grass": 2})
    plain.save_pretrained(tmp_path)
    again = Generator.from_pretrained(tmp_path)
    latents = again.latents(1, seed=0)
    assert again.direction_names == {"light": 0, "grass": 2}
    assert torch.equal(again.edit(latents, "grass", 1), plain.edit(latents, 2, 1))
    assert '`{"light": 0, "grass": 2}`' in (tmp_path / "README.md").read_text()
    again.name_directions({})
    assert "direction_names" not in again.config
    for names in ({"": 0}, {"3": 0}, {"light": 6}, {"light": True}, {"light": 0, "dark": 0}, ["light"]):
        with pytest.raises(ConfigError, match="must give different numbers from 0 to 5"):
            again.name_directions(names)


@pytest.mark.parametrize(
    ("direction", "amount", "words"),
    [
        ("lihgt", 1, "no direction 'lihgt'. Did you mean 'light'"),
        (6, 1, "there is no direction 6. Use a number from 0 to 5"),
        (-1, 1, "there is no direction -1"),
        (torch.zeros(6), 1, "other than 0"),
        (torch.ones(5), 1, "must be a finite vector (6,)"),
        (0, float("nan"), "amount must be a finite number"),
        (0, [1, 2, 3], "3 amounts for 2 latents"),
    ],
)
def test_what_cannot_be_edited_is_refused(
    plain: Generator, direction: int | str | Tensor, amount: float, words: str
) -> None:
    plain.name_directions({"light": 0})
    with pytest.raises(ConfigError) as error:
        plain.edit(plain.latents(2, seed=0), direction, amount)
    assert words in str(error.value)


def test_weights_mix_classes(generator: Generator) -> None:
    latents, one = generator.latents(3, seed=0), torch.eye(3)
    pure = generator.images_from(latents, torch.tensor([0, 1, 2]), output_type="pt")
    torch.testing.assert_close(generator.images_from(latents, one, output_type="pt"), pure)
    mixed = generator.images_from(latents, one.lerp(one.roll(1, 1), 0.4), output_type="pt")
    assert (mixed - pure).abs().amax((1, 2, 3)).min() > 1e-4
    with pytest.raises(ConfigError, match=r"weights of the classes, float \(3, 3\)"):
        generator.images_from(latents, torch.ones(3, 2))
    with pytest.raises(ConfigError, match="must be finite"):
        generator.images_from(latents, one * float("nan"))


def test_a_walk_may_blend_labels_and_lead_through_latents(generator: Generator) -> None:
    plain_way, numbers = generator.walk([1, 2], 4, labels=["dog", "cow"])
    way, weights = generator.walk([1, 2], 4, labels=["dog", "cow"], blend_labels=True)
    assert torch.equal(way, plain_way) and numbers is not None and numbers.tolist() == [1, 2, 2, 1]
    torch.testing.assert_close(weights, torch.tensor([[0, 1, 0], [0, 0.5, 0.5], [0, 0, 1], [0, 0.5, 0.5]]))
    points = torch.cat([generator.latents(1, seed=seed) for seed in (1, 2)])
    assert torch.equal(generator.walk(points, 4, labels="dog")[0], way)
    with pytest.raises(ConfigError, match=r"latents must be \(n, 8\)"):
        generator.walk(torch.zeros(2, 7), 4)


def test_a_model_without_classes_blends_none(plain: Generator) -> None:
    with pytest.raises(ConfigError, match="no labels can be blended"):
        plain.walk([1, 2], 4, blend_labels=True)
