"""The Gradio demo: images from generators, enlargements from upscalers. `app.py` launches it."""

from hubgan.demo.interface import build_demo, launch_options

__all__ = ["build_demo", "launch_options"]
