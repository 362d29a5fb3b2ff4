"""How strongly a picture wants to be cleaned."""

import io

import pytest
from PIL import Image

from hubgan.media.images import open_image
from hubgan.media.strength import strength_of_noise, strength_of_quality, together


def jpeg(quality: int, **options: object) -> bytes:
    with io.BytesIO() as file:
        Image.effect_noise((40, 30), 50).convert("RGB").save(file, "JPEG", quality=quality, **options)
        return file.getvalue()


@pytest.mark.parametrize("quality", [10, 25, 40, 60, 75, 90, 100])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "optimize": True}], ids=str)
def test_the_quality_is_read_from_the_tables(quality: int, options: dict[str, object]) -> None:
    found = open_image(jpeg(quality, **options)).info["strength"]
    assert found == pytest.approx(strength_of_quality(quality), abs=0.1 if quality == 100 else 0.02)


def test_a_stronger_compression_wants_more() -> None:
    strengths = [strength_of_quality(quality) for quality in range(100, 0, -1)]
    assert strengths == sorted(strengths) and strengths[0] == 0 and strengths[-1] == 1 == strength_of_quality(25)
    assert strength_of_noise(0) == 0 and strength_of_noise(100) == 1
    assert together([]) == 0 and together([0.3, 0.4]) == pytest.approx(0.5) and together([0.9, 0.9]) == 1


def test_a_picture_opened_twice_keeps_it_and_another_has_none() -> None:
    opened = open_image(jpeg(60))
    assert open_image(opened).info["strength"] == opened.info["strength"]
    assert "strength" not in open_image(Image.new("RGB", (4, 4))).info
    note = Image.new("RGB", (4, 4))
    note.info["strength"] = "0.5"  # a text of a PNG
    assert "strength" not in open_image(note).info
