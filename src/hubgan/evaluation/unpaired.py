"""Translators between two domains without pairs: how near their pictures are to the target domain and to the input."""

from collections.abc import Iterator
from itertools import count

import torch
from torch import Tensor
from tqdm.auto import tqdm

from hubgan.data import ImageSource, Squares
from hubgan.errors import ConfigError, DataError, ImageError
from hubgan.evaluation.extraction import real_features
from hubgan.evaluation.generator import FEWEST
from hubgan.evaluation.reference import Reference, prepare_ahead, shuffled_cells
from hubgan.evaluation.results import mean, results_of, versions
from hubgan.metrics import EfficientNetLite0, FeatureExtractor, FeatureSets, Measured, Pair, extract, registry
from hubgan.models import Translator
from hubgan.models.figures import Result
from hubgan.runtime.names import without_folders
from hubgan.runtime.processes import decide, is_main, share_out

_LIKENESS = {"ssim", "pd"}  # figures that say how much of the input is left
_MULTIPLE = 64


def evaluate_unpaired(
    translator: Translator,
    reference: Reference,
    *,
    samples: int,
    seed: int = 0,
    extractor: FeatureExtractor | None = None,
    progress: bool = False,
) -> list[Result]:
    """The figures of translated pictures: beside real ones of the target domain, and beside their inputs.

    The metrics of features compare them with the target domain; beside each figure is that of the inputs. SSIM and the
    perceptual distance compare them with their inputs; beside each is that of real pictures of the target domain,
    which have nothing of the inputs. Several processes share the work, and all return what one would.

    Args:
        translator: on the device to measure on.
        reference: the source domain, with the target domain as its source's `targets`.
        samples: the largest number of pictures of each domain, which the seed chooses.
        seed: of that choice, and of the subsets of the kernel distance.
        extractor: of the features; EfficientNet-Lite0 by default.
        progress: show progress bars.

    Raises:
        ConfigError: there is no target domain, the translator changes the number of channels, or packages are missing.
        DataError: there are fewer than twelve images of a domain, or reading breaks off.
    """
    source, targets, device = reference.source, reference.source.targets, translator.device
    if targets is None:
        raise ConfigError(f"{reference} holds no target domain", "Open both domains with load_domains")
    if translator.input_channels != translator.channels:
        raise ConfigError("a translator of grey pictures to colour cannot be measured without pairs")
    extractor = (extractor or EfficientNetLite0()).to(device)
    squares = Squares(size=translator.image_size, channels=translator.channels, flip=False)
    positions = range(min(samples, len(source)))
    real, own = (
        real_features(each, squares, extractor, positions, seed=seed, device=device, progress=progress).features
        for each in (Reference(targets, reference.dataset, reference.split), reference)
    )
    if min(len(real), len(own)) < FEWEST:
        raise DataError(
            f"{reference}: the figures need at least {FEWEST} images of each domain, not {min(len(real), len(own))}",
            "Use more images",
        )
    chosen = [metric for metric in registry.measurable({"pairs"}) if {each.key for each in metric.figures} & _LIKENESS]
    measures = [metric.start(device) for metric in chosen]
    keys: list[str] = []

    def work(positions: range) -> tuple[Tensor, Tensor]:
        likeness: list[list[float]] = []

        def made() -> Iterator[Tensor]:
            others = _endless(targets, squares, seed)
            bar = tqdm(total=len(positions), desc="translating", disable=not (progress and is_main()))
            for given in _prepared(source, squares, seed, positions):
                translated = translator.images_from(given[None].float() / 255)
                pair = Pair(translated, next(others)[None], given[None], 1, 0)
                found = {key: value for measure in measures for key, value in measure(pair).items()}
                keys[:] = found
                likeness.append([each for value in found.values() for each in (value.value, value.beside)])
                bar.update()
                yield translated[0]
            bar.close()

        features = extract(extractor, made(), device=device)
        return features, torch.tensor(likeness, dtype=torch.float64)

    fake, likeness = share_out(work, positions, _MULTIPLE)
    domains = [f"{each.column} of {without_folders(each.name)}" for each in (source, targets)]
    settings: dict[str, str | int | float] = {"seed": seed, "reference_images": len(real), "size": squares.size}
    settings |= {"from": domains[0], "to": domains[1], **versions("torch", "torchmetrics")}

    def results() -> list[Result]:
        sets = FeatureSets(extractor, fake=fake, real=real, floor=(real, own), seed=seed)
        found = [
            result
            for metric in registry.measurable({"features"})
            if metric.beside == "floor"
            for result in results_of(
                metric,
                metric.start(device)(sets),
                reference,
                samples=len(fake),
                settings=settings | {"images": f"uint8; {extractor.preparation}"},
                beside="input",
                extractor=extractor.description,
                extractor_suffix=extractor.suffix,
            )
        ]
        columns = likeness.unflatten(1, (-1, 2)).unbind(1)
        means = {
            key: mean([Measured(*row) for row in column.tolist()]) for key, column in zip(keys, columns, strict=True)
        }
        for metric in chosen:
            found += results_of(
                metric, means, reference, samples=len(fake), settings=settings, beside="real", suffix=" to the input"
            )
        return found

    return decide(results)


def _prepared(source: ImageSource, squares: Squares, seed: int, positions: range | None = None) -> Iterator[Tensor]:
    """The images at some positions of the order that the seed decides; those that cannot be used are left out."""
    cells = shuffled_cells(source, seed, positions)
    for image in prepare_ahead(lambda each: source.prepare(squares, each), cells, source.name):
        if not isinstance(image, ImageError):
            yield image


def _endless(source: ImageSource, squares: Squares, seed: int) -> Iterator[Tensor]:
    """The images of a source in the order that the seed decides, again and again."""
    for _ in count():
        yield from _prepared(source, squares, seed)
