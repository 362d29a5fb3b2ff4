"""Features by a small classifier of CIFAR-10, which this project trains: `benchmarks/cifar10_classifier.py`."""

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from hubgan.metrics.bicubic import resize
from hubgan.metrics.classifier import SIDE, SmallClassifier
from hubgan.metrics.features import FeatureExtractor
from hubgan.runtime.files import sha256

WEIGHTS = Path(__file__).with_name("cifar10.safetensors")


class Cifar10Classifier(FeatureExtractor):
    """The pooled features of a small classifier trained on CIFAR-10's training split; its weights come with hubgan.

    It knows only what tells the ten classes of CIFAR-10 apart, so its figures mean little for other pictures. It has
    seen the training split: distances of other images from that split are larger than those between other images.
    """

    name = "C10"
    description = "a small classifier (CIFAR-10, split train), 176 pooled features"
    preparation = "32 x 32, antialiased bicubic, clipped; the mean of the image's and its mirror image's features"
    num_features = SmallClassifier.num_features
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def __init__(self) -> None:
        super().__init__()
        self.network = SmallClassifier(len(self.classes))
        self.network.load_state_dict(load_file(WEIGHTS))
        self.version = sha256(WEIGHTS)[:8]
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        images = images.float() if images.is_floating_point() else images.float() / 255
        small = images if images.shape[-2:] == (SIDE, SIDE) else resize(images, SIDE)
        return self.network.symmetric_features(small)

    def probabilities(self, features: Tensor) -> Tensor:
        return self.network.logits(features.to(self.network.head.weight)).softmax(1)
