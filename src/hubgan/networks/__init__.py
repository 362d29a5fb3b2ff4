"""The networks: pure `nn.Module`s, one file for each architecture, without any files or pictures.

A new architecture is one file here, one line in a table below, and one test.
"""

from collections.abc import Mapping

from torch import nn

from hubgan.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from hubgan.networks.edsr import EDSR
from hubgan.networks.patch import PatchDiscriminator
from hubgan.networks.r3gan import R3GANDiscriminator, R3GANGenerator
from hubgan.networks.residual_unet import ResidualUNet
from hubgan.networks.resnet import ResNet
from hubgan.networks.sngan import SNGANDiscriminator, SNGANGenerator
from hubgan.networks.unet import UNetDiscriminator

GENERATORS: Mapping[str, type[nn.Module]] = {
    "dcgan": DCGANGenerator,
    "r3gan": R3GANGenerator,
    "sngan": SNGANGenerator,
}
DISCRIMINATORS: Mapping[str, type[nn.Module]] = {
    "dcgan": DCGANDiscriminator,
    "patch": PatchDiscriminator,
    "r3gan": R3GANDiscriminator,
    "sngan": SNGANDiscriminator,
    "unet": UNetDiscriminator,
}
TRANSLATORS: Mapping[str, type[nn.Module]] = {"resnet": ResNet, "unet": ResidualUNet}
UPSCALERS: Mapping[str, type[nn.Module]] = {"edsr": EDSR}
