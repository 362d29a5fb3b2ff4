"""Classes: in data, in networks, in training, in sampling."""

from pathlib import Path

import datasets
import pytest
import torch

from helpers.common import SAMPLE, equal
from helpers.images_at_hand import FLIPPED, SAME, decoded
from helpers.launching import TINY, metrics, train_here, train_in_two
from hubgan import Discriminator, Generator
from hubgan.data import StreamedImages, batches, load_images
from hubgan.errors import ConfigError, DataError

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


# -- data


def true_label(image: torch.Tensor) -> int:
    """The label in the sample of the picture with these pixels."""
    global _TRUE
    if not _TRUE:
        source = load_images(str(SAMPLE))
        _TRUE = {SAME.prepare(source.image(row)).numpy().tobytes(): int(label)
                 for row, label in enumerate(source.labels())}  # fmt: skip
    return _TRUE[image.numpy().tobytes()]


_TRUE: dict[bytes, int] = {}


def test_labels_belong_to_their_images(cache: Path) -> None:
    source = load_images(str(SAMPLE))
    assert source.classes == NAMES
    stream = load_images(str(SAMPLE), streaming=True)
    for images in (
        decoded(source, SAME, labelled=True),
        decoded(source, SAME, 100_000, labelled=True),  # some are decoded each time
        StreamedImages(stream, SAME, buffer=50, labelled=True),
    ):
        drawn = batches(images, batch_size=16, seed=0, num_workers=0)
        for batch in (next(drawn) for _ in range(3)):
            assert batch.labels.dtype == torch.int64
            assert [true_label(image) for image in batch.images] == batch.labels.tolist()


def test_labels_come_with_and_without_workers(cache: Path) -> None:
    images = decoded(SAMPLE, FLIPPED, 10_000, labelled=True)
    alone, worked = (batches(images, batch_size=8, seed=1, num_workers=number) for number in (0, 2))
    for _ in range(5):
        one, other = next(alone), next(worked)
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_chosen_classes_are_numbered_in_their_order() -> None:
    source = load_images(str(SAMPLE), classes=("ship", "3"))
    assert source.classes == ("ship", "cat")
    everything = load_images(str(SAMPLE)).labels()
    assert source.labels().tolist() == [{8: 0, 3: 1}[label] for label in everything.tolist() if label in (3, 8)]


def test_labels_that_are_words(tmp_path: Path) -> None:
    rows = load_images(str(SAMPLE)).rows.select(range(6)).remove_columns("label")
    rows = rows.add_column("kind", ["red", "blue", "red", "green", "blue", "red"])
    rows.to_parquet(tmp_path / "words.parquet")
    source = load_images(str(tmp_path / "words.parquet"), label_column="kind")
    assert source.classes == ("blue", "green", "red")
    assert source.labels().tolist() == [2, 0, 2, 1, 0, 2]
    stream = load_images(str(tmp_path / "words.parquet"), label_column="kind", streaming=True)
    with pytest.raises(DataError, match="has no labels that are known"):
        StreamedImages(stream, SAME, buffer=5, labelled=True)


def test_labels_that_are_whole_numbers(tmp_path: Path) -> None:
    rows = load_images(str(SAMPLE)).rows.select(range(12)).remove_columns("label")
    rows.add_column("number", list(range(12))).to_parquet(tmp_path / "numbers.parquet")
    source = load_images(str(tmp_path / "numbers.parquet"), label_column="number")
    assert source.classes == tuple(map(str, range(12))) and source.labels().tolist() == list(range(12))
    rows.add_column("number", [None, *range(11)]).to_parquet(tmp_path / "some.parquet")
    with pytest.raises(DataError, match="has the label None"):
        load_images(str(tmp_path / "some.parquet"), label_column="number").labels()


def test_data_without_labels(tmp_path: Path) -> None:
    load_images(str(SAMPLE)).rows.select(range(6)).remove_columns("label").save_to_disk(tmp_path / "plain")
    with pytest.raises(DataError, match=r"has no labels that are known\. Name their column"):
        decoded(tmp_path / "plain", labelled=True)


