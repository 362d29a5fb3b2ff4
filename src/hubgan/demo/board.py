"""The board to draw on, and the eraser of pictures: a canvas in the page, as a component of Gradio's own HTML.

`gr.ImageEditor` needs WebGL, and uploads three pictures after each stroke. These send one small PNG.
"""

from __future__ import annotations

import base64
import binascii
import io
from html import escape
from pathlib import Path
from typing import Literal

import gradio as gr
from PIL import Image, ImageChops

from hubgan.demo import strings
from hubgan.errors import ImageError
from hubgan.media.images import open_image

_SIDE = 512  # pixels of the canvas
_SENT = 256  # pixels of what is sent, for speed
_BRUSH, _ERASER = 10, 40  # widths; this brush draws lines of 2.5 pixels for a network that works at 128
_STEPS = 30  # that can be undone
_OPAQUE = 128  # translators fill what is less
_ADDRESS = "data:image/png;base64,"

_PAGE = f"""<div class="board">
<canvas width="{_SIDE}" height="{_SIDE}" role="img" aria-label="{escape(strings.BOARD)}"></canvas>
<div class="tools">
<button type="button" class="md secondary draw" aria-pressed="true">{escape(strings.DRAW)}</button>
<button type="button" class="md secondary erase" aria-pressed="false">{escape(strings.ERASE)}</button>
<button type="button" class="md secondary undo" disabled>{escape(strings.UNDO)}</button>
<button type="button" class="md secondary clear">{escape(strings.CLEAR)}</button>
</div>
</div>"""

_ERASER_PAGE = f"""<div class="board erases">
<canvas width="{_SIDE}" height="{_SIDE}" role="img" aria-label="{escape(strings.ERASER)}"></canvas>
<div class="tools">
<button type="button" class="md secondary undo" disabled>{escape(strings.UNDO)}</button>
<button type="button" class="md secondary clear">{escape(strings.RESET)}</button>
</div>
</div>"""

# The value is the drawing as the address of a PNG file that holds its data. A stroke sets it when it ends. That of an
# eraser is at first the picture, and then white, transparent where the picture was erased: its colours are not needed.
_SCRIPT = f"""
const erases = ERASES, side = {_SIDE}, steps = {_STEPS};
const [canvas, draw, erase, undo, clear] = ["canvas", ".draw", ".erase", ".undo", ".clear"].map(
    name => element.querySelector(name)
);
const context = canvas.getContext("2d", {{willReadFrequently: true}});
const small = Object.assign(document.createElement("canvas"), {{width: {_SENT}, height: {_SENT}}}).getContext("2d");
small.imageSmoothingQuality = "high";
const earlier = [];
let erasing = false, pointer = null, sent = "", original = null;

const wipe = () => {{
    context.globalCompositeOperation = "copy";
    context.fillStyle = "white";
    if (original) context.drawImage(original, 0, 0);
    else context.fillRect(0, 0, side, side);
    context.globalCompositeOperation = "source-over";
}};
const remember = () => {{
    earlier.push(context.getImageData(0, 0, canvas.width, canvas.height));
    if (earlier.length > steps) earlier.shift();
    undo.disabled = false;
}};
const send = () => {{
    const box = [0, 0, small.canvas.width, small.canvas.height];
    small.globalCompositeOperation = "copy";
    small.drawImage(canvas, ...box);
    if (erases) {{
        small.globalCompositeOperation = "source-in";
        small.fillStyle = "white";
        small.fillRect(...box);
    }}
    props.value = sent = small.canvas.toDataURL("image/png");
    trigger("input");
}};
const show = () => {{
    if (!props.value || props.value === sent) return;
    sent = props.value;
    const picture = new Image();
    picture.onload = () => {{
        if (erases) {{
            original = picture;
            [canvas.width, canvas.height] = [picture.width, picture.height];
            [small.canvas.width, small.canvas.height] = [picture.width, picture.height];
            earlier.length = 0;
            undo.disabled = true;
            return wipe();
        }}
        remember();
        wipe();
        context.drawImage(picture, 0, 0, side, side);
    }};
    picture.src = sent;
}};
const place = event => {{
    const box = canvas.getBoundingClientRect();
    return [
        (event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height
    ];
}};
const choose = eraser => {{
    erasing = eraser;
    draw?.setAttribute("aria-pressed", !eraser);
    erase?.setAttribute("aria-pressed", eraser);
}};

canvas.addEventListener("pointerdown", event => {{
    if (pointer !== null || event.button !== 0) return;
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
    remember();
    context.lineCap = context.lineJoin = "round";
    context.globalCompositeOperation = erases ? "destination-out" : "source-over";
    context.strokeStyle = erasing ? "white" : "black";
    context.lineWidth = erasing || erases ? {_ERASER} : {_BRUSH};
    context.beginPath();
    context.moveTo(...place(event));
    context.lineTo(...place(event));  // a dot
    context.stroke();
}});
canvas.addEventListener("pointermove", event => {{
    if (event.pointerId !== pointer) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    (passed.length ? passed : [event]).forEach(each => context.lineTo(...place(each)));
    context.stroke();
}});
["pointerup", "pointercancel"].forEach(name => canvas.addEventListener(name, event => {{
    if (event.pointerId !== pointer) return;
    pointer = null;
    send();
}}));
draw?.addEventListener("click", () => choose(false));
erase?.addEventListener("click", () => choose(true));
undo.addEventListener("click", () => {{
    context.putImageData(earlier.pop(), 0, 0);
    undo.disabled = !earlier.length;
    send();
}});
clear.addEventListener("click", () => {{
    remember();
    wipe();
    choose(false);
    send();
}});
wipe();
show();
watch("value", show);
"""


