"""What programs call in place of the first tab's buttons: they need neither its states nor its look."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import gradio as gr

from hubgan.demo import strings
from hubgan.demo.models import ModelRegistry
from hubgan.demo.samples import (
    FIRST_IMAGES,
    MAX_IMAGES,
    MAX_SEED,
    MOST_VARIETY,
    check_seed,
    draw,
    make,
    similar_to,
    within,
)
from hubgan.demo.theme import told
from hubgan.errors import ConfigError

if TYPE_CHECKING:
    from hubgan import Generator


def generating_endpoints(
    shelf: ModelRegistry[Generator], settings: list[gr.components.Component], results: list[gr.components.Component]
) -> None:
    """`/generate` and `/similar` of these generators.

    Args:
        settings: the tab's count, classes, variety, model and difference, of which the functions take the types.
        results: its gallery, archive and sheet.
    """

    @told
    def generate(
        count: int = FIRST_IMAGES,
        seed: int | None = None,
        classes: list[str] | None = None,
        variety: float = MOST_VARIETY,
        model: str | None = None,
    ) -> tuple[list[str], str, str, int]:
        """Generate images with the GAN. The same seed gives the same images.

        Args:
            count: How many images, 1 to 64.
            seed: Where the random numbers start, 0 to 2147483647; none draws one.
            classes: Names of classes, taken in turn, for a model that has some; none lets the seed draw them.
            variety: The truncation of the random numbers, 0.3 to 4: less, more typical images, more alike.
            model: The name of the generator, of those that this demo has; the first one by default.

        Returns:
            The images as PNG files, a ZIP archive of them and their grid, the grid as a PNG file, the seed.
        """
        seed = random.randint(0, MAX_SEED) if seed is None else seed
        made = make(shelf, draw(shelf, shelf.label(model), count, seed, classes or [], variety))
        return made.files, made.archive, made.sheet, int(seed)

    @told
    def similar(
        seed: int,
        index: int = 0,
        difference: float = 0.4,
        count: int = FIRST_IMAGES,
        classes: list[str] | None = None,
        variety: float = MOST_VARIETY,
        model: str | None = None,
    ) -> tuple[list[str], str, str]:
        """An image that `generate` makes, and others that are like it.

        Args:
            seed: That of the image.
            index: Which image of that seed, from 0.
            difference: From 0, the same image, to 1, unrelated ones.
            count: How many images, 1 to 64.
            classes: Those that the image was made with.
            variety: That of the image.
            model: The name of the generator, of those that this demo has; the first one by default.

        Returns:
            The images as PNG files, a ZIP archive of them and their grid, the grid as a PNG file.
        """
        check_seed(seed)
        if not within(index, 0, MAX_IMAGES - 1):
            raise ConfigError(strings.NO_IMAGE.format(count=MAX_IMAGES, picked=index))
        drawn = draw(shelf, shelf.label(model), int(index) + 1, seed, classes or [], variety)
        made = make(shelf, similar_to(drawn, int(index), difference, count))
        return made.files, made.archive, made.sheet

    count, classes, variety, model, difference = settings
    seed = gr.Number(None, label=strings.SEED, precision=0, visible=False)
    index = gr.Number(0, label=strings.INDEX, precision=0, visible=False)
    work: Any = {"concurrency_id": "model", "concurrency_limit": 1}
    gr.Button(visible=False).click(
        generate, [count, seed, classes, variety, model], [*results, seed], api_name="generate", **work
    )
    gr.Button(visible=False).click(
        similar,
        [seed, index, difference, count, classes, variety, model],
        results,
        api_name="similar",
        **work,
    )
