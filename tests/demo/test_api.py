"""The demo as programs meet it: its endpoints, and all that they must not do."""

import asyncio
import json
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="it drives the browser, and its helpers start the demo")

from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from helpers.browsing import open_tab, running
from helpers.demo_server import SCALE, environment
from helpers.pictures import png
from hubgan import Generator


@pytest.fixture
def client(url: str) -> Client:
    return Client(url, verbose=False)


@pytest.fixture
def red(tmp_path: Path) -> Path:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    return tmp_path / "red.png"


def call(url: str, endpoint: str, *data: object) -> str:
    """What the server answers to raw data, as any program may send them."""
    request = urllib.request.Request(
        f"{url}/gradio_api/call/{endpoint}",
        data=json.dumps({"data": data}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            event = json.load(answer)["event_id"]
        with urllib.request.urlopen(f"{url}/gradio_api/call/{endpoint}/{event}") as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return f"event: error\n{error.code} {error.read().decode()}"


def test_the_endpoints_are_described(url: str) -> None:
    with urllib.request.urlopen(f"{url}/gradio_api/info") as answer:
        endpoints = json.load(answer)["named_endpoints"]
    assert sorted(endpoints) == ["/generate", "/similar", "/upscale", "/upscale_several", "/walk"]
    assert all(endpoint["description"] for endpoint in endpoints.values())


def test_generate_similar_and_walk(client: Client, space: Path) -> None:
    images, pack, sheet, seed = client.predict(
        count=2, seed=5, classes=["dog"], variety=4, model="tiny-classes", api_name="/generate"
    )
    assert (len(images), seed) == (2, 5) and Path(pack).suffix == ".zip" and Path(sheet).suffix == ".png"
    expected = Generator.from_pretrained(space / "tiny-classes").sample(2, labels="dog", seed=5)
    made = np.asarray(Image.open(images[1]["image"]))
    assert np.abs(made.astype(int) - np.asarray(expected[1])).max() <= 1

    near, *_ = client.predict(
        seed=5, index=1, difference=0.3, count=3, classes=["dog"], variety=4, model="tiny-classes", api_name="/similar"
    )
    assert len(near) == 3 and (np.asarray(Image.open(near[0]["image"])) == made).all()
    walk, _ = client.predict(
        first_seed=1, second_seed=2, seconds=0.5, label="cat", model="tiny-classes", api_name="/walk"
    )
    assert Image.open(walk).format == "GIF"


def test_several_pictures(client: Client, red: Path) -> None:
    archive, report = client.predict([handle_file(red)] * 2, 0, None, 1.5, api_name="/upscale_several")
    assert Path(archive).suffix == ".zip" and report.startswith("2 enlarged")


@pytest.mark.parametrize(
    ("endpoint", "data", "complaint"),
    [
        ("generate", {"count": 65}, "65|From 1 to 64"),
        ("generate", {"count": 2.5}, "A whole number from 1 to 64"),
        ("generate", {"seed": -1}, "-1|A seed is"),
        ("generate", {"classes": ["elephant"], "model": "tiny-classes"}, "elephant"),
        ("generate", {"classes": ["cat"]}, "no classes|cat"),
        ("generate", {"variety": 9}, "9|Variety"),
        ("generate", {"model": "mine"}, "mine"),
        ("similar", {"seed": 1, "index": 64}, "64"),
        ("similar", {"seed": 1, "difference": 2}, "2"),
        ("walk", {"seconds": 1000}, "1000|A walk takes"),
        ("walk", {"first_seed": -5}, "-5|A seed"),
        ("walk", {"label": "elephant", "model": "tiny-classes"}, "elephant"),
        ("walk", {"first_seed": None}, "A seed is a whole number"),  # a field that was emptied
        ("similar", {"seed": None}, "A seed is a whole number"),
        ("similar", {"seed": 1, "index": None}, "numbered from 0"),
    ],
)
def test_what_cannot_be_is_told(client: Client, endpoint: str, data: dict[str, object], complaint: str) -> None:
    with pytest.raises(AppError, match=complaint):
        client.predict(**data, api_name=f"/{endpoint}")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (([2, None, None, None]), "Fidelity goes from 0 to 1"),
        (([-1, None, None, None]), "Fidelity goes from 0 to 1"),
        ((["x", None, None, None]), "Fidelity goes from 0 to 1"),
        (([None, None, None, None]), "Fidelity goes from 0 to 1"),
        (([0, "mine", None, None]), "There is no model mine here, but tiny-upscaler"),
        (([0, None, 0.5, None]), "enlarged by 1 or more"),
        (([0, None, "x", None]), "enlarged by 1 or more"),
        (([0, None, None, "somewhere"]), "There is no part somewhere"),
    ],
)
def test_settings_that_cannot_be_are_told(client: Client, red: Path, values: list[object], complaint: str) -> None:
    with pytest.raises(AppError, match=complaint):
        client.predict(handle_file(red), *values, api_name="/upscale")


