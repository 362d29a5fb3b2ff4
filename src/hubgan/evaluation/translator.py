"""Translators, measured by translated pictures beside their originals."""

import logging
import math
from collections.abc import Iterator
from itertools import islice

from torch import Tensor
from tqdm.auto import tqdm

from hubgan.data import PairedSquares, Squares
from hubgan.errors import ConfigError, DataError, ImageError, Remedy
from hubgan.evaluation.reference import Reference, prepare_ahead, shuffled_cells
from hubgan.evaluation.results import mean, results_of, versions
from hubgan.media.derived import INPUTS, DerivedInput
from hubgan.metrics import Measured, Pair, registry
from hubgan.models import Translator
from hubgan.models.figures import Result
from hubgan.runtime.processes import decide

logger = logging.getLogger(__name__)


def evaluate_translator(
    translator: Translator,
    reference: Reference,
    *,
    samples: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> list[Result]:
    """The figures of translated pictures, the most typical ones, beside their originals, averaged over the pictures.

    It measures all registered metrics of pairs (`hubgan.metrics.registry`). Beside each figure is that of the input.
    If there are several processes, the main one does the work.

    Args:
        translator: on the device to measure on.
        reference: pairs, or pictures if the translator's `input` says how inputs are computed. They are cropped and
            scaled as for the training.
        samples: the largest number of pictures, which the seed chooses; all by default.
        seed: of that choice, and of computed inputs.
        progress: show a progress bar.

    Raises:
        ConfigError: the packages of the `train` extra are missing; or there are no pairs, and none can be computed;
            or there are pairs, whose inputs the translator would not see.
        DataError: no picture can be used, or reading breaks off.
    """
    derived, paired = INPUTS.get(translator.input), reference.source.input_column is not None
    if not derived and not paired:
        raise ConfigError(
            f"{reference} holds no pairs of an input and a target, which the translator learned from",
            Remedy(
                "Pass the column of the inputs as input_column",
                "Pass two columns with --input-column and --image-column. For a model trained without pairs pass the"
                " target domain with --target-dataset",
            ),
        )
    if derived and paired:
        raise ConfigError(
            f"the translator computes its inputs ({translator.input}), so it takes no column of inputs",
            Remedy("Leave out input_column", "Remove --input-column"),
        )
    return decide(lambda: _evaluate(translator, reference, derived, samples, seed, progress))


def _evaluate(
    translator: Translator,
    reference: Reference,
    derived: DerivedInput | None,
    samples: int | None,
    seed: int,
    progress: bool,
) -> list[Result]:
    size, channels = translator.image_size, translator.channels
    pairs = PairedSquares(size=size, channels=channels, flip=False, input_channels=translator.input_channels)
    squares = Squares(size=size, channels=channels, flip=False)
    source, unusable = reference.source, [ImageError("their inputs equal their originals")]

    def usable() -> Iterator[Tensor]:
        transform = squares if derived else pairs
        cells = shuffled_cells(source, seed)
        for prepared in prepare_ahead(lambda each: source.prepare(transform, each), cells, str(reference)):
            if isinstance(prepared, ImageError):
                unusable.append(prepared)
            else:
                yield prepared

    metrics = [(metric, metric.start(translator.device)) for metric in registry.measurable(registry.UPSCALER_NEEDS)]
    measured: list[dict[str, Measured]] = []  # a picture each
    total = reference.at_most(samples) if samples else source.size
    for number, prepared in enumerate(
        tqdm(islice(usable(), samples), total=total, desc="measuring", disable=not progress)
    ):
        if derived:
            target = prepared[None]
            given = derived.by_seed(target.float() / 255, seed, number)
        else:
            target, given = (each[None] for each in pairs.split(prepared))
            given = given.float() / 255
        made = translator.images_from(given)
        shown = given[:, :3].mul(255).round().byte()
        shown = shown if shown.shape[1] == channels else shown[:, :1].expand(-1, channels, -1, -1)
        values = {
            key: value for _, measure in metrics for key, value in measure(Pair(made, shown, target, 1, 0)).items()
        }
        if all(math.isfinite(each) for value in values.values() for each in (value.value, value.beside)):
            measured.append(values)
        else:
            logger.warning("%s: a picture that equals its original is ignored", reference)
    if not measured:
        raise DataError(f"{reference}: none of its images can be used: {unusable[-1]}")
    settings: dict[str, str | int | float] = {"size": size, "seed": seed}
    settings |= {"inputs": derived.description if derived else "given"} | versions("torch", "torchmetrics")
    means = {key: mean([values[key] for values in measured]) for key in measured[0]}
    return [
        result
        for metric, _ in metrics
        for result in results_of(metric, means, reference, samples=len(measured), settings=settings, beside="input")
    ]
