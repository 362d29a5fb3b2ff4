"""What lives on the Hub."""

from hubgan.models.base import HubModel
from hubgan.models.generator import Discriminator, Generator
from hubgan.models.upscaler import Upscaler

__all__ = ["Discriminator", "Generator", "HubModel", "Upscaler"]
