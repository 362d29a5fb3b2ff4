"""The task of super-resolution: a pixel loss first, then an adversarial and a perceptual loss with it."""

from collections.abc import Sequence

from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d, l1_loss, pixel_unshuffle

from hubgan.data import Crops, ImageSource
from hubgan.data.degradation import DRAWS, degrade, degrade_by_seed
from hubgan.errors import ConfigError
from hubgan.evaluation import Reference, evaluate_upscaler
from hubgan.media.grid import ImageGrid
from hubgan.media.images import LUMA, to_image
from hubgan.metrics import PerceptualDistance, reduced, shrink
from hubgan.models import Discriminator, Upscaler
from hubgan.models.card import Result
from hubgan.models.config import PIXEL_WEIGHTS
from hubgan.runtime.seeding import SharedRandom
from hubgan.training.config import UpscalingConfig
from hubgan.training.penalties import Critic
from hubgan.training.task import Task

_SMALLEST_JUDGED = 16  # a side, by the discriminators
_GRID = 8  # what the discriminators want sides to be multiples of
_EXAMPLES = 4
_BLOCKS = 4  # a side, of a local mean


class Upscaling(Task[UpscalingConfig]):
    """Small pictures to large ones. The small are made from the large: shrunk (antialiased bicubic), or degraded."""

    before_adversarial = PIXEL_WEIGHTS
    measures = "PSNR and SSIM of at most {samples:,} pictures"

    def __init__(self, config: UpscalingConfig) -> None:
        super().__init__(config)
        self._block = config.scale * config.stride
        if config.crop_size % self._block:
            blocks = f"scale ({config.scale}) x stride ({config.stride})"
            raise ConfigError(f"crop_size ({config.crop_size}) must be a multiple of {blocks}")
        if config.discriminator == "unet" and config.crop_size % _GRID:
            raise ConfigError(
                f"crop_size ({config.crop_size}) must be a multiple of {_GRID} for the discriminator unet"
            )
        self._shift = -(-self._block // _GRID) * _GRID
        if config.crop_size < (smallest := max(_SMALLEST_JUDGED + self._shift, _BLOCKS * self._block)):
            raise ConfigError(f"crop_size is {config.crop_size}; the losses need {smallest} or more")
        c = config
        sizes = {"width": c.width, "depth": c.depth, "stride": c.stride}
        self.model = Upscaler(c.architecture, scale=c.scale, channels=c.channels, **sizes)
        norm = {} if c.discriminator_norm is None else {"norm": c.discriminator_norm}
        self.discriminator = Discriminator(c.discriminator, channels=c.channels, width=c.discriminator_width, **norm)
        self.transform = Crops(size=c.crop_size, channels=c.channels, flip=c.flip, reduce=c.reduce)
        wanted = c.perceptual_weight and c.pixel_share < 1
        self.perceptual = _perceptual() if wanted else None
        what = "degraded pictures enlarged by bicubic interpolation" if c.degraded else "bicubic"
        self.caption = f"Left to right: {what}, this model, the original; pictures of the training set"
        self._examples: Sequence[Tensor] = []
        self._start = [0, 0]

    def pretrained(self, name: str) -> Upscaler:
        """With those of its pixel part, where it has them and this training has such a part."""
        pixel = self.config.pixel_share > 0 and Upscaler.has_fidelity(name)
        return Upscaler.from_pretrained(name, fidelity=float(pixel))

    def batch(self, images: Tensor, random: SharedRandom) -> tuple[Tensor, Tensor]:
        self._start = random.integers(2, self._shift + 1)
        large = images.float() / 255
        small = shrink(large, self.config.scale)
        if share := self.config.degraded:
            chosen = random.uniform(len(large)) < share
            draws, noise = random.uniform(len(large), DRAWS), random.normal(len(large), *large.shape[1:])
            if chosen.any():
                small[chosen] = degrade(large[chosen], self.config.scale, draws[chosen], noise[chosen])
        return small, large

    def adversarial(self, progress: float) -> bool:
        return progress >= self.config.pixel_share

    def phase(self, progress: float) -> float:
        share = self.config.pixel_share
        return (progress - share) / max(1 - share, 1e-9) if self.adversarial(progress) else progress / share

    def learning_rate(self, progress: float) -> float:
        c = self.config
        return self.scheduled(c.adversarial_learning_rate if self.adversarial(progress) else c.learning_rate, progress)

    def judged(self, images: Tensor) -> Tensor:
        return self._shifted(images) * 2 - 1

    def _shifted(self, images: Tensor) -> Tensor:
        """Images without a random part of their edges, in all of each side as much as a block measures, rounded up.

        The networks that judge look at every second pixel, every fourth, and so on, and the upscaler makes each place
        in a block of pixels by weights of its own. Were the two grids always in the same place, the upscaler would
        learn to weave a pattern.
        """
        (top, left), (height, width) = self._start, (side - self._shift for side in images.shape[2:])
        return images[:, :, top : top + height, left : left + width]

    def generator_losses(self, critic: Critic | None, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        pixel = l1_loss(fake.float(), real)
        if (weight := self.config.luma_weight) and self.config.channels == 3:
            share = real.new_tensor(LUMA).view(1, -1, 1, 1)
            pixel = pixel + weight * ((fake.float() - real) * share).sum(1).abs().mean()
        if critic is None:
            return {"pixel": pixel}
        losses = {
            "pixel": self.config.pixel_weight * pixel,
            "adversarial": self.config.adversarial_weight * self.adversarial_loss(critic, real, fake),
        }
        if weight := self.config.consistency_weight:
            colours, places = (
                l1_loss(reduce(fake.float(), side), reduce(real, side))
                for reduce, side in ((reduced, self.config.scale), (_places, self._block))
            )
            losses["consistency"] = weight * (colours + places)
        if self.perceptual is not None:
            self.perceptual.to(fake.device)
            distances = self.perceptual(self._shifted(fake.float()), self._shifted(real))
            losses["perceptual"] = self.config.perceptual_weight * distances.mean()
        return losses

    def look_at(self, source: ImageSource) -> None:
        self._examples = source.examples(self.transform, _EXAMPLES)

    def preview(self, model: Upscaler) -> Image.Image:
        return compare(model, self._examples, seed=self.config.seed if self.config.degraded else None)

    def measure(self, model: Upscaler, reference: Reference, trained_on: Reference) -> list[Result]:
        return [
            figure
            for degraded in ((False, True) if self.config.degraded else (False,))
            for figure in evaluate_upscaler(
                model,
                reference,
                samples=self.config.eval_samples,
                seed=self.config.seed,
                degraded=degraded,
                progress=True,
            )
        ]


def _places(images: Tensor, side: int) -> Tensor:
    """Local means of each place in the blocks of `side` pixels that the upscaler lays, (N, channels * side^2, h, w).

    Where real ones hardly differ, those of a woven pattern do: it is the same in every block.
    """
    return avg_pool2d(pixel_unshuffle(images, side), _BLOCKS, 1)


def _perceptual() -> PerceptualDistance:
    try:
        return PerceptualDistance(lite=0)
    except ConfigError as error:
        raise ConfigError(f"the perceptual loss: {error}, or set --perceptual_weight 0") from error


def compare(model: Upscaler, pictures: Sequence[Tensor], side: int = 192, *, seed: int | None = None) -> Image.Image:
    """Rows of bicubic, model, original for the middle of pictures (uint8, channels x H x W), `side` pixels wide; what
    is enlarged is degraded by `seed` where there is one.
    """
    side = min(side, *(min(picture.shape[1:]) for picture in pictures))
    side -= side % model.scale
    sheet = ImageGrid(3 * len(pictures), (side, side), columns=3)
    for number, picture in enumerate(pictures):
        top, left = ((length - side) // 2 for length in picture.shape[1:])
        large = picture[:, top : top + side, left : left + side]
        whole = large[None].float() / 255
        made = shrink(whole, model.scale) if seed is None else degrade_by_seed(whole, model.scale, seed, number)
        small = to_image(made[0])
        for image in (small.resize((side, side), Image.Resampling.BICUBIC), model.upscale(small), to_image(large)):
            sheet.add(image)
    return sheet.image
