"""hubgan: train, publish and demonstrate GANs on the Hugging Face stack."""

from typing import TYPE_CHECKING, Any

from hubgan.errors import HubganError
from hubgan.version import __version__

if TYPE_CHECKING:
    from hubgan.models import Discriminator, Generator, Translator, Upscaler

__all__ = ["Discriminator", "Generator", "HubganError", "Translator", "Upscaler", "__version__"]


def __getattr__(name: str) -> Any:
    """The models come with torch, which takes seconds to import: only when they are asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hubgan import models

    return getattr(models, name)


def __dir__() -> list[str]:
    return __all__
