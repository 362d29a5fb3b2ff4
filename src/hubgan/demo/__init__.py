"""The Gradio demo: images from a generator, enlargements from an upscaler. `app.py` launches it."""

from hubgan.demo.interface import build_demo, launch_options

__all__ = ["build_demo", "launch_options"]
