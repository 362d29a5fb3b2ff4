"""The tab that generates images."""

import random

import gradio as gr

from hubgan.demo import files, models
from hubgan.demo.look import toast
from hubgan.errors import HubganError

MAX_IMAGES = 64
MAX_SEED = 2**31 - 1


def generate_tab(name: str) -> None:
    """The tab of the generator called `name`, a Hub name or a folder."""
    # On the CPU even where there is a GPU: ZeroGPU lends none while the page is being built.
    model = models.load_generator(name, "cpu")
    first, archive, sheet = files.save_samples(model.sample(16, seed=0), seed=0)
    models.load_generator(name, models.device())

    def generate(count: int, seed: int | None, random_seed: bool) -> tuple[list[str], str, str, int]:
        """Generate images with the GAN. The same seed gives the same images.

        Args:
            count: How many images, 1 to 64.
            seed: Where the random numbers start, 0 to 2147483647.
            random_seed: Ignore `seed` and draw a new one.

        Returns:
            The images as PNG files, a ZIP archive of them and their grid, the grid as a PNG file, the seed.
        """
        if random_seed or seed is None:
            seed = random.randint(0, MAX_SEED)
        try:
            images = models.sample(name, int(count), seed)
        except HubganError as error:
            raise toast(str(error)) from error
        return *files.save_samples(images, seed), seed

    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            count = gr.Slider(1, MAX_IMAGES, value=16, step=1, label="Images")
            seed = gr.Number(
                0,
                label="Seed",
                info="The same seed gives the same images.",
                precision=0,
                minimum=0,
                maximum=MAX_SEED,
            )
            random_seed = gr.Checkbox(True, label="New random seed every time")
            button = gr.Button("Generate", variant="primary")
        with gr.Column(scale=2, min_width=320):
            small = model.image_size <= 64
            gallery = gr.Gallery(
                first,
                format="png",
                label="Images",
                show_label=False,
                height="auto",
                object_fit="contain",
                buttons=["download", "fullscreen"],
                interactive=False,
                elem_classes=["samples", "pixels"] if small else ["samples"],
            )
            with gr.Row():
                pack = gr.DownloadButton("Download all (ZIP)", archive, size="md")
                poster = gr.DownloadButton("Download grid (PNG)", sheet, size="md")

    # Whoever types a seed wants that seed.
    seed.input(None, outputs=random_seed, js="() => false", api_visibility="private")
    gr.on(
        [button.click, seed.submit],
        generate,
        [count, seed, random_seed],
        [gallery, pack, poster, seed],
        api_name="generate",
        concurrency_id="model",
        concurrency_limit=1,
        show_progress_on=gallery,
    )
