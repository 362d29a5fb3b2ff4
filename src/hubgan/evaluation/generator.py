"""The figures of a generator."""

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from hubgan.data import Squares
from hubgan.errors import ConfigError, DataError
from hubgan.evaluation.extraction import RealImages, Samples, real_images, samples_of
from hubgan.evaluation.reference import Reference
from hubgan.evaluation.results import result, rounded, versions
from hubgan.media.grid import ImageGrid
from hubgan.media.images import to_image
from hubgan.metrics import (
    EfficientNetLite0,
    FeatureExtractor,
    LinearClassifier,
    Memorisation,
    density_coverage,
    frechet_distance,
    inception_score,
    kernel_distance,
    memorisation,
    precision_recall,
)
from hubgan.models import Generator
from hubgan.models.card import Result
from hubgan.models.latents import truncate
from hubgan.runtime.files import atomic_write
from hubgan.runtime.processes import decide

logger = logging.getLogger(__name__)

_FEWEST = 12  # half of them is more than the neighbours that density asks for
_PAIRS = 36
_ENLARGED = 2


def evaluate_generator(
    generator: Generator,
    reference: Reference,
    *,
    samples: int,
    seed: int = 0,
    floor: Reference | None = None,
    trained_on: Reference | None = None,
    reals: int | None = None,
    truncation: float | None = None,
    extractor: FeatureExtractor | None = None,
    batch_size: int = 64,
    picture: Path | None = None,
    progress: bool = False,
) -> list[Result]:
    """The distances of generated images from real ones, and how real and how diverse they are, all as uint8.

    Frechet and kernel distance, precision, recall, density, coverage, Inception score; and, where the training images
    are given, how near to them the samples are, and whether they are of the classes that they were asked for. With
    each comes the same figure of other real images. A generator with classes makes all of them in turn.

    In several processes (`accelerate launch`) each does a part, and all return what one process would.

    Args:
        generator: on the device to measure on.
        reference: the real images; of more than are needed some are drawn by the seed.
        samples: how many images are generated: the first ones of the seed.
        seed: of the generator, of the choice of real images, and of the subsets of the kernel distance.
        floor: other real images for the floor, such as the training split. Without it they are other images of the
            reference, and where it has too few the floor is the distance between its two halves.
        trained_on: the training images, all of which are looked at.
        reals: how many reference images the two distances are from; by default as many as samples, and no more
            samples than they are. The other figures compare equal numbers.
        truncation: as `Generator.sample` takes it.
        extractor: what sees the features; EfficientNet-Lite0 by default.
        batch_size: images generated at once.
        picture: a PNG file to write: the samples nearest to a training image, each beside that one.
        progress: show bars.

    Returns:
        Results whose `settings` tell what to compare them with and how they were measured.

    Raises:
        ConfigError: the extractor's packages are missing, the training images are those to measure on or a stream, a
            truncation not above 0, or a picture that is no .png.
        DataError: fewer than twelve images, or reading breaks off.
    """
    _check(reference, trained_on, truncation, picture)
    device = generator.device
    extractor = (extractor or EfficientNetLite0()).to(device)
    transform = Squares(size=generator.image_size, channels=generator.channels, flip=False)
    look = partial(real_images, transform=transform, extractor=extractor, seed=seed, device=device, progress=progress)

    wanted = reals or samples
    real = look(reference, places=range(wanted))
    found = len(real.features)
    count = samples if reals else found
    if min(found, count) < _FEWEST:
        raise DataError(
            f"{reference}: figures and what they are compared with need {_FEWEST} images at least, not"
            f" {min(found, count)}"
        )
    if found < wanted:
        logger.warning("%s has %d images, not %d: the figures are of so many", reference, found, wanted)
    fake = samples_of(
        generator, extractor, count, seed=seed, truncation=truncation, batch_size=batch_size, progress=progress
    )
    if floor is not None and floor.source.fingerprint != reference.source.fingerprint:
        pair, between = (real.features, look(floor, places=range(count)).features), f"{floor}, and reference"
    elif (reference.source.size or wanted + count) >= wanted + count:
        pair = real.features, look(reference, places=range(wanted, wanted + count)).features
        between = "other images of the split, and reference"
    else:
        one, two = real.features[: found // 2 * 2].chunk(2)
        pair, between = (one, two), "two halves of reference"
    trained = look(trained_on, places=range(len(trained_on.source))) if trained_on else None

    settings: dict[str, str | int | float] = {"seed": seed, "reference_images": found}
    settings |= {"floor_between": between, "floor_images": len(pair[1])}
    settings |= {"labels": "all classes in turn"} if generator.labels else {}
    settings |= {"truncation": truncation} if truncation is not None else {}
    settings |= {"images": f"uint8; {extractor.preparation}", **versions("torch", "torchmetrics")}
    figures = _Figures(reference, extractor, count, settings)

    def results() -> list[Result]:
        every = figures.distances(real.features, fake.features, *pair, seed)
        every += figures.realism_and_diversity(real.features, fake.features, *pair)
        if trained_on and trained:
            copying = memorisation(fake.features, trained.features, real.features)
            every += figures.nearness(copying, trained_on)
            labels = [
                _labels(images, of, generator.labels) for images, of in ((trained, trained_on), (real, reference))
            ]
            if labels[0] is not None and labels[1] is not None:
                classifier = LinearClassifier.fit(trained.features, labels[0], len(generator.labels))
                every += figures.label_accuracy(classifier, fake, real.features, labels[1])
            if picture is not None:
                _draw_pairs(picture, transform, trained_on, trained, fake.images, copying)
        return every

    return decide(results)


def _check(reference: Reference, trained_on: Reference | None, truncation: float | None, picture: Path | None) -> None:
    """Find before the work what would be found after it."""
    if truncation is not None:
        truncate(torch.zeros(1), truncation)
    if trained_on is not None and trained_on.source.size is None:
        raise ConfigError(f"{trained_on} is a stream: to look for copies its images must be at hand")
    if trained_on is not None and trained_on.source.fingerprint == reference.source.fingerprint:
        raise ConfigError(
            f"{reference} is what was trained on: copies show beside images that were not; measure on another split"
        )
    if picture is not None:
        if picture.suffix.lower() != ".png" or trained_on is None:
            raise ConfigError(f"{picture}: what samples are near to is drawn as .png, and needs the training images")
        picture.parent.mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True)
