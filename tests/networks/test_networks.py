"""The networks, against the published layer lists."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import docstring_parser
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.utils.parametrize import is_parametrized

from helpers.common import ROOT
from hubgan import Discriminator, Generator, Upscaler
from hubgan.errors import ConfigError
from hubgan.networks import DISCRIMINATORS, GENERATORS, UPSCALERS, fused
from hubgan.networks.edsr import StrengthEstimator
from hubgan.runtime.devices import computes_in_bf16


def describe(network: nn.Module) -> list[str]:
    """The leaf layers in order, as one would write them down."""
    lines = []
    for layer in network.modules():
        match layer:
            case nn.ConvTranspose2d() | nn.Conv2d():
                size = (layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.stride[0], layer.padding[0])
                lines.append(f"{type(layer).__name__}{size} bias={layer.bias is not None}")
            case nn.BatchNorm2d():
                lines.append(f"BatchNorm2d({layer.num_features})")
            case nn.LeakyReLU():
                lines.append(f"LeakyReLU({layer.negative_slope})")
            case nn.ReLU() | nn.Tanh():
                lines.append(type(layer).__name__)
    return lines


def test_reference_generator_layer_by_layer() -> None:
    assert describe(Generator()) == [
        "ConvTranspose2d(100, 256, 4, 1, 0) bias=False", "BatchNorm2d(256)", "ReLU",
        "ConvTranspose2d(256, 128, 4, 2, 1) bias=False", "BatchNorm2d(128)", "ReLU",
        "ConvTranspose2d(128, 64, 4, 2, 1) bias=False", "BatchNorm2d(64)", "ReLU",
        "ConvTranspose2d(64, 3, 4, 2, 1) bias=False", "Tanh",
    ]  # fmt: skip
    weights = 100 * 256 * 16 + 256 * 128 * 16 + 128 * 64 * 16 + 64 * 3 * 16
    assert Generator().num_parameters() == weights + 2 * (256 + 128 + 64)


def test_reference_discriminator_layer_by_layer() -> None:
    assert describe(Discriminator()) == [
        "Conv2d(3, 64, 4, 2, 1) bias=False", "LeakyReLU(0.2)",
        "Conv2d(64, 128, 4, 2, 1) bias=False", "BatchNorm2d(128)", "LeakyReLU(0.2)",
        "Conv2d(128, 256, 4, 2, 1) bias=False", "BatchNorm2d(256)", "LeakyReLU(0.2)",
        "Conv2d(256, 1, 4, 1, 0) bias=False",
    ]  # fmt: skip
    weights = 3 * 64 * 16 + 64 * 128 * 16 + 128 * 256 * 16 + 256 * 16
    assert Discriminator().num_parameters() == weights + 2 * (128 + 256)


def test_reference_weights_start_as_in_the_paper() -> None:
    layers = Generator().network.layers
    assert layers[3].weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert layers[1].weight.mean().item() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("size", "channels", "width"), [(8, 1, 8), (16, 3, 8), (64, 3, 8), (128, 1, 4)])
def test_other_sizes_channels_and_widths(size: int, channels: int, width: int) -> None:
    generator = Generator(image_size=size, channels=channels, width=width, latent_dim=10)
    discriminator = Discriminator(image_size=size, channels=channels, width=width)
    images = generator(torch.randn(2, 10))
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1
    assert discriminator(images).shape == (2,)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_edsr_shuffles_pixels_and_adds_the_picture(scale: int, stride: int) -> None:
    network, images = UPSCALERS["edsr"](scale=scale, width=8, depth=2, stride=stride), torch.rand(2, 3, 5, 7)
    tail: list[Tensor] = []
    network.tail.register_forward_hook(lambda module, args, output: tail.append(output))
    large = network(images)  # in training, so without the bound
    detail = nn.functional.pixel_shuffle(tail[0], stride)[:, :, :5, :7]
    nearest = images.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    torch.testing.assert_close(large, nn.functional.pixel_shuffle(detail, scale) + nearest)


@pytest.mark.parametrize("stride", [1, 2])
def test_edsr_sees_as_far_as_it_says(stride: int) -> None:
    network = UPSCALERS["edsr"](width=8, depth=2, stride=stride).double()  # in training, so without the bound
    for module in network.modules():  # every path open, so that the field is all of it
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.01)
    image, reach = torch.rand(1, 3, 41, 41, dtype=torch.float64, requires_grad=True), []
    for place in range(20, 20 + stride):  # wherever it lies on the grid
        image.grad = None
        network(image)[0, :, 4 * place : 4 * place + 4, 4 * place : 4 * place + 4].sum().backward()
        seen = image.grad[0].abs().sum(0).nonzero()
        reach.append((place - seen.min().item(), seen.max().item() - place))
    before, after = map(max, zip(*reach, strict=True))
    assert (before, after + stride - 1) == (network.receptive_field, network.receptive_field)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_edsr_keeps_to_the_colours_around_whatever_its_weights(scale: int, stride: int) -> None:
    torch.manual_seed(0)
    network = UPSCALERS["edsr"](scale=scale, width=8, depth=2, stride=stride).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    images = torch.rand(1, 3, 12, 9)
    images[:, :, :6] = torch.tensor([0.1, 0.7, 1.0]).view(1, 3, 1, 1)  # flat, with an edge of the picture
    with torch.no_grad():
        large = network(images)
        wild = network.train()(images)
    flat = large[:, :, : 5 * scale].amin((2, 3)), large[:, :, : 5 * scale].amax((2, 3))
    torch.testing.assert_close(flat[0], images[:, :, 0, 0], atol=1e-6, rtol=0)
    torch.testing.assert_close(flat[1], images[:, :, 0, 0], atol=1e-6, rtol=0)
    assert wild.abs().max() > 4 > large.abs().max()  # at most 1.5 times the range beyond it


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_fused_convolutions_compute_the_same(dtype: torch.dtype, layout: torch.memory_format, bias: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 6, 3, padding=1, bias=bias).to(dtype)
    x = torch.randn(2, 6, 9, 7, dtype=dtype).contiguous(memory_format=layout)
    near = {"rtol": 0.02, "atol": 1e-5 if dtype in (torch.float32, torch.float64) else 0.02}
    with torch.no_grad():
        plain = layer(x)
        torch.testing.assert_close(fused.conv_relu(layer, x), plain.relu(), **near)
        torch.testing.assert_close(fused.conv_add(layer, x, x), plain + x, **near)
        with torch.autocast("cpu", torch.bfloat16):
            assert fused.conv_relu(layer, x).dtype == layer(x).dtype


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: setattr(layer, "padding_mode", "circular"),
        lambda layer: setattr(layer, "padding", "same"),
        lambda layer: setattr(layer, "forward", lambda x: 2 * x),
        lambda layer: layer.register_forward_hook(lambda module, args, output: 2 * output),
        lambda layer: layer.register_forward_pre_hook(lambda module, args: (2 * args[0],)),
    ],
)
def test_a_convolution_of_another_kind_is_left_alone(change: Callable[[nn.Conv2d], object]) -> None:
    layer, x = nn.Conv2d(6, 6, 3, padding=1), torch.randn(1, 6, 9, 7)
    layer._reversed_padding_repeated_twice = [1, 1, 1, 1]  # as padding_mode has it from the beginning
    change(layer)
    with torch.no_grad():
        torch.testing.assert_close(fused.conv_relu(layer, x), layer(x).relu())
        torch.testing.assert_close(fused.conv_add(layer, x, x), layer(x) + x)


def test_without_onednn_nothing_is_fused() -> None:
    layer, x = nn.Conv2d(6, 6, 3, padding=1), torch.randn(1, 6, 9, 7)
    with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False):
        assert not fused._fuses(layer, x)


def test_edsr_is_the_same_with_and_without_fused_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network, images = UPSCALERS["edsr"](width=8, depth=2).eval(), torch.rand(1, 3, 12, 16)
    for block in network.blocks:
        for parameter in block.parameters():
            nn.init.normal_(parameter, 0, 0.1)
    with torch.inference_mode():
        large = network(images)
        monkeypatch.setattr(fused, "_can_fuse", lambda dtype: False)
        torch.testing.assert_close(network(images), large)
    torch.testing.assert_close(network(images).detach(), large)  # with gradients too


@pytest.mark.parametrize("everywhere", [False, True])
def test_hooks_see_every_convolution(everywhere: bool) -> None:
    network, seen = UPSCALERS["edsr"](width=8, depth=2).eval(), []
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    register = (
        [nn.modules.module.register_module_forward_hook]
        if everywhere
        else [layer.register_forward_hook for layer in layers]
    )
    hooks = [each(lambda module, args, output: seen.append(module)) for each in register]
    try:
        with torch.inference_mode():
            network(torch.rand(1, 3, 12, 16))
    finally:
        for hook in hooks:
            hook.remove()
    assert sum(isinstance(module, nn.Conv2d) for module in seen) == len(layers)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN")
def test_this_pytorch_still_has_the_fused_operators() -> None:
    assert fused._can_fuse(torch.float32)
    assert fused._can_fuse(torch.bfloat16) or not computes_in_bf16("cpu")


def test_patch_discriminator_judges_every_patch() -> None:
    network = DISCRIMINATORS["patch"](width=4)
    assert network(torch.rand(2, 3, 64, 48)).shape == (2, 8, 6)


def test_unet_discriminator_judges_every_pixel_by_all_of_its_surroundings() -> None:
    network = DISCRIMINATORS["unet"](width=4)
    image = torch.rand(1, 3, 64, 48, requires_grad=True)
    logits = network(image)
    assert logits.shape == (1, 64, 48)
    logits[0, 30, 24].backward()
    seen = image.grad[0].abs().sum(0).nonzero()
    assert (seen.max(0).values - seen.min(0).values).min() > 40
    plain = [m for m in network.modules() if isinstance(m, nn.Conv2d) and not is_parametrized(m, "weight")]
    assert plain == [network.first, network.last]


# -- normalisation

Kind: TypeAlias = type[Generator | Discriminator]
CASES: list[tuple[Kind, dict[str, str]]] = [
    (Generator, {"architecture": "dcgan", "norm": "batch"}),
    (Generator, {"architecture": "dcgan", "norm": "none"}),
    (Discriminator, {"architecture": "dcgan", "norm": "batch"}),
    (Discriminator, {"architecture": "dcgan", "norm": "spectral"}),
    (Discriminator, {"architecture": "dcgan", "norm": "none"}),
    (Discriminator, {"architecture": "patch", "norm": "spectral"}),
    (Discriminator, {"architecture": "patch", "norm": "none"}),
]


def convolutions(model: nn.Module) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    return [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


def example(model: Generator | Discriminator, n: int, size: int = 32) -> Tensor:
    return torch.randn(n, model.latent_dim) if isinstance(model, Generator) else torch.rand(n, 3, size, size) * 2 - 1


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_a_norm_puts_in_its_layers_and_no_other(kind: Kind, options: dict[str, str]) -> None:
    model, norm = kind(width=8, **options), options["norm"]
    layers = convolutions(model)
    normed = [is_parametrized(layer, "weight") for layer in layers]
    assert any(isinstance(m, nn.BatchNorm2d) for m in model.modules()) is (norm == "batch")
    assert all((layer.bias is None) is (norm == "batch") for layer in layers)
    if options["architecture"] == "patch":
        assert normed == [norm == "spectral"] * (len(layers) - 1) + [False]
    else:
        assert normed == [norm == "spectral"] * len(layers)
    for layer in [layer for layer, has in zip(layers, normed, strict=True) if has]:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


def test_a_label_is_normed_too() -> None:
    model = Discriminator(width=8, norm="spectral", classes=3)
    embedding = next(module for module in model.modules() if isinstance(module, nn.Embedding))
    assert torch.linalg.matrix_norm(embedding.weight, 2).item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_norms_share_shapes_and_stay_finite(kind: Kind, options: dict[str, str]) -> None:
    model = kind(width=8, **options)
    result = model(example(model, 3))
    expected = (3, 3, 32, 32) if kind is Generator else (3,) if options["architecture"] == "dcgan" else (3, 4, 4)
    assert result.shape == expected
    result.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_norms_survive_a_round_trip(kind: Kind, options: dict[str, str], tmp_path: Path) -> None:
    model = kind(width=8, **options)
    model(example(model, 3))
    model.save_pretrained(tmp_path)
    loaded = kind.from_pretrained(tmp_path)
    assert loaded.config == model.config and loaded.config["norm"] == options["norm"]
    inputs = example(model, 2)
    with torch.no_grad():
        torch.testing.assert_close(loaded(inputs), model.eval()(inputs))


@pytest.mark.parametrize("size", [32, 128])
def test_without_batchnorm_the_signal_keeps_its_size_through_deep_networks(size: int) -> None:
    generator = Generator(image_size=size, width=4, norm="none")
    assert 0.3 < generator(torch.randn(16, 100)).std() < 0.9
    for norm, least in (("none", 0.3), ("spectral", 0.02)):
        discriminator = Discriminator(image_size=size, width=4, norm=norm)
        assert least < discriminator(torch.randn(64, 3, size, size)).std() < 3
    patch = Discriminator("patch", width=8, depth=size.bit_length() - 3, norm="none")
    assert 0.3 < patch(torch.randn(16, 3, size, size)).std() < 3


@pytest.mark.parametrize(
    ("kind", "options", "allowed"),
    [
        (Generator, {"norm": "spectral"}, "'batch' or 'none'"),
        (Generator, {"norm": None}, "'batch' or 'none'"),
        (Discriminator, {"norm": "layer"}, "'batch', 'spectral' or 'none'"),
        (Discriminator, {"architecture": "patch", "norm": "batch"}, "'spectral' or 'none'"),
    ],
)
def test_norms_that_cannot_be_name_those_that_can(kind: Kind, options: dict[str, str], allowed: str) -> None:
    with pytest.raises(ConfigError, match=f"norm is .*{allowed}"):
        kind(**options)


@pytest.mark.parametrize(
    ("kind", "folder", "options"),
    [
        (Generator, "cifar-dcgan", {"architecture": "dcgan", "norm": "batch"}),
        (Discriminator, "cifar-dcgan/discriminator", {"architecture": "r3gan", "width": 48}),
        (Discriminator, "photo-x4/discriminator", {"architecture": "patch", "norm": "none"}),
    ],
)
def test_published_weights_still_load(kind: Kind, folder: str, options: dict[str, str | int]) -> None:
    model = kind.from_pretrained(ROOT / "model_cards" / folder)
    assert model.config.items() >= options.items()
    assert model(example(model, 2)).isfinite().all()


# -- options


@pytest.mark.parametrize("size", [0, 4, 33, 48, 1024, "32", 32.0])
def test_sizes_that_cannot_be_are_refused(size: object) -> None:
    with pytest.raises(ConfigError, match="image_size"):
        Generator(image_size=size)


def test_a_wrong_size_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="power of two; the nearest are 32 and 64"):
        Discriminator(image_size=48)


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'dcgan'"):
        Generator("dcgn")
    with pytest.raises(ConfigError, match="Did you mean 'image_size'"):
        Generator(imagesize=32)


@pytest.mark.slow
def test_every_registered_network_is_reachable_through_its_model() -> None:
    for model, registry in ((Generator, GENERATORS), (Discriminator, DISCRIMINATORS), (Upscaler, UPSCALERS)):
        for architecture in registry:
            assert model(architecture).config["architecture"] == architecture


@pytest.mark.parametrize("network", [*GENERATORS.values(), *DISCRIMINATORS.values(), *UPSCALERS.values()])
def test_the_docstring_explains_every_option(network: type[torch.nn.Module]) -> None:
    """The help of train.py takes its texts from there."""
    explained = {parameter.arg_name for parameter in docstring_parser.parse(network.__doc__ or "").params}
    assert set(inspect.signature(network).parameters) <= explained


@pytest.mark.slow
def test_the_strength_estimator_soon_tells_noise_from_none() -> None:
    estimator = StrengthEstimator(channels=3)
    optimizer = torch.optim.Adam(estimator.parameters(), 3e-3)

    def error() -> torch.Tensor:
        smooth = interpolate(torch.rand(16, 3, 6, 6), size=(32, 32), mode="bicubic").clamp(0, 1)
        noisy = torch.rand(16).round()
        pictures = smooth + noisy.view(-1, 1, 1, 1) * torch.randn(smooth.shape) * 4 / 255
        return (estimator(pictures) - noisy).square().mean()

    for _ in range(60):
        optimizer.zero_grad()
        error().backward()
        optimizer.step()
    assert error() < 0.01