def test_an_image_without_a_label(tmp_path: Path) -> None:
    rows = datasets.load_dataset(str(SAMPLE), split="train").select(range(3))
    rows = rows.map(lambda row, index: {"label": -1 if index == 1 else row["label"]}, with_indices=True)
    rows.save_to_disk(tmp_path / "some")
    with pytest.raises(DataError, match="an image has the label -1, which is none of airplane"):
        decoded(tmp_path / "some", labelled=True)


# -- sampling


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
    assert 'labels=["cat", "dog"]' in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize("labels", [["a", "a"], ["a", ""], ["a", 1], 5, "cat"])
def test_names_must_be_different_words(labels: object) -> None:
    with pytest.raises(ConfigError, match="names"):
        Generator(labels=labels, width=8)


# -- training

CONDITIONAL = [*TINY, "--conditional", "True", "--max_steps", "6", "--sample_every", "100", "--mixed_precision", "no"]
R3GAN = ["--generator.architecture", "r3gan", "--discriminator.architecture", "r3gan", "--generator.width", "8",
         "--discriminator.width", "8", "--generator.depth", "1", "--discriminator.depth", "1",
         "--objective", "relativistic", "--r1_weight", "1", "--r2_weight", "1", "--penalty_every", "2"]  # fmt: skip


@pytest.mark.parametrize(
    "network", [[], R3GAN, ["--generator.architecture", "sngan", "--discriminator.architecture", "sngan"]]
)
def test_a_run_learns_classes(network: list[str], tmp_path: Path) -> None:
    run = train_here(*CONDITIONAL, *network, "--output_dir", str(tmp_path / "run"))
    generator = Generator.from_pretrained(run)
    assert generator.labels == NAMES
    assert len(generator.sample(labels=["horse", "ship"])) == 2
    assert Discriminator.from_pretrained(run, subfolder="discriminator").config["classes"] == 10
    assert metrics(run)[-1]["steps"] == 6


def test_a_stream_and_chosen_classes(tmp_path: Path) -> None:
    options = ["--streaming", "True", "--classes", "ship", "cat"]
    run = train_here(*CONDITIONAL, *options, "--output_dir", str(tmp_path / "run"))
    assert Generator.from_pretrained(run).labels == ("ship", "cat")


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    options = [*CONDITIONAL, *R3GAN, "--log_every", "1"]
    train_here(*options, "--batch_size", "8", "--output_dir", str(tmp_path / "one"))
    train_in_two(tmp_path / "two", *options, "--batch_size", "4")
    names = ("images", "discriminator", "adversarial", "r1", "r2", "generator_gradient_norm")
    one, two = (
        torch.tensor([[line.get(name, 0) for name in names] for line in metrics(tmp_path / run)])
        for run in ("one", "two")
    )
    torch.testing.assert_close(one, two, rtol=2e-3, atol=1e-5)


def test_a_resumed_run_ends_as_one_never_stopped(tmp_path: Path) -> None:
    options = [*CONDITIONAL, *R3GAN, "--checkpoint_every", "3"]
    whole = train_here(*options, "--output_dir", str(tmp_path / "whole"))
    for steps in ("3", "6"):
        parts = train_here(*options, "--max_steps", steps, "--resume", "auto", "--output_dir", str(tmp_path / "parts"))
    one, other = (Generator.from_pretrained(folder) for folder in (whole, parts))
    assert equal(one, other)


def test_an_option_that_a_network_has_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="dcgan has no option 'depth'"):
        Generator("dcgan", depth=2)
    with pytest.raises(SystemExit, match="2"):
        train_here(*TINY, "--generator.depth", "2", "--max_steps", "1", "--output_dir", str(tmp_path))
    assert "Unrecognized options: --generator.depth" in capsys.readouterr().err


def test_an_option_that_one_network_has(tmp_path: Path) -> None:
    run = train_here(*TINY, "--discriminator.architecture", "r3gan", "--discriminator.depth", "1",
                     "--discriminator.patch", "2",
                     "--max_steps", "1", "--output_dir", str(tmp_path))  # fmt: skip
    assert "depth" not in Generator.from_pretrained(run).config
    assert Discriminator.from_pretrained(run / "discriminator").config["depth"] == 1
