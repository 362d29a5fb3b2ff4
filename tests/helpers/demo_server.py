"""The demo for tests: the environment of its server, the screens of its visitors, and a demo in this process."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from helpers.forking import free_port

SIZE, SCALE = 16, 3
CLASSES = ["cat", "dog", "ship"]
# What visitors have: a monitor, or a phone held upright.
SCREENS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {
        "viewport": {"width": 375, "height": 667},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
}
in_the_same_tab = pytest.mark.parametrize("page", ["desktop"], indirect=True)
"""For tests that leave the settings as they were. They find no picture. To load the page takes seconds of CPU."""
on_each_screen = pytest.mark.parametrize("page", ["desktop", "phone"], indirect=True)
"""The same, for what looks or works otherwise on a phone. All others run on a monitor."""


def environment(space: Path, **changes: str) -> dict[str, str]:
    """The environment of a demo of these models, with the limits of a Space."""
    # PYTHONPATH could lead to another hubgan. PYTHONDONTWRITEBYTECODE would leave no sign of which one ran.
    dropped = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    return {
        **{key: value for key, value in os.environ.items() if key not in dropped},
        "HUBGAN_GENERATORS": f"{space / 'tiny-generator'},{space / 'tiny-classes'}",
        "HUBGAN_UPSCALERS": str(space / "tiny-upscaler"),
        "HUBGAN_TRANSLATORS": "",
        "GRADIO_TEMP_DIR": str(space / "cache"),
        "HF_HUB_OFFLINE": "1",
        "SPACE_ID": "tester/demo",
        "HUBGAN_MAX_TOTAL_MEGAPIXELS": "16",  # twice that of a Space: enough work to be stopped
        **changes,
    }


@contextmanager
def launched_here(
    cache: Path,
    generators: Sequence[Path],
    upscalers: Sequence[Path],
    translators: Sequence[Path] = (),
    keep_seconds: int = 3600,
    **environment: str,
) -> Iterator[str]:
    """The address of a demo in this process, which has imported what it needs: a new one takes seconds for that.

    Args:
        cache: takes the files of visitors.
        generators: folders of models.
        upscalers: the same.
        translators: the same.
        keep_seconds: as for `build_demo`.
        environment: variables that are set as long as the demo runs.
    """
    from hubgan.demo import build_demo, launch_options

    server = {"server_name": "127.0.0.1", "server_port": free_port(), "prevent_thread_lock": True, "quiet": True}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"GRADIO_TEMP_DIR": str(cache), **environment}.items():
            patch.setenv(name, value)
        models = ([*map(str, folders)] for folders in (generators, upscalers, translators))
        demo = build_demo(*models, keep_seconds=keep_seconds)
        with ThreadPoolExecutor(1) as elsewhere:  # in this thread Playwright's loop may be running
            _, url, _ = elsewhere.submit(demo.launch, **server, **launch_options()).result()
        try:
            yield url.rstrip("/")
        finally:
            demo.close(verbose=False)