class _Figures:
    """Figures of so many samples, with what is the same for all of them."""

    reference: Reference
    extractor: FeatureExtractor
    count: int
    settings: dict[str, str | int | float]

    def distances(self, real: Tensor, fake: Tensor, one: Tensor, two: Tensor, seed: int) -> list[Result]:
        found, least = kernel_distance(real, fake, seed=seed), kernel_distance(one, two, seed=seed)
        subsets: dict[str, str | int | float] = {"subsets": found.subsets, "subset_size": found.subset_size}
        subsets |= {"subset_deviation": rounded(found.deviation)}
        names = self.extractor.frechet_name, self.extractor.kernel_name
        return [
            self._figure(names[0], frechet_distance(real, fake), "floor", frechet_distance(one, two)),
            self._figure(names[1], found.mean, "floor", least.mean, **subsets),
        ]

    def realism_and_diversity(self, real: Tensor, fake: Tensor, one: Tensor, two: Tensor) -> list[Result]:
        """Of equal numbers of images, as all of these figures depend on them."""
        most = min(len(real), len(fake))
        beside = min(most, len(one), len(two))  # fewer where they are two halves
        real, fake, one, two = real[:most], fake[:most], one[:beside], two[:beside]
        suffix, k = self.extractor.suffix, {"neighbours": 3}
        made, best = precision_recall(real, fake), precision_recall(one, two)
        around, usual = density_coverage(real, fake), density_coverage(one, two)
        device = next(self.extractor.parameters(), torch.empty(0)).device
        score, highest = (
            inception_score(self.extractor.probabilities(each.to(device)).cpu()) for each in (fake, real)
        )
        return [
            self._figure(f"precision{suffix}", made.precision, "real", best.precision, **k),
            self._figure(f"recall{suffix}", made.recall, "real", best.recall, **k),
            self._figure(f"density{suffix}", around.density, "real", usual.density, neighbours=5),
            self._figure(f"coverage{suffix}", around.coverage, "real", usual.coverage, neighbours=5),
            self._figure(f"IS{suffix}", score.mean, "real", highest.mean, deviation=rounded(score.deviation)),
        ]

    def nearness(self, found: Memorisation, trained_on: Reference) -> list[Result]:
        suffix = self.extractor.suffix
        about: dict[str, str | int | float] = {
            "training_images": len(trained_on.source),
            "trained_on": str(trained_on),
        }
        return [
            self._figure(f"nearness{suffix}", found.closer, "real", 0.5, **about),
            self._figure(f"copies{suffix}", found.copies, "real", found.expected, **about),
        ]

    def label_accuracy(
        self, classifier: LinearClassifier, fake: Samples, real: Tensor, labels: Tensor
    ) -> list[Result]:
        assert fake.labels is not None
        accuracy = classifier.accuracy(fake.features, fake.labels)
        name = f"label accuracy{self.extractor.suffix}"
        return [self._figure(name, accuracy, "real", classifier.accuracy(real, labels))]

    def _figure(self, name: str, value: float, beside: str, other: float, **more: str | int | float) -> Result:
        settings = {beside: rounded(other), **self.settings, **more}
        return result(self.reference, self.count, self.extractor.description, name, value, settings)


def _labels(images: RealImages, reference: Reference, names: tuple[str, ...]) -> Tensor | None:
    """The labels of real images as a generator numbers them; None, with a warning, where they are of other classes."""
    source = reference.source
    if not names:
        return None
    try:
        if set(source.classes) != set(names):
            raise DataError(f"{reference} has not the generator's classes")
        order = torch.tensor([names.index(name) for name in source.classes])
        return order[source.labels()[images.rows]]
    except DataError as error:
        logger.warning("%s: whether samples are of the classes they were asked for is not measured", error)
        return None


def _draw_pairs(
    file: Path, transform: Squares, reference: Reference, trained: RealImages, images: Tensor, found: Memorisation
) -> None:
    """The samples nearest to a training image, each beside it, the nearest pair first."""
    chosen = found.distances.argsort()[:_PAIRS].tolist()
    side = transform.size * _ENLARGED
    sheet = ImageGrid(len(chosen), (2 * side, side))
    for index in chosen:
        row = int(trained.rows[found.nearest[index]])
        pair = Image.new("RGB", (2 * side, side))
        for place, pixels in enumerate((images[index], transform.prepare(reference.source.image(row)))):
            pair.paste(to_image(pixels).resize((side, side), Image.Resampling.NEAREST), (place * side, 0))
        sheet.add(pair)
    with atomic_write(file) as unfinished:
        sheet.image.save(unfinished, "PNG")
