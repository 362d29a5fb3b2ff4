"""Work and decisions among several processes."""

from pathlib import Path

import pytest

from helpers.forking import run_script

SCRIPT = """
import sys
from pathlib import Path
import torch
from hubgan.errors import HubganError, ModelError, Remedy
from hubgan.runtime.processes import decide, is_main, join_processes, share_out, together

state = join_processes(cpu=True)
rank, fault = state.process_index, sys.argv[1]
said = Path(__file__).with_name(f"said-{rank}")  # a pipe that both write to may mix their words

def work(items):
    if fault == "work" and rank == 1:
        raise MemoryError("none left")
    if fault == "model" and rank == 1:
        raise damaged
    return (torch.tensor(list(items), dtype=torch.int64), torch.full((len(items),), rank))

damaged = ModelError("m is damaged", Remedy("Mend it", "Use --mend"))

def decision():
    assert is_main()
    if fault == "decision":
        raise OSError("the disk is full")
    return rank

try:
    items, ranks = share_out(work, range(130), 64)
    assert items.tolist() == list(range(130))
    decided_by = decide(decision)
    with together(ModelError, "cannot go on", "Start again"):
        if fault == "part" and rank == 1:
            raise damaged
    said.write_text(f"{rank} did {int((ranks == rank).sum())} decided by {decided_by}")
except HubganError as error:
    said.write_text(f"{rank} was told {error.for_command_line()}")
state.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("none", ["0 did 128 decided by 0", "1 did 2 decided by 0"]),
        ("work", ["0 was told MemoryError: none left", "1 was told MemoryError: none left"]),
        ("model", ["0 was told m is damaged. Use --mend", "1 was told m is damaged. Use --mend"]),
        (
            "part",
            [
                "0 was told cannot go on: m is damaged. Use --mend. Start again",
                "1 was told cannot go on: m is damaged. Use --mend. Start again",
            ],
        ),
        ("decision", ["0 was told OSError: the disk is full", "1 was told OSError: the disk is full"]),
    ],
)
def test_each_does_a_part_and_an_error_of_one_is_everybodys(fault: str, said: list[str], tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    run_script(tmp_path / "script.py", fault, folder=tmp_path, processes=2)
    assert [file.read_text() for file in sorted(tmp_path.glob("said-*"))] == said
