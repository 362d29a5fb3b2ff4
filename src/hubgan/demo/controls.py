"""The settings that the three parts of the second tab share: a picture, several pictures and a video."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from hubgan.demo import strings
from hubgan.demo.events import SILENT, Updates

if TYPE_CHECKING:
    from hubgan import Upscaler


class UpscaleControls:
    """The controls of an upscaler. It adds its components, all but the model, to the current `gr.Blocks`.

    Args:
        model: the choice of an upscaler.

    Attributes:
        settings: the components of the fidelity, the model, the scale, the strength and its automatic choice, which
            is the order in which endpoints take them.
        components: those that `show` changes.
    """

    def __init__(self, model: gr.Radio) -> None:
        self.model = model
        self.automatic = gr.Checkbox(
            True, label=strings.AUTOMATIC, info=strings.AUTOMATIC_INFO, visible=False, container=True
        )
        self.strength = gr.Slider(
            0, 1, value=0.5, step=0.05, label=strings.STRENGTH, info=strings.STRENGTH_INFO, visible=False
        )
        self.fidelity = gr.Slider(
            0, 1, value=0, step=0.1, label=strings.FIDELITY, info=strings.FIDELITY_INFO, visible=False
        )
        self.scale = gr.Slider(1, 4, value=4, step=0.5, label=strings.SCALE, info=strings.SCALE_INFO, visible=False)
        kinds = [(words, kind) for kind, words in strings.FORMATS.items()]
        self.format = gr.Dropdown(kinds, value="same", label=strings.FORMAT)
        self.settings = [self.fidelity, model, self.scale, self.strength, self.automatic]
        self.components = [self.automatic, self.strength, self.fidelity, self.scale]
        self.automatic.input(
            lambda automatic: gr.Slider(visible=not automatic), self.automatic, self.strength, **SILENT
        )

    def show(self, upscaler: Upscaler, *, has_fidelity: bool) -> Updates:
        """Show the controls that have an effect on this upscaler."""
        return {
            self.automatic: gr.Checkbox(True, visible=upscaler.has_strength),
            self.strength: gr.Slider(visible=False),
            self.fidelity: gr.Slider(visible=has_fidelity),
            self.scale: gr.Slider(maximum=upscaler.scale, value=upscaler.scale, visible=upscaler.scale > 1),
        }