BAD_FILES: dict[str, Callable[[], bytes]] = {
    "empty.png": lambda: b"",
    "words.jpg": lambda: b"no picture at all",
    "page.svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "bomb.png": lambda: png(100_000, 100_000),
    "cut.png": lambda: _encoded((300, 300), "PNG")[:-3000],
    "cut.jpg": lambda: _encoded((300, 300), "JPEG")[:40],
    "wide.png": lambda: png(2_000_000, 3_000),
    "nothing.gif": lambda: b"GIF89a",
    "pickle.png": lambda: b"\x80\x04\x95",
}


def _encoded(size: tuple[int, int], kind: str) -> bytes:
    import io

    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_explained_without_a_traceback_or_a_path(client: Client, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(BAD_FILES[name]())
    with pytest.raises(AppError) as raised:
        client.predict(handle_file(tmp_path / name), api_name="/upscale")
    said = str(raised.value)
    assert name in said and "/" not in said.replace("and/or", "") and "Traceback" not in said


@pytest.mark.parametrize(
    ("size", "mode", "ending"),
    [
        ((1, 1), "RGB", "png"),
        ((1, 20_000), "RGB", "png"),
        ((9, 7), "I;16", "png"),
        ((9, 7), "CMYK", "jpg"),
        ((9, 7), "P", "gif"),
        ((9, 7), "1", "png"),
        ((9, 7), "LA", "png"),
        ((9, 7), "RGBA", "webp"),
        ((9, 7), "RGB", "avif"),
        ((64, 64), "RGB", "heic"),
        ((9, 7), "RGB", "bmp"),
        ((9, 7), "L", "tiff"),
    ],
)
def test_pictures_of_all_kinds(client: Client, tmp_path: Path, size: tuple[int, int], mode: str, ending: str) -> None:
    path = tmp_path / f"picture.{ending}"
    if ending == "heic":
        pillow_heif = pytest.importorskip("pillow_heif", reason="HEIC needs pillow-heif: pip install 'hubgan[heif]'")
        pillow_heif.from_pillow(Image.new(mode, size)).save(path)
    else:
        Image.new(mode, size).save(path)
    _, large, _ = client.predict(handle_file(path), api_name="/upscale")
    assert Image.open(large).size == (size[0] * SCALE, size[1] * SCALE)


def test_a_wrong_ending_does_not_matter(client: Client, tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_bytes(_encoded((8, 8), "JPEG"))
    _, large, _ = client.predict(handle_file(tmp_path / "photo.txt"), api_name="/upscale")
    assert Image.open(large).size == (8 * SCALE, 8 * SCALE)


@pytest.mark.parametrize(
    "data",
    [
        (),
        (None,),
        ("text", 0, None, None, None),
        ({"path": ""}, 0, None, None, None),
        ({"path": 7}, 0, None, None, None),
        ({"path": ["a"]}, 0, None, None, None),
        ([], {}, [], {}, []),
    ],
)
def test_raw_data_of_any_kind_end_in_an_error(url: str, data: tuple[object, ...]) -> None:
    said = call(url, "upscale", *data)
    assert "event: error" in said and "Traceback" not in said and 'File "' not in said


@pytest.mark.parametrize("endpoint", ["upscale", "upscale_several"])
def test_none_of_the_servers_own_files_is_opened(url: str, tmp_path: Path, endpoint: str) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "private.png")
    picture: object = {"path": str(tmp_path / "private.png"), "meta": {"_type": "gradio.FileData"}}
    said = call(url, endpoint, picture if endpoint == "upscale" else [picture], 0, None, None, None)
    assert "event: error" in said and "private-x" not in said


@pytest.mark.parametrize(
    "path",
    ["file=/etc/passwd", "file=app.py", "file=../log.txt", "file=src/hubgan/demo/models.py", "file=%2e%2e/log.txt"],
)
def test_nothing_outside_can_be_fetched(url: str, space: Path, path: str) -> None:
    for wanted in (path, path.replace("file=", f"file={space}/")):
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(f"{url}/gradio_api/{wanted}")
        assert raised.value.code in (403, 404)


def test_many_at_once_get_their_own_pictures(url: str, tmp_path: Path) -> None:
    def upscale(number: int) -> bool:
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (8 + number, 8), (number * 20, 0, 0)).save(path)
        _, large, _ = Client(url, verbose=False).predict(handle_file(path), api_name="/upscale")
        image = Image.open(large)
        return image.size == ((8 + number) * SCALE, 8 * SCALE)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(upscale, range(8)))


