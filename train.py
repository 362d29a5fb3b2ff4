"""Train a GAN: `accelerate launch train.py [--config RECIPE] [--option value ...]`, see `--help`."""

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import launch_command_parser

if (source := Path(__file__).resolve().parent / "src").is_dir():  # a bare checkout: hubgan need not be installed
    sys.path.insert(0, str(source))


def start_missing_processes() -> None:
    """Start the processes of `accelerate launch --cpu --num_processes N`, of which it starts one alone.

    Without MPI it sets a port to meet at and leaves the rest to the script (accelerate issue 2741); this becomes
    torchrun, which starts them. Under any other launcher nothing happens.
    """
    unmet = os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true" and "MASTER_PORT" in os.environ
    if not unmet or any(name in os.environ for name in ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK")):
        return
    launcher = psutil.Process(os.getppid()).cmdline()
    word = next((i for i, part in enumerate(launcher) if part == "launch" or part.endswith("accelerate-launch")), None)
    if word is None:
        return
    asked = launch_command_parser().parse_args(launcher[word + 1 :])
    processes = asked.num_processes or load_config_from_file(asked.config_file).num_processes
    from torch.distributed.run import main as torchrun

    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    torchrun(["--standalone", f"--nproc_per_node={processes}", *sys.argv])
    sys.exit()


def end_with(parent: int) -> None:
    """Hand on the SIGTERM that ended the launcher: torchrun tells its processes, which save before they leave."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    start_missing_processes()

    from hubgan import HubganError
    from hubgan.training import parse, plan, train

    first = os.environ.get("RANK", "0") == "0"
    messages = logging.StreamHandler()
    messages.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logging.getLogger("hubgan").addHandler(messages)
    logging.getLogger("hubgan").setLevel(logging.INFO if first else logging.ERROR)
    try:
        config = parse()
        if not config.dry_run:
            train(config)
        elif (text := plan(config)) and first:
            sys.stdout.write(text + "\n")
    except HubganError as error:
        sys.stderr.write(f"error: {error.for_command_line()}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
