"""Directions in which latents change an image the most, found without labels, and latents moved along them.

Both methods of finding them give unit vectors, the strongest first. The largest number of each is positive, so that
it always points the same way.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from hubgan.errors import ConfigError


def sefa(weight: Tensor) -> Tensor:
    """The directions that the first layer stretches the most (SeFa: Shen and Zhou 2021,
    https://arxiv.org/abs/2007.06600): the eigenvectors of weight^T weight.

    Args:
        weight: of the first layer that latents meet, (features, latent_dim).

    Returns:
        float32 (latent_dim, latent_dim) on the CPU, a direction a row; each is orthogonal to all others.
    """
    wide = weight.detach().double().cpu()
    return _pointed(torch.linalg.eigh(wide.T @ wide).eigenvectors.T.flip(0))


def ganspace(latents: Tensor, features: Tensor) -> Tensor:
    """The latents' directions that belong to the principal components of features (GANSpace: Haerkoenen et al. 2020,
    https://arxiv.org/abs/2004.02546, section 2.2): the components' coordinates, regressed on latents.

    Args:
        latents: (N, latent_dim) from a standard normal.
        features: what the network makes of each, (N, ...).

    Returns:
        float32 (latent_dim, latent_dim) on the CPU, a direction a row, or fewer if there are fewer features.
    """
    flat = features.detach().flatten(1).double().cpu()
    coordinates = torch.linalg.svd(
        flat - flat.mean(0), full_matrices=False
    ).U  # orthogonal, so regression is a product
    return _pointed(normalize(coordinates.T[: latents.shape[1]] @ latents.double().cpu()))


def moved(latents: Tensor, direction: Tensor, amount: float | Sequence[float] | Tensor) -> Tensor:
    """Latents plus `amount` times a direction.

    Args:
        latents: (n, latent_dim), or (latent_dim,) for one image.
        direction: a unit vector (latent_dim,), on the device of the latents.
        amount: one, or several, (m,), for the latents in turn or all for the only one.

    Returns:
        (n, latent_dim), or (m, latent_dim) if there is one latent and m amounts.

    Raises:
        ConfigError: amounts that are not finite numbers, or not as many as the latents.
    """
    amounts = torch.as_tensor(amount, dtype=latents.dtype, device=latents.device)
    if amounts.ndim > 1 or not bool(amounts.isfinite().all()):
        raise ConfigError(
            f"amount must be a finite number, or several in a row, not {amount!r}",
            "Use amounts from -3 to 3, standard deviations of the latents",
        )
    if latents.ndim == 2 and amounts.ndim and len(latents) != 1 and len(amounts) not in (1, len(latents)):
        raise ConfigError(
            f"there are {len(amounts)} amounts for {len(latents)} latents", "Pass one amount, or one for each"
        )
    return latents + amounts[..., None] * direction


def named(names: Mapping[str, int], latent_dim: int) -> dict[str, int]:
    """A copy of names of directions, each with its number.

    Raises:
        ConfigError: a name that is empty or a number, a number that is no direction's, or two names for one.
    """
    known = names if isinstance(names, Mapping) else {}
    fits = all(isinstance(name, str) and name and not name.isdecimal() and type(number) is int
               and 0 <= number < latent_dim for name, number in known.items())  # fmt: skip
    if not fits or len({*known.values()}) < len(known) or (names and not known):
        raise ConfigError(
            f"direction_names must give different numbers from 0 to {latent_dim - 1}, not {names!r}",
            "Pass names with numbers, such as {'brightness': 0}",
        )
    return dict(known)


def _pointed(directions: Tensor) -> Tensor:
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    return (directions * largest.sign()).float()
