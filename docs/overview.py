"""Draw the README's picture from the samples of two model cards, by `python docs/overview.py`."""

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
CARDS = ROOT / "model_cards"
GAP, LABELS, CELL = 2, 18, 160  # of the samples of photo-x4: the line of labels, the side of a detail
COLUMNS, ROWS = (0, 4, 6), (0, 3)  # bicubic, photo-x4 at fidelity 0, the original; a butterfly, a castle


def overview() -> Image.Image:
    """Samples of cifar-r3gan, and beside them details that photo-x4 has enlarged."""
    samples = Image.open(CARDS / "cifar-r3gan" / "samples.png").convert("RGB")
    details = Image.open(CARDS / "photo-x4" / "samples.png").convert("RGB")
    step = CELL + GAP
    width, top = samples.width + 4 * GAP, (samples.height - len(ROWS) * step + GAP) // 2
    picture = Image.new("RGB", (width + step * len(COLUMNS) - GAP, samples.height), "white")
    picture.paste(samples)
    for i, row in enumerate(ROWS):
        for j, column in enumerate(COLUMNS):
            corner = column * CELL, LABELS + row * CELL
            detail = details.crop((*corner, corner[0] + CELL, corner[1] + CELL))
            picture.paste(detail, (width + j * step, top + i * step))
    return picture


if __name__ == "__main__":
    overview().save(ROOT / "docs" / "images" / "overview.jpg", quality=92)
