"""How the demo looks: a stock theme in a font that Gradio carries, so nothing is fetched, and a few rules.

And how it complains.
"""

import html
import json
from collections.abc import Callable
from functools import wraps
from typing import Any

import gradio as gr

from hubgan.errors import HubganError

THEME = gr.themes.Default(
    primary_hue="indigo",
    secondary_hue="indigo",
    neutral_hue="slate",
    radius_size="lg",
    # The files for weight 600 that come with Gradio lack most letters; without them 700 stands in.
    font=(gr.themes.LocalFont("Source Sans Pro", weights=(400, 700)), "system-ui", "sans-serif"),
    font_mono=("ui-monospace", "monospace"),
)

# As near to a square as it goes, for any number of images up to 64: the n-th child is there if n images are.
_COLUMNS = "\n".join(
    f".samples .grid-container:has(> :nth-child({(n - 1) ** 2 + 1})) {{ --columns: {n}; }}" for n in range(2, 9)
)

CSS = f"""
.gradio-container {{ width: 100% !important; max-width: 1080px !important; margin: 0 auto !important; }}
.title h1 {{ font-size: 1.8rem; letter-spacing: -0.02em; margin: 0; }}
.title p, .hint p {{ margin: 0; color: var(--body-text-color-subdued); }}
.hint p {{ font-size: var(--text-sm); }}
.samples .grid-wrap {{ min-height: 0; max-height: none; overflow: visible; padding: var(--size-3); }}
.samples .grid-container {{
    --columns: 1;
    grid-template: none / repeat(var(--columns), minmax(0, 1fr)) !important;
    grid-auto-rows: auto !important;
    gap: calc(24px / var(--columns)) !important;
    max-width: 512px;
    margin: 0 auto;
    padding: 0;
}}
{_COLUMNS}
.samples .thumbnail-lg {{ border: 0; border-radius: calc(16px / var(--columns)); box-shadow: none; }}
.samples .thumbnail-lg img {{ border-radius: 0; }}
.samples .grid-container .caption-label {{ display: none; }}
.pixels img {{ image-rendering: pixelated; }}
"""


def scroll_to(name: str) -> str:
    """JavaScript that brings what has this class into view on a phone, where it lies below the settings."""
    return f"() => window.innerWidth < 700 && document.querySelector('.{name}').scrollIntoView({{behavior: 'smooth'}})"


def describe(name: str, *texts: str) -> str:
    """JavaScript that gives the images in what has this class their alternative texts, where Gradio takes none."""
    return f"""() => document.querySelectorAll('.{name} img').forEach(
        (image, index) => image.alt = {json.dumps(texts)}[index] ?? ""
    )"""


def any_words(choice: gr.Dropdown, *, several: bool = False) -> None:
    """Let programs give any words: Gradio would tell them that there are none, as the model's are not known yet."""
    word = {"type": "string"}
    choice.api_info = lambda: {"type": "array", "items": word} if several else word  # type: ignore[method-assign]


def told(function: Callable) -> Callable:
    """The function, whose complaints the page shows as a toast."""

    @wraps(function)
    def telling(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except HubganError as error:
            raise toast(str(error)) from error

    return telling


def toast(message: str) -> gr.Error:
    """The page's toast. It takes HTML, and a message may quote what a visitor sent."""
    return gr.Error(html.escape(message, quote=False), print_exception=False)
