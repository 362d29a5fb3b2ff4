"""How good a training run was on the way: the average in each of its checkpoints, measured like a finished model.

    python -m benchmarks.history reference=runs/reference cifar-dcgan=runs/cifar-dcgan \
        --dataset uoft-cs/cifar10 --images 50000 250000 1000000

The runs must have kept their checkpoints (`--keep_checkpoints 100`). Grids go to `--grids FOLDER`.
"""

import argparse
import json
from pathlib import Path
from typing import Any, cast

import torch
from diffusers.utils import make_image_grid
from matplotlib.figure import Figure

from benchmarks.common import markdown, reference, write
from hubgan.data import load_images
from hubgan.evaluation import evaluate_generator
from hubgan.models import Generator
from hubgan.training.options import load_recipe
from hubgan.training.tasks.generation import Generation

_SIDE = 8


def main() -> None:
    """Measure, write results/history.json, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", metavar="NAME=FOLDER", nargs="+")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--dataset-name", help="what the results call it")
    parser.add_argument("--split", default="test")
    parser.add_argument("--floor-split", default="train")
    parser.add_argument("--images", type=int, nargs="+", help="checkpoints nearest to these numbers (default: all)")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--grids", type=Path)
    parser.add_argument("--curves", type=Path, help="a .png or .svg to draw the figures and the overlap of pairs into")
    parser.add_argument("--name", default="history", help="of the file of results")
    args = parser.parse_args()
    against, floor = (reference(args.dataset, split, args.dataset_name) for split in (args.split, args.floor_split))
    table = []
    for word in args.runs:
        name, _, folder = word.partition("=")
        for checkpoint, line in _chosen(Path(folder), args.images):
            generator = _load(Path(folder), checkpoint, args.dataset)
            if args.grids:
                args.grids.mkdir(parents=True, exist_ok=True)
                images = generator.sample(_SIDE**2, seed=0, labels=generator.labels or None)
                make_image_grid(images, _SIDE, _SIDE).save(args.grids / f"{name}-{line['images']}.png")
            results = evaluate_generator(generator, against, samples=args.samples, floor=floor, progress=True)
            figures = {result["name"]: result["value"] for result in results}
            minutes = round(line["seconds"] / 60, 1)
            table.append({"run": name, "images": line["images"], "minutes": minutes, **figures})
            print(table[-1], flush=True)
            about = {"data": str(against), "samples": args.samples, "reference_images": len(against.source)}
            write(args.name, table, **about)
    if args.curves:
        _draw(table, {name: Path(folder) for name, _, folder in (word.partition("=") for word in args.runs)}).savefig(
            args.curves, dpi=96
        )
    print(markdown(table))


def _draw(table: list[dict[str, Any]], runs: dict[str, Path]) -> Figure:
    """The Frechet distance, recall, and how much alike pairs of fakes are, over the images seen."""
    figure = Figure((10, 3), layout="constrained")
    distance, recall, overlap = figure.subplots(1, 3)
    for name, run in runs.items():
        rows = [row for row in table if row["run"] == name]
        across = [row["images"] for row in rows]
        distance.plot(across, [row["FD-ENL0"] for row in rows], "o-", label=name)
        recall.plot(across, [row["recall-ENL0"] for row in rows], "o-", label=name)
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        lines = [line for line in lines if "fake_overlap" in line]
        every = max(1, len(lines) // 100)
        overlap.plot([line["images"] for line in lines[::every]], [line["fake_overlap"] for line in lines[::every]],
                     label=name)  # fmt: skip
    for axes, title in ((distance, "FD-ENL0"), (recall, "recall"), (overlap, "overlap of pairs of fakes")):
        axes.set(title=title, xlabel="images seen", ylim=(0, None))
        axes.grid(alpha=0.3)
    distance.legend()
    return figure


def _chosen(run: Path, images: list[int] | None) -> list[tuple[Path, dict[str, Any]]]:
    """Checkpoints and what the log says of their time."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = []
    for checkpoint in sorted((run / "checkpoints").glob("step-*")):
        step = int(checkpoint.name.rpartition("-")[2])
        nearest = min(lines, key=lambda line: abs(line["steps"] - step))
        found.append((checkpoint, nearest | {"images": nearest["images"] * step // nearest["steps"]}))
    if images:
        found = [min(found, key=lambda pair: abs(pair[1]["images"] - wanted)) for wanted in images]
    return found


def _load(run: Path, checkpoint: Path, dataset: str) -> Generator:
    """The averaged generator of a checkpoint."""
    config = load_recipe(str(run / "recipe.yaml"))
    task = Generation(config)  # type: ignore[arg-type]
    task.setup_data(load_images(dataset, split=config.split, label_column=config.label_column, classes=config.classes))
    average = torch.load(checkpoint / "custom_checkpoint_0.pkl", map_location="cpu", weights_only=True)
    generator = task.networks["generator"]
    generator.load_state_dict(average)
    return cast(Generator, generator.eval())


if __name__ == "__main__":
    main()
