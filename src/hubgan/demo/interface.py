"""The page, put together of its tabs."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from huggingface_hub import constants

from hubgan.demo import models
from hubgan.demo.generate import generate_tab
from hubgan.demo.look import CSS, THEME
from hubgan.demo.upscale import upscale_tab


def build_demo(generator: str, upscalers: Sequence[str]) -> gr.Blocks:
    """The demo of a generator and of upscalers to choose from, each a Hub name or a folder.

    Raises HubganError when one cannot be loaded, or when there is no upscaler or two end in the same name.
    """
    with gr.Blocks(title="hubgan", analytics_enabled=False, delete_cache=(3600, 4 * 3600)) as demo:
        gr.Markdown(_headline(generator, upscalers), elem_classes="title")
        with gr.Tabs():
            with gr.Tab("Generate", id="generate"):
                generate_tab(generator)
            with gr.Tab("Upscale", id="upscale"):
                upscale_tab(upscalers)
    return demo.queue(max_size=32)


def launch_options() -> dict[str, Any]:
    """What `Blocks.launch` takes to show this demo as it is meant to look."""
    return {
        "theme": THEME,
        "css": CSS,
        "max_file_size": "50mb",
        "footer_links": ["api", "gradio", "settings"],
    }


def _headline(generator: str, upscalers: Sequence[str]) -> str:
    def shown(name: str) -> str:
        if Path(name).exists():
            return f"<code>{html.escape(Path(name).resolve().name)}</code>"
        return f'<a href="{constants.ENDPOINT}/{html.escape(name)}" target="_blank">{html.escape(name)}</a>'

    where = "GPU" if models.device() == "cuda" else "CPU"
    enlargements = " or ".join(map(shown, upscalers))
    return f"# hubgan\nImages from {shown(generator)}, enlargements from {enlargements}, running on the {where}."
