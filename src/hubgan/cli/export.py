"""Write a model as ONNX, for runtimes without PyTorch.

  hubgan export me/cifar-dcgan                       makes cifar-dcgan.onnx
  hubgan export me/photo-x4 --fidelity 1 -o photo-x4.onnx
  hubgan export me/sketch-to-emoji

A generator takes "latents" (batch, latent_dim), drawn from a standard normal
distribution, and returns "images". If it has classes, it also takes "labels"
(int64, batch). An upscaler takes "images" (batch, channels, height, width) and
returns "large". A translator takes "images" and, if seeds change its results, "latents".
It returns "translated". All images are float32 from 0 to 1. Batch, height and
width may have any size, of at least 8 pixels. For a translator they are multiples
of 16 with the network unet, and of 8 with resnet.

The results of onnxruntime are compared with those of PyTorch before the file is
written. The command needs pip install 'hubgan[onnx]'.
"""

import argparse
from pathlib import Path

from hubgan.cli.arguments import (
    add_fidelity,
    add_model,
    announce_torch,
    find_model,
    load_model,
    refuse_unused,
    whole,
)
from hubgan.errors import ConfigError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_model(parser, "the model")
    parser.add_argument("--format", choices=["onnx"], default="onnx", help="file format: onnx")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help="the file to write (default: MODEL.onnx, in the current folder)",
    )
    add_fidelity(parser)
    parser.add_argument(
        "--opset",
        metavar="N",
        type=whole(18, 21),
        default=18,
        help="opset, the version of ONNX's operators (default: 18)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")


def run(args: argparse.Namespace) -> None:
    """Write the file, and print its inputs and outputs."""
    file: Path = args.output or Path(f"{Path(args.subfolder or args.model).resolve().name}.onnx")
    if not args.overwrite and file.exists():
        raise ConfigError(f"{file} already exists", "Pass another file with -o, or replace it with --overwrite")

    find_model(args)
    announce_torch()
    from hubgan import Generator, Translator, Upscaler
    from hubgan.export.onnx import export_onnx

    model, _ = load_model(args, "cpu")
    if not isinstance(model, Upscaler):
        refuse_unused(args, f"{args.model} holds a {type(model).__name__.lower()}, which", "fidelity")
    export_onnx(model, file, opset=args.opset)
    if isinstance(model, Generator):
        labels = " and labels (batch)" if model.labels else ""
        sizes = f"latents (batch, {model.latent_dim}){labels} to images (batch, {model.channels}, "
        sizes += f"{model.image_size}, {model.image_size})"
    elif isinstance(model, Translator):
        latents = f" and latents (batch, {model.latent_dim})" if model.latent_dim else ""
        sizes = (
            f"images (batch, {model.input_channels}, height, width){latents} to translated (batch, {model.channels}"
        )
        sizes += f", height, width), of sides that are multiples of {model.network.multiple}"
    else:
        strength = " and strength (batch)" if model.has_strength else ""
        sizes = f"images (batch, {model.channels}, height, width){strength} to large, {model.scale} times as large"
    print(f"{file}: {file.stat().st_size / 2**20:.1f} MiB, opset {args.opset}, {sizes}")
