"""Kill training runs with SIGKILL at random moments, and check that they end bit for bit like one never stopped.

    python tests/kill.py --trials 100 --task generation upscaling translation cycle
    python tests/kill.py --trials 20 --processes 2
    ACCELERATE_USE_CPU=false python tests/kill.py --trials 5 --task generation    # on a GPU

Each trial is a run in processes of its own, killed at moments drawn from the whole time that a run takes (start,
steps, checkpoints, end), gone on with by `--resume auto`, killed again, and at last left alone. Compared with a run
never stopped are the published weights of both networks, everything in the last checkpoint that is a number (weights,
optimizers, averages, counters, random states), and the lines of metrics.jsonl without their times.
The processes are forked from one that has imported what they need: so a trial takes seconds.
"""

import argparse
import hashlib
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch

from helpers.forking import finish, fork
from helpers.toy_cycle import register

SAMPLE = Path(__file__).resolve().parents[1] / "src" / "hubgan" / "recipes" / "cifar10-sample"
_TIMES = {"seconds", "images_per_second", "data_wait"}
_KILLS = 3

SKETCHES = SAMPLE.parents[1] / "demo" / "examples" / "sketches"
_DOMAINS = [
    "--dataset", str(SAMPLE), "--target_dataset", str(SKETCHES), "--max_images", "None", "--max_steps", "16",
    "--image_size", "16", "--translator.width", "8", "--translator.depth", "1", "--discriminator.width", "4",
    "--discriminator.depth", "2", "--batch_size", "4", "--augment", "cutout", "--augment_target", "0.6",
]  # fmt: skip

# Everything that has a state is on: lazy penalties, adaptive augmentation, several discriminator steps, schedules.
TASKS = {
    "generation": [
        "--config", "quickstart", "--max_minutes", "None", "--max_steps", "13", "--batch_size", "8",
        "--generator.width", "8", "--discriminator.width", "8",
        "--discriminator_steps", "2", "--discriminator.norm", "spectral", "--r1_weight", "1", "--penalty_every", "3",
        "--augment", "color", "translation", "cutout", "--augment_target", "0.6", "--learning_rate", "2e-4", "5e-5",
        "--adam_beta2", "0.9", "0.99",
    ],
    "upscaling": [
        "--config", "photo-x4", "--dataset", str(SAMPLE), "--max_images", "None", "--max_steps", "10",
        "--upscaler.width", "8", "--upscaler.depth", "1", "--discriminator.width", "4", "--crop_size", "24",
        "--batch_size", "4", "--pixel_share", "0.4", "--augment", "cutout", "--gradient_accumulation_steps", "2",
    ],
    "translation": [
        "--config", "sketch-to-emoji", "--dataset", str(SAMPLE), "--image_size", "32", "--max_images", "None",
        "--max_steps", "16", "--translator.width", "8", "--translator.depth", "1", "--discriminator.width", "4",
        "--discriminator.depth", "2", "--batch_size", "4", "--pixel_share", "0.4", "--augment", "cutout",
        "--gradient_accumulation_steps", "2",
    ],
    "cut": ["--config", "horse2zebra-cut", *_DOMAINS, "--nce_layers", "0", "2", "3", "--flip_equivariance"],
    "cyclegan": ["--config", "horse2zebra-cyclegan", *_DOMAINS, "--discriminator_steps", "2"],
    # Two generators and two discriminators: not a task of hubgan's, but of the tests.
    "cycle": [
        "--config", str(Path(__file__).parent / "helpers" / "toy_cycle.yaml"), "--max_steps", "13",
        "--discriminator_steps", "2", "--r1_weight", "1", "--penalty_every", "3", "--augment", "color", "translation",
        "--augment_target", "0.6", "--learning_rate", "2e-4", "5e-5",
    ],
}  # fmt: skip
COMMON = ["--checkpoint_every", "4", "--log_every", "3", "--sample_every", "10", "--resume", "auto",
          "--eval_samples", "0", "--deterministic"]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--task", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for task in asked.task:
        begun = time.monotonic()
        kills = kill_and_compare(task, asked.trials, asked.processes, asked.seed, say=sys.stdout.write)
        sys.stdout.write(f"{task}: {asked.trials} trials, {kills} kills, all ended like the run never stopped"
                         f" ({time.monotonic() - begun:.0f} s)\n")  # fmt: skip


