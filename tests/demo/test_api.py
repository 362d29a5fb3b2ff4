"""The demo's endpoints as programs call them, and what they must not do."""

import asyncio
import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
pytest.importorskip("playwright.sync_api", reason="the helpers that start the demo need it")

from gradio_client import Client
from gradio_client.exceptions import AppError

from hubgan import Generator


def call(url: str, endpoint: str, *data: object) -> str:
    """The server's answer to raw data, which a program may send."""
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
    assert sorted(endpoints) == [
        "/edit",
        "/generate",
        "/similar",
        "/upscale",
        "/upscale_several",
        "/upscale_video",
        "/walk",
    ]
    assert all(endpoint["description"] for endpoint in endpoints.values())


def test_generate_similar_and_walk(client: Client, space: Path) -> None:
    images, archive, grid, seed = client.predict(
        count=2, seed=5, classes=["dog"], variety=4, model="tiny-classes", api_name="/generate"
    )
    assert (len(images), seed) == (2, 5) and Path(archive).suffix == ".zip" and Path(grid).suffix == ".png"
    expected = Generator.from_pretrained(space / "tiny-classes").sample(2, labels="dog", seed=5)
    made = np.asarray(Image.open(images[1]["image"]))
    assert np.abs(made.astype(int) - np.asarray(expected[1])).max() <= 1

    near, *_ = client.predict(
        seed=5, index=1, difference=0.3, count=3, classes=["dog"], variety=4, model="tiny-classes", api_name="/similar"
    )
    assert len(near) == 3 and (np.asarray(Image.open(near[0]["image"])) == made).all()
    moved = client.predict(
        seed=5, index=1, direction="1", amount=3, classes=["dog"], variety=4, model="tiny-classes", api_name="/edit"
    )
    generator = Generator.from_pretrained(space / "tiny-classes")
    latents = generator.edit(generator.latents(2, seed=5)[1:], 1, 3.0)
    wanted = generator.images_from(latents, generator.label_ids(1, "dog"))[0]
    assert np.abs(np.asarray(Image.open(moved)).astype(int) - np.asarray(wanted)).max() <= 1
    walk, _ = client.predict(
        first_seed=1, second_seed=2, seconds=0.5, label="cat", model="tiny-classes", api_name="/walk"
    )
    assert Image.open(walk).format == "GIF"


@pytest.mark.parametrize(
    ("endpoint", "data", "complaint"),
    [
        ("generate", {"count": 65}, "65|From 1 to 64"),
        ("generate", {"count": 2.5}, "a whole number from 1 to 64"),
        ("generate", {"seed": -1}, "-1|The seed must be"),
        ("generate", {"classes": ["elephant"], "model": "tiny-classes"}, "elephant"),
        ("generate", {"classes": ["cat"]}, "no classes|cat"),
        ("generate", {"variety": 9}, "9|Variety"),
        ("generate", {"model": "mine"}, "mine"),
        ("similar", {"seed": 1, "index": 64}, "64"),
        ("similar", {"seed": 1, "difference": 2}, "2"),
        ("edit", {"seed": 1, "amount": 9}, "9|The amount must be"),
        ("edit", {"seed": 1, "direction": "smile"}, "no direction|smile"),
        ("edit", {"seed": 1, "index": 64}, "64"),
        ("walk", {"seconds": 1000}, "1000|A walk must take"),
        ("walk", {"first_seed": -5}, "-5|The seed"),
        ("walk", {"label": "elephant", "model": "tiny-classes"}, "elephant"),
        ("walk", {"first_seed": None}, "The seed must be a whole number"),  # an empty field
        ("similar", {"seed": None}, "The seed must be a whole number"),
        ("similar", {"seed": 1, "index": None}, "numbered from 0"),
    ],
)
def test_bad_parameters_are_refused(client: Client, endpoint: str, data: dict[str, object], complaint: str) -> None:
    with pytest.raises(AppError, match=complaint):
        client.predict(**data, api_name=f"/{endpoint}")


@pytest.mark.parametrize(
    "data",
    [
        (),
        (None,),
        ("text", 0, *[None] * 6),
        ({"path": ""}, 0, *[None] * 6),
        ({"path": 7}, 0, *[None] * 6),
        ({"path": ["a"]}, 0, *[None] * 6),
        ([], {}, [], {}, [], {}, [], {}),
    ],
)
def test_bad_data_of_any_kind_ends_in_an_error(url: str, data: tuple[object, ...]) -> None:
    said = call(url, "upscale", *data)
    assert "event: error" in said and "Traceback" not in said and 'File "' not in said


@pytest.mark.parametrize(("endpoint", "settings"), [("upscale", 6), ("upscale_several", 5)])
def test_the_servers_own_files_are_not_opened(url: str, tmp_path: Path, endpoint: str, settings: int) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "private.png")
    picture: object = {"path": str(tmp_path / "private.png"), "meta": {"_type": "gradio.FileData"}}
    said = call(url, endpoint, picture if endpoint == "upscale" else [picture], 0, *[None] * settings)
    assert "event: error" in said and "private-x" not in said


@pytest.mark.parametrize(
    "path",
    ["file=/etc/passwd", "file=app.py", "file=../log.txt", "file=src/hubgan/demo/models.py", "file=%2e%2e/log.txt"],
)
def test_files_outside_the_cache_cannot_be_fetched(url: str, space: Path, path: str) -> None:
    for wanted in (path, path.replace("file=", f"file={space}/")):
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(f"{url}/gradio_api/{wanted}")
        assert raised.value.code in (403, 404)


@pytest.mark.slow
def test_the_endpoints_are_tools_of_an_mcp_server(other_url: str, red_picture: Path) -> None:
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
            local = await session.call_tool("upscale", {"picture": str(red_picture)})
            return tools, made.model_dump(), bool(local.isError)

    with ThreadPoolExecutor(1) as elsewhere:  # in this thread Playwright's loop may be running
        tools, made, refused = elsewhere.submit(asyncio.run, talk(other_url)).result()
    assert sorted(tools) == ["edit", "generate", "similar", "upscale", "upscale_several", "upscale_video", "walk"]
    assert all(tools.values()) and not made["isError"]
    assert "seed7-00.png" in str(made["content"])
    assert refused
