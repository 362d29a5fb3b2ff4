"""Nearest neighbours among features: Euclidean distances in float64, computed in parts."""

from collections.abc import Iterator

import torch
from torch import Tensor

from hubgan.errors import DataError

_PART = 2**23  # distances at once: 64 MB
# Products in float64 leave an error of about 1e-14 of the squared lengths, and the last bits of float32 features
# depend on the batch they were computed in: points nearer than a millionth of their length are equal.
_EQUAL = 1e-12
_MARGIN = 1e-6


def squared_distances(points: Tensor, others: Tensor) -> Iterator[Tensor]:
    """The squared distances of points to all others, in parts of float64 (points of the part, M); 0 for equal ones.

    Args:
        points, others: (N, F) and (M, F).
    """
    others = others.double()
    lengths = torch.linalg.vector_norm(others, dim=1).square()
    for some in points.split(max(1, _PART // max(1, len(others)))):
        some = some.double()
        scale = torch.linalg.vector_norm(some, dim=1, keepdim=True).square() + lengths
        found = torch.addmm(scale, some, others.T, alpha=-2)
        yield found.masked_fill_(found < scale.mul_(_EQUAL), 0)


def squared_radii(points: Tensor, neighbours: int) -> Tensor:
    """The squared distance of each point to its k-th nearest other one, float64 (N,).

    Raises:
        DataError: there are no `neighbours` other points.
    """
    if not 1 <= neighbours < len(points):
        raise DataError(
            f"{len(points)} images are too few for {neighbours} neighbours each",
            "Use more images, and at least 1 neighbour",
        )
    nearest = [part.topk(neighbours + 1, largest=False).values[:, -1] for part in squared_distances(points, points)]
    return torch.cat(nearest)


def membership(centres: Tensor, radii: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """How many balls hold each point, and how many points each ball holds: int64 (M,) and (N,).

    A point exactly at the radius, or less than a millionth nearer, is outside; so a ball of radius 0 holds nothing.

    Args:
        centres: (N, F).
        radii: squared, (N,).
        points: (M, F).
    """
    limits = radii * (1 - _MARGIN)
    holding: list[Tensor] = []
    held = torch.zeros(len(centres), dtype=torch.int64, device=centres.device)
    for part in squared_distances(points, centres):
        inside = part < limits
        holding.append(inside.sum(1))
        held += inside.sum(0)
    return torch.cat(holding), held
