"""Metrics, one file each, usable alone: numbers from tensors, with no models and no data sets.

Extractors alone need weights: ENL0's come with a package, Inception's are downloaded or read from a file.
"""

from hubgan.metrics.bicubic import reduced, shrink
from hubgan.metrics.density_coverage import DensityCoverage, density_coverage
from hubgan.metrics.features import EfficientNetLite0, FeatureExtractor, extract
from hubgan.metrics.fidelity import luma, psnr, ssim
from hubgan.metrics.frechet import frechet_distance
from hubgan.metrics.inception import InceptionV3
from hubgan.metrics.inception_score import InceptionScore, inception_score
from hubgan.metrics.kernel import KernelDistance, kernel_distance
from hubgan.metrics.label_accuracy import LinearClassifier
from hubgan.metrics.memorisation import Memorisation, Nearest, memorisation, nearest
from hubgan.metrics.perceptual import PerceptualDistance
from hubgan.metrics.precision_recall import PrecisionRecall, precision_recall
from hubgan.metrics.sharpness import sharpness_ratio

EXTRACTORS: dict[str, type[FeatureExtractor]] = {"enl0": EfficientNetLite0, "inception": InceptionV3}
"""The extractors by the words that options call them."""

__all__ = [
    "EXTRACTORS",
    "DensityCoverage",
    "EfficientNetLite0",
    "FeatureExtractor",
    "InceptionScore",
    "InceptionV3",
    "KernelDistance",
    "LinearClassifier",
    "Memorisation",
    "Nearest",
    "PerceptualDistance",
    "PrecisionRecall",
    "density_coverage",
    "extract",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "luma",
    "memorisation",
    "nearest",
    "precision_recall",
    "psnr",
    "reduced",
    "sharpness_ratio",
    "shrink",
    "ssim",
]
