"""Metrics, one file each, usable alone: numbers from tensors, with no models, no files and no network."""

from hubgan.metrics.bicubic import shrink
from hubgan.metrics.features import EfficientNetLite0, FeatureExtractor, extract
from hubgan.metrics.fidelity import luma, psnr, ssim
from hubgan.metrics.frechet import frechet_distance
from hubgan.metrics.kernel import KernelDistance, kernel_distance

__all__ = [
    "EfficientNetLite0",
    "FeatureExtractor",
    "KernelDistance",
    "extract",
    "frechet_distance",
    "kernel_distance",
    "luma",
    "psnr",
    "shrink",
    "ssim",
]
