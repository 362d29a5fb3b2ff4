"""The tab that generates images, and what a visitor does with them."""

from __future__ import annotations

import html
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import gradio as gr

from hubgan.demo import models, strings
from hubgan.demo.api import generating_endpoints
from hubgan.demo.links import Link, go_to_link, read_link, write_link
from hubgan.demo.models import ModelRegistry
from hubgan.demo.samples import (
    FIRST_IMAGES,
    LEAST_VARIETY,
    MAX_IMAGES,
    MAX_SEED,
    MOST_VARIETY,
    GenerationRequest,
    Shown,
    draw,
    make,
    similar_to,
    write,
)
from hubgan.demo.theme import any_words, scroll_to, told
from hubgan.demo.walk import walk_part
from hubgan.errors import ConfigError, HubganError

if TYPE_CHECKING:
    from PIL import Image

    from hubgan import Generator

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


def generate_tab(shelf: ModelRegistry[Generator]) -> GenerateTab:
    """The tab of these generators."""
    default = Link(FIRST_IMAGES, 0, [], MOST_VARIETY, shelf.first)

    @told
    def show(
        count: int, seed: int | None, random_seed: bool, classes: list[str] | None, variety: float, model: str
    ) -> tuple[Any, ...]:
        if random_seed or seed is None:
            seed = random.randint(0, MAX_SEED)
        link = Link(count, seed, classes or [], variety, model)
        return *_show(shelf, make(shelf, _drawn(shelf, link))), write_link(link, default), seed

    @told
    def more_like(shown: Shown | None, picked: int | None, difference: float, count: int) -> tuple[Any, ...]:
        if shown is None or picked is None:
            raise ConfigError(strings.PICK_FIRST)
        made = make(shelf, similar_to(shown.drawn, picked, difference, count))
        return *_show(shelf, made), ""  # no link leads to them

    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            problem, notice = (gr.Markdown(visible=False, elem_classes="problem") for _ in range(2))
            model = gr.Radio(list(shelf.names), value=shelf.first, label=strings.MODEL, visible=len(shelf.names) > 1)
            count = gr.Slider(1, MAX_IMAGES, value=FIRST_IMAGES, step=1, label=strings.IMAGES)
            classes = gr.Dropdown(
                [],
                value=[],
                multiselect=True,
                allow_custom_value=True,  # Gradio knows no choices but these; the model does
                label=strings.CLASSES,
                info=strings.CLASSES_INFO,
                visible=False,
            )
            any_words(classes, several=True)
            variety = gr.Slider(
                LEAST_VARIETY,
                MOST_VARIETY,
                value=MOST_VARIETY,
                step=0.1,
                label=strings.VARIETY,
                info=strings.VARIETY_INFO,
            )
            seed = gr.Number(0, label=strings.SEED, info=strings.SEED_INFO, precision=0, minimum=0, maximum=MAX_SEED)
            random_seed = gr.Checkbox(True, label=strings.RANDOM_SEED)
            button = gr.Button(strings.GENERATE, variant="primary", interactive=False)  # until `arrive` is done
        with gr.Column(scale=2, min_width=320):
            gallery = gr.Gallery(
                format="png",
                label=strings.IMAGES,
                show_label=False,
                height="auto",
                object_fit="contain",
                buttons=["download", "fullscreen"],
                interactive=False,
                elem_classes=["samples", "pixels"],
            )
            with gr.Row():
                pack = gr.DownloadButton(strings.DOWNLOAD_ALL, size="md")
                sheet = gr.DownloadButton(strings.DOWNLOAD_GRID, size="md")
            gr.Markdown(strings.PICK, elem_classes="hint")
            with gr.Row():
                like = gr.Button(strings.SIMILAR, size="md", interactive=False)
                send = gr.Button(strings.SEND, size="md", interactive=False)
            difference = gr.Slider(0.1, 1, value=0.4, step=0.1, label=strings.DIFFERENCE)
            walk_class = walk_part(shelf, model)
    shown, picked = gr.State(time_to_live=_SESSION_SECONDS), gr.State()
    # What leads to the images, and what a visitor's address asks for: that is made as if the button were pressed.
    address, wanted = (gr.Textbox(visible="hidden", label=strings.LINK) for _ in range(2))

    silent: Any = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    # Whoever types a seed wants that seed.
    seed.input(None, outputs=random_seed, js="() => false", api_visibility="private")

    def pick(event: gr.SelectData) -> tuple[int, gr.Button, gr.Button]:
        return event.index, gr.Button(interactive=True), gr.Button(interactive=True)

    gallery.select(pick, None, [picked, like, send], **silent)
    images = [gallery, shown, pack, sheet, picked, like, send]
    work: Any = {"concurrency_id": "model", "concurrency_limit": 1, "show_progress_on": gallery}
    asked_for = [count, seed, random_seed, classes, variety, model]
    for made in (
        gr.on(
            [button.click, seed.submit, wanted.change],
            show,
            asked_for,
            [*images, address, seed],
            api_visibility="private",
            **work,
        ),
        like.click(
            more_like, [shown, picked, difference, count], [*images, address], api_visibility="private", **work
        ),
    ):
        made.success(None, address, js=go_to_link(), api_visibility="private")
        made.success(None, js=scroll_to("samples"), api_visibility="private")
        made.success(lambda: gr.Markdown(visible=False), None, notice, **silent)
    generating_endpoints(shelf, [count, classes, variety, model, difference], [gallery, pack, sheet])
    choices = [problem, classes, walk_class, button]
    model.input(lambda label: _settings(shelf, label), model, choices, **silent)

    def asked(request: gr.Request) -> tuple[Link | None, str]:
        """What the address asks for, if anything; and why that cannot be had."""
        try:
            link = read_link(request.query_params, default)
            if link is not None:
                _drawn(shelf, link)
        except HubganError as error:
            return None, html.escape(str(error))
        return link, ""

    @cache
    def first_images(label: str) -> tuple[GenerationRequest, list[Image.Image]]:
        """Something to see, the same for everybody: made once, so that nobody waits for it in the queue."""
        drawn = _drawn(shelf, replace(default, model=label))
        return drawn, models.make(shelf.names[label], drawn.latents, drawn.labels)

    def arrive(request: gr.Request) -> tuple[Any, ...]:
        link, reason = asked(request)
        if link is not None:
            settings = _settings(shelf, link.model, link.classes)
            values = link.seed, *settings, link.count, False, link.variety, link.model, write_link(link, default)
            return *[gr.skip()] * len(images), gr.skip(), *values
        label = shelf.usable()
        try:
            made = _show(shelf, write(*first_images(label)))
            told_of = gr.Markdown(strings.BAD_LINK.format(reason=reason), visible=bool(reason))
        except HubganError:  # the settings tell
            made, told_of = (gr.skip(),) * len(images), gr.skip()
        # What a visitor has chosen meanwhile stays.
        chosen = gr.skip() if label == shelf.first else label
        return *made, told_of, gr.skip(), *_settings(shelf, label), *[gr.skip()] * 3, chosen, ""

    on_arrival = [*images, notice, seed, *choices, count, random_seed, variety, model, wanted]
    return GenerateTab(shown, picked, send, arrive, on_arrival)


def _drawn(shelf: ModelRegistry[Generator], link: Link) -> GenerationRequest:
    return draw(shelf, shelf.label(link.model), link.count, link.seed, link.classes, link.variety)


def _show(shelf: ModelRegistry[Generator], shown: Shown) -> tuple[Any, ...]:
    """What the gallery, the state, the two downloads, the pick and the two buttons get."""
    idle = gr.Button(interactive=False)
    look = ["samples", "pixels"] if shelf.get(shown.drawn.model).image_size <= _SMALL else ["samples"]
    return (
        gr.Gallery(shown.captioned(), selected_index=None, elem_classes=look),
        shown,
        shown.archive,
        shown.sheet,
        None,
        idle,
        idle,
    )


def _settings(shelf: ModelRegistry[Generator], label: str, classes: Sequence[str] = ()) -> tuple[Any, ...]:
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
