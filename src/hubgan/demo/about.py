"""The tab that shows the models' cards."""

import re
from collections.abc import Iterable
from typing import Any

import gradio as gr
from huggingface_hub import ModelCard

from hubgan.demo import strings
from hubgan.demo.models import ModelRegistry
from hubgan.errors import HubganError
from hubgan.hub.download import ModelSource

_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)\n*")  # the picture beside the card has a place of its own here


def about_tab(shelves: Iterable[ModelRegistry[Any]]) -> list[gr.components.Component]:
    """The tab; returns where what `cards` gives goes."""
    gr.Markdown(strings.CARDS, elem_classes="hint")
    places: list[gr.components.Component] = []
    for label in (label for shelf in shelves for label in shelf.names):
        with gr.Accordion(label, open=False):
            places.append(
                gr.Image(type="filepath", label=label, alt_text=strings.SAMPLES.format(model=label), visible=False,
                         interactive=False, show_label=False, buttons=["fullscreen"], height=360)
            )  # fmt: skip
            places.append(gr.Markdown(strings.LOADING, elem_classes="card"))
    return places


def cards(shelves: Iterable[ModelRegistry[Any]]) -> list[gr.Image | str]:
    """Of each model its picture, and its card without the header."""
    return [part for shelf in shelves for name in shelf.names.values() for part in _card(name)]


def _card(name: str) -> tuple[gr.Image, str]:
    from hubgan.models.card import PICTURE
    from hubgan.models.config import CARD

    place = ModelSource(name)
    try:
        card = ModelCard(place.file(CARD).read_text(encoding="utf-8"), ignore_metadata_errors=True)
        picture = str(place.file(PICTURE)) if PICTURE in place.files() else None
    except (HubganError, OSError, ValueError):
        return gr.Image(visible=False), strings.NO_CARD
    return gr.Image(picture, visible=picture is not None), _IMAGE.sub("", card.text)
