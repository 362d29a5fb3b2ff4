"""The tab that translates drawings, and pictures, to other pictures."""

from __future__ import annotations

import html
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from hubgan.demo import files, models, strings
from hubgan.demo.board import add_board, add_eraser, as_drawing, erased, open_drawing, to_erase
from hubgan.demo.errors import sentences, translate_errors
from hubgan.demo.events import PRIVATE, SILENT, Updates
from hubgan.demo.limits import Limits
from hubgan.demo.links import SHOW_LINK, has_translation, read_translation, write_translation
from hubgan.demo.models import ModelRegistry
from hubgan.demo.samples import check_seed, file_name, random_seed
from hubgan.demo.theme import set_alternative_texts
from hubgan.demo.uploads import EXAMPLES, check_uploaded, open_upload, read_header
from hubgan.errors import HubganError

if TYPE_CHECKING:
    from hubgan import Translator

# A queue of its own: a stroke takes a moment, and must not wait for minutes of upscaling.
_QUEUE: Any = {"concurrency_id": "translator", "concurrency_limit": 1}
_LIVE: Any = {"trigger_mode": "always_last", "show_progress": "hidden", "preprocess": False, **PRIVATE, **_QUEUE}
_DRAWN = ("", "edges")  # inputs that can be drawn; the others are made of pictures
_COMPARED = ("grey", "mask")  # inputs of which much is left in the result


