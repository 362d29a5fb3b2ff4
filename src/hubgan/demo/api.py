"""Endpoints for programs: the first tab's buttons and sliders, without the states and the layout of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from hubgan.demo import strings
from hubgan.demo.edit import AMOUNT, Subject, save_edited
from hubgan.demo.errors import translate_errors
from hubgan.demo.events import MODEL_QUEUE, Updates
from hubgan.demo.models import ModelRegistry
from hubgan.demo.samples import (
    DEFAULT_IMAGES,
    MAX_IMAGES,
    MAX_VARIETY,
    GeneratedImages,
    GenerationRequest,
    GenerationSettings,
    in_range,
    random_seed,
)
from hubgan.demo.samples import generate as generate_images
from hubgan.errors import ConfigError
from hubgan.runtime.counting import counted

if TYPE_CHECKING:
    from hubgan import Generator


def add_generation_endpoints(
    registry: ModelRegistry[Generator],
    *,
    count: gr.Slider,
    classes: gr.Dropdown,
    variety: gr.Slider,
    model: gr.Radio,
    difference: gr.Slider,
    gallery: gr.Gallery,
    archive: gr.DownloadButton,
    grid: gr.DownloadButton,
) -> None:
    """Add `/generate`, `/similar` and `/edit`. The tab's components give the types of their parameters and results."""

    def results(images: GeneratedImages) -> Updates:
        return {gallery: images.files, archive: images.archive, grid: images.grid}

    # Gradio documents an endpoint, and a tool of the MCP server, by the function's name, signature and docstring.
    @translate_errors
    def generate(
        count: int = DEFAULT_IMAGES,
        seed: int | None = None,
        classes: list[str] | None = None,
        variety: float = MAX_VARIETY,
        model: str | None = None,
    ) -> Updates:
        """Generate images with the GAN. The same seed gives the same images.

        Args:
            count: The number of images, 1 to 64.
            seed: The start of the random numbers, 0 to 2147483647. By default it is random.
            classes: Names of classes, taken in turn, for a model with classes. By default the seed draws them.
            variety: The truncation of the random numbers, 0.3 to 4. Lower: more typical images, more alike.
            model: The name of one of this demo's generators. By default the first one.

        Returns:
            The images as PNG files, a ZIP archive of them and their grid, the grid as a PNG file, the seed.
        """
        seed = random_seed() if seed is None else seed
        settings = GenerationSettings(registry.label(model), count, seed, classes or (), variety)
        images = generate_images(registry, GenerationRequest.from_settings(registry, settings))
        return {**results(images), seed_field: int(seed)}

    @translate_errors
    def similar(
        seed: int,
        index: int = 0,
        difference: float = 0.4,
        count: int = DEFAULT_IMAGES,
        classes: list[str] | None = None,
        variety: float = MAX_VARIETY,
        model: str | None = None,
    ) -> Updates:
        """An image that `generate` makes, and others that are like it.

        Args:
            seed: The seed of the image.
            index: The index of the image among those of that seed, from 0.
            difference: From 0, the same image, to 1, unrelated ones.
            count: The number of images, 1 to 64.
            classes: The classes that the image was made with.
            variety: The variety that the image was made with.
            model: The name of one of this demo's generators. By default the first one.

        Returns:
            The images as PNG files, a ZIP archive of them and their grid, the grid as a PNG file.
        """
        original = one_image(seed, index, classes, variety, model)
        return results(generate_images(registry, original.similar(int(index), difference, count)))

    @translate_errors
    def edit(
        seed: int,
        index: int = 0,
        direction: str = "0",
        amount: float = 2.0,
        classes: list[str] | None = None,
        variety: float = MAX_VARIETY,
        model: str | None = None,
    ) -> Updates:
        """An image that `generate` makes, moved along one of the model's directions.

        Args:
            seed: The seed of the image.
            index: The index of the image among those of that seed, from 0.
            direction: The name of a direction, or its number from 0; the first ones change the most.
            amount: How far, -4 to 4 standard deviations of the latents; 0 changes nothing.
            classes: The classes that the image was made with.
            variety: The variety that the image was made with.
            model: The name of one of this demo's generators. By default the first one.

        Returns:
            The image as a PNG file.
        """
        if not in_range(amount, -AMOUNT, AMOUNT):
            raise ConfigError(strings.AMOUNT_RANGE.format(maximum=AMOUNT))
        original = one_image(seed, index, classes, variety, model)
        generator = registry.get(original.model)
        number = generator.direction_number(str(direction))
        subject = Subject.of(original, int(index)).changed(generator, {number: float(amount)})
        return {edited: save_edited(registry, subject)}

    def one_image(
        seed: int, index: int, classes: list[str] | None, variety: float, model: str | None
    ) -> GenerationRequest:
        """The images of a seed up to that index."""
        if not in_range(index, 0, MAX_IMAGES - 1):
            raise ConfigError(*strings.fill(strings.NO_IMAGE, index=index, images=counted(MAX_IMAGES, "image")))
        settings = GenerationSettings(registry.label(model), int(index) + 1, seed, classes or (), variety)
        return GenerationRequest.from_settings(registry, settings)

    seed_field = gr.Number(None, label=strings.SEED, precision=0, visible=False)
    index_field = gr.Number(0, label=strings.INDEX, precision=0, visible=False)
    gr.Button(visible=False).click(
        generate,
        [count, seed_field, classes, variety, model],
        [gallery, archive, grid, seed_field],
        api_name="generate",
        **MODEL_QUEUE,
    )
    gr.Button(visible=False).click(
        similar,
        [seed_field, index_field, difference, count, classes, variety, model],
        [gallery, archive, grid],
        api_name="similar",
        **MODEL_QUEUE,
    )
    direction_field = gr.Textbox("0", label=strings.DIRECTION_FIELD, visible=False)
    amount_field = gr.Number(2.0, label=strings.AMOUNT, visible=False)
    edited = gr.Image(type="filepath", format="png", label=strings.EDIT_RESULT, visible=False)
    gr.Button(visible=False).click(
        edit,
        [seed_field, index_field, direction_field, amount_field, classes, variety, model],
        edited,
        api_name="edit",
        **MODEL_QUEUE,
    )
