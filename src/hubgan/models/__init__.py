"""The models that live on the Hub: generator, discriminator, upscaler, translator."""

from hubgan.models.base import HubModel
from hubgan.models.discriminator import Discriminator
from hubgan.models.generator import Generator
from hubgan.models.translator import Translator
from hubgan.models.upscaler import Upscaler

#: The classes by the name that a `config.json` gives.
MODELS: dict[str, type[HubModel]] = {cls.__name__: cls for cls in (Generator, Discriminator, Upscaler, Translator)}

__all__ = ["MODELS", "Discriminator", "Generator", "HubModel", "Translator", "Upscaler"]