class TranslateTab:
    """The tab of these translators. It adds its components to the current `gr.Blocks`.

    Args:
        registry: the translators.
        limits: what visitors may ask for.
        sends: whether there is another tab to send a picture to.

    Attributes:
        result: the file of the picture on the page, or None.
        send: the button that sends this picture to the other tab.
        select_inputs: the component that `select` reads.
        load_outputs: the components that `load` and `select` change.
    """

    def __init__(self, registry: ModelRegistry[Translator], limits: Limits, *, sends: bool = True) -> None:
        self._registry, self._limits, self._sends = registry, limits, sends
        self._sketches = sorted((EXAMPLES / "sketches").glob("*.png"))
        with gr.Row(elem_classes="workspace"):
            with gr.Column(scale=1, min_width=280):
                with gr.Column(elem_classes="input"):
                    self._add_inputs()
                self._add_settings()
            with gr.Column(scale=1, min_width=280), gr.Column(elem_classes="result"):
                self._add_results()
        self.result = gr.State()
        self._link = gr.Textbox(visible="hidden", label=strings.LINK)
        self._result_outputs = [
            self._made,
            self._comparison,
            self._note,
            self._download,
            self.send,
            self.result,
            self._link,
        ]
        self._model_outputs = [
            self._problem,
            self._source,
            self._board,
            self._examples,
            self._picture,
            self._prepare,
            self._seed,
            self._another,
            self._typical,
        ]
        self.select_inputs = self._model
        self.load_outputs = [*self._model_outputs, self._notice, self._note, self._model]
        self._connect()

    def _add_inputs(self) -> None:
        self._problem, self._notice = (gr.Markdown(visible=False, elem_classes="problem") for _ in range(2))
        self._source = gr.Radio(
            strings.SOURCES, value=strings.SOURCES[0], label=strings.SOURCE, show_label=False, container=False
        )
        self._board = add_board()
        self._picture = gr.Image(
            type="filepath",
            image_mode=None,
            sources=["upload", "webcam", "clipboard"],
            label=strings.PICTURE,
            buttons=[],
            height=300,
            elem_classes="picture",
            visible="hidden",
        )
        self._eraser = add_eraser()
        self._prepare = gr.Checkbox(False, label=strings.PREPARE, visible=False)

    def _add_settings(self) -> None:
        self._examples = gr.Dataset(
            components=[gr.Image(type="filepath", label=strings.SKETCHES, render=False)],
            samples=[[str(path)] for path in self._sketches],
            type="index",
            label=strings.SKETCHES,
            visible=bool(self._sketches),
        )
        labels = list(self._registry.names)
        self._model = gr.Radio(labels, value=labels[0], label=strings.MODEL, visible=len(labels) > 1)
        # Not a number: the page would show 0 for None.
        self._seed = gr.Textbox(
            label=strings.SEED, info=strings.TRANSLATION_SEED_INFO, placeholder=strings.TYPICAL, max_lines=1
        )

    def _add_results(self) -> None:
        self._made = gr.Image(
            type="filepath",
            format="png",
            label=strings.TRANSLATION,
            show_label=False,
            interactive=False,
            buttons=["fullscreen"],
            elem_classes="translation",
            alt_text=strings.TRANSLATION,
        )
        self._comparison = gr.ImageSlider(
            format="png",
            label=strings.COMPARISON,
            show_label=False,
            buttons=["fullscreen"],
            interactive=False,
            visible=False,
            max_height=520,
            elem_classes="coloured",
        )
        self._note = gr.Markdown(strings.LOADING, elem_classes="hint")
        button: Any = {"size": "md", "min_width": 120}
        with gr.Row():
            self._another = gr.Button(strings.ANOTHER, variant="primary", **button)
            self._typical = gr.Button(strings.TYPICAL, **button)
        with gr.Row():
            self.send = gr.Button(strings.SEND, interactive=False, visible=self._sends, **button)
            self._download = gr.DownloadButton(
                strings.DOWNLOAD_AS.format(kind=strings.FORMATS["png"]), interactive=False, **button
            )

    def _connect(self) -> None:
        settings: Any = {
            self._source,
            self._board,
            self._picture,
            self._eraser,
            self._prepare,
            self._model,
            self._seed,
        }
        live: Any = {"inputs": settings, **_LIVE}
        changed = gr.on(
            [self._board.input, self._eraser.input, self._prepare.input, self._seed.input],
            self.show,
            outputs=self._result_outputs,
            **live,
        )
        drawn = self._examples.click(
            self.show_example,
            {*settings, self._examples},
            [self._board, *self._result_outputs],
            **_LIVE,
        )
        seeded = [
            button.click(handler, outputs=[self._seed, *self._result_outputs], **live)
            for button, handler in ((self._another, self.another), (self._typical, self.typical))
        ]
        chosen: Any = {"trigger_mode": "always_last", **SILENT}  # else a second choice could be lost
        erasable: Any = {
            "inputs": [self._picture, self._model],
            "outputs": self._eraser,
            "preprocess": False,
            **chosen,
        }
        uploaded = self._picture.input(self.show_eraser, **erasable).success(
            self.show, outputs=self._result_outputs, **live
        )
        sources = [self._board, self._examples, self._picture, self._prepare]
        from_source = self._source.input(self.show_source, [self._source, self._model], sources, **chosen).then(
            self.show, outputs=self._result_outputs, **live
        )
        from_model = (
            self._model.input(self.show_model, self._model, self._model_outputs, **chosen)
            .then(self.show_eraser, **erasable)
            .then(self.show, outputs=self._result_outputs, **live)
        )
        for done in (changed, uploaded, drawn, *seeded, from_source, from_model):
            done.success(None, js=set_alternative_texts("coloured", strings.GIVEN, strings.TRANSLATION), **PRIVATE)
        self._link.change(None, self._link, js=SHOW_LINK, **PRIVATE)
        seed_field, size_field = (
            gr.Number(None, label=label, visible=False) for label in (strings.SEED, strings.SIDE)
        )
        gr.Button(visible=False).click(
            self.translate,
            [self._picture, self._model, seed_field, size_field, gr.Checkbox(label=strings.PREPARE, visible=False)],
            self._made,
            api_name="translate",
            preprocess=False,
            **_QUEUE,
        )

    # -- event handlers

    @translate_errors
    def translate(
        self,
        picture: dict[str, Any] | None,
        model: str | None = None,
        seed: int | None = None,
        size: int | None = None,
        prepare: bool = False,
    ) -> Updates:
        """Translate a drawing or a picture to another picture with the GAN. The same seed gives the same result.

        Args:
            picture: A drawing with dark lines on white, or what else the model learned from; a file of any common
                format.
            model: The name of one of this demo's translators. By default the first one.
            seed: Of another possible result, 0 to 2147483647. By default the result is the most typical one.
            size: The longer side in pixels, 16 to 2048, at which the model works. By default that of its training.
            prepare: Whether to compute the model's input from the picture, such as the sketch of a photo.

        Returns:
            The result as a PNG file.
        """
        path, name = check_uploaded(picture)
        label = self._registry.label(model)
        self._registry.get(label)
        opened = open_upload(path, name, self._limits.for_scale(1))
        made = models.translate(self._registry.names[label], opened, _seed(seed), _whole(size), bool(prepare))
        for remark in _remarks(path, name):
            gr.Warning(remark)
        return {self._made: _save(made, label, _seed(seed))}

    @translate_errors
    def show(self, values: Mapping[Any, Any]) -> Updates:
        """Translate what is drawn or uploaded."""
        return self._show(values, values[self._seed])

    @translate_errors
    def show_example(self, values: Mapping[Any, Any]) -> Updates:
        """Put an example on the board, and translate it."""
        drawing = as_drawing(self._sketches[values[self._examples]])
        return {self._board: drawing, **self._show({**values, self._board: drawing}, values[self._seed])}

    @translate_errors
    def another(self, values: Mapping[Any, Any]) -> Updates:
        """Translate the same to another possible result."""
        seed = random_seed()
        return {self._seed: str(seed), **self._show(values, seed)}

    @translate_errors
    def typical(self, values: Mapping[Any, Any]) -> Updates:
        """Translate the same to the most typical result."""
        return {self._seed: "", **self._show(values, None)}

    @translate_errors
    def show_source(self, source: str, label: str) -> Updates:
        """Show the board or the upload."""
        drawn = source == strings.SOURCES[0]
        return {
            self._board: gr.HTML(visible=True if drawn else "hidden"),
            self._examples: gr.Dataset(visible=drawn and bool(self._sketches)),
            self._picture: gr.Image(visible="hidden" if drawn else True),
            self._prepare: gr.Checkbox(visible=not drawn and self._registry.get(label).input == "edges"),
        }

    @translate_errors
    def show_eraser(self, picture: dict[str, Any] | None, label: str) -> Updates:
        """Show the uploaded picture on the eraser, for a model that fills holes."""
        if not picture or self._registry.get(label).input != "mask":
            return {self._eraser: gr.HTML("", visible="hidden")}
        opened = open_upload(*check_uploaded(picture), self._limits.for_scale(1))
        return {self._eraser: gr.HTML(to_erase(opened), visible=True)}

    def show_model(self, label: str) -> Updates:
        """Show what a model takes, or why it cannot be used."""
        try:
            translator = self._registry.get(label)
        except HubganError as error:
            return {self._problem: gr.Markdown(self._registry.problem(label, error), visible=True)}
        kind = translator.input
        source = strings.SOURCES[0 if _is_for_drawings(translator) else 1]
        varied = translator.latent_dim > 0
        return {
            self._problem: gr.Markdown(visible=False),
            self._source: gr.Radio(value=source, visible=kind in _DRAWN),
            **self.show_source(source, label),
            self._seed: gr.Textbox(visible=True) if varied else gr.Textbox("", visible=False),
            self._another: gr.Button(visible=varied),
            self._typical: gr.Button(visible=varied),
        }

    def select(self, label: str) -> Updates:
        """Show the upload when the tab is opened, if the model takes nothing else."""
        try:
            drawn = _is_for_drawings(self._registry.get(label))
        except HubganError:
            drawn = False
        return {self._notice: gr.skip()} if drawn else self.show_model(label)

    def load(self, request: gr.Request) -> Updates:
        """Show the model and the seed of the page's address, or else the first model that can be used."""
        label, seed, reason = self._registry.first_usable(), None, ""
        try:
            if has_translation(request.query_params):
                wanted, seed = read_translation(request.query_params)
                label = self._registry.label(wanted or None)
                if seed is not None:
                    self._registry.get(label).check_seed(seed)
        except HubganError as error:
            seed = None
            reason = strings.BAD_TRANSLATION_LINK.format(reason=html.escape(sentences(error)))
        updates = {
            **self.show_model(label),
            self._notice: gr.Markdown(reason, visible=bool(reason)),
            self._note: self._hint(label),
        }
        if label != self._registry.default:  # else keep what the visitor has chosen meanwhile
            updates[self._model] = label
        if seed is not None:
            updates[self._seed] = gr.Textbox(str(seed), visible=True)
        return updates

    # -- what the handlers return

    def _show(self, values: Mapping[Any, Any], seed: object) -> Updates:
        start = time.perf_counter()
        label, seed = self._registry.label(values[self._model]), _seed(seed)
        link = write_translation("" if label == self._registry.default else label, seed)
        translator = self._registry.get(label)
        picture, prepare, remarks = self._given(values)
        if picture is None:
            return {**self._no_result(label), self._link: link}
        made = models.translate(self._registry.names[label], picture, seed, None, prepare)
        file, compared = _save(made, label, seed), translator.input in _COMPARED
        sides = files.save_comparison(picture, made, files.new_folder()) if compared else None
        note = strings.TRANSLATED.format(
            size=strings.SIZE.format(width=made.width, height=made.height),
            model=label,
            seconds=time.perf_counter() - start,
        )
        return {
            self._made: gr.Image(None if compared else file, visible=not compared),
            self._comparison: gr.ImageSlider(sides, visible=compared),
            self._note: " ".join([note, *remarks]),
            self._download: gr.DownloadButton(value=file, interactive=True),
            self.send: gr.Button(interactive=True),
            self.result: file,
            self._link: link,
        }

    def _given(self, values: Mapping[Any, Any]) -> tuple[Image.Image | None, bool, list[str]]:
        """What is drawn or uploaded, if anything.

        Besides, whether the model's input is to be computed from it, and what of its file is left out.
        """
        if values[self._source] == strings.SOURCES[0]:
            return open_drawing(values[self._board]), False, []
        if not values[self._picture]:
            return None, False, []
        path, name = check_uploaded(values[self._picture])
        picture, remarks = open_upload(path, name, self._limits.for_scale(1)), _remarks(path, name)
        kind = self._registry.get(values[self._model]).input
        if kind == "mask":
            return erased(picture, values[self._eraser]), False, remarks
        return picture, bool(values[self._prepare]) and kind == "edges", remarks

    def _hint(self, label: str) -> str:
        """What to give to a model; nothing for one that cannot be loaded."""
        try:
            return strings.TRANSLATION_HINTS[self._registry.get(label).input]
        except HubganError:
            return ""

    def _no_result(self, label: str) -> Updates:
        return {
            self._made: gr.Image(None, visible=True),
            self._comparison: gr.ImageSlider(None, visible=False),
            self._note: self._hint(label),
            self._download: gr.DownloadButton(value=None, interactive=False),
            self.send: gr.Button(interactive=False),
            self.result: None,
        }


