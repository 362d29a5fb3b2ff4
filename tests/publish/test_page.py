"""Static Spaces: what the Hub gets of a page, the header that gives it threads, and what stays."""

from pathlib import Path

import pytest
from huggingface_hub import HfApi, SpaceCard, hf_hub_download

from helpers.loopback_hub import LoopbackHub
from hubgan.publish.page import push_page

pytestmark = pytest.mark.slow  # talks to a Hub

SPACE = "tester/page"


def header(text: str) -> dict[str, object]:
    return SpaceCard(text).data.to_dict()


def test_a_page_becomes_a_static_space_and_is_updated(hub: LoopbackHub, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    for name in ("index.html", "models/a.onnx", "models/b.onnx"):
        (tmp_path / name).write_text(name)
    pushed = push_page(tmp_path, ["index.html", "models/a.onnx"], SPACE)
    assert pushed.changed and pushed.page.endswith(f"/spaces/{SPACE}")

    def there(name: str) -> str:
        return Path(hf_hub_download(SPACE, name, repo_type="space", force_download=True)).read_text()

    readme = there("README.md")
    assert header(readme)["sdk"] == "static" and "Nothing leaves your device" in readme
    assert header(readme)["custom_headers"] == {
        "cross-origin-embedder-policy": "require-corp",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "cross-origin",
    }
    assert not push_page(tmp_path, ["index.html", "models/a.onnx"], SPACE).changed

    api = HfApi()
    mine = readme.replace("Nothing leaves your device", "Mine").replace("indigo", "pink")
    for name, text in (("README.md", mine), ("notes.txt", "mine")):
        api.upload_file(path_or_fileobj=text.encode(), path_in_repo=name, repo_id=SPACE, repo_type="space")
    assert push_page(tmp_path, ["index.html", "models/b.onnx"], SPACE).changed
    files = set(api.list_repo_files(SPACE, repo_type="space")) - {".gitattributes"}
    assert files == {"README.md", ".hubgan-files", "index.html", "models/b.onnx", "notes.txt"}
    readme = there("README.md")
    assert "Mine" in readme and header(readme)["colorFrom"] == "pink" and header(readme)["sdk"] == "static"
