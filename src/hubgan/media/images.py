"""Untrusted pictures decoded, and converted to tensors and back: orientation, alpha, colour profile.

Pictures are PIL images with 8 bits a channel, or 16 if they are grey and the function says so (mode I;16). Tensors are
C x H x W, uint8 in [0, 255] or float in [0, 1].
Nothing here changes a global setting of Pillow or torch, so every function may run in many threads. torch, which takes
seconds to import, is imported with the first tensor.
"""

from __future__ import annotations

import io
import logging
import math
import os
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias, Union

import numpy as np
from PIL import Image, ImageChops, ImageOps
from typing_extensions import TypeIs

from hubgan.errors import ConfigError, ImageError
from hubgan.media.colour import cicp_profile, gamma_profile, has_no_effect, profile_space, to_srgb
from hubgan.media.jpeg import decode
from hubgan.media.metadata import read_metadata
from hubgan.media.nclx import read_nclx
from hubgan.media.png import COLOURS, PngFile, as_stored, read_chunks
from hubgan.media.strength import strength_of_tables
from hubgan.media.tiff import TiffFile, corrected
from hubgan.runtime.files import refuse_address

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

ImageInput: TypeAlias = Union[str, os.PathLike[str], bytes, Image.Image, np.ndarray, "torch.Tensor"]
MAX_PIXELS = 64_000_000
LUMA = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in grey (ITU-R BT.601), as in Pillow."""
NUMBERS = "hubgan numbers"
"""The key in `info` of a frame whose file names its colours by number."""
WHITE_16 = 65535
"""White in 16 bits."""
_DARK = 16  # no picture in floats up to 255 is so dark
# Common formats; none that runs a program (EPS) or has no signature.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM", "HEIF")
_OWN = {"PNG": PngFile, "TIFF": TiffFile}
_HEVC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}  # ISO/IEC 23008-12; AVIF has others


def open_image(
    source: ImageInput, *, max_pixels: int = MAX_PIXELS, deep: bool = False, srgb: bool = False
) -> Image.Image:
    """Return `source` as an upright RGB or RGBA picture that is fully decoded and shares no memory with it.

    `source` is a path, the bytes of a file in one of `FORMATS` (of an animation the first frame; HEIF, which iPhones
    write, needs the package pillow-heif), a PIL image of any mode (of an animation, its current frame), an array
    (H x W or H x W x C), or a tensor (C x H x W). Arrays and tensors have 1, 3 or 4 channels, uint8 or float in
    [0, 1], or a single channel of uint16. EXIF orientation is applied. An alpha channel or a transparent colour makes
    the result RGBA. 16 bits are scaled to 8. Modes I and F do not define their scale, so it is inferred from the
    largest value: up to 1 (F), 255 or 65535. Of F, values just above 1 are an error, because they may be HDR.

    `info` of the result holds at most `icc_profile`, what `hubgan.media.metadata` keeps (`exif`, `dpi`, `xmp`,
    `iptc`), `grey`, true for a picture without colours (mode 1, L, LA, La, I or F), and `strength`, with which a JPEG
    file wants to be cleaned (`hubgan.media.strength`). Damaged parts of a file without which the pixels can be read
    are left out with a warning.

    Colours are those that a browser shows. Pictures in CMYK and Lab, grey pictures with a profile, and PNG pictures
    with a gamma become sRGB. A picture in RGB keeps its valid profile in `icc_profile`; numbers of H.273 (cICP of PNG,
    nclx of AVIF and HEIC) become a profile. With `srgb` it is converted to sRGB instead.

    With `deep` a grey picture of 16 bits without a transparent value keeps its 16 bits (mode I;16). Its profile, or
    one for its gamma, is kept.

    Raises ImageError if there is no such file, it is no picture, needs a package that is missing, is broken, empty, or
    of a wrong shape, type or range, or has more than `max_pixels` pixels. The number of pixels is known from the
    header, before decoding.
    """
    name = getattr(source, "filename", "") or "the picture"
    if _is_tensor(source):
        source, name = to_image(source), "the tensor"
    elif isinstance(source, np.ndarray):
        source, name = _from_array(source, "the array"), "the array"
    elif isinstance(source, str | os.PathLike):
        name = os.fsdecode(source)
        refuse_address(name, ImageError)
    elif not isinstance(source, Image.Image | bytes):
        raise ImageError(f"not a picture: {source!r:.80}", "Pass a path, bytes, a PIL image, an array or a tensor")
    try:
        if isinstance(source, Image.Image):
            return _finish(source, name, max_pixels, deep, srgb)
        with io.BytesIO(source) if isinstance(source, bytes) else _file(name) as file:
            return _finish(identify(file, name), name, max_pixels, deep, srgb)
    except ImageError:
        raise
    except Exception as error:  # decoders raise nearly every kind on broken bytes
        raise ImageError(
            f"{name} cannot be read ({error})", "Check that the file is complete, or save it as PNG"
        ) from error


def to_tensor(image: Image.Image) -> torch.Tensor:
    """Return `image` as uint8 C x H x W in [0, 255]: C is 1 for mode L, 3 for all others, flattened first."""
    import torch

    pixels = np.array(image if image.mode == "L" else flatten(image))
    return torch.from_numpy(np.atleast_3d(pixels)).permute(2, 0, 1).contiguous()


def to_floats(image: Image.Image) -> torch.Tensor:
    """Return `image` as float32 C x H x W in [0, 1]; C is 1 for modes L and I;16, and 3 for all others, flattened."""
    import torch

    if image.mode != "I;16":
        return to_tensor(image).float() / 255
    return torch.from_numpy(np.asarray(image, np.float32) / np.float32(WHITE_16))[None]


def to_image(tensor: torch.Tensor) -> Image.Image:
    """Return a C x H x W tensor, uint8 or float in [0, 1], as a picture: L, RGB or RGBA for C = 1, 3 or 4; I;16 for
    a single channel of uint16.

    Floats are rounded to the nearest grey level, also from up to half a level outside [0, 1]. Raises
    ImageError for any other shape, type or range, and for NaN.
    """
    shape = tuple(tensor.shape)
    if len(shape) != 3 or shape[0] not in (1, 3, 4) or not tensor.numel():
        raise ImageError(f"the tensor has shape {shape}", "Pass one picture, C x H x W, with 1, 3 or 4 channels")
    plain = tensor.float() if tensor.is_floating_point() else tensor  # numpy has no bfloat16
    return _from_array(plain.detach().cpu().permute(1, 2, 0).numpy(), "the tensor")


def flatten(image: Image.Image) -> Image.Image:
    """Return `image` as RGB, with transparency on white. An RGB picture is returned itself."""
    image = _standard(image, "the picture")
    if image.mode == "RGB":
        return image
    result = image.convert("RGB")
    result.paste("white", mask=ImageOps.invert(image.getchannel("A")))
    return result


def fit(image: Image.Image, size: int, channels: int) -> Image.Image:
    """Return the largest centred square of `image`, scaled to `size` x `size` pixels (Lanczos, antialiased).

    `channels` is 3 for RGB or 1 for L; transparency becomes white. A picture of the right size keeps its
    pixels. Raises ConfigError for any other `channels` and for a `size` below 1.
    """
    if size < 1 or channels not in (1, 3):
        raise ConfigError(f"A picture cannot be {size} x {size} x {channels}: size >= 1, channels 1 or 3.")
    square = ImageOps.fit(flatten(image), (size, size), Image.Resampling.LANCZOS)
    return square.convert("L" if channels == 1 else "RGB")


def split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return the colours (RGB, or I;16) and the alpha (L, or None if `image` has none) of a picture, to resize apart.

    The colour under alpha 0 is arbitrary, often black, and would seep into the visible edge when resized.
    It is replaced by the colour of the visible pixels around it; all other pixels keep theirs.
    """
    if image.mode == "I;16":
        return image, None
    image = _standard(image, "the picture")
    return (_bleed(image), image.getchannel("A")) if image.mode == "RGBA" else (image, None)