def add_board() -> gr.HTML:
    """A white square to draw on, by mouse, pen or finger. It is added to the current `gr.Blocks`.

    Its event `input` comes after each stroke, and after an undo. `open_drawing` reads its value.
    """
    return _add(_PAGE, strings.BOARD, erases=False)


def add_eraser() -> gr.HTML:
    """A picture of which parts can be erased, hidden until it has one. It is added to the current `gr.Blocks`.

    Its value is set to `to_erase` of the picture. Its event `input` is like that of a board, and `erased` reads it.
    """
    return _add(_ERASER_PAGE, strings.ERASER, erases=True, visible="hidden")


def _add(page: str, label: str, *, erases: bool, visible: bool | Literal["hidden"] = True) -> gr.HTML:
    script = _SCRIPT.replace("ERASES", str(erases).lower(), 1)
    return gr.HTML("", html_template=page, js_on_load=script, apply_default_css=False, label=label, visible=visible)


def open_drawing(value: object) -> Image.Image | None:
    """The drawing in a board's value, or None if nothing is drawn.

    Raises:
        ImageError: the value, which a program may have sent, holds no drawing of a board.
    """
    if not value:
        return None
    drawing = _open(value).convert("L")
    return None if drawing.getextrema() == (255, 255) else drawing


def as_drawing(path: Path) -> str:
    """A PNG file as a board's value."""
    return _address(path.read_bytes())


def to_erase(picture: Image.Image) -> str:
    """A picture as an eraser's value, as large as it is shown."""
    shown = open_image(picture, srgb=True)
    scale = _SIDE / max(shown.size)
    small = shown.resize((max(round(shown.width * scale), 1), max(round(shown.height * scale), 1)))
    small.save(file := io.BytesIO(), "PNG")
    return _address(file.getvalue())


def erased(picture: Image.Image, value: object) -> Image.Image | None:
    """The picture in 8 bits, transparent where an eraser's value is; None if nothing is transparent.

    Raises:
        ImageError: the value, which a program may have sent, is no eraser's.
    """
    result, planes = open_image(picture), []
    for image in (result, *([_open(value)] if value else [])):
        if image.mode == "RGBA":
            planes.append(image.getchannel("A").resize(result.size, Image.Resampling.BILINEAR))
    if not planes:
        return None
    alpha = ImageChops.darker(planes[0], planes[-1])
    result.putalpha(alpha)
    return result if alpha.point([255] * _OPAQUE + [0] * (256 - _OPAQUE)).getbbox() else None


def _open(value: object) -> Image.Image:
    """The picture in the value of a board or an eraser."""
    try:
        data = base64.b64decode(str(value).removeprefix(_ADDRESS), validate=True)
    except binascii.Error as error:
        raise ImageError(*strings.NO_DRAWING) from error
    return open_image(data, max_pixels=_SIDE**2)


def _address(data: bytes) -> str:
    return _ADDRESS + base64.b64encode(data).decode()
