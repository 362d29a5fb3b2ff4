"""hubgan: train, publish and demonstrate GANs on the Hugging Face stack."""

from hubgan.errors import HubganError
from hubgan.models import Discriminator, Generator, Upscaler
from hubgan.version import __version__

__all__ = ["Discriminator", "Generator", "HubganError", "Upscaler", "__version__"]
