"""What hubgan does on this machine's GPU, in some ten minutes, as a report to paste into an issue: `make gpu-check`.

    python tests/gpu_check.py --cpu --only tests plan    # rehearse a part of it without a GPU

Each check is a program of its own with a time limit, so that one that fails or hangs does not end the others.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from hubgan.runtime.devices import gpu_versions, gpus
from hubgan.version import __version__

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "src" / "hubgan" / "recipes" / "cifar10-sample"
REPORT = ROOT / "gpu-check.md"
_LINES = 25  # shown of a check that failed


@dataclass(frozen=True)
class Check:
    """One program.

    Attributes:
        what: what it shows.
        arguments: of Python; `{scratch}` is a folder that is deleted afterwards.
        shown: the report quotes the lines of its output that hold one of these words.
        gpus: how many it needs.
        seconds: its time limit.
    """

    what: str
    arguments: list[str]
    shown: tuple[str, ...]
    gpus: int = 1
    seconds: int = 240


_TRAIN = ["-m", "hubgan", "train", "--dataset", str(SAMPLE)]
_SHORT = ["--max_minutes", "None", "--max_steps", "60", "--eval_samples", "0", "--output_dir", "{scratch}/run"]
_PLAN = ("on this machine", "estimated at about", "precision")
CHECKS = {
    "tests": Check(
        "equal images, precisions, resumption, compiled networks",
        ["-m", "pytest", "-q", "-m", "gpu", "tests/test_gpu.py"],
        ("passed", "failed", "FAILED"),
    ),
    "kill": Check(
        "killed runs end like one never stopped, bit for bit",
        ["tests/kill.py", "--trials", "3", "--task", "generation", "upscaling"],
        ("trials",),
    ),
    "plan": Check("a DCGAN's speed and memory", [*_TRAIN, "--config", "cifar-dcgan", "--dry_run"], _PLAN),
    "plan-r3gan": Check("R3GAN's speed and memory", [*_TRAIN, "--config", "cifar-r3gan", "--dry_run"], _PLAN),
    "two": Check(
        "two GPUs train together",
        ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", *_TRAIN, *_SHORT,
         "--config", "quickstart"],
        ("Done",),
        gpus=2,
    ),
    "sampling": Check(
        "images a second, beside plain PyTorch and a diffusion model",
        ["-m", "benchmarks.sampling", "model_cards/cifar-dcgan", "--numbers", "64", "10000", "--repetitions", "3",
         "--name", "sampling_gpu"],
        ("|",),
    ),
}  # fmt: skip


def main() -> int:
    """Run the checks, print the report, and keep it in gpu-check.md; 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=CHECKS, default=list(CHECKS), help="the checks to run")
    parser.add_argument("--cpu", action="store_true", help="rehearse them on the CPU")
    asked = parser.parse_args()
    if not asked.cpu and not torch.cuda.is_available():
        sys.stderr.write(
            "gpu_check.py: error: PyTorch finds no CUDA GPU. Rehearse with: python tests/gpu_check.py --cpu\n"
        )
        return 2
    device = (
        {"ACCELERATE_USE_CPU": "true", "HUBGAN_TEST_DEVICE": "cpu"} if asked.cpu else {"ACCELERATE_USE_CPU": "false"}
    )
    there = gpus()
    report = ["## GPU check", "", _machine(there), "", "| check | shows | result | seconds |", "|---|---|---|---|"]
    details, failed = [], False
    for name in asked.only:
        check = CHECKS[name]
        sys.stderr.write(f"{name}: {check.what} ...\n")
        if check.gpus > 1 and len(there) < check.gpus:
            report.append(f"| {name} | {check.what} | skipped: there are not {check.gpus} GPUs | |")
            continue
        begun = time.monotonic()
        problem, output = _run(check, device)
        report.append(f"| {name} | {check.what} | {problem or 'passed'} | {time.monotonic() - begun:.0f} |")
        lines = output.splitlines()
        quoted = lines[-_LINES:] if problem else [line for line in lines if any(word in line for word in check.shown)]
        details += ["", f"### {name}", "", "```", *quoted, "```"]
        failed = failed or bool(problem)
    text = "\n".join([*report, *details, ""])
    REPORT.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    sys.stderr.write(f"The report is in {REPORT}. Please paste it into an issue.\n")
    return int(failed)


def _run(check: Check, device: dict[str, str]) -> tuple[str, str]:
    """What went wrong, "" if nothing did, and the program's output."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), **device}
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, *(argument.format(scratch=scratch) for argument in check.arguments)]
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                errors="replace", timeout=check.seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            output = error.stdout or b""
            return f"not finished after {check.seconds} s", output.decode(errors="replace") if isinstance(
                output, bytes
            ) else output
    return f"failed with status {done.returncode}" if done.returncode else "", done.stdout


def _machine(there: list[dict[str, object]]) -> str:
    names = ", ".join(f"{gpu['name']} ({gpu['memory_gib']} GiB)" for gpu in there) or "no GPU"
    versions = {
        "hubgan": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        **gpu_versions(),
    }
    return f"{names}; " + ", ".join(f"{name} {version}" for name, version in versions.items())


if __name__ == "__main__":
    sys.exit(main())
