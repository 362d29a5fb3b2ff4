"""Networks that begin with the weights of published ones, to be trained on: fine-tuning."""

from typing import Any

from accelerate import Accelerator

from hubgan.errors import ConfigError
from hubgan.models import HubModel
from hubgan.training.config import TrainingConfig
from hubgan.training.task import Task


def load_pretrained(task: Task[Any], config: TrainingConfig, accelerator: Accelerator) -> None:
    """Put the weights of `pretrained_model` and `pretrained_discriminator` into a task's networks, where given.

    Raises:
        ConfigError: a network is not the one that the run asks for.
        ModelError: it cannot be found or reached, or is damaged.
    """
    names = config.pretrained_model, config.pretrained_discriminator
    for name, network in zip(names, (task.model, task.discriminator), strict=True):
        if name:
            with accelerator.main_process_first():  # the first process fills the Hub's cache, the others read it
                found = type(network).from_pretrained(name)
            _compare(name, found, network)
            network.load_state_dict(found.state_dict())


def _compare(name: str, found: HubModel, wanted: HubModel) -> None:
    options = found.config | wanted.config
    differ = [key for key in options if found.config.get(key) != wanted.config.get(key)]
    if differ:
        words = "; ".join(f"{key} {found.config.get(key)!r}, not {wanted.config.get(key)!r}" for key in differ)
        raise ConfigError(f"{name} is another network than this run trains: it has {words}. Set the run's options so")
