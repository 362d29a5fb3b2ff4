"""A machine of the Hub that is rented by the minute: what it is, and what a run on it costs."""

from typing import NamedTuple

from huggingface_hub import HfApi
from huggingface_hub.errors import HTTPError

from hubgan.errors import ConfigError, nearest
from hubgan.training import describe
from hubgan.training.config import TrainingConfig

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "second": 1, "minute": 60, "hour": 3600}


class Rented(NamedTuple):
    """A machine, and for how long at most.

    Attributes:
        flavor: its name.
        about: what it is, in words.
        gpus: how many GPUs it has; None if the Hub does not say.
        price: dollars an hour; None if the Hub does not say.
        timeout: the time after which a job on it is stopped, as 3h.
        training: seconds of the training; None where they depend on the machine's speed.
    """

    flavor: str
    about: str
    gpus: int | None
    price: float | None
    timeout: str
    training: float | None

    def describe(self) -> list[str]:
        """What it costs at most, in lines."""
        if self.price is None:
            return [
                f"{self.flavor}: its price is unknown, as the Hub names none or cannot be reached",
                f"stopped after {self.timeout}",
            ]
        lines = [
            f"{self.flavor} ({self.about}): ${self.price:,.2f} an hour",
            f"at most ${self._cost(in_seconds(self.timeout)):,.2f}, as --timeout stops it after {self.timeout}",
        ]
        if self.training is not None:
            length = describe.duration(self.training)
            lines.append(f"about ${self._cost(self.training):,.2f} for {length} of training, and set-up beside it")
        return lines

    def estimate(self, seconds: float) -> list[str]:
        """What a run costs that takes as long there as it does here.

        Args:
            seconds: the time here.
        """
        if self.price is None or self.training is not None:
            return []
        return [
            f"${self._cost(seconds):,.2f} on {self.flavor} at the speed of this machine. The speed of {self.flavor}"
            " cannot be timed here"
        ]

    def _cost(self, seconds: float) -> float:
        assert self.price is not None
        return self.price * seconds / 3600


def find_machine(config: TrainingConfig) -> Rented:
    """The machine that the options name, with its price.

    Raises:
        ConfigError: they name none, or one that the Hub does not have.
    """
    try:
        machines = {machine.name: machine for machine in HfApi().list_jobs_hardware()}
    except (HTTPError, OSError, KeyError, TypeError):  # the price is unknown then, and the Hub checks the name
        machines = {}
    prices = {
        name: machine.unit_cost_usd * 3600 / _SECONDS[machine.unit_label]
        for name, machine in machines.items()
        if machine.unit_label in _SECONDS
    }
    offers = ", ".join(f"{name} (${price:,.2f} an hour)" for name, price in prices.items())
    flavor = config.flavor
    if flavor is None:
        raise ConfigError(
            "the job needs a machine", f"Pass its name with --flavor. Machines: {offers or '`hf jobs hardware`'}"
        )
    if machines and flavor not in machines:
        raise ConfigError(f"the Hub has no machine {flavor!r}", f"{nearest(flavor, machines)} Machines: {offers}")
    about, machine = "", machines.get(flavor)
    gpus: int | None = None
    if machine is not None:
        about, accelerator = machine.pretty_name, machine.accelerator
        gpus = int(accelerator.quantity) if accelerator and accelerator.quantity.isdigit() else 1
    return Rented(
        flavor,
        about,
        gpus,
        prices.get(flavor),
        config.timeout,
        config.max_minutes * 60 if config.max_minutes and not (config.max_images or config.max_steps) else None,
    )


def in_seconds(time: str) -> float:
    """A time such as 90m or 3h."""
    return float(time[:-1]) * _SECONDS[time[-1]]
