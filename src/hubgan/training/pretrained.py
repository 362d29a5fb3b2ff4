"""Networks that begin with the weights of published ones, to be trained on: fine-tuning and transfer."""

import logging
from functools import partial
from typing import Any

from accelerate import Accelerator
from torch import Tensor, nn

from hubgan.errors import ConfigError
from hubgan.hub.download import look_up
from hubgan.models import Discriminator, Generator, HubModel
from hubgan.runtime.processes import decide
from hubgan.training.config import NetworkConfig, TrainingConfig
from hubgan.training.task import Task

logger = logging.getLogger(__name__)

# Options that the run may have other than the model it begins with.
_FREE = {"scale", "strength", "classes", "labels"}


def find_pretrained(task: Task[Any]) -> None:
    """Look up the published models that the run begins with, before its data are read, and check what is frozen.

    Raises:
        ConfigError: more blocks of a discriminator are frozen than it has.
        ModelError: a model cannot be found or reached.
    """
    freeze(task)
    given = task.pretrained()
    for source in given.values():
        decide(partial(look_up, source.name))
    if task.config.freeze_discriminator and not any(name in given for name, _ in _discriminators(task)):
        logger.warning(
            "The frozen blocks of the discriminator keep their random weights. Pass a trained one with"
            " --pretrained_discriminator, or remove --freeze_discriminator"
        )


def load_pretrained(task: Task[Any], accelerator: Accelerator) -> None:
    """Put the weights of the published models that the run begins with into a task's networks.

    An upscaler for another scale is used too, but for its last layer, whose shape depends on that: as EDSR (Lim et
    al. 2017, https://arxiv.org/abs/1707.02921) trains for one scale from another. One without a strength may begin a
    run that has one. A model of other classes, or of none, is used too, but for the weights of the labels.

    Raises:
        ConfigError: a network is not the one that the run asks for.
        ModelError: it cannot be found or reached, or is damaged.
    """
    found: dict[str, HubModel] = {}
    names: dict[str, str] = {}
    for network_name, source in task.pretrained().items():
        names[network_name] = name = f"{source.name}/{source.subfolder}" if source.subfolder else source.name
        with accelerator.main_process_first():  # the first process fills the Hub's cache, the others read it
            found[network_name] = task.load_pretrained(network_name, source)
        _compare(name, network_name, found[network_name], task)
    # A discriminator knows only how many classes it has, so what its generator says holds for it too.
    relabelled = any(_classes(model) != _classes(task.networks[network_name]) for network_name, model in found.items())
    for network_name, model in found.items():
        network, name = task.networks[network_name], names[network_name]
        weights, fresh = _transferred(network, model, relabelled)
        if fresh:
            why = "has other classes" if relabelled else "lacks some weights"
            logger.info("%s %s, so these start from random values: %s", name, why, ", ".join(fresh))
        logger.info("The network %s begins with the weights of %s", network_name, name)
        network.load_state_dict(weights)
    freeze(task)


def freeze(task: Task[Any]) -> None:
    """Keep the first blocks of a task's discriminators from training, if the configuration asks for it.

    Raises:
        ConfigError: they have fewer blocks.
    """
    for _, discriminator in _discriminators(task):
        discriminator.freeze(task.config.freeze_discriminator)


def _discriminators(task: Task[Any]) -> list[tuple[str, Discriminator]]:
    return [(name, network) for name, network in task.networks.items() if isinstance(network, Discriminator)]


def _classes(model: HubModel) -> Any:
    """The names of a model's classes, or how many it has."""
    return model.config.get("labels") or model.config.get("classes")


def _transferred(network: HubModel, found: HubModel, relabelled: bool) -> tuple[dict[str, Tensor], list[str]]:
    """The weights that a network begins with, and what of them stays random."""
    own, given = network.state_dict(), found.state_dict()
    of_labels = tuple(f"{name}." for name, part in network.named_modules() if isinstance(part, nn.Embedding))
    weights, fresh = {}, []
    for key, weight in own.items():
        if key not in given or (relabelled and key.startswith(of_labels)):
            fresh.append(key)
        elif weight.shape == given[key].shape:
            weights[key] = given[key]
        elif isinstance(network, Generator):  # its first layer takes the label's embedding after the latents
            weights[key] = _overlaid(weight, given[key])
            fresh += [f"a part of {key}"] if weight.numel() > given[key].numel() else []
        else:
            fresh.append(key)
    return own | weights, fresh


def _overlaid(weight: Tensor, by: Tensor) -> Tensor:
    """A weight with the values of another one, as far as that goes in each dimension."""
    shared = tuple(slice(min(sides)) for sides in zip(weight.shape, by.shape, strict=True))
    overlaid = weight.clone()
    overlaid[shared] = by[shared]
    return overlaid


def _compare(name: str, network_name: str, found: HubModel, task: Task[Any]) -> None:
    wanted = task.networks[network_name]
    free = _FREE if wanted.config.get("strength") else _FREE - {"strength"}
    options = (found.config | wanted.config).keys() - free
    differ = [key for key in sorted(options) if bool(found.config.get(key)) | bool(wanted.config.get(key))
              and found.config.get(key) != wanted.config.get(key)]  # fmt: skip
    if differ:
        words = "; ".join(f"{key} {found.config.get(key)!r} instead of {wanted.config.get(key)!r}" for key in differ)
        flags = [_flag(task.config, network_name, key, found.config.get(key)) for key in differ]
        raise ConfigError(
            f"{name} is not the network that this run trains. It has {words}",
            f"Pass {' '.join(flags)}" if all(flags) else "Set the run's options to the same values",
        )


def _flag(config: TrainingConfig, network_name: str, key: str, value: Any) -> str:
    """An option of a network as on the command line; "" for one that the task sets itself."""
    block = getattr(config, network_name, None)
    if isinstance(block, NetworkConfig) and key in {"architecture", *block.options}:
        return f"--{network_name}.{key} {value}"
    return f"--{key} {value}" if key in type(config).model_fields else ""
