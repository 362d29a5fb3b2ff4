"""Draw the README's picture from the samples of two model cards, by `python docs/overview.py`."""

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
CARDS = ROOT / "model_cards"
GAP, LABELS, WIDTH, HEIGHT = 2, 18, 160, 112  # of the samples of photo-x4: the line of labels, the size of a detail
COLUMNS, ROWS = (0, 4, 6), 3  # bicubic, photo-x4 at fidelity 0, the original


def overview() -> Image.Image:
    """Samples of cifar-r3gan, and beside them details that photo-x4 has enlarged."""
    samples = Image.open(CARDS / "cifar-r3gan" / "samples.png").convert("RGB")
    details = Image.open(CARDS / "photo-x4" / "samples.png").convert("RGB")
    width, top = samples.width + 4 * GAP, (samples.height - ROWS * (HEIGHT + GAP) + GAP) // 2
    picture = Image.new("RGB", (width + (WIDTH + GAP) * len(COLUMNS) - GAP, samples.height), "white")
    picture.paste(samples)
    for row in range(ROWS):
        for place, column in enumerate(COLUMNS):
            left, upper = column * WIDTH, LABELS + row * HEIGHT
            detail = details.crop((left, upper, left + WIDTH, upper + HEIGHT))
            picture.paste(detail, (width + place * (WIDTH + GAP), top + row * (HEIGHT + GAP)))
    return picture


if __name__ == "__main__":
    overview().save(ROOT / "docs" / "images" / "overview.jpg", quality=92)
