"""What lives on the Hub."""

from hubgan.models.base import HubModel
from hubgan.models.generator import Discriminator, Generator
from hubgan.models.upscaler import Upscaler

#: By the name of the class that a `config.json` gives.
MODELS: dict[str, type[HubModel]] = {cls.__name__: cls for cls in (Generator, Discriminator, Upscaler)}

__all__ = ["MODELS", "Discriminator", "Generator", "HubModel", "Upscaler"]
