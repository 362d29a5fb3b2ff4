"""The page, put together of its tabs."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from huggingface_hub import constants

from hubgan.demo import models, strings
from hubgan.demo.about import about_tab, cards
from hubgan.demo.generate import generate_tab
from hubgan.demo.models import ModelRegistry
from hubgan.demo.samples import Shown
from hubgan.demo.theme import CSS, THEME, toast
from hubgan.demo.upscale import upscale_tab


def build_demo(generators: Sequence[str], upscalers: Sequence[str], *, keep_seconds: int = 4 * 3600) -> gr.Blocks:
    """The demo of generators and upscalers to choose from, each a Hub name or a folder.

    They are loaded in the background; one that cannot be loaded says so on its tab. Files of visitors are deleted once
    they are older than `keep_seconds`, within a quarter of that time.

    Raises ConfigError where there is none of a kind, or two end in the same name.
    """
    makers, enlargers = (
        ModelRegistry.of(models.load_generator, generators),
        ModelRegistry.of(models.load_upscaler, upscalers),
    )
    with gr.Blocks(
        title=strings.TITLE, analytics_enabled=False, delete_cache=(max(1, keep_seconds // 4), keep_seconds)
    ) as demo:
        headline = gr.Markdown(_headline(makers, enlargers), elem_classes="title")
        with gr.Tabs() as tabs:
            with gr.Tab(strings.GENERATE_TAB, id="generate"):
                first = generate_tab(makers)
            with gr.Tab(strings.UPSCALE_TAB, id="upscale"):
                second = upscale_tab(enlargers)
            with gr.Tab(strings.ABOUT_TAB, id="about"):
                places = about_tab([makers, enlargers])

        def send(shown: Shown | None, picked: int | None) -> tuple[str, gr.Tabs]:
            if shown is None or picked is None:
                raise toast(strings.PICK_FIRST)
            return shown.files[picked], gr.Tabs(selected="upscale")

        def headed() -> str:
            return _headline(makers, enlargers, strings.HARDWARE[models.device()])

        silent: Any = {"api_visibility": "private", "show_progress": "hidden"}
        first.send.click(send, [first.shown, first.picked], [second.picture, tabs], queue=False, **silent)
        # None of these waits in the queue: where that is full, the page works all the same.
        demo.load(first.arrive, None, first.on_arrival, queue=False, **silent)
        demo.load(second.arrive, None, second.on_arrival, queue=False, **silent)
        demo.load(headed, None, headline, queue=False, **silent)
        demo.load(lambda: cards([makers, enlargers]), None, places, queue=False, **silent)
    makers.warm()
    enlargers.warm()
    return demo.queue(max_size=32, default_concurrency_limit=4)


def launch_options() -> dict[str, Any]:
    """What `Blocks.launch` takes to show this demo as it is meant to look."""
    return {
        "theme": THEME,
        "css": CSS,
        "max_file_size": "50mb",
        "footer_links": ["api", "gradio", "settings"],
    }


def _headline(makers: ModelRegistry[Any], enlargers: ModelRegistry[Any], hardware: str = "") -> str:
    def shown(label: str, name: str) -> str:
        if label != name or Path(name).exists():  # it lies here
            return f"<code>{html.escape(label)}</code>"
        return f'<a href="{constants.ENDPOINT}/{html.escape(name)}" target="_blank">{html.escape(name)}</a>'

    generators, upscalers = (
        strings.OR.join(shown(*item) for item in shelf.names.items()) for shelf in (makers, enlargers)
    )
    return strings.HEADLINE.format(generators=generators, upscalers=upscalers, hardware=hardware)
