"""The tab that generates images, and what a visitor does with them."""

from __future__ import annotations

import html
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from hubgan.demo import words
from hubgan.demo.links import Link, clear_link, read_link, write_link
from hubgan.demo.look import any_words, scroll_to, told
from hubgan.demo.models import Shelf
from hubgan.demo.samples import (
    LEAST_VARIETY,
    MAX_IMAGES,
    MAX_SEED,
    MOST_VARIETY,
    Drawn,
    Shown,
    draw,
    make,
    similar_to,
)
from hubgan.demo.walk import walk_part
from hubgan.errors import ConfigError, HubganError

if TYPE_CHECKING:
    from hubgan import Generator

_FIRST_IMAGES = 16
_SESSION_SECONDS = 3600
_SMALL = 64  # pixels a side up to which single ones are shown as squares


@dataclass(frozen=True)
class GenerateTab:
    """What the page needs of the tab.

    Attributes:
        shown: the images that a visitor sees, a `Shown`.
        picked: the number of the one that was clicked.
        send: the button that leads on with it.
        arrive: called with the request when a visitor comes.
        on_arrival: the components that get what it returns.
    """

    shown: gr.State
    picked: gr.State
    send: gr.Button
    arrive: Callable[[gr.Request], tuple[Any, ...]]
    on_arrival: list[Any]


