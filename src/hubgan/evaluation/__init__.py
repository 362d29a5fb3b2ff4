"""Models measured on data sets. The results say how to measure them again: data, split, number of images, seed."""

from hubgan.evaluation.generator import evaluate_generator
from hubgan.evaluation.reference import Reference
from hubgan.evaluation.results import as_before, merge, table
from hubgan.evaluation.translator import evaluate_translator
from hubgan.evaluation.unpaired import evaluate_unpaired
from hubgan.evaluation.upscaler import evaluate_upscaler

__all__ = [
    "Reference",
    "as_before",
    "evaluate_generator",
    "evaluate_translator",
    "evaluate_unpaired",
    "evaluate_upscaler",
    "merge",
    "table",
]
