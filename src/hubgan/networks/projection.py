"""The heads that make features of patches comparable in CUT (Park et al. 2020, https://arxiv.org/abs/2007.15651)."""

from collections.abc import Sequence

from pydantic import validate_call
from torch import Tensor, nn
from torch.nn.functional import normalize

from hubgan.networks.validation import STRICT, Width


class Projection(nn.Module):
    """Patches (N, patches, channels) of each layer to vectors (N, patches, width) of unit length.

    Args:
        channels: of the features of each layer; each has a network of its own, with one hidden layer.
        width: numbers in a vector.

    Raises:
        pydantic.ValidationError: a value of another type or out of bounds.
    """

    @validate_call(config=STRICT)
    def __init__(self, channels: tuple[int, ...], width: Width = 256) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(each, width), nn.ReLU(), nn.Linear(width, width)) for each in channels
        )

    def forward(self, patches: Sequence[Tensor]) -> list[Tensor]:
        return [normalize(head(each).float(), dim=-1) for head, each in zip(self.heads, patches, strict=True)]
