"""Generators with classes."""

from pathlib import Path

import pytest
import torch

from hubgan import Discriminator, Generator
from hubgan.errors import ConfigError


@pytest.fixture(scope="module", params=["dcgan", "r3gan"])
def generator(request: pytest.FixtureRequest) -> Generator:
    torch.manual_seed(0)
    return Generator(request.param, labels=["cat", "dog", "ship"], width=16, latent_dim=8).eval()


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one, other)


def test_classes_are_asked_for_by_name_or_number(generator: Generator) -> None:
    assert generator.labels == ("cat", "dog", "ship")
    named = generator.sample(labels=["ship", "cat"], seed=3, output_type="pt")
    assert len(named) == 2
    assert same(named, generator.sample(labels=[2, 0], seed=3, output_type="pt"))
    assert same(named, generator.sample(4, labels=["ship", "cat"], seed=3, output_type="pt")[:2])
    assert len(generator.sample(labels="dog", seed=3)) == 1
    assert not same(named[0], generator.sample(labels="dog", seed=3, output_type="pt")[0])


def test_classes_are_drawn_by_the_seed_where_none_are_asked_for(generator: Generator) -> None:
    numbers = generator.label_ids(1000, seed=5)
    assert torch.bincount(numbers).min() > 250
    assert torch.equal(numbers[:7], generator.label_ids(7, seed=5))
    assert not torch.equal(numbers, generator.label_ids(1000, seed=6))
    more, fewer = (generator.sample(n, seed=1, output_type="pt") for n in (9, 4))
    assert same(more[:4], fewer)


def test_a_seed_gives_the_same_images_in_any_batches(generator: Generator) -> None:
    whole = generator.sample(20, seed=2, output_type="pt")
    assert same(whole, generator.sample(20, seed=2, batch_size=8, output_type="pt"))


def test_truncation_draws_images_to_the_typical(generator: Generator) -> None:
    free, cut, hard = (generator.sample(32, seed=0, labels=0, truncation=t, output_type="pt") for t in (None, 1, 0.1))
    assert free.std(0).mean() > cut.std(0).mean() > hard.std(0).mean()


def test_a_pipeline_takes_classes_as_those_of_diffusers_do(generator: Generator) -> None:
    seeded = [torch.Generator().manual_seed(index) for index in range(2)]
    named = generator(class_labels=["dog", "ship"], generator=seeded, output_type="pt").images
    assert len(named) == 2
    drawn = [generator(3, torch.Generator().manual_seed(1), output_type="pt").images for _ in range(2)]
    assert same(*drawn)


@pytest.mark.parametrize(
    ("labels", "words"),
    [("dgo", "no class 'dgo'. Did you mean 'dog'"), (3, "Its classes are 0 to 2"), (-1, "0 to 2"), ([], "is empty")],
)
def test_labels_that_are_not_there(generator: Generator, labels: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        generator.sample(2, labels=labels)


def test_labels_of_the_wrong_kind(generator: Generator) -> None:
    latents = generator.latents(2, seed=0)
    for labels in (None, torch.zeros(3, dtype=torch.int64), torch.zeros(2), torch.tensor([0, 3])):
        with pytest.raises(ConfigError, match="labels"):
            generator.images_from(latents, labels)
    plain = Generator(width=8)
    with pytest.raises(ConfigError, match="has no classes"):
        plain.sample(labels="cat")
    with pytest.raises(ConfigError, match="has no classes"):
        plain.images_from(plain.latents(1), torch.tensor([0]))


def test_the_discriminators_snippet_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Discriminator(width=4, classes=3).save_pretrained(tmp_path / "judge")
    card = (tmp_path / "judge" / "README.md").read_text()
    monkeypatch.chdir(tmp_path)
    exec(card.partition("```python")[2].partition("```")[0], {})


def test_names_are_kept(generator: Generator, tmp_path: Path) -> None:
    generator.save_pretrained(tmp_path)
    loaded = Generator.from_pretrained(tmp_path)
    assert loaded.labels == ("cat", "dog", "ship")
    wanted = generator.sample(labels=["ship"], seed=0, output_type="pt")
    assert same(loaded.sample(labels=["ship"], seed=0, output_type="pt"), wanted)
    assert 'labels=["cat"]' in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize("labels", [["a", "a"], ["a", ""], ["a", 1], 5, "cat"])
def test_names_must_be_different_words(labels: object) -> None:
    with pytest.raises(ConfigError, match="names"):
        Generator(labels=labels, width=8)
