"""The engine is wider than one generator and one discriminator: a task of the tests has two of each."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from huggingface_hub import HfApi

from helpers.common import equal, forget_accelerator
from helpers.launching import metrics, train_here, train_in_two
from helpers.loopback_hub import LoopbackHub
from helpers.toy_cycle import Cycle, CycleConfig, register
from hubgan import Discriminator, Upscaler
from hubgan.data import RawBatch
from hubgan.training import parse, plan
from hubgan.training.step import Step
from hubgan.training.task import Batch, Losses, Networks, Part, Phase
from hubgan.training.tasks import TASKS
from kill import TASKS as COMMANDS
from kill import kill_and_compare

FOLDERS = ("", "reverse", "judge_a", "judge_b")


@pytest.fixture(autouse=True)
def cycle() -> Iterator[None]:
    register()
    yield
    del TASKS["cycle"]


@pytest.mark.slow
def test_two_generators_and_two_discriminators_train_and_are_published(hub: LoopbackHub, tmp_path: Path) -> None:
    options = [*COMMANDS["cycle"], "--eval_samples", "0", "--log_every", "5", "--push_to_hub", "tester/cycle"]
    run = train_here(*options, "--max_steps", "10", "--output_dir", str(tmp_path / "run"))
    last = metrics(run)[-1]
    assert last["steps"] == 10 and last["updates"] == 20
    assert {"discriminator_a", "discriminator_b", "r1_a", "adversarial_a", "adversarial_b", "cycle",
            "real_accuracy_b", "discriminator_gradient_norm", "generator_gradient_norm"} <= set(last)  # fmt: skip
    files = {file.rfilename for file in HfApi().model_info("tester/cycle").siblings or []}
    assert {f"{folder}/model.safetensors".lstrip("/") for folder in FOLDERS} <= files
    for folder, kind in zip(FOLDERS, (Upscaler, Upscaler, Discriminator, Discriminator), strict=True):
        pulled = kind.from_pretrained("tester/cycle", **({"subfolder": folder} if folder else {}))
        assert equal(pulled, kind.from_pretrained(run / folder))


class GeneratorsFirst(Cycle):
    """The phases in the order of the paper's own code."""

    def __init__(self, config: CycleConfig) -> None:
        super().__init__(config)
        self.parts = (Part("training", self.parts[0].phases[::-1]),)


@pytest.mark.slow
def test_the_phases_may_come_in_any_order(tmp_path: Path) -> None:
    TASKS["cycle"] = GeneratorsFirst
    config = parse([*COMMANDS["cycle"], "--eval_samples", "0", "--output_dir", str(tmp_path / "run")])
    task, accelerator = GeneratorsFirst(config), Accelerator(cpu=True)  # type: ignore[arg-type]
    step = Step(task, config, accelerator)
    raw = RawBatch(torch.randint(256, (8, 3, 8, 8), dtype=torch.uint8))
    generators, _ = task.parts[0].phases
    step.update(generators, [step.batch(raw, 0)], number=0)
    judges = [task.networks[name] for name in ("judge_a", "judge_b")]
    assert all(parameter.grad is None for judge in judges for parameter in judge.parameters())
    forget_accelerator()
    run = train_here(*COMMANDS["cycle"], "--eval_samples", "0", "--log_every", "5", "--max_steps", "10",
                     "--output_dir", str(tmp_path / "run"))  # fmt: skip
    assert not any(name.startswith("real_sign") for name in metrics(run)[-1])  # the augmentation has adapted by them


class OneByOne(Cycle):
    """Each discriminator in a phase of its own."""

    def __init__(self, config: CycleConfig) -> None:
        super().__init__(config)
        both, generators = self.parts[0].phases
        judges = (replace(both, name=f"judge_{name}", networks=(f"judge_{name}",), repeats=1) for name in "ab")
        self.parts = (Part("training", (*judges, generators)),)

    def losses(self, phase: Phase, networks: Networks, batch: Batch) -> Losses:
        if phase.name == "generator":
            return super().losses(phase, networks, batch)
        found = super().losses(Phase("discriminator", phase.networks), networks, batch)
        own = phase.name[-1]
        return Losses(*({name: value for name, value in part.items() if name.endswith(f"_{own}")}
                        for part in (found.terms, found.figures)))  # fmt: skip


@pytest.mark.slow
def test_lazy_penalties_are_due_for_each_discriminator(tmp_path: Path) -> None:
    TASKS["cycle"] = OneByOne
    run = train_here(*COMMANDS["cycle"], "--penalty_every", "2", "--eval_samples", "0", "--log_every", "1",
                     "--max_steps", "4", "--output_dir", str(tmp_path / "run"))  # fmt: skip
    due = [("r1_a" in line, "r1_b" in line) for line in metrics(run)]
    assert due == [(True, True), (False, False)] * 2


def test_its_plan_is_told_without_a_step(tmp_path: Path) -> None:
    text = plan(parse([*COMMANDS["cycle"], "--output_dir", str(tmp_path / "run")]))
    assert text.count("Upscaler edsr") == text.count("Discriminator patch") == 2
    assert "MiB" in text and not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_killed_at_random_moments_it_ends_like_one_never_stopped(processes: int) -> None:
    assert kill_and_compare("cycle", trials=1, processes=processes) > 0


@pytest.mark.slow
def test_two_processes_compute_what_one_does(tmp_path: Path) -> None:
    options = [*COMMANDS["cycle"], "--eval_samples", "0", "--log_every", "1", "--max_steps", "4"]
    train_here(*options, "--batch_size", "8", "--output_dir", str(tmp_path / "one"))
    train_in_two(tmp_path / "two", *options, "--batch_size", "4", before=register)
    names = ("images", "discriminator_a", "discriminator_b", "r1_a", "adversarial_a", "cycle")
    one, two = (
        torch.tensor([[line.get(name, 0) for name in names] for line in metrics(tmp_path / run)])
        for run in ("one", "two")
    )
    torch.testing.assert_close(one, two, rtol=2e-3, atol=1e-5)
