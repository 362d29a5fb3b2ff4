"""The networks: pure `nn.Module`s, one file an architecture, with no input or output of their own.

A new architecture is one file here, one line in a table below, and one test.
"""

from collections.abc import Mapping

from torch import nn

from hubgan.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from hubgan.networks.edsr import EDSR
from hubgan.networks.patch import PatchDiscriminator

GENERATORS: Mapping[str, type[nn.Module]] = {"dcgan": DCGANGenerator}
DISCRIMINATORS: Mapping[str, type[nn.Module]] = {"dcgan": DCGANDiscriminator, "patch": PatchDiscriminator}
UPSCALERS: Mapping[str, type[nn.Module]] = {"edsr": EDSR}
