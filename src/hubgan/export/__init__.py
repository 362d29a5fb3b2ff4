"""Models and their images for other programs."""
