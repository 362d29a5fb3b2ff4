"""The loopback Hub against the real client: what the other tests rely on."""

from __future__ import annotations

import random
from contextlib import suppress
from http.client import IncompleteRead
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from loopback_hub import READ_TOKEN, USER, WRITE_TOKEN, Fault, LoopbackHub

REPO, SECRET, NOWHERE = f"{USER}/faces", f"{USER}/secret", f"{USER}/nowhere"
CONFIG = b'{"width": 64}\n'
CARD = b"---\nlibrary_name: hubgan\npipeline_tag: image-to-image\ntags: [gan]\n---\n# Faces\n"
WEIGHTS = random.Random(0).randbytes(11 * 1024 * 1024)
FILES = {"README.md": CARD, "config.json": CONFIG, "weights/model.safetensors": WEIGHTS}


@pytest.fixture
def api(hub: LoopbackHub) -> HfApi:
    return HfApi(endpoint=hub.url, token=WRITE_TOKEN)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "folder"


def push(api: HfApi, data: bytes = CONFIG, name: str = "config.json") -> str:
    api.create_repo(REPO, exist_ok=True)
    return str(api.upload_file(path_or_fileobj=data, path_in_repo=name, repo_id=REPO).oid)


def pull(api: HfApi, cache: Path, name: str = "config.json", repo: str = REPO, **options: object) -> bytes:
    return Path(api.hf_hub_download(repo, name, cache_dir=cache, **options)).read_bytes()


def seen(hub: LoopbackHub, method: str, part: str) -> int:
    return sum(asked == method and part in path for asked, path in hub.requests)


@pytest.mark.parametrize(("kind", "sdk"), [("model", None), ("dataset", None), ("space", "gradio")])
def test_a_folder_comes_back(
    hub: LoopbackHub, api: HfApi, folder: Path, tmp_path: Path, kind: str, sdk: str | None
) -> None:
    url = api.create_repo(REPO, repo_type=kind, space_sdk=sdk)
    assert (url.repo_id, url.repo_type) == (REPO, kind)
    oid = api.upload_folder(folder_path=folder, repo_id=REPO, repo_type=kind).oid
    assert seen(hub, "PUT", "/lfs/") == 1

    there = Path(api.snapshot_download(REPO, repo_type=kind, cache_dir=tmp_path / "cache"))
    assert there.name == api.repo_info(REPO, repo_type=kind).sha == oid
    got = {path.relative_to(there).as_posix(): path for path in there.rglob("*") if path.is_file()}
    assert got.keys() == {".gitattributes", *FILES}
    assert all(got[name].read_bytes() == data for name, data in FILES.items())

    hub.requests.clear()  # the same again: nothing to send, no commit
    assert api.upload_folder(folder_path=folder, repo_id=REPO, repo_type=kind).oid == oid
    assert seen(hub, "PUT", "") == seen(hub, "POST", "/commit/") == 0
    assert not hub.errors


def test_listings(api: HfApi, folder: Path) -> None:
    api.create_repo(REPO)
    api.create_repo(REPO, exist_ok=True)
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo(REPO)
    api.upload_folder(folder_path=folder, repo_id=REPO)
    top = [".gitattributes", "README.md", "config.json", "weights"]
    assert [item.path for item in api.list_repo_tree(REPO)] == top
    (weights,) = api.list_repo_tree(REPO, "weights")
    assert (weights.path, weights.lfs.size) == ("weights/model.safetensors", len(WEIGHTS))
    assert [item.path for item in api.get_paths_info(REPO, ["weights", "nothing"])] == ["weights"]
    info = api.model_info(REPO, files_metadata=True)
    assert {file.rfilename: file.size for file in info.siblings}["config.json"] == len(CONFIG)
    assert (info.library_name, info.pipeline_tag, info.tags) == ("hubgan", "image-to-image", ["gan"])


def test_commits(api: HfApi, tmp_path: Path) -> None:
    old = push(api)
    swap = [CommitOperationAdd("a/b.txt", b"b"), CommitOperationDelete("config.json")]
    new = api.create_commit(REPO, swap, commit_message="swap", parent_commit=old).oid
    assert api.list_repo_files(REPO) == [".gitattributes", "a/b.txt"]
    assert "config.json" in api.list_repo_files(REPO, revision=old)
    assert pull(api, tmp_path, "a/b.txt", revision=new) == b"b"
    late = [CommitOperationAdd("c", b"c")]
    with pytest.raises(HfHubHTTPError, match="412"):
        api.create_commit(REPO, late, commit_message="late", parent_commit=old)
    with pytest.raises(ValueError, match="Invalid metadata"):
        push(api, b"---\na: [\n---\n", "README.md")


