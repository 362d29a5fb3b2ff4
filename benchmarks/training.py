"""Training side by side: hubgan's recipes, and the loops that a user would otherwise write around the same networks.

    python -m benchmarks.training generation --dataset uoft-cs/cifar10
    python -m benchmarks.training upscaling --dataset FOLDER_OF_PHOTOGRAPHS

Each is a process of its own; they take turns, so that what else the machine does hits all. Counted are the images a
second after the first quarter of the images, the share of the time that is spent waiting for data, and the peak memory
(resident set) of the processes. All have the same networks and data, and but for hubgan's last row the same batches.
hubgan is at its defaults: bfloat16 where the CPU computes in it, the channels last, decoded images kept in memory,
and the generator averaged besides. The loops (benchmarks/peers/training_loops.py) compute in float32 but for the
last, and have two more processes that prepare data. Two processes share a batch; or, as `accelerate launch` does
where nothing else is said, each has one. Memory that processes share is counted in each.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.common import called, children_memory, markdown, write

ROOT = Path(__file__).resolve().parents[1]
_RECIPES = {"generation": ("cifar-dcgan", 128), "upscaling": ("photo-x4", 8)}
# By what the table calls them, what benchmarks.peers.training_loops calls them.
_LOOPS = {"plain loop": "plain", "with_transform loop": "with_transform", "plain loop, bf16": "bf16"}
_EACH = "hubgan, the batch in each process"
_LEFT_OUT = 0.25  # of the images: libraries choose their kernels, files are read for the first time


@dataclass(frozen=True)
class Measured:
    """What came of one run."""

    speed: float  # images a second
    waiting: float  # share
    memory: float  # MB


@dataclass(frozen=True)
class Contender:
    """A way to train."""

    name: str
    threads: int
    processes: int = 1
    options: tuple[str, ...] = ()

    @property
    def ours(self) -> bool:
        return self.name.startswith("hubgan")


def main() -> None:
    """Measure, write results/training-TASK.json, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=[*_RECIPES])
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--dataset-name", help="what the results call it")
    parser.add_argument("--images", type=int, help="in each run; by default 6,400, or 480 for upscaling")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    images = args.images or (6400 if args.task == "generation" else 480)
    contenders = [Contender(name, threads) for threads in args.threads for name in ("hubgan", *_LOOPS)]
    if 2 in args.threads and not torch.cuda.is_available():
        contenders += [Contender("hubgan", 1, processes=2), Contender(_EACH, 1, processes=2)]
    found: dict[Contender, list[Measured]] = {contender: [] for contender in contenders}
    for _ in range(args.repetitions):
        for contender in contenders:
            measure = _hubgan if contender.ours else _loop
            found[contender].append(measure(contender, args.task, args.dataset, images))
            print(contender.name, contender.threads, contender.processes, found[contender][-1], flush=True)
    table = _table(found)
    recipe, batch = _RECIPES[args.task]
    write(
        f"training-{args.task}",
        table,
        data=called(args.dataset, args.dataset_name),
        recipe=recipe,
        batch=batch,
        images=images,
        left_out=_LEFT_OUT,
        repetitions=args.repetitions,
    )
    print(markdown(table))


def _table(found: dict[Contender, list[Measured]]) -> list[dict[str, Any]]:
    speeds = {contender: median(run.speed for run in runs) for contender, runs in found.items()}
    plain = {contender.threads: speed for contender, speed in speeds.items() if contender.name == "plain loop"}
    return [
        {
            "training": contender.name,
            "threads": f"{contender.processes} x {contender.threads}",
            "images/s": round(speeds[contender], 1),
            "least-most": f"{min(run.speed for run in runs):.0f}-{max(run.speed for run in runs):.0f}",
            "times the plain loop": round(speeds[contender] / plain[contender.threads * contender.processes], 2),
            "waiting for data": f"{median(run.waiting for run in runs):.1%}",
            "memory MB": round(median(run.memory for run in runs)),
        }
        for contender, runs in found.items()
    ]


def _hubgan(contender: Contender, task: str, dataset: str, images: int) -> Measured:
    """train.py as the README launches it."""
    recipe, batch = _RECIPES[task]
    if contender.name == _EACH:
        batch, images = batch * contender.processes, images * contender.processes
    with tempfile.TemporaryDirectory() as folder:
        memory = _peak(
            [str(Path(sys.executable).with_name("accelerate")), "launch", "--num_processes", str(contender.processes),
             *(["--cpu"] if contender.processes > 1 else []), "train.py", "--config", recipe, "--dataset", dataset,
             "--batch_size", str(batch // contender.processes), "--max_images", str(images), "--eval_samples", "0",
             "--pixel_share" if task == "upscaling" else "--flip", "1" if task == "upscaling" else "True",
             "--log_every", str(max(1, images // batch // 16)), "--output_dir", folder],
            contender.threads,
        )[1]  # fmt: skip
        lines = [json.loads(line) for line in Path(folder, "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if "images_per_second" in line]
    begin, end = next(line for line in lines if line["images"] >= _LEFT_OUT * images), lines[-1]
    counted = [line for line in lines if line["images"] > begin["images"]]
    seconds = end["seconds"] - begin["seconds"]
    return Measured(
        (end["images"] - begin["images"]) / seconds, sum(line["data_wait"] for line in counted) / len(counted), memory
    )


def _loop(contender: Contender, task: str, dataset: str, images: int) -> Measured:
    """One of the loops."""
    batch = _RECIPES[task][1]
    loop = _LOOPS[contender.name]
    said, memory = _peak(
        [sys.executable, "-m", "benchmarks.peers.training_loops", task, loop, "--dataset", dataset,
         "--images", str(images), "--batch-size", str(batch), "--threads", str(contender.threads)],
        contender.threads,
    )  # fmt: skip
    about = json.loads(said.splitlines()[-1])
    counted = about["steps"][round(_LEFT_OUT * len(about["steps"])) :]
    return Measured(batch * len(counted) / sum(counted), sum(about["waited"][-len(counted) :]) / sum(counted), memory)


def _peak(command: list[str], threads: int) -> tuple[str, float]:
    """Run it; what it wrote, and the most memory that it and its children had at once, in MB."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT / "src")}
    with children_memory() as memory:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout, max(memory)


if __name__ == "__main__":
    main()
