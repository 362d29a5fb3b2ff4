"""The board to draw on: a canvas in the page, as a component of Gradio's own HTML.

`gr.ImageEditor` needs WebGL, and uploads three pictures after each stroke. This board sends one small PNG.
"""

from __future__ import annotations

import base64
import binascii
from html import escape
from pathlib import Path

import gradio as gr
from PIL import Image

from hubgan.demo import strings
from hubgan.errors import ImageError
from hubgan.media.images import open_image

_SIDE = 512  # pixels of the canvas
_SENT = 256  # pixels of what is sent, for speed
_BRUSH, _ERASER = 10, 40  # widths; this brush draws lines of 2.5 pixels for a network that works at 128
_STEPS = 30  # that can be undone
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

# The value is the drawing as the address of a PNG file that holds its data. A stroke sets it when it ends.
_SCRIPT = f"""
const side = {_SIDE}, steps = {_STEPS};
const [canvas, draw, erase, undo, clear] = ["canvas", ".draw", ".erase", ".undo", ".clear"].map(
    name => element.querySelector(name)
);
const context = canvas.getContext("2d", {{willReadFrequently: true}});
const small = Object.assign(document.createElement("canvas"), {{width: {_SENT}, height: {_SENT}}}).getContext("2d");
small.imageSmoothingQuality = "high";
context.lineCap = context.lineJoin = "round";
const earlier = [];
let erasing = false, pointer = null, sent = "";

const wipe = () => {{
    context.fillStyle = "white";
    context.fillRect(0, 0, side, side);
}};
const remember = () => {{
    earlier.push(context.getImageData(0, 0, side, side));
    if (earlier.length > steps) earlier.shift();
    undo.disabled = false;
}};
const send = () => {{
    small.drawImage(canvas, 0, 0, {_SENT}, {_SENT});
    props.value = sent = small.canvas.toDataURL("image/png");
    trigger("input");
}};
const show = () => {{
    if (!props.value || props.value === sent) return;
    sent = props.value;
    const picture = new Image();
    picture.onload = () => {{
        remember();
        wipe();
        context.drawImage(picture, 0, 0, side, side);
    }};
    picture.src = sent;
}};
const place = event => {{
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * side / box.width, (event.clientY - box.top) * side / box.height];
}};
const choose = eraser => {{
    erasing = eraser;
    draw.setAttribute("aria-pressed", !eraser);
    erase.setAttribute("aria-pressed", eraser);
}};

canvas.addEventListener("pointerdown", event => {{
    if (pointer !== null || event.button !== 0) return;
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
    remember();
    context.strokeStyle = erasing ? "white" : "black";
    context.lineWidth = erasing ? {_ERASER} : {_BRUSH};
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
draw.addEventListener("click", () => choose(false));
erase.addEventListener("click", () => choose(true));
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
    return gr.HTML("", html_template=_PAGE, js_on_load=_SCRIPT, apply_default_css=False, label=strings.BOARD)


def open_drawing(value: object) -> Image.Image | None:
    """The drawing in a board's value, or None if nothing is drawn.

    Raises:
        ImageError: the value, which a program may have sent, holds no drawing of a board.
    """
    if not value:
        return None
    try:
        data = base64.b64decode(str(value).removeprefix(_ADDRESS), validate=True)
    except binascii.Error as error:
        raise ImageError(*strings.NO_DRAWING) from error
    drawing = open_image(data, max_pixels=_SIDE**2).convert("L")
    return None if drawing.getextrema() == (255, 255) else drawing


def as_drawing(path: Path) -> str:
    """A PNG file as a board's value."""
    return _ADDRESS + base64.b64encode(path.read_bytes()).decode()