def test_what_is_missing(api: HfApi, tmp_path: Path) -> None:
    push(api)
    with pytest.raises(EntryNotFoundError):
        pull(api, tmp_path, "nothing.txt")
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree(REPO, "nothing"))
    with pytest.raises(RevisionNotFoundError):
        pull(api, tmp_path, revision="nothing")
    with pytest.raises(RepositoryNotFoundError):
        api.snapshot_download(NOWHERE, cache_dir=tmp_path)
    with pytest.raises(RepositoryNotFoundError):
        api.upload_file(path_or_fileobj=b"a", path_in_repo="a", repo_id=NOWHERE)


def test_tokens(hub: LoopbackHub, api: HfApi, tmp_path: Path) -> None:
    reader, nobody = HfApi(endpoint=hub.url, token=READ_TOKEN), HfApi(endpoint=hub.url, token=False)
    stranger = HfApi(endpoint=hub.url, token="hf_bad")
    push(api)
    api.create_repo(SECRET, private=True)
    assert api.whoami()["name"] == USER
    assert reader.model_info(SECRET).private
    with pytest.raises(RepositoryNotFoundError):
        nobody.model_info(SECRET)
    with pytest.raises(RepositoryNotFoundError):
        pull(nobody, tmp_path, ".gitattributes", repo=SECRET)
    assert pull(nobody, tmp_path) == CONFIG
    for client, status in ((reader, "403"), (stranger, "401")):
        with pytest.raises(HfHubHTTPError, match=status):
            client.upload_file(path_or_fileobj=b"a", path_in_repo="a", repo_id=REPO)
    with pytest.raises(HfHubHTTPError, match="401"):
        pull(stranger, tmp_path / "cold")


def test_statuses_and_delays(hub: LoopbackHub, api: HfApi) -> None:
    push(api)
    fault = hub.inject(Fault("PUT", "/lfs/", status=503))  # newer clients retry a 500, too
    push(api, b"\0\1", "some.bin")  # the client tries again
    assert (fault.count, seen(hub, "PUT", "/lfs/")) == (0, 2)
    hub.inject(Fault("POST", "/commit/", status=401))
    with pytest.raises(HfHubHTTPError, match="401"):
        push(api, b"new", "new.txt")
    assert api.list_repo_files(REPO) == [".gitattributes", "config.json", "some.bin"]
    hub.inject(Fault("GET", f"/api/models/{REPO}$", delay=0.5))
    with pytest.raises(TimeoutError):
        urlopen(f"{hub.url}/api/models/{REPO}", timeout=0.1)


def test_wrong_bytes_reach_the_client(hub: LoopbackHub, api: HfApi, tmp_path: Path) -> None:
    push(api)
    hub.inject(Fault("GET", "/resolve/", corrupt=True))
    assert pull(api, tmp_path) == bytes(255 - byte for byte in CONFIG)
    assert pull(api, tmp_path, force_download=True) == CONFIG


def test_a_cut_connection(hub: LoopbackHub, api: HfApi, tmp_path: Path) -> None:
    push(api, WEIGHTS, "model.safetensors")
    cut = hub.inject(Fault(path="/resolve/", cut=True, count=2))
    file = f"{hub.url}/{REPO}/resolve/main/model.safetensors"
    with urlopen(file, timeout=5) as response, pytest.raises(IncompleteRead):
        response.read()
    with pytest.raises(ConnectionError):
        urlopen(Request(file, method="HEAD"), timeout=5)
    assert cut.count == 0
    cut = hub.inject(Fault("GET", "/resolve/", cut=True))
    with suppress(Exception):  # the client goes on by itself, or gives up, depending on its version
        pull(api, tmp_path, "model.safetensors")
    assert cut.count == 0
    assert pull(api, tmp_path, "model.safetensors") == WEIGHTS


def test_ranges_and_restarts(hub: LoopbackHub, api: HfApi) -> None:
    push(api)
    part = Request(f"{hub.url}/{REPO}/resolve/main/config.json", headers={"Range": "bytes=2-6"})
    for _ in range(3):
        with urlopen(part, timeout=5) as response:
            assert (response.status, response.read()) == (206, CONFIG[2:7])
        hub.stop()
        with pytest.raises(OSError, match="refused"):
            urlopen(part, timeout=5)
        hub.start()  # on the port it had, with the repos it had
        assert api.model_info(REPO).id == REPO
