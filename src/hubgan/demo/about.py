"""The tab that shows the models' cards."""

import re
from collections.abc import Iterable
from typing import Any

import gradio as gr
from gradio.processing_utils import save_file_to_cache
from huggingface_hub import ModelCard

from hubgan.demo import strings
from hubgan.demo.events import Updates
from hubgan.demo.models import ModelRegistry
from hubgan.errors import HubganError
from hubgan.hub.download import ModelSource

_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)\n*")  # the card's picture has a component of its own


class AboutTab:
    """The tab of the models in these registries. It adds its components to the current `gr.Blocks`.

    Attributes:
        load_outputs: the components that `load` changes.
    """

    def __init__(self, registries: Iterable[ModelRegistry[Any]]) -> None:
        self._cards: list[tuple[str, gr.Image, gr.Markdown]] = []
        gr.Markdown(strings.CARDS, elem_classes="hint")
        for label, name in (item for registry in registries for item in registry.names.items()):
            with gr.Accordion(label, open=False):
                picture = gr.Image(
                    type="filepath",
                    label=label,
                    alt_text=strings.SAMPLES.format(model=label),
                    visible=False,
                    interactive=False,
                    show_label=False,
                    buttons=["fullscreen"],
                    height=360,
                )
                self._cards.append((name, picture, gr.Markdown(strings.LOADING, elem_classes="card")))
        self.load_outputs = [component for _, *components in self._cards for component in components]

    def load(self) -> Updates:
        """Show the picture and the text of each card, without its metadata."""
        updates: Updates = {}
        for name, picture, text in self._cards:
            updates[picture], updates[text] = _card(name, picture.GRADIO_CACHE)
        return updates


def _card(name: str, cache: str) -> tuple[gr.Image, str]:
    from hubgan.models.card import PICTURE
    from hubgan.models.config import CARD

    source = ModelSource(name)
    try:
        card = ModelCard(source.file(CARD).read_text(encoding="utf-8"), ignore_metadata_errors=True)
        # Gradio shows files of few folders only, and the Hub's cache or another disk is none of them.
        picture = save_file_to_cache(source.file(PICTURE), cache) if PICTURE in source.files() else None
    except (HubganError, OSError, ValueError):
        return gr.Image(visible=False), strings.NO_CARD
    return gr.Image(picture, visible=picture is not None), _IMAGE.sub("", card.text)