def _is_tensor(source: object) -> TypeIs[torch.Tensor]:
    return any((kind.__module__, kind.__name__) == ("torch", "Tensor") for kind in type(source).__mro__)


def _bleed(image: Image.Image) -> Image.Image:
    """Return RGBA as RGB, invisible pixels filled from ever coarser averages of the visible ones."""
    colour = image.convert("RGB")
    visible = image.getchannel("A").point([0] + [255] * 255)
    if visible.getextrema() in ((0, 0), (255, 255)):
        return colour
    known = Image.merge("RGBA", (*colour.split(), visible))  # in 8 bit a faint alpha would lose the hue
    coarse = _bleed(known.reduce(2)).resize(image.size, Image.Resampling.BILINEAR)
    return Image.composite(colour, coarse, visible)


def _file(name: str) -> IO[bytes]:
    path = Path(name)
    if not path.is_file():
        if path.is_dir():
            raise ImageError(f"{name} is a folder", "Pass one picture in it")
        raise ImageError(f"{name} does not exist", "Check the path")
    return path.open("rb")


def check_size(image: Image.Image, name: str, max_pixels: int = MAX_PIXELS) -> None:
    """Raise ImageError if `image` is empty or has more than `max_pixels` pixels, by its header."""
    if not (pixels := image.width * image.height):
        raise ImageError(f"{name} has {image.width} x {image.height} pixels")
    if pixels > max_pixels:
        megapixels = math.ceil(pixels / 1e5) / 10
        raise ImageError(
            f"{name} has {megapixels:,g} megapixels; the limit is {max_pixels / 1000000.0:,g}",
            "Shrink the picture, or cut it into parts",
        )


