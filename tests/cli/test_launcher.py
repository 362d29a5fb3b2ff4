"""What `accelerate launch --cpu` has left to be started becomes torchrun's command."""

import os
import sys
from pathlib import Path

import psutil
import pytest
import torch.distributed.run

from hubgan.cli import launcher
from hubgan.cli.launcher import start_missing_processes


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--num_processes", "3"], ["--standalone", "--nproc_per_node=3"]),
        (
            ["--num_processes", "4", "--num_machines", "2", "--machine_rank", "1"],
            ["--nnodes=2", "--node_rank=1", "--master_addr=10.0.0.1", "--master_port=29500", "--nproc_per_node=2"],
        ),
    ],
)
def test_the_file_of_accelerate_config_does_not_count_with_cpu(
    options: list[str], wanted: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accelerate does not read it either."""
    from accelerate.commands.config import config_args

    saved = tmp_path / "default_config.yaml"
    saved.write_text("{compute_environment: LOCAL_MACHINE, num_machines: 5, machine_rank: 4, num_processes: 40}")
    monkeypatch.setattr(config_args, "default_config_file", str(saved))
    for name in ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(
        os, "environ", {**os.environ, "ACCELERATE_USE_CPU": "true", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}
    )
    launched = ["python", "accelerate", "launch", "--cpu", *options, "train.py", "--config", "quickstart"]
    monkeypatch.setattr(psutil.Process, "cmdline", lambda process: launched)
    monkeypatch.setattr(sys, "argv", ["train.py", "--config", "quickstart"])
    monkeypatch.setattr(launcher, "_end_with", lambda parent: None)
    started: list[list[str]] = []
    monkeypatch.setattr(torch.distributed.run, "main", started.append)
    with pytest.raises(SystemExit):
        start_missing_processes()
    assert started == [[*wanted, "train.py", "--config", "quickstart"]]
