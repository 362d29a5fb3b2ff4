"""Generators, measured by their images' features."""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from hubgan.data import Squares
from hubgan.errors import ConfigError, DataError, Remedy
from hubgan.evaluation.extraction import RealFeatures, Samples, generate_samples, real_features, real_pixels
from hubgan.evaluation.reference import Reference
from hubgan.evaluation.results import results_of, versions
from hubgan.media.grid import ImageGrid
from hubgan.media.images import to_image
from hubgan.metrics import (
    EfficientNetLite0,
    FeatureExtractor,
    FeatureSets,
    Labels,
    Memorisation,
    Pixels,
    TrainingImages,
    registry,
)
from hubgan.metrics.classifier import to_classifier
from hubgan.models import Generator
from hubgan.models.figures import Result
from hubgan.models.latents import truncate
from hubgan.runtime.files import atomic_write, new_folder
from hubgan.runtime.processes import decide

logger = logging.getLogger(__name__)

FEWEST = 12  # half of them, for the floor, is more than the neighbours that density needs
_PAIRS = 36
_PART = 64  # images made smaller at once
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
    cas: bool = False,
    batch_size: int = 64,
    picture: Path | None = None,
    progress: bool = False,
) -> list[Result]:
    """The figures of generated images beside real ones, all as uint8: how near, how real and how diverse they are.

    It measures all registered metrics (`hubgan.metrics.registry`) of features. If the training images are given, those
    that need them too: how near samples are to single training images, and whether they are of the classes that they
    were asked for. Beside each figure is the same one of other real images. A generator with classes makes all of them
    in turn.

    Several processes (`accelerate launch`) share the work, and all return what one would.

    Args:
        generator: on the device to measure on.
        reference: the real images. If there are more than needed, the seed decides which are used.
        samples: the number of generated images: the first ones of the seed.
        seed: of the generator, of the choice of real images, and of the subsets of the kernel distance.
        floor: other real images for the floor, such as the training split. By default they are other images of the
            reference; if it has too few, the floor is the distance between its two halves.
        trained_on: the training images; all of them are used.
        reals: the number of reference images for the Frechet and the kernel distance. By default it is that of the
            samples, and there are no more samples than reference images. Other figures compare equal numbers.
        truncation: as in `Generator.sample`.
        extractor: of the features; EfficientNet-Lite0 by default.
        cas: also measure the classification accuracy score, for which two small classifiers are trained. It needs the
            training images and a generator with classes.
        batch_size: images generated at once.
        picture: a PNG file to write: the samples nearest to a training image, each beside that one.
        progress: show progress bars.

    Returns:
        Results. Their `settings` hold what to compare them with and how they were measured.

    Raises:
        ConfigError: the extractor's packages are missing, the training images are the reference or a stream,
            `truncation` is not above 0, `picture` is no .png or comes without training images, or `cas` is not
            possible.
        DataError: there are fewer than twelve images, or reading breaks off.
    """
    _check(reference, trained_on, truncation, picture)
    if cas:
        _check_cas(generator.labels, reference, trained_on)
    device = generator.device
    extractor = (extractor or EfficientNetLite0()).to(device)
    transform = Squares(size=generator.image_size, channels=generator.channels, flip=False)
    features_of = partial(
        real_features, transform=transform, extractor=extractor, seed=seed, device=device, progress=progress
    )

    wanted = reals or samples
    real = features_of(reference, positions=range(wanted))
    found = len(real.features)
    count = samples if reals else found
    if min(found, count) < FEWEST:
        raise DataError(
            f"{reference}: the figures need at least {FEWEST} images, not {min(found, count)}",
            "Use more images",
        )
    if found < wanted:
        logger.warning(
            "%s has %d images, not %d, so the figures are measured on all of them", reference, found, wanted
        )
    fake = generate_samples(
        generator, extractor, count, seed=seed, truncation=truncation, batch_size=batch_size, progress=progress
    )
    if floor is not None and floor.source.fingerprint != reference.source.fingerprint:
        pair, between = (real.features, features_of(floor, positions=range(count)).features), f"{floor}, and reference"
    elif (reference.source.size or wanted + count) >= wanted + count:
        pair = real.features, features_of(reference, positions=range(wanted, wanted + count)).features
        between = "other images of the split, and reference"
    else:
        one, two = real.features[: found // 2 * 2].chunk(2)
        pair, between = (one, two), "two halves of reference"
    training = features_of(trained_on, positions=range(len(trained_on.source))) if trained_on else None

    settings: dict[str, str | int | float] = {"seed": seed, "reference_images": found}
    settings |= {"floor_between": between, "floor_images": len(pair[1])}
    settings |= {"labels": "all classes in turn"} if generator.labels else {}
    settings |= {"truncation": truncation} if truncation is not None else {}
    settings |= {"images": f"uint8; {extractor.preparation}", **versions("torch", "torchmetrics")}

    def results() -> list[Result]:
        sets = FeatureSets(
            extractor,
            fake=fake.features,
            real=real.features,
            floor=pair,
            seed=seed,
            progress=progress,
        )
        known = bool(generator.labels) and set(generator.labels) <= set(extractor.classes)
        if training and trained_on:
            about = TrainingImages(training.features, str(trained_on), len(trained_on.source))
            sets = replace(sets, training=about)
        if sets.training or known:
            trained = (training, trained_on) if training and trained_on else None
            sets = replace(sets, labels=_labels(generator.labels, fake.labels, (real, reference), trained))
        if cas and training and trained_on and sets.labels:
            sets = replace(sets, pixels=_pixels(fake, (real, reference), (training, trained_on), transform, progress))
        available: set[registry.Need] = {"features"}
        available |= {"probabilities"} if extractor.classifies else set()
        available |= {"training images"} if sets.training else set()
        available |= {"labels"} if sets.labels else set()
        available |= {"known classes"} if known else set()
        available |= {"pixels"} if sets.pixels else set()
        found = [
            result
            for metric in registry.measurable(available)
            for result in results_of(
                metric,
                metric.start(device)(sets),
                reference,
                samples=count,
                settings=settings,
                extractor=extractor.description,
                extractor_suffix=extractor.suffix,
            )
        ]
        if picture is not None and training and trained_on:
            _draw_pairs(picture, transform, trained_on, training, fake.images, sets.memorisation)
        return found

    return decide(results)


def _check(reference: Reference, trained_on: Reference | None, truncation: float | None, picture: Path | None) -> None:
    """Find the errors in the arguments before the work, not after it."""
    if truncation is not None:
        truncate(torch.zeros(1), truncation)
    if trained_on is not None and trained_on.source.size is None:
        raise ConfigError(
            f"{trained_on} is a stream, but the search for copies needs all training images",
            "Load it without streaming",
        )
    if trained_on is not None and trained_on.source.fingerprint == reference.source.fingerprint:
        raise ConfigError(
            f"{reference} holds the training images, but memorisation can only be measured on other images",
            "Measure on another split",
        )
    if picture is not None:
        if picture.suffix.lower() != ".png" or trained_on is None:
            raise ConfigError(
                f"{picture}: the picture of the nearest training images needs a .png file and the training images",
                Remedy(
                    python="Pass a .png file as picture, and the training images as trained_on",
                    command_line="Pass a .png file with --neighbours, and the training split with --train-split",
                ),
            )
        with new_folder(picture.parent):  # an error now, if it cannot be made
            pass


def _check_cas(names: tuple[str, ...], reference: Reference, trained_on: Reference | None) -> None:
    remedy = Remedy("Remove cas", "Remove --cas")
    if not names:
        raise ConfigError("the generator has no classes, but the classification accuracy score needs some", remedy)
    if trained_on is None:
        raise ConfigError(
            "the classification accuracy score needs the training images",
            Remedy("Pass them as trained_on", "Pass their split with --train-split"),
        )
    for each in (reference, trained_on):
        if set(each.source.classes) != set(names):
            raise ConfigError(f"{each} has other classes than the generator, as CAS compares them", remedy)


def _labels(
    names: tuple[str, ...],
    fake: Tensor | None,
    real: tuple[RealFeatures, Reference],
    training: tuple[RealFeatures, Reference] | None,
) -> Labels | None:
    """The labels of all images as a generator with these classes numbers them.

    None for a generator without classes; or, with a warning, if real images have other classes or no labels.
    """
    if fake is None:
        return None
    try:
        return Labels(fake, _label_ids(names, *real), _label_ids(names, *training) if training else None, names)
    except DataError as error:
        logger.warning("%s. What needs labels is not measured", error)
        return None


def _pixels(
    fake: Samples,
    real: tuple[RealFeatures, Reference],
    training: tuple[RealFeatures, Reference],
    transform: Squares,
    progress: bool,
) -> Pixels:
    """The images that the classifiers of CAS learn from and are tested on: as many training images as samples."""
    count = len(fake.images)
    test, others = (
        real_pixels(reference, transform, features.rows[:most], progress=progress)
        for (features, reference), most in ((real, None), (training, count))
    )
    return Pixels(torch.cat([to_classifier(part) for part in fake.images.split(_PART)]), test, others)


def _label_ids(names: tuple[str, ...], images: RealFeatures, reference: Reference) -> Tensor:
    source = reference.source
    if set(source.classes) != set(names):
        raise DataError(f"{reference} has other classes than the generator")
    order = torch.tensor([names.index(name) for name in source.classes])
    return order[source.labels()[images.rows]]


def _draw_pairs(
    file: Path, transform: Squares, reference: Reference, training: RealFeatures, images: Tensor, found: Memorisation
) -> None:
    """Draw the samples nearest to a training image, each beside that one, the nearest pair first."""
    chosen = found.distances.argsort()[:_PAIRS].tolist()
    side = transform.size * _ENLARGED
    grid = ImageGrid(len(chosen), (2 * side, side))
    for index in chosen:
        row = int(training.rows[found.nearest[index]])
        pair = Image.new("RGB", (2 * side, side))
        for place, pixels in enumerate((images[index], transform.prepare(reference.source.image(row)))):
            pair.paste(to_image(pixels).resize((side, side), Image.Resampling.NEAREST), (place * side, 0))
        grid.add(pair)
    with new_folder(file.parent), atomic_write(file) as unfinished:
        grid.image.save(unfinished, "PNG")