def identify(file: IO[bytes], name: str) -> Image.Image:
    """The picture in a file, opened by its header only. Raises ImageError if it is in none of `FORMATS`.

    `Image.open` is not used, because its limit of pixels is global to the process.
    """
    prefix = file.read(16)
    key = _format(file, prefix)
    file.seek(0)
    if key == "HEIF":
        return _heif(file, name)
    if key:
        return _OWN[key](file) if key in _OWN else Image.OPEN[key][0](file, "")
    problem = "not a picture in a supported format" if prefix else "empty"
    raise ImageError(f"{name} is {problem}", f"Pass one of {', '.join(FORMATS)}")


def format_by_signature(path: Path) -> str | None:
    """The format, of `FORMATS`, as which a file begins, whatever its ending; None if it cannot be read either."""
    try:
        with path.open("rb") as file:
            return _format(file, file.read(16))
    except (OSError, IndexError):  # Pillow looks for the second byte of a file that has one
        return None


def _format(file: IO[bytes], prefix: bytes) -> str | None:
    """The format, of `FORMATS`, of a file that begins with `prefix`, which was read already."""
    Image.init()
    if prefix[4:8] == b"ftyp" and _HEVC_BRANDS & _brands(file, prefix):
        return "HEIF"
    for key in FORMATS:
        accept = Image.OPEN[key][1] if key in Image.OPEN else None
        if accept and accept(prefix) is True:  # a string means that this Pillow lacks the format's library
            return key
    return None


def _brands(file: IO[bytes], prefix: bytes) -> set[bytes]:
    """The brands of a file in the ISO base media format: its major brand, and the compatible ones."""
    box = prefix + file.read(max(0, min(int.from_bytes(prefix[:4], "big"), 256) - len(prefix)))
    return {box[start : start + 4] for start in range(8, len(box), 4)}


def _heif(file: IO[bytes], name: str) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile
    except ModuleNotFoundError as error:
        remedy = "Run: pip install 'hubgan[heif]', or save it as JPEG or PNG"
        raise ImageError(f"{name} is HEIF (HEIC), which needs the package pillow-heif", remedy) from error
    return HeifImageFile(file)


def _finish(image: Image.Image, name: str, max_pixels: int, deep: bool, srgb: bool) -> Image.Image:
    """Decode, turn upright and standardise; the result is always a copy."""
    check_size(image, name, max_pixels)
    chunks = read_chunks(image)
    numbers = colour_numbers(image, chunks)
    if lost := damage(image, only_colours=srgb):
        warn_once(f"{name}: damaged parts of the file are skipped: {lost}")
    image = decode(as_stored(image, chunks))
    try:
        upright = ImageOps.exif_transpose(corrected(image))
    except Exception:  # the pixels may be intact although the EXIF is broken
        upright = corrected(image).copy()
        upright.info.pop("exif", None)
    if profile := cicp_profile(image.mode, numbers):
        upright.info["icc_profile"] = profile
    elif profile := gamma_profile(image):
        upright.info["icc_profile"], srgb = profile, True
    result = (deep and _with_16_bits(upright, name)) or _standard(upright, name)
    if srgb:
        result = to_srgb(result)
    space = "GRAY" if result.mode == "I;16" else "" if srgb else "RGB"
    profile = result.info.get("icc_profile")
    result.info = dict(read_metadata(image, upright).items())
    if space and profile_space(profile) == space:
        result.info["icc_profile"] = profile
    if _is_grey(image):
        result.info["grey"] = True
    if (strength := _strength(image)) is not None:
        result.info["strength"] = strength
    return result


def colour_numbers(image: Image.Image, chunks: dict[bytes, bytes]) -> bytes | None:
    """The colours of an opened picture by numbers of H.273, as in a cICP chunk; None if its file names none.

    `chunks` are those of the file; its animation keeps the numbers in `info` under `NUMBERS`.
    """
    known = image.info.get(NUMBERS)
    return known if isinstance(known, bytes) else chunks.get(b"cICP") or read_nclx(image)


def damage(image: Image.Image, *, only_colours: bool = False) -> str:
    """The damaged parts of an opened file that are left out, such as chunks of a PNG file; empty if it is whole."""
    lost: set[str] = set(getattr(image, "left_out", ()))
    if only_colours:
        lost &= COLOURS
    if (profile := image.info.get("icc_profile")) and not profile_space(profile):
        lost.add("ICC profile")
    return ", ".join(sorted(lost))


