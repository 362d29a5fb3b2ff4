"""Directions in which latents change an image the most, found without labels.

Both methods give unit vectors, the strongest first. The largest number of each is positive, so that it always points
the same way.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize


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


def _pointed(directions: Tensor) -> Tensor:
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    return (directions * largest.sign()).float()
