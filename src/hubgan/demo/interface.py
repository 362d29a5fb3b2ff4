"""The page, made of its tabs."""

import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from huggingface_hub import constants

from hubgan.demo import models, strings
from hubgan.demo.about import AboutTab
from hubgan.demo.errors import translate_errors
from hubgan.demo.events import SILENT, Updates
from hubgan.demo.generate import GenerateTab
from hubgan.demo.limits import Limits
from hubgan.demo.links import has_translation
from hubgan.demo.models import ModelRegistry
from hubgan.demo.samples import GeneratedImages
from hubgan.demo.theme import CSS, THEME, accept_any_file
from hubgan.demo.translate import TranslateTab
from hubgan.demo.upscale import UpscaleTab
from hubgan.errors import ConfigError


def build_demo(
    generators: Sequence[str] = (),
    upscalers: Sequence[str] = (),
    translators: Sequence[str] = (),
    *,
    keep_seconds: int = 4 * 3600,
) -> gr.Blocks:
    """The demo of generators, upscalers and translators.

    Each kind has a tab, if there is a model of it. The models load in the background. If one cannot be loaded, its tab
    says why.

    Args:
        generators: Hub names or folders, of which visitors choose one.
        upscalers: the same.
        translators: the same.
        keep_seconds: the age at which visitors' files are deleted; it takes up to a quarter of that longer.

    Raises:
        ConfigError: all lists are empty, or two names of a list end in the same folder; or the environment holds a
            limit that is no number.
    """
    limits = Limits.from_environment()
    generator_registry = ModelRegistry(models.load_generator, generators) if generators else None
    upscaler_registry = ModelRegistry(models.load_upscaler, upscalers) if upscalers else None
    translator_registry = ModelRegistry(models.load_translator, translators) if translators else None
    tasks = dict(zip(strings.TASKS, (generator_registry, upscaler_registry, translator_registry), strict=True))
    shown = {task: registry for task, registry in tasks.items() if registry is not None}
    if not shown:
        raise ConfigError(*strings.NO_MODEL)
    registries = list(shown.values())
    delete_cache = (max(1, keep_seconds // 4), keep_seconds)
    with gr.Blocks(title=strings.TITLE, analytics_enabled=False, delete_cache=delete_cache) as demo:
        headline = gr.Markdown(_headline(shown), elem_classes="title")
        with gr.Tabs() as tabs:
            if generator_registry is not None:
                with gr.Tab(strings.GENERATE_TAB, id="generate"):
                    generate_tab = GenerateTab(generator_registry, sends=upscaler_registry is not None)
            if upscaler_registry is not None:
                with gr.Tab(strings.UPSCALE_TAB, id="upscale"):
                    upscale_tab = UpscaleTab(upscaler_registry, limits)
            if translator_registry is not None:
                with gr.Tab(strings.TRANSLATE_TAB, id="translate") as translate:
                    translate_tab = TranslateTab(translator_registry, limits, sends=upscaler_registry is not None)
            with gr.Tab(strings.ABOUT_TAB, id="about"):
                about_tab = AboutTab(registries)

        @translate_errors
        def send_to_upscale(images: GeneratedImages | None, picked: int | None) -> Updates:
            if images is None or picked is None:
                raise ConfigError(*strings.NOT_PICKED)
            return {**upscale_tab.take(images.files[picked]), tabs: gr.Tabs(selected="upscale")}

        def send_translation(file: str) -> Updates:
            return {**upscale_tab.take(file), tabs: gr.Tabs(selected="upscale")}

        def open_linked_tab(request: gr.Request) -> Any:
            return gr.Tabs(selected="translate") if has_translation(request.query_params) else gr.skip()

        def load_headline() -> str:
            return _headline(shown, strings.HARDWARE[models.device()])

        if upscaler_registry is not None:
            take_outputs, taken = [*upscale_tab.take_outputs, tabs], []
            if generator_registry is not None:
                picked = [generate_tab.images, generate_tab.picked]
                taken.append(generate_tab.send.click(send_to_upscale, picked, take_outputs, **SILENT))
            if translator_registry is not None:
                taken.append(translate_tab.send.click(send_translation, translate_tab.result, take_outputs, **SILENT))
            upscale_tab.connect(*taken)
        if translator_registry is not None:
            # The page loses what shows a component of a tab that was never open, so both come after that.
            translate.select(translate_tab.select, translate_tab.select_inputs, translate_tab.load_outputs, **SILENT)
            demo.load(open_linked_tab, None, tabs, **SILENT).then(
                translate_tab.load, None, translate_tab.load_outputs, **SILENT
            )
        # None of these waits in the queue, so the page works even if it is full.
        if generator_registry is not None:
            demo.load(generate_tab.load, None, generate_tab.load_outputs, **SILENT)
        if upscaler_registry is not None:
            demo.load(upscale_tab.load, None, upscale_tab.load_outputs, **SILENT)
        demo.load(about_tab.load, None, about_tab.load_outputs, **SILENT)
        demo.load(load_headline, None, headline, **SILENT)
    for registry in registries:
        registry.load_in_background()
    page: gr.Blocks = demo.queue(max_size=32, default_concurrency_limit=4)
    return page


def launch_options() -> dict[str, Any]:
    """The options of `Blocks.launch` for this demo: its theme, and the largest upload.

    Raises:
        ConfigError: the environment holds a limit that is no number.
    """
    megabytes = Limits.from_environment().upload_megabytes
    return {
        "theme": THEME,
        "css": CSS,
        "js": accept_any_file("picture"),
        "max_file_size": None if math.isinf(megabytes) else int(megabytes * 1e6),
        "footer_links": ["api", "gradio", "settings"],
    }


def _headline(shown: Mapping[str, ModelRegistry[Any]], hardware: str = "") -> str:
    """What the tabs do, with the models of each registry, and on which hardware."""

    def names(registry: ModelRegistry[Any]) -> str:
        return strings.OR.join(_model_link(label, name) for label, name in registry.names.items())

    tasks = [task.format(models=names(registry)) for task, registry in shown.items()]
    return "\n".join([strings.HEADLINE, " ".join([*tasks, hardware])])


def _model_link(label: str, name: str) -> str:
    if label != name or Path(name).exists():  # a folder has no page
        return f"<code>{html.escape(label)}</code>"
    return f'<a href="{constants.ENDPOINT}/{html.escape(name)}" target="_blank">{html.escape(name)}</a>'
