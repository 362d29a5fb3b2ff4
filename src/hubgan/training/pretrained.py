"""Networks that begin with the weights of published ones, to be trained on: fine-tuning."""

import logging
from functools import partial
from typing import Any

from accelerate import Accelerator

from hubgan.errors import ConfigError
from hubgan.hub.download import look_up
from hubgan.models import HubModel
from hubgan.runtime.processes import decide
from hubgan.training.task import Task

logger = logging.getLogger(__name__)

_FREE = {"scale", "strength"}  # options that the run may have other than the model it begins with


def find_pretrained(task: Task[Any]) -> None:
    """Look up the published models that the run begins with, before its data are read.

    Raises:
        ModelError: one cannot be found or reached.
    """
    for source in task.pretrained().values():
        decide(partial(look_up, source.name))


def load_pretrained(task: Task[Any], accelerator: Accelerator) -> None:
    """Put the weights of the published models that the run begins with into a task's networks.

    An upscaler for another scale is used too, but for its last layer, whose shape depends on that: as EDSR (Lim et
    al. 2017, https://arxiv.org/abs/1707.02921) trains for one scale from another. One without a strength may begin a
    run that has one.

    Raises:
        ConfigError: a network is not the one that the run asks for.
        ModelError: it cannot be found or reached, or is damaged.
    """
    for network_name, source in task.pretrained().items():
        name = f"{source.name}/{source.subfolder}" if source.subfolder else source.name
        with accelerator.main_process_first():  # the first process fills the Hub's cache, the others read it
            found = task.load_pretrained(network_name, source)
        network = task.networks[network_name]
        _compare(name, found, network)
        own, given = network.state_dict(), found.state_dict()
        fresh = [key for key in own if key not in given or own[key].shape != given[key].shape]
        if fresh:
            logger.info("%s lacks these weights, which start from random values: %s", name, ", ".join(fresh))
        logger.info("The network %s begins with the weights of %s", network_name, name)
        network.load_state_dict(given | {key: own[key] for key in fresh})


def _compare(name: str, found: HubModel, wanted: HubModel) -> None:
    free = _FREE if wanted.config.get("strength") else _FREE - {"strength"}
    options = (found.config | wanted.config).keys() - free
    differ = [key for key in sorted(options) if bool(found.config.get(key)) | bool(wanted.config.get(key))
              and found.config.get(key) != wanted.config.get(key)]  # fmt: skip
    if differ:
        words = "; ".join(f"{key} {found.config.get(key)!r} instead of {wanted.config.get(key)!r}" for key in differ)
        raise ConfigError(
            f"{name} is not the network that this run trains. It has {words}",
            "Set the run's options to the same values",
        )
