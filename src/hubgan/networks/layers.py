"""Initial weights, memory layout, labels and styles, shared by several networks."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


def spectral(layer: nn.Conv2d | nn.Linear | nn.Embedding) -> nn.Module:
    """Spectral normalisation (Miyato et al. 2018, https://arxiv.org/abs/1802.05957), of weights that start orthogonal
    (as in Brock et al. 2019, https://arxiv.org/abs/1809.11096).

    Divided by their largest singular value, orthogonal weights keep the size of the signal in every direction. Weights
    from a normal shrink all directions but one: a deep discriminator would learn nothing for hundreds of steps.
    """
    nn.init.orthogonal_(layer.weight)
    _without_bias(layer)
    return spectral_norm(layer)


def he(layer: nn.Conv2d, slope: float) -> nn.Conv2d:
    """He et al. 2015 (https://arxiv.org/abs/1502.01852) behind a leaky ReLU: the signal keeps its size.

    PyTorch's default weights would more than halve the signal in each layer.
    """
    nn.init.kaiming_normal_(layer.weight, slope)
    _without_bias(layer)
    return layer


def _without_bias(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
        nn.init.zeros_(layer.bias)


def stages(layers: nn.Sequential) -> list[nn.Module]:
    """Layers from each convolution up to the next one. The last convolution, which makes the logits, is left out."""
    convolutions = [place for place, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    return [layers[start:end] for start, end in pairwise(convolutions)]


def in_fast_layout(x: Tensor) -> Tensor:
    """(N, channels, H, W) in channels-last layout on a CPU, where convolutions are faster in it; else unchanged."""
    return x.contiguous(memory_format=torch.channels_last) if x.device.type == "cpu" else x


def embed(embedding: nn.Embedding, labels: Tensor) -> Tensor:
    """The embeddings (N, size) of labels, int64 (N,), or of classes mixed by weights, float (N, classes)."""
    if labels.is_floating_point():
        return labels.to(embedding.weight.dtype) @ embedding.weight
    embedded: Tensor = embedding(labels)
    return embedded


class Style(nn.Module):
    """Latents (N, latent_dim) to what scales and shifts `channels`; at first it changes nothing."""

    def __init__(self, latent_dim: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_dim, 2 * channels)
        for parameter in self.linear.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, latents: Tensor) -> Tensor:
        scale, shift = self.linear(latents)[:, :, None, None].chunk(2, 1)
        styled: Tensor = x * (1 + scale) + shift
        return styled
