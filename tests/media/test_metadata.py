"""What a file says besides its pixels is said by the result too."""

import io
import struct
from pathlib import Path

import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from hubgan import Upscaler
from hubgan.media.images import open_image
from hubgan.media.writing import save_picture

Base, IFD = ExifTags.Base, ExifTags.IFD
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:ImageWidth="8" dc:creator="Ada"><exif:PixelXDimension>8'
XMP += b"</exif:PixelXDimension></a></x:xmpmeta>"
KEPT_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a dc:creator="Ada"></a></x:xmpmeta>'
IPTC = b"\x1c\x02\x50\x00\x03Ada"  # by-line
PHOTO = Image.linear_gradient("L").resize((8, 8)).convert("RGB")


def camera() -> Image.Exif:
    exif = Image.Exif()
    exif[Base.Make], exif[Base.Orientation], exif[Base.ImageWidth] = "hubgan", 6, 8
    exif[IFD.Exif] = {Base.ExposureTime: 0.5, Base.ExifImageWidth: 8, Base.ExifImageHeight: 8}
    exif[IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    return exif


def photoshop(iptc: bytes) -> bytes:
    return b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc + bytes(len(iptc) % 2)


def file_of(kind: str) -> bytes:
    """A picture with all metadata that its format holds."""
    exif, options = camera(), {}
    if kind == "PNG":
        texts = PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
        block = photoshop(IPTC)
        texts.add_text("Raw profile type iptc", f"\niptc\n{len(block):8}\n{block.hex()}\n", zip=True)
        texts.add_text("gamma", "a word")  # a text may have any name
        options = {"pnginfo": texts, "dpi": (300, 300)}
    elif kind == "JPEG":
        segment = b"Photoshop 3.0\0" + photoshop(IPTC)
        extra = b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment
        options = {"xmp": XMP, "dpi": (300, 300), "extra": extra}
    elif kind == "TIFF":
        exif.load(exif.tobytes())
        exif[700], exif[33723] = XMP, IPTC
        exif[33550] = (1.0, 1.0, 0.0)  # the size of a pixel on earth
        options = {"dpi": (300, 300)}
    else:
        options = {"xmp": XMP}
    PHOTO.save(file := io.BytesIO(), kind, exif=exif, **options)
    return file.getvalue()


def read(path: Path) -> dict[str, object]:
    """The metadata of a file, by Pillow alone."""
    with Image.open(path) as image:
        image.load()
        exif = image.getexif()
        found = {"make": exif.get(Base.Make), "tags": {*exif} | {*exif.get_ifd(IFD.Exif)}}
        found |= {"exposure": exif.get_ifd(IFD.Exif).get(Base.ExposureTime), "thumbnail": exif.get_ifd(IFD.IFD1)}
        found |= {"north": exif.get_ifd(IFD.GPSInfo).get(ExifTags.GPS.GPSLatitudeRef), "xmp": image.info.get("xmp")}
        dpi = image.info.get("dpi")
        found["dpi"] = dpi and tuple(round(float(number)) for number in dpi)
        found["text"] = image.info.get("Raw profile type iptc")
        found["iptc"] = (
            image.tag_v2.get(33723) if image.format == "TIFF" else image.info.get("photoshop", {}).get(1028)
        )
    return found


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
def test_metadata_are_kept_where_the_result_can_hold_them(tmp_path: Path, kind: str, ending: str) -> None:
    opened = open_image(file_of(kind))
    save_picture(opened, tmp_path / f"result.{ending}")
    found = read(tmp_path / f"result.{ending}")
    assert (found["make"], found["exposure"], found["north"]) == ("hubgan", 0.5, "N")
    wrong = {Base.Orientation, Base.ExifImageWidth, Base.ExifImageHeight, 33550} - (
        {256} if ending == "tif" else set()
    )
    assert not found["tags"] & wrong and not found["thumbnail"]
    assert (256 in found["tags"]) == (ending == "tif")
    assert found["xmp"] == KEPT_XMP
    if kind != "WEBP":
        assert found["dpi"] == ((300, 300) if ending != "webp" else None)
        assert opened.info["iptc"] == IPTC
        if ending in ("jpg", "tif"):
            assert found["iptc"] == IPTC
        elif ending == "png":
            assert open_image(tmp_path / "result.png").info["iptc"] == IPTC and "\niptc\n" in str(found["text"])


def test_an_upscaler_keeps_them(upscaler: Upscaler) -> None:
    large = upscaler.upscale(file_of("TIFF"), scale=1.5)
    assert large.size == (12, 12) and large.getexif()[Base.Make] == "hubgan"
    assert (large.info["xmp"], large.info["iptc"], large.info["dpi"]) == (KEPT_XMP, IPTC, (300, 300))


def test_a_picture_keeps_them_when_it_is_opened_again() -> None:
    opened = open_image(file_of("JPEG"))
    assert opened.info["iptc"] == IPTC and open_image(opened).info == opened.info


def test_long_iptc_can_be_read_again(tmp_path: Path) -> None:
    large = PHOTO.copy()
    large.info["iptc"] = IPTC * 100_000
    for name in ("a.png", "a.tif"):
        save_picture(large, tmp_path / name)
        assert open_image(tmp_path / name).info["iptc"] == large.info["iptc"]


@pytest.mark.parametrize(("tag", "value"), [(Base.PhotometricInterpretation, 6), (Base.PlanarConfiguration, 2)])
def test_a_tiff_file_does_not_take_the_pixels_of_a_jpeg_for_its_own(tmp_path: Path, tag: int, value: int) -> None:
    exif = camera()
    exif[tag] = value
    PHOTO.save(tmp_path / "a.jpg", exif=exif)
    opened = open_image(tmp_path / "a.jpg")
    save_picture(opened, tmp_path / "b.tif")
    assert open_image(tmp_path / "b.tif").tobytes() == opened.tobytes() and read(tmp_path / "b.tif")["north"] == "N"


def test_exif_without_sizes_is_kept_to_the_byte_and_a_thumbnail_is_not(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[Base.Make] = "hubgan"
    raw = exif.tobytes()
    PHOTO.save(tmp_path / "a.jpg", exif=raw)
    assert open_image(tmp_path / "a.jpg").info["exif"] == raw
    # A second directory, of the thumbnail.
    order = ">" if raw[6:8] == b"MM" else "<"
    entries = struct.unpack(f"{order}H", raw[14:16])[0]
    link = 16 + 12 * entries
    thumbnail = struct.pack(f"{order}HHHIII", 1, 0x0103, 4, 1, 6, 0)
    linked = raw[:link] + struct.pack(f"{order}I", len(raw) - 6) + raw[link + 4 :] + thumbnail
    PHOTO.save(tmp_path / "b.jpg", exif=linked)
    assert read(tmp_path / "b.jpg")["thumbnail"]
    save_picture(open_image(tmp_path / "b.jpg"), tmp_path / "c.jpg")
    assert read(tmp_path / "c.jpg")["make"] == "hubgan" and not read(tmp_path / "c.jpg")["thumbnail"]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_letters_beyond_ascii_are_kept(tmp_path: Path, kind: str) -> None:
    exif = camera()
    exif[Base.Artist] = "a" * 9
    exif[IFD.Exif] = {Base.CameraOwnerName: "b" * 9}
    PHOTO.save(tmp_path / "a", kind, exif=exif.tobytes())
    artist, owner = "Ünal ©".encode(), "Dvořák".encode()  # as most programs write them
    content = (tmp_path / "a").read_bytes()
    content = content.replace(b"a" * 9, artist.ljust(9, b"!")).replace(b"b" * 9, owner.ljust(9, b"!"))
    for ending in ("png", "jpg", "tif", "webp"):
        save_picture(open_image(content), tmp_path / f"b.{ending}")
        written = (tmp_path / f"b.{ending}").read_bytes()
        assert artist in written and owner in written


def test_what_no_longer_fits_or_is_broken_is_left_out(tmp_path: Path) -> None:
    PHOTO.save(tmp_path / "a.jpg", xmp=b'<x xmlns:Container="http://ns.google.com/photos/1.0/container/"/>')
    assert "xmp" not in open_image(tmp_path / "a.jpg").info
    PHOTO.save(tmp_path / "b.tif")
    assert not open_image(tmp_path / "b.tif").info  # Pillow takes it for 1 dpi
    texts = PngInfo()
    texts.add_text("Raw profile type iptc", "\niptc\n 3\nnohex")
    PHOTO.save(tmp_path / "c.png", pnginfo=texts)
    assert not open_image(tmp_path / "c.png").info
    large = PHOTO.copy()
    large.info |= {"exif": b"Exif\0\0" + bytes(70_000), "xmp": bytes(70_000), "iptc": bytes(70_000)}
    save_picture(large, tmp_path / "d.jpg")
    with Image.open(tmp_path / "d.jpg") as image:
        assert not {"exif", "xmp", "photoshop"} & image.info.keys()
