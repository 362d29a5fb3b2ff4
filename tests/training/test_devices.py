"""A step on a device other than the CPU: the meta device stands in for a GPU. It computes shapes alone, and complains
if a tensor of the CPU meets one of its own, or if a number is read back, for which a GPU would have to be waited for.
"""

from collections.abc import Iterator

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import PartialState

from helpers.toy_cycle import register
from hubgan.data import RawBatch
from hubgan.training import parse, step
from hubgan.training.memory import _NoRandom
from hubgan.training.tasks import TASKS
from kill import COMMON
from kill import TASKS as COMMANDS

pytestmark = pytest.mark.slow
META = torch.device("meta")
# Pictures are saved as JPEG files by the host, and an adaptive probability is a number of the host too.
READ_BACK = {"upscaling": ["--degradation", "none"]}


@pytest.fixture(autouse=True)
def cycle() -> Iterator[None]:
    register()
    yield
    del TASKS["cycle"]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_step_stays_on_its_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "SharedRandom", lambda *args: _NoRandom(META))
    options = [*COMMANDS[name], *COMMON, *READ_BACK.get(name, []), "--augment_target", "None"]
    config = parse([*options, "--output_dir", "unused"])
    task, accelerator = TASKS[config.task](config), Accelerator(cpu=True, mixed_precision="no")
    task.setup_without_data()
    PartialState._shared_state["device"] = META
    accelerator.state._shared_state["device"] = META
    whole = step.Step(task, config, accelerator)
    images = torch.zeros(config.batch_size, *task.transform.shape, dtype=torch.uint8, device=META)
    labels = torch.zeros(config.batch_size, dtype=torch.int64, device=META) if task.labelled else None
    for number, part in enumerate(task.parts):
        whole.set_progress(number / len(task.parts))
        figures = whole.updates(part, lambda: whole.batch(RawBatch(images, labels), 0), {}, monitor=True)
        whole.finish(images=8, images_seen=8)
        assert figures and all(figure.device == META for figure in figures.values())
