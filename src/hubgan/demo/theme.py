"""How the demo looks: a stock theme, in a font that comes with Gradio so that nothing is fetched, and a few CSS rules.

Also what Gradio's components do not do themselves.
"""

import json

import gradio as gr

THEME = gr.themes.Default(
    primary_hue="indigo",
    secondary_hue="indigo",
    neutral_hue="slate",
    radius_size="lg",
    # Gradio's files for weight 600 lack most letters. Without 600 the browser uses 700.
    font=(gr.themes.LocalFont("Source Sans Pro", weights=(400, 700)), "system-ui", "sans-serif"),
    font_mono=("ui-monospace", "monospace"),
).set(  # the theme's own grey has a contrast of less than 3
    body_text_color_subdued="*neutral_500",
    block_info_text_color="*neutral_500",
)

# The grid is as near to a square as possible, for 1 to 64 images: an n-th child exists if there are n images.
_COLUMNS = "\n".join(
    f".samples .grid-container:has(> :nth-child({(n - 1) ** 2 + 1})) {{ --columns: {n}; }}" for n in range(2, 9)
)

CSS = f"""
.gradio-container {{
    width: 100% !important;
    max-width: 1080px !important;
    margin: 0 auto !important;
    overflow: clip !important;  /* Gradio's "hidden" would keep elements from being "sticky" */
}}
.title h1 {{ font-size: 1.8rem; letter-spacing: -0.02em; margin: 0; }}
.title p, .hint p {{ margin: 0; color: var(--body-text-color-subdued); }}
.hint p {{ font-size: var(--text-sm); }}
.result, .extras, .input {{ gap: var(--layout-gap); }}
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
.html-container:has(.board) {{ padding: 0 !important; }}
.board canvas {{
    display: block;
    width: 100%;
    max-width: 512px;
    margin: 0 auto;
    background: white;
    border: 1px solid var(--border-color-primary);
    border-radius: var(--radius-lg);
    cursor: crosshair;
    touch-action: none;  /* a finger draws, and does not scroll */
}}
.board.erases canvas {{ background: repeating-conic-gradient(#e2e5ea 0 25%, white 0 50%) 0 0 / 32px 32px; }}
.board .tools {{ display: flex; gap: var(--size-2); max-width: 512px; margin: var(--size-2) auto 0; }}
.board button {{
    flex: 1;
    padding: var(--size-2);
    border-radius: var(--button-medium-radius);
    background: var(--button-secondary-background-fill);
    color: var(--button-secondary-text-color);
}}
.board button:disabled {{ opacity: 0.5; }}
.board button[aria-pressed=true] {{ background: var(--color-accent); color: white; }}
.translation {{ aspect-ratio: 1; width: 100%; max-width: 512px; margin: 0 auto; }}
.translation :is(.image-container, .image-container > button, .image-frame, .empty, img) {{
    width: 100%;
    height: 100%;
    min-height: 0;
    object-fit: contain;
}}
.pixels img {{ image-rendering: pixelated; }}

.card table {{ display: block; overflow-x: auto; border: 0; }}
.card :is(th, td) {{ word-break: normal; overflow-wrap: normal; }}

/* On a phone the pictures come first, and the main button stays in sight. */
@media (width < 700px) {{
    .workspace {{ flex-flow: column; }}
    .workspace > .column {{ display: contents; }}
    .workspace .input {{ order: -2; }}
    .workspace .result {{ order: -1; }}
    .workspace .extras {{ order: 1; }}
    .workspace .action {{ position: sticky; bottom: var(--size-3); z-index: 10; box-shadow: var(--shadow-drop-lg); }}
    .comparison .empty {{ min-height: 0; height: var(--size-24); }}
    .translation {{ aspect-ratio: 2; }}  /* so that it is seen with the board */
}}

/* Fingers need about 44 pixels. */
@media (pointer: coarse) {{
    button.md, button.lg, [role=tab], fieldset label, .label-wrap {{ min-height: 44px; }}
    .icon-button-wrapper button, .reset-button {{ min-width: 44px; min-height: 44px; }}
    .tab-wrapper, .tab-like-container {{ height: auto !important; min-height: 44px; }}
    .tab-like-container input {{ min-height: 44px; }}
}}
"""


def scroll_to(css_class: str) -> str:
    """JavaScript that scrolls to the element of that class on a phone, where the button may be far from it."""
    element = f"document.querySelector('.{css_class}')"
    return f"() => window.innerWidth < 700 && {element}.scrollIntoView({{behavior: 'smooth'}})"


def set_alternative_texts(css_class: str, *texts: str) -> str:
    """JavaScript that sets the alternative texts of the images in that class; not all components take them."""
    return f"""() => document.querySelectorAll('.{css_class} img').forEach(
        (image, index) => image.alt = {json.dumps(texts)}[index] ?? ""
    )"""


def accept_any_file(css_class: str) -> str:
    """JavaScript that lets the upload in that class take any file, so that the server says what is wrong with one.

    Gradio refuses a file unless the browser knows its ending as that of an image, and none knows IMG_1.HEIC.
    """
    return f"""() => {{
        const types = "image/*,.heic,.heif,.avif,.tif,.tiff,.ppm";
        const image = file => file.type.startsWith("image/") ? file : new File([file], file.name, {{type: "image/x"}});
        const images = files => {{
            const transfer = new DataTransfer();
            [...files].forEach(file => transfer.items.add(image(file)));
            return transfer;
        }};
        const listen = (name, handle) => document.addEventListener(name, event => {{
            if (event.target.closest?.(".{css_class}")) handle(event, event.target);
        }}, true);
        listen("click", (_, target) => {{ if (target.type === "file") target.accept = types; }});
        listen("change", (_, target) => {{ if (target.type === "file") target.files = images(target.files).files; }});
        listen("drop", (event, target) => {{
            if (!event.isTrusted) return;
            event.preventDefault();
            event.stopImmediatePropagation();
            const dataTransfer = images(event.dataTransfer.files);
            target.dispatchEvent(new DragEvent("drop", {{bubbles: true, cancelable: true, dataTransfer}}));
        }});
    }}"""


def show_instead(css_class: str, address: str, shown: str | None) -> str:
    """A style sheet: the image in that class whose address has the part `address` looks like the one at `shown`.

    None hides it.
    """
    look = "visibility: hidden" if shown is None else f"content: url({json.dumps(shown)})"
    return f"<style>.{css_class} img[src*={json.dumps(address)}] {{ {look}; }}</style>"


def accept_any_text(choice: gr.Dropdown, *, multiselect: bool = False) -> None:
    """Let endpoints document a choice as any text: Gradio knows no choices before the model is loaded."""
    text = {"type": "string"}
    choice.api_info = lambda: {"type": "array", "items": text} if multiselect else text  # type: ignore[method-assign]
