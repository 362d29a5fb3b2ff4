"""Features by the Inception network of the FID, for figures that can be compared with the literature's."""

import hashlib
import io
import pickle
from pathlib import Path

import torch
from torch import Tensor

from hubgan.errors import ConfigError, Remedy
from hubgan.metrics.features import FeatureExtractor

_WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
_URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{_WEIGHTS}"
_ELSE = "or use the extractor enl0, whose figures have other names"
_REMEDY = Remedy(
    python=f"Pass the path of {_WEIGHTS} as weights, {_ELSE}",
    command_line=f"Pass the path of {_WEIGHTS} with --extractor-weights, {_ELSE}",
)


class InceptionV3(FeatureExtractor):
    """The pooled features of the Inception v3 network by which FID, KID and Inception score are defined.

    Network, preparation and weights are those of torch-fidelity (https://github.com/toshas/torch-fidelity), converted
    from TensorFlow's. Images in float are rounded to 8 bits first. `probabilities` are over 1,008 classes and without
    the last layer's bias, as in the code of the Inception score.

    Args:
        weights: a file with the weights in PyTorch's format, from which only tensors are unpickled. By default they
            are downloaded once (95 MB), into the folder of torch.hub.

    Raises:
        ConfigError: torch-fidelity is missing, the weights cannot be downloaded, or the file does not hold them.
    """

    name = "Inception"
    description = "Inception v3 (TensorFlow, 2015-12-05; torch-fidelity), 2,048 pooled features"
    preparation = "299 x 299, bilinear as in TensorFlow 1, not antialiased"
    num_features = 2048
    standard = True

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            raise ConfigError(
                f"the package {error.name} is missing", "Install it: pip install 'hubgan[inception]'"
            ) from error
        path = _download() if weights is None else Path(weights).expanduser()
        try:
            content = path.read_bytes()
            torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)  # torch-fidelity would unpickle all
            self.network = FeatureExtractorInceptionV3(
                "inception", ["2048"], feature_extractor_weights_path=io.BytesIO(content)
            )
        except (OSError, EOFError, RuntimeError, TypeError, pickle.UnpicklingError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(f"{path} does not hold the weights of Inception ({reason})", _REMEDY) from error
        self.version = hashlib.sha256(content).hexdigest()[:8]
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        if images.is_floating_point():
            images = images.mul(255).round().clamp(0, 255).byte()
        features: Tensor = self.network(images.expand(-1, 3, -1, -1))[0]
        return features

    def probabilities(self, features: Tensor) -> Tensor:
        weight: Tensor = self.network.fc.weight
        return (features.to(weight) @ weight.T).softmax(1)


def _download() -> Path:
    path = Path(torch.hub.get_dir()) / "checkpoints" / _WEIGHTS
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(
                _URL, str(path), hash_prefix=_WEIGHTS.rpartition("-")[2].removesuffix(".pth")
            )
        except (OSError, RuntimeError) as error:
            raise ConfigError(f"cannot download the weights of Inception from {_URL} ({error})", _REMEDY) from error
    return path
