"""Work and decisions among processes that torchrun has started."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from pathlib import Path
import torch
from hubgan.errors import HubganError
from hubgan.runtime.processes import decide, is_main, join_processes, share_out

state = join_processes(cpu=True)
rank, fault = state.process_index, sys.argv[1]
said = Path(__file__).with_name(f"said-{rank}")  # a pipe that both write to may mix their words

def work(items):
    if fault == "work" and rank == 1:
        raise MemoryError("none left")
    return (torch.tensor(list(items), dtype=torch.int64), torch.full((len(items),), rank))

def decision():
    assert is_main()
    if fault == "decision":
        raise OSError("the disk is full")
    return rank

try:
    items, ranks = share_out(work, range(130), 64)
    assert items.tolist() == list(range(130))
    said.write_text(f"{rank} did {int((ranks == rank).sum())} decided by {decide(decision)}")
except HubganError as error:
    said.write_text(f"{rank} was told {error}")
state.destroy_process_group()
"""


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("none", ["0 did 128 decided by 0", "1 did 2 decided by 0"]),
        ("work", ["0 was told MemoryError: none left", "1 was told MemoryError: none left"]),
        ("decision", ["0 was told OSError: the disk is full", "1 was told OSError: the disk is full"]),
    ],
)
def test_each_does_a_part_and_an_error_of_one_is_everybodys(
    fault: str, said: list[str], tmp_path: Path, launch_environment: dict[str, str]
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run([*command, str(tmp_path / "script.py"), fault], env=launch_environment, capture_output=True,
                          text=True, timeout=120, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert [file.read_text() for file in sorted(tmp_path.glob("said-*"))] == said