def _is_for_drawings(translator: Translator) -> bool:
    """Whether most people will draw its inputs: they can be drawn, and have no colours, which the pen lacks."""
    return translator.input in _DRAWN and translator.input_channels == 1


def _remarks(path: str, name: str) -> list[str]:
    """Sentences on what of a file is not in its translation."""
    header, remarks = read_header(path, name), []
    if header.frames > 1:
        remarks.append(strings.TRANSLATED_FRAME.format(count=header.frames))
    elif header.pages > 1:
        remarks.append(strings.TRANSLATED_PAGE.format(count=header.pages))
    if header.damage:
        remarks.append(strings.DAMAGED.format(parts=header.damage))
    return remarks


def _save(made: Image.Image, label: str, seed: int | None) -> str:
    """Write a result as a PNG file, with how it was made."""
    name = f"{file_name(label)}-{strings.TYPICAL.lower() if seed is None else f'seed{seed}'}.png"
    return files.save_png(made, files.new_folder() / name, origin={"model": label, "seed": seed})


def _seed(seed: object) -> int | None:
    """A seed; the field can be empty or hold any text, and programs may send whole numbers as floats."""
    if seed is None or seed == "":
        return None
    number = int(seed) if isinstance(seed, str) and seed.strip().isdecimal() else seed
    check_seed(number)
    return int(number)  # type: ignore[call-overload, no-any-return]


def _whole(size: Any) -> Any:
    """The number as an integer if it is one; the model refuses any other."""
    return int(size) if isinstance(size, float) and size.is_integer() else size