def kill_and_compare(
    task: str, trials: int, processes: int = 1, seed: int = 0, say: Callable[[str], object] = lambda text: None
) -> int:
    """Run the trials, and return how many kills there were.

    Raises:
        AssertionError: a run ended otherwise than the one never stopped, or did not end.
    """
    draw, kills = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole")
        finish(fork(int, log=whole.with_suffix(".log")))  # the first one waits for the imports
        begun = time.monotonic()
        assert run(task, whole, processes), whole.with_suffix(".log").read_text()[-3000:]
        duration = time.monotonic() - begun
        wanted, trial = fingerprint(whole), 0
        while trial < trials:
            killed, moments = Path(folder, "killed"), []
            for _ in range(draw.randint(1, _KILLS)):
                moment = draw.uniform(0, duration)
                # In one process the images may come from a worker, which is killed as well.
                options = draw.choice([[], ["--num_workers", "1", "--decoded_gb", "0"]]) if processes == 1 else []
                begun = time.monotonic()
                if run(task, killed, processes, options, moment, draw.randrange(processes)):
                    break
                moments.append(moment)
            if not moments:  # it came to its end before: the machine is faster now
                duration = min(duration, time.monotonic() - begun)
                shutil.rmtree(killed)
                continue
            trial, kills = trial + 1, kills + len(moments)
            log = killed.with_suffix(".log")
            assert run(task, killed, processes), f"trial {trial}, killed after {moments} s:\n{log.read_text()[-3000:]}"
            differing = [key for key, value in fingerprint(killed).items() if value != wanted.get(key)]
            missing = wanted.keys() - fingerprint(killed).keys()
            assert not differing and not missing, f"trial {trial}, killed after {moments} s: {differing} {missing}"
            shutil.rmtree(killed)
            log.unlink()
            say(f"{task} {trial}: killed after {', '.join(f'{moment:.2f}' for moment in moments)} s, the same\n")
    return kills


def run(
    task: str,
    folder: Path,
    processes: int,
    options: Sequence[str] = (),
    kill_after: float = float("inf"),
    first: int = 0,
) -> bool:
    """Train, and kill when the time has come; whether the run came to its end."""
    arguments = [*TASKS[task], *COMMON, "--output_dir", str(folder), *options]
    before = register if task == "cycle" else int
    return train_forked(arguments, folder.with_suffix(".log"), processes, kill_after, first, before)


def train_forked(
    arguments: Sequence[str],
    log: Path,
    processes: int = 1,
    kill_after: float = float("inf"),
    first: int = 0,
    before: Callable[[], object] = int,
) -> bool:
    """Train in processes forked from one that has imported hubgan; whether all came to a good end.

    Args:
        arguments: as for train.py.
        log: takes what the processes print.
        processes: how many.
        kill_after: seconds, from which on they are killed with SIGKILL.
        first: the process that is killed first, the others a little later, as launchers do.
        before: called in each process first; a function of a module.
    """
    return finish(fork(_train, list(arguments), before, log=log, processes=processes), kill_after, first)


def _train(arguments: list[str], before: Callable[[], object]) -> None:
    from hubgan.training import parse, train

    before()
    train(parse(arguments))


def fingerprint(folder: Path) -> dict[str, Any]:
    """Whatever must be the same: weights, the last checkpoint's state, the figures on the way."""
    found: dict[str, Any] = {}
    last = max((folder / "checkpoints").glob("step-*"))  # a kill may leave one more of the older ones
    for file in [
        *folder.glob("*.safetensors"),
        *folder.glob("*/*.safetensors"),
        *last.glob("*.safetensors"),
    ]:
        found[str(file.relative_to(folder))] = hashlib.sha256(file.read_bytes()).hexdigest()
    for file in [*last.glob("*.pkl"), *last.glob("*.bin")]:
        state = torch.load(file, weights_only=False)
        found |= {
            f"{file.name}{path}": value for path, value in _leaves(state) if path.rpartition(".")[2] not in _TIMES
        }
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    found["metrics"] = [{key: value for key, value in line.items() if key not in _TIMES} for line in lines]
    return found


def _leaves(state: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(state, Mapping):
        for key, value in state.items():
            yield from _leaves(value, f"{path}.{key}")
    elif isinstance(state, list | tuple):
        for index, value in enumerate(state):
            yield from _leaves(value, f"{path}.{index}")
    elif isinstance(state, torch.Tensor | numpy.ndarray):
        array = numpy.ascontiguousarray(state)
        yield path, (array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).hexdigest())
    else:
        yield path, state


if __name__ == "__main__":
    main()
