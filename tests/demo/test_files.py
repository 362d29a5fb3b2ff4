"""The files that visitors leave on the server."""

import shutil
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
pytest.importorskip("playwright.sync_api", reason="the helpers that start the demo need it")

from gradio_client import Client, handle_file

from helpers.browsing import running
from helpers.demo_server import environment


@pytest.mark.e2e
@pytest.mark.slow
def test_files_are_deleted_in_time(space: Path, tmp_path: Path, red_picture: Path) -> None:
    short = space / "short"
    shutil.copytree(space / "src", short / "src", dirs_exist_ok=True)
    (short / "app.py").write_text(
        "import os, sys\n"
        "sys.path.insert(0, 'src')\n"
        "from hubgan.demo import build_demo, launch_options\n"
        "names = [os.environ[f'HUBGAN_{kind}S'].split(',') for kind in ('GENERATOR', 'UPSCALER')]\n"
        "build_demo(*names, keep_seconds=12).launch(**launch_options())\n"
    )
    cache = tmp_path / "cache"
    with running(sys.executable, short, environment(space, GRADIO_TEMP_DIR=str(cache)), tmp_path / "log.txt") as url:
        client = Client(url, verbose=False)
        client.predict(count=2, api_name="/generate")
        client.predict(seconds=0.5, api_name="/walk")
        client.predict(handle_file(red_picture), api_name="/upscale")
        client.predict([handle_file(red_picture)], 0, None, None, api_name="/upscale_several")
        assert _files(cache)
        deadline = time.monotonic() + 90
        while left := _files(cache):
            assert time.monotonic() < deadline, left
            time.sleep(0.5)
        assert client.predict(count=1, api_name="/generate")


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
