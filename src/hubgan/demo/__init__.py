"""The Gradio demo: images from generators, enlargements from upscalers. `app.py` and `hubgan demo` launch it."""

from hubgan.demo.choice import chosen
from hubgan.demo.interface import build_demo, launch_options

__all__ = ["build_demo", "chosen", "launch_options"]
