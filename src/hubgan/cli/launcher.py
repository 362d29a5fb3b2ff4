"""The processes that `accelerate launch` has left to be started."""

import os
import signal
import sys
import threading
import time
from pathlib import Path


def start_missing_processes() -> None:
    """Start the processes of `accelerate launch --cpu --num_processes N`, of which it starts only one on a machine.

    Without MPI it sets a port to meet at and leaves the rest to the script (accelerate issue 2741); this becomes
    torchrun, which starts them. Under any other launcher nothing happens.
    """
    unmet = os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true" and "MASTER_PORT" in os.environ
    if not unmet or any(name in os.environ for name in ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK")):
        return
    print("Starting the processes ...", file=sys.stderr, flush=True)
    import psutil
    from accelerate.commands.config.config_args import default_config_file, load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    launcher = psutil.Process(os.getppid()).cmdline()
    word = next((i for i, part in enumerate(launcher) if part == "launch" or part.endswith("accelerate-launch")), None)
    if word is None:
        return
    asked = launch_command_parser().parse_args(launcher[word + 1 :])

    def option(name: str, otherwise: int) -> int:
        """What the command line says, or the file of `accelerate config`. With --cpu Accelerate skips that file."""
        found = getattr(asked, name)
        if found is None and (asked.config_file or (not asked.cpu and Path(default_config_file).is_file())):
            found = getattr(load_config_from_file(asked.config_file), name, None)
        return otherwise if found is None else int(found)

    machines = option("num_machines", 1)
    each = max(option("num_processes", 1) // machines, 1)
    where = ["--standalone"]
    if machines > 1:
        where = [f"--nnodes={machines}", f"--node_rank={option('machine_rank', 0)}"]
        where += [f"--{name.lower()}={os.environ[name]}" for name in ("MASTER_ADDR", "MASTER_PORT")]
    from torch.distributed.run import main as torchrun

    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    program = ["--module", "hubgan", *sys.argv[1:]] if asked.module else sys.argv
    torchrun([*where, f"--nproc_per_node={each}", *program])
    sys.exit()


def _end_with(parent: int) -> None:
    """Hand on the SIGTERM that ended the launcher: torchrun tells its processes, which save before they leave."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGTERM)
