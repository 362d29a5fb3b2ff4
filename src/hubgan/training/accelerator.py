"""The accelerator of a run: processes, devices, precision."""

import logging
import os
import warnings
from datetime import timedelta

from accelerate import Accelerator
from accelerate.utils import (
    DistributedDataParallelKwargs,
    GradientAccumulationPlugin,
    InitProcessGroupKwargs,
    TorchDynamoPlugin,
    parse_flag_from_env,
)

from hubgan.errors import ConfigError
from hubgan.runtime.devices import computes_in_bf16, computes_in_fp16, gpu_or_cpu, repeat_exactly
from hubgan.training.config import TrainingConfig

logger = logging.getLogger(__name__)

# What `accelerate launch` sets for the ways of distribution that split one model among several devices.
_SPLITTING = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism configuration",
}


def make_accelerator(config: TrainingConfig) -> Accelerator:
    """The accelerator for a run: data parallel over whatever `accelerate launch` started.

    Args:
        config: the run's configuration.

    Raises:
        ConfigError: a way of distribution or a precision that hubgan or this machine cannot do.
    """
    for variable, name in _SPLITTING.items():
        if parse_flag_from_env(variable):
            raise ConfigError(
                f"{name} is not supported, because each device holds complete networks",
                "Choose multi-GPU without it in `accelerate config`, or launch with --multi_gpu",
            )
    if os.environ.get("ACCELERATE_DYNAMO_BACKEND", "no").lower() != "no" and not config.compile:
        logger.warning("the launcher's dynamo backend is ignored. Pass --compile True to compile the networks")
    # It has a new name since PyTorch 2.13, which Accelerate does not hand on yet.
    warnings.filterwarnings("ignore", message=".*broadcast_buffers", category=FutureWarning)
    try:
        accelerator = Accelerator(
            mixed_precision=_precision(config.mixed_precision),
            gradient_accumulation_plugin=GradientAccumulationPlugin(
                num_steps=config.gradient_accumulation_steps, sync_with_dataloader=False
            ),
            dynamo_plugin=TorchDynamoPlugin(backend="no"),  # it would rename the weights; see --compile
            log_with=None if config.report_to == "none" else config.report_to,
            project_dir=".",  # TensorBoard needs one here, and another one once the run's folder is chosen
            # The discriminator runs twice a step; buffers broadcast in between would change under its first graph.
            # All processes begin with the same ones, as they build the networks by one seed.
            kwargs_handlers=[
                DistributedDataParallelKwargs(broadcast_buffers=False),
                # The others wait while the first process downloads a data set, or pushes the result.
                InitProcessGroupKwargs(timeout=timedelta(hours=3)),
            ],
        )
    except ValueError as error:
        raise ConfigError(f"Accelerate cannot set up this machine: {error}") from error
    if accelerator.mixed_precision == "fp16" and not computes_in_fp16(accelerator.device):
        raise ConfigError("fp16 needs a GPU", "Use --mixed_precision bf16 or no on a CPU")
    if accelerator.num_processes == 1 and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            "several processes were started, but Accelerate sees only one", "Use accelerate launch --cpu"
        )
    if config.deterministic:
        repeat_exactly(accelerator.device)
    return accelerator


def _precision(wanted: str) -> str:
    """What "auto" means here: the launcher's half precision, else bf16 where the hardware computes in it.

    A launcher's "no" does not count: it is also its default.
    """
    if wanted != "auto":
        return wanted
    if (launched := os.environ.get("ACCELERATE_MIXED_PRECISION", "no")) != "no":
        if launched not in ("bf16", "fp16"):
            raise ConfigError(f"{launched} is not supported", "Choose --mixed_precision bf16, fp16 or no")
        return launched
    device = "cpu" if parse_flag_from_env("ACCELERATE_USE_CPU") else gpu_or_cpu()
    return "bf16" if computes_in_bf16(device) else "no"