def generate_tab(shelf: Shelf[Generator]) -> GenerateTab:
    """The tab of these generators."""

    @told
    def show(
        count: int, seed: int | None, random_seed: bool, classes: list[str] | None, variety: float, model: str
    ) -> tuple[Any, ...]:
        if random_seed or seed is None:
            seed = random.randint(0, MAX_SEED)
        return *_show(shelf, draw(shelf, shelf.label(model), count, seed, classes or [], variety)), int(seed)

    @told
    def generate(
        count: int = _FIRST_IMAGES,
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
        seed = random.randint(0, MAX_SEED) if seed is None else int(seed)
        made = make(shelf, draw(shelf, shelf.label(model), count, seed, classes or [], variety))
        return made.files, made.archive, made.sheet, seed

    @told
    def more_like(shown: Shown | None, picked: int | None, difference: float, count: int) -> tuple[Any, ...]:
        if shown is None or picked is None:
            raise ConfigError(words.PICK_FIRST)
        return _show(shelf, similar_to(shown.drawn, picked, difference, count))

    @told
    def similar(
        seed: int,
        index: int = 0,
        difference: float = 0.4,
        count: int = _FIRST_IMAGES,
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
        if not 0 <= index < MAX_IMAGES:
            raise ConfigError(words.NO_IMAGE.format(count=MAX_IMAGES, picked=index))
        drawn = draw(shelf, shelf.label(model), int(index) + 1, seed, classes or [], variety)
        made = make(shelf, similar_to(drawn, int(index), difference, count))
        return made.files, made.archive, made.sheet

    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            problem = gr.Markdown(visible=False, elem_classes="problem")
            model = gr.Radio(list(shelf.names), value=shelf.first, label=words.MODEL, visible=len(shelf.names) > 1)
            count = gr.Slider(1, MAX_IMAGES, value=_FIRST_IMAGES, step=1, label=words.IMAGES)
            classes = gr.Dropdown(
                [],
                value=[],
                multiselect=True,
                allow_custom_value=True,  # Gradio knows no choices but these; the model does
                label=words.CLASSES,
                info=words.CLASSES_INFO,
                visible=False,
            )
            any_words(classes, several=True)
            variety = gr.Slider(
                LEAST_VARIETY,
                MOST_VARIETY,
                value=MOST_VARIETY,
                step=0.1,
                label=words.VARIETY,
                info=words.VARIETY_INFO,
            )
            seed = gr.Number(0, label=words.SEED, info=words.SEED_INFO, precision=0, minimum=0, maximum=MAX_SEED)
            random_seed = gr.Checkbox(True, label=words.RANDOM_SEED)
            button = gr.Button(words.GENERATE, variant="primary", interactive=False)  # until `arrive` is done
        with gr.Column(scale=2, min_width=320):
            gallery = gr.Gallery(
                format="png",
                label=words.IMAGES,
                show_label=False,
                height="auto",
                object_fit="contain",
                buttons=["download", "fullscreen"],
                interactive=False,
                elem_classes=["samples", "pixels"],
            )
            with gr.Row():
                pack = gr.DownloadButton(words.DOWNLOAD_ALL, size="md")
                sheet = gr.DownloadButton(words.DOWNLOAD_GRID, size="md")
            gr.Markdown(words.PICK, elem_classes="hint")
            with gr.Row():
                like = gr.Button(words.SIMILAR, size="md", interactive=False)
                send = gr.Button(words.SEND, size="md", interactive=False)
            difference = gr.Slider(0.1, 1, value=0.4, step=0.1, label=words.DIFFERENCE)
            walk_class = walk_part(shelf, model)
    shown, picked = gr.State(time_to_live=_SESSION_SECONDS), gr.State()

    silent: Any = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    # Whoever types a seed wants that seed.
    seed.input(None, outputs=random_seed, js="() => false", api_visibility="private")

    def pick(event: gr.SelectData) -> tuple[int, gr.Button, gr.Button]:
        return event.index, gr.Button(interactive=True), gr.Button(interactive=True)

    gallery.select(pick, None, [picked, like, send], **silent)
    images = [gallery, shown, pack, sheet, picked, like, send]
    work: Any = {"concurrency_id": "model", "concurrency_limit": 1, "show_progress_on": gallery}
    gr.on(
        [button.click, seed.submit],
        show,
        [count, seed, random_seed, classes, variety, model],
        [*images, seed],
        api_visibility="private",
        **work,
    ).success(
        None,
        [count, seed, classes, variety, model],
        js=write_link(shelf.first, MOST_VARIETY),
        api_visibility="private",
    ).success(None, js=scroll_to("samples"), api_visibility="private")
    like.click(more_like, [shown, picked, difference, count], images, api_visibility="private", **work).success(
        None, js=clear_link(), api_visibility="private"
    ).success(None, js=scroll_to("samples"), api_visibility="private")
    # Programs need neither the states nor the look of the page.
    index = gr.Number(0, label=words.INDEX, precision=0, visible=False)
    wanted = gr.Number(None, label=words.SEED, precision=0, visible=False)
    gr.Button(visible=False).click(
        generate,
        [count, wanted, classes, variety, model],
        [gallery, pack, sheet, wanted],
        api_name="generate",
        **work,
    )
    gr.Button(visible=False).click(
        similar,
        [wanted, index, difference, count, classes, variety, model],
        [gallery, pack, sheet],
        api_name="similar",
        **work,
    )
    choices = [problem, classes, walk_class, button]
    model.input(lambda label: _settings(shelf, label), model, choices, **silent)

    def arrive(request: gr.Request) -> tuple[Any, ...]:
        """Something to see: what the address asks for, else the same images for everybody."""
        default = Link(_FIRST_IMAGES, 0, [], MOST_VARIETY, None)
        reason = ""
        try:
            if asked := read_link(request.query_params, default):
                label = shelf.label(asked.model)
                made = _show(shelf, draw(shelf, label, asked.count, asked.seed, asked.classes, asked.variety))
                settings = _settings(shelf, label, asked.classes)
                return *made, asked.seed, *settings, asked.count, False, asked.variety, label
        except HubganError as error:
            reason = html.escape(str(error))
        label = shelf.usable()
        settings = _settings(shelf, label)
        try:
            made = _show(shelf, draw(shelf, label, default.count, default.seed, [], default.variety))
        except HubganError:  # the settings tell
            return *[gr.skip()] * 8, *settings, *[gr.skip()] * 4
        if reason:
            gr.Warning(words.BAD_LINK.format(reason=reason))
        # What a visitor has chosen meanwhile stays.
        return *made, gr.skip(), *settings, *[gr.skip()] * 3, gr.skip() if label == shelf.first else label

    return GenerateTab(shown, picked, send, arrive, [*images, seed, *choices, count, random_seed, variety, model])


def _show(shelf: Shelf[Generator], drawn: Drawn) -> tuple[Any, ...]:
    """Make them: what the gallery, the state, the two downloads, the pick and the two buttons get."""
    shown, idle = make(shelf, drawn), gr.Button(interactive=False)
    look = ["samples", "pixels"] if shelf.get(drawn.model).image_size <= _SMALL else ["samples"]
    return (
        gr.Gallery(shown.captioned(), selected_index=None, elem_classes=look),
        shown,
        shown.archive,
        shown.sheet,
        None,
        idle,
        idle,
    )


def _settings(shelf: Shelf[Generator], label: str, classes: Sequence[str] = ()) -> tuple[Any, ...]:
    """What the tab is to show of a model: the problem, its classes, those of a walk, whether it can be used."""
    try:
        labels = list(shelf.get(label).labels)
    except HubganError as error:
        reason = gr.Markdown(shelf.problem(label, error), visible=True)
        return reason, gr.skip(), gr.skip(), gr.Button(interactive=False)
    return (
        gr.Markdown(visible=False),
        gr.Dropdown(labels, value=list(classes), visible=bool(labels)),
        gr.Dropdown(labels, value=None, visible=bool(labels)),
        gr.Button(interactive=True),
    )
