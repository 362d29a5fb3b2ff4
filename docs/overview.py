"""Draw the README's picture from the samples of two models and sketches for a third: `python docs/overview.py`."""

from pathlib import Path

from PIL import Image

from hubgan import Translator

ROOT = Path(__file__).resolve().parents[1]
CARDS = ROOT / "model_cards"
GAP, LABELS, WIDTH, HEIGHT = 2, 18, 160, 112  # of the samples of photo-x4: the line of labels, the size of a detail
SKETCHES = ROOT / "src" / "hubgan" / "demo" / "examples" / "sketches"
SEEDS = (None, 0, 1)  # the most typical colours, and others
COLUMNS, ROWS = (0, 4, 6), 3  # bicubic, photo-x4 at fidelity 0, the original


def overview() -> Image.Image:
    """Samples of cifar-r3gan, beside them details that photo-x4 has enlarged, and below sketches that are coloured."""
    samples = Image.open(CARDS / "cifar-r3gan" / "samples.png").convert("RGB")
    details = Image.open(CARDS / "photo-x4" / "samples.png").convert("RGB")
    width, top = samples.width + 4 * GAP, (samples.height - ROWS * (HEIGHT + GAP) + GAP) // 2
    full = width + (WIDTH + GAP) * len(COLUMNS) - GAP
    coloured = sketches(full)
    picture = Image.new("RGB", (full, samples.height + 4 * GAP + coloured.height), "white")
    picture.paste(samples)
    for row in range(ROWS):
        for place, column in enumerate(COLUMNS):
            left, upper = column * WIDTH, LABELS + row * HEIGHT
            detail = details.crop((left, upper, left + WIDTH, upper + HEIGHT))
            picture.paste(detail, (width + place * (WIDTH + GAP), top + row * (HEIGHT + GAP)))
    picture.paste(coloured, (0, samples.height + 4 * GAP))
    return picture


def sketches(width: int) -> Image.Image:
    """A row of the demo's sketches, each with what sketch-to-emoji makes of it."""
    translator = Translator.from_pretrained(CARDS / "sketch-to-emoji")
    images: list[Image.Image] = []
    for path in sorted(SKETCHES.glob("*.png"))[::3]:
        images += [Image.open(path).convert("RGB"), *(translator.translate(path, seed=seed) for seed in SEEDS)]
    side = width // len(images)
    row = Image.new("RGB", (width, side), "white")
    for place, image in enumerate(images):
        row.paste(image.resize((side, side), Image.Resampling.LANCZOS), (place * side, 0))
    return row


if __name__ == "__main__":
    overview().save(ROOT / "docs" / "images" / "overview.jpg", quality=92)
