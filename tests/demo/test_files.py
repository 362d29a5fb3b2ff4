"""The files that visitors leave on the server."""

import time
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")

from gradio_client import Client, handle_file

from helpers.demo_server import launched_here


@pytest.mark.slow
def test_files_are_deleted_in_time(space: Path, tmp_path: Path, red_picture: Path) -> None:
    cache, upscalers = tmp_path / "cache", [space / "tiny-upscaler"]
    with launched_here(cache, [space / "tiny-generator"], upscalers, keep_seconds=6) as url:
        client = Client(url, verbose=False)
        client.predict(count=2, api_name="/generate")
        client.predict(seconds=0.5, api_name="/walk")
        client.predict(handle_file(red_picture), api_name="/upscale")
        client.predict([handle_file(red_picture)], 0, None, None, api_name="/upscale_several")
        assert _files(cache)
        deadline = time.monotonic() + 90
        while left := _files(cache):
            assert time.monotonic() < deadline, left
            time.sleep(0.1)
        assert client.predict(count=1, api_name="/generate")


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