def test_a_full_queue_is_told_politely(browser: "playwright.Browser", space: Path, tmp_path: Path) -> None:
    """Thirty-two wait, and who comes then is told so, and finds a page that works; afterwards it goes on as before."""
    with running(sys.executable, space, environment(space), tmp_path / "log.txt") as url:
        client = Client(url, verbose=False)
        client.predict(api_name="/generate")  # it has started
        noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "noise.png")
        jobs = [client.submit(handle_file(tmp_path / "noise.png"), api_name="/upscale") for _ in range(60)]
        deadline = time.monotonic() + 60
        while not any(job.done() and job.exception() for job in jobs):  # somebody was refused
            assert time.monotonic() < deadline
            time.sleep(0.05)
        page = browser.new_page()
        page.goto(url)
        playwright.expect(page.get_by_role("button", name="Generate", exact=True)).to_be_enabled()
        open_tab(page, "About")
        page.get_by_role("button", name="tiny-classes").wait_for()
        page.close()
        said: list[str] = []
        for job in jobs:
            try:
                job.result(timeout=240)
            except Exception as error:  # of whatever kind the client makes it
                said.append(str(error))
        assert said and all("full" in words or "busy" in words.lower() for words in said), said
        assert len(said) < len(jobs)
        assert client.predict(api_name="/generate")


def test_files_are_deleted_in_time(space: Path, tmp_path: Path, red: Path) -> None:
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
        client.predict(handle_file(red), api_name="/upscale")
        client.predict([handle_file(red)], 0, None, None, api_name="/upscale_several")
        assert _files(cache)
        deadline = time.monotonic() + 90
        while left := _files(cache):
            assert time.monotonic() < deadline, left
            time.sleep(0.5)
        assert client.predict(count=1, api_name="/generate")


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_the_functions_are_tools_of_an_mcp_server(space: Path, tmp_path: Path, red: Path) -> None:
    mcp = pytest.importorskip("mcp", reason="MCP needs its package: pip install 'hubgan[mcp]'")
    from mcp.client.streamable_http import streamable_http_client

    async def talk(url: str) -> tuple[dict[str, str], dict[str, Any], bool]:
        transport = streamable_http_client(f"{url}/gradio_api/mcp/")
        async with transport as (reading, writing, _), mcp.ClientSession(reading, writing) as session:
            await session.initialize()
            tools = {tool.name: tool.description or "" for tool in (await session.list_tools()).tools}
            wanted = {"count": 2, "seed": 7, "classes": ["ship"], "model": "tiny-classes"}
            made = await session.call_tool("generate", wanted)
            walk = await session.call_tool("walk", {"seconds": 0.5, "label": "dog", "model": "tiny-classes"})
            assert not walk.isError, walk.content
            local = await session.call_tool("upscale", {"picture": str(red)})
            return tools, made.model_dump(), bool(local.isError)

    switched = environment(space, GRADIO_MCP_SERVER="True")
    # In this thread Playwright's loop may be running.
    with running(sys.executable, space, switched, tmp_path / "log.txt") as url, ThreadPoolExecutor(1) as elsewhere:
        tools, made, refused = elsewhere.submit(asyncio.run, talk(url)).result()
    assert sorted(tools) == ["generate", "similar", "upscale", "upscale_several", "walk"]
    assert all(tools.values()) and not made["isError"]
    assert "seed7-00.png" in str(made["content"])
    assert refused