@lru_cache(maxsize=256)
def warn_once(words: str) -> None:
    """Warn once, although an animation has many frames, and a data set many pictures without a name."""
    logger.warning(words)


def _strength(image: Image.Image) -> float | None:
    """The strength with which a JPEG file wants to be cleaned, of one just opened, or opened here before."""
    tables, known = getattr(image, "quantization", None), image.info.get("strength")
    return strength_of_tables(tables) if tables else known if isinstance(known, float) else None


def _is_grey(image: Image.Image) -> bool:
    """Whether a picture has no colours: by its mode, or because it was grey when it was opened here and still is."""
    if image.mode in ("1", "L", "LA", "La") or _is_high(image.mode):
        return True
    # A file may hold a text of this name too.
    if image.info.get("grey") is not True or image.mode not in ("RGB", "RGBA"):
        return False
    red, green, blue = image.split()[:3]
    return all(ImageChops.difference(red, other).getbbox() is None for other in (green, blue))


def _standard(image: Image.Image, name: str) -> Image.Image:
    """Return `image` as RGB or RGBA, itself if it is one; a profile that would no longer fit is applied."""
    if _is_high(image.mode):
        image = _to_8_bit(image, name)
    elif image.mode == "La":  # Pillow converts it to nothing else
        image = image.convert("LA")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    if image.mode not in ("1", "L", "LA", "CMYK"):
        return image if image.mode == mode else image.convert(mode)
    if image.mode != "CMYK":
        image = image.convert("LA" if mode == "RGBA" else "L")
    result = to_srgb(image).convert(mode)
    result.info.pop("icc_profile", None)
    return result


def _with_16_bits(image: Image.Image, name: str) -> Image.Image | None:
    """Return a copy of `image` in mode I;16; None if it has 8 bits, or needs an alpha channel or other values."""
    if not _is_high(image.mode) or isinstance(image.info.get("transparency"), int):
        return None
    profile = image.info.get("icc_profile", b"")
    if profile_space(profile) == "RGB" and not has_no_effect(profile):  # a profile that a grey picture cannot keep
        return None
    values, white = _values(image, name)
    if white != WHITE_16:
        return None
    result = Image.fromarray(np.rint(values).astype(np.uint16))
    result.info = image.info.copy()
    return result


def _to_8_bit(image: Image.Image, name: str) -> Image.Image:
    """Return a picture of mode I;16, I or F as L, or as LA if one of its values stands for transparent."""
    values, white = _values(image, name)
    result = Image.fromarray(np.rint(values * np.float32(255 / white)).astype(np.uint8))
    result.info = image.info.copy()
    if isinstance(key := result.info.pop("transparency", None), int):
        result.putalpha(Image.fromarray(np.uint8(255) * (values != key)))
    return result


def _is_high(mode: str) -> bool:
    """Whether pictures of a mode may have more than 8 bits a channel."""
    return mode in ("I", "F") or mode.startswith("I;16")


def _values(image: Image.Image, name: str) -> tuple[np.ndarray, int]:
    """Return the values of a picture of mode I;16, I or F, and the one that is white."""
    values = np.asarray(image)
    low, high = values.min(), values.max()
    whites = {"I": (255, WHITE_16), "F": (1, 255, WHITE_16)}.get(image.mode, (WHITE_16,))
    white = next((white for white in whites if low >= 0 and high <= white), None)
    if white is None or (image.mode == "F" and 1 < high < _DARK):
        raise ImageError(f"{name} holds values from {low} to {high}", "Save it with 8 or 16 bits a channel")
    return values, white


def _from_array(array: np.ndarray, name: str) -> Image.Image:
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (1,), (3,), (4,)) or not array.size:
        raise ImageError(f"{name} has shape {array.shape}", "Pass H x W, or H x W x C with 1, 3 or 4 channels")
    if np.issubdtype(array.dtype, np.floating):
        low, high = array.min(), array.max()
        if not (low >= -0.5 / 255 and high <= 1 + 0.5 / 255):  # so written, NaN fails too
            raise ImageError(f"{name} holds values from {low} to {high}", "Scale them to [0, 1], without NaN")
        array = np.rint(array * 255).clip(0, 255).astype(np.uint8)
    array = array[..., 0] if array.shape[2:] == (1,) else array
    if array.dtype != np.uint8 and not (array.dtype == np.uint16 and array.ndim == 2):
        grey = ", uint16 with one channel," if array.dtype == np.uint16 else ""
        raise ImageError(f"{name} holds {array.dtype}", f"Pass uint8 in [0, 255]{grey} or float in [0, 1]")
    return Image.fromarray(array).copy()
