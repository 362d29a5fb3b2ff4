"""The loopback Hub against the real client: what the other tests rely on."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from http.client import IncompleteRead
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from helpers.loopback_hub import READ_TOKEN, USER, WRITE_TOKEN, Fault, LoopbackHub

REPO, SECRET, NOWHERE = f"{USER}/faces", f"{USER}/secret", f"{USER}/nowhere"
CONFIG = b'{"width": 64}\n'
CARD = b"---\nlibrary_name: hubgan\npipeline_tag: image-to-image\ntags: [gan]\n---\n# Faces\n"
WEIGHTS = random.Random(0).randbytes(11 * 1024 * 1024)
UPLOAD = [("POST", "/preupload/"), ("POST", "/objects/batch"), ("PUT", "/lfs/"), ("POST", "/commit/")]
DOWNLOAD = [("HEAD", "/resolve/"), ("GET", "/resolve/")]
TROUBLES = [{"status": 500}, {"status": 401}, {"cut": True}, {"corrupt": True}, {"delay": 0.05}]
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


@pytest.mark.slow
def test_branches(api: HfApi, tmp_path: Path) -> None:
    old = push(api)
    api.create_branch(REPO, branch="half/size")
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_branch(REPO, branch="half/size")
    api.create_branch(REPO, branch="half/size", exist_ok=True)
    new = api.upload_file(path_or_fileobj=b"b", path_in_repo="b", repo_id=REPO, revision="half/size").oid
    api.create_tag(REPO, tag="v1", revision="half/size")
    api.create_branch(REPO, branch="older", revision=old)
    refs = api.list_repo_refs(REPO)
    assert {ref.name: ref.target_commit for ref in refs.branches} == {"main": old, "half/size": new, "older": old}
    assert {ref.ref: ref.target_commit for ref in refs.tags} == {"refs/tags/v1": new}
    for revision in ("half/size", "v1", new):
        assert pull(api, tmp_path / revision, "b", revision=revision) == b"b"
        assert api.model_info(REPO, revision=revision).sha == new
        assert "b" in api.list_repo_files(REPO, revision=revision)
    assert "b" not in api.list_repo_files(REPO)
    assert [commit.commit_id for commit in api.list_repo_commits(REPO, revision="v1")][:2] == [new, old]

    late = [CommitOperationAdd("c", b"c")]
    with pytest.raises(HfHubHTTPError, match="412"):
        api.create_commit(REPO, late, commit_message="late", parent_commit=old, revision="half/size")
    api.create_commit(REPO, late, commit_message="in time", parent_commit=old)  # on main nothing has happened

    api.delete_branch(REPO, branch="half/size")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(REPO, revision="half/size")
    with pytest.raises(RevisionNotFoundError):
        api.delete_branch(REPO, branch="v1")
    for revision in (new, "v1", "nothing"):  # there is nowhere to commit to
        with pytest.raises(RevisionNotFoundError):
            api.upload_file(path_or_fileobj=b"d", path_in_repo="d", repo_id=REPO, revision=revision)
    with pytest.raises(HfHubHTTPError, match="Cannot delete refs/heads/main"):
        api.delete_branch(REPO, branch="main")
    with pytest.raises(BadRequestError):
        api.create_branch(REPO, branch="refs/pr/1")


def test_pull_requests(hub: LoopbackHub, api: HfApi, tmp_path: Path) -> None:
    old = push(api)
    add = [CommitOperationAdd("a.bin", b"a")]
    commit = api.create_commit(REPO, add, commit_message="Add a", commit_description="For b", create_pr=True)
    assert (commit.pr_url, commit.pr_revision) == (f"{hub.url}/{REPO}/discussions/1", "refs/pr/1")
    assert api.model_info(REPO).sha == old
    assert pull(api, tmp_path, "a.bin", revision="refs/pr/1") == b"a"
    (newest, *_) = api.list_repo_commits(REPO, revision="refs/pr/1")
    assert (newest.title, newest.message, newest.authors) == ("Add a", "For b", [USER])

    api.upload_file(path_or_fileobj=b"b", path_in_repo="b", repo_id=REPO, revision="refs/pr/1")
    second = api.create_commit(REPO, [CommitOperationAdd("c", b"c")], commit_message="Add c", create_pr=True)
    assert {"a.bin", "b"} < set(api.list_repo_files(REPO, revision="refs/pr/1"))
    refs = api.list_repo_refs(REPO, include_pull_requests=True)
    assert [ref.name for ref in refs.pull_requests] == ["1", "2"]
    assert (second.pr_num, refs.pull_requests[1].target_commit) == (2, second.oid)
    assert [ref.name for ref in refs.branches] == ["main"]
    assert api.list_repo_files(REPO) == [".gitattributes", "config.json"]


def test_spaces(api: HfApi) -> None:
    with pytest.raises(ValueError, match="space_sdk"):
        api.create_repo(REPO, repo_type="space")
    api.create_repo(REPO, repo_type="space", space_sdk="gradio")
    assert api.list_repo_files(REPO, repo_type="space") == [".gitattributes", "README.md"]
    assert api.space_info(REPO).sdk == "gradio"
    bad = "colorFrom: beige\nshort_description: " + 61 * "x"
    with pytest.raises(ValueError, match=r'(?s)"colorFrom" must be one of .*"short_description" length'):
        api.upload_file(
            path_or_fileobj=f"---\nsdk: gradio\n{bad}\n---\n".encode(),
            path_in_repo="README.md",
            repo_id=REPO,
            repo_type="space",
        )
    swap = [CommitOperationAdd("app.py", b"pass"), CommitOperationDelete("README.md")]
    api.create_commit(REPO, swap, commit_message="swap", repo_type="space")
    assert api.list_repo_files(REPO, repo_type="space") == [".gitattributes", "app.py"]
    with pytest.raises(EntryNotFoundError):
        api.delete_file("nothing", REPO, repo_type="space")
    with pytest.raises(RepositoryNotFoundError):
        api.model_info(REPO)


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
    assert [client.whoami()["auth"]["accessToken"]["role"] for client in (api, reader)] == ["write", "read"]
    assert reader.model_info(SECRET).private
    with pytest.raises(RepositoryNotFoundError):
        nobody.model_info(SECRET)
    with pytest.raises(RepositoryNotFoundError):
        pull(nobody, tmp_path, ".gitattributes", repo=SECRET)
    assert pull(nobody, tmp_path) == CONFIG
    for client, status in ((reader, "403"), (stranger, "401")):
        with pytest.raises(HfHubHTTPError, match=status):
            client.upload_file(path_or_fileobj=b"a", path_in_repo="a", repo_id=REPO)
        with pytest.raises(HfHubHTTPError, match=status):
            client.create_branch(REPO, branch="a")
    with pytest.raises(HfHubHTTPError, match="401"):
        pull(stranger, tmp_path / "cold")


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
def test_every_step_can_fail(hub: LoopbackHub, api: HfApi, tmp_path: Path, trouble: dict[str, object]) -> None:
    api.create_repo(REPO)
    for number, (method, path) in enumerate(UPLOAD + DOWNLOAD):
        name, data = f"{number}.bin", bytes([number])
        fault = hub.inject(Fault(method, path, **trouble))
        started = time.monotonic()
        with suppress(Exception):  # some the client gets over by itself, which depends on its version
            push(api, data, name)
            pull(api, tmp_path, name)
        assert fault.count == 0, (method, path)
        assert time.monotonic() - started >= fault.delay
        push(api, data, name)
        assert pull(api, tmp_path, name, force_download=True) == data


def test_a_commit_that_happened_and_was_not_answered(hub: LoopbackHub, api: HfApi) -> None:
    old = push(api)
    hub.inject(Fault("POST", "/commit/", cut=True))
    with pytest.raises(Exception, match=r"(?i)closed|disconnected|incomplete"):
        push(api, b"new", "new.txt")
    head = api.model_info(REPO).sha
    assert head != old
    assert "new.txt" in api.list_repo_files(REPO)
    assert push(api, b"new", "new.txt") == head  # there is nothing left to commit


def test_wrong_bytes_reach_the_client(hub: LoopbackHub, api: HfApi, tmp_path: Path) -> None:
    push(api)
    hub.inject(Fault("GET", "/resolve/", corrupt=True))
    assert pull(api, tmp_path) == bytes(255 - byte for byte in CONFIG)
    assert pull(api, tmp_path, force_download=True) == CONFIG


@pytest.mark.skipif(not hasattr(HfApi, "verify_repo_checksums"), reason="an older huggingface_hub")
def test_checksums_find_wrong_bytes(hub: LoopbackHub, api: HfApi, tmp_path: Path) -> None:
    push(api)
    push(api, b"\0\1", "some.bin")
    hub.inject(Fault("GET", "/resolve/", corrupt=True, count=2))
    for name in ("config.json", "some.bin"):
        pull(api, tmp_path, name)
    checked = api.verify_repo_checksums(REPO, cache_dir=tmp_path)
    wrong = {file["path"]: file["algorithm"] for file in checked.mismatches}
    assert wrong == {"config.json": "git-sha1", "some.bin": "sha256"}
    assert checked.missing_paths == [".gitattributes"]
    for name in ("config.json", "some.bin"):
        pull(api, tmp_path, name, force_download=True)
    assert not api.verify_repo_checksums(REPO, cache_dir=tmp_path).mismatches


@pytest.mark.slow
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


@pytest.mark.e2e
@pytest.mark.slow
def test_xet(hub: LoopbackHub, api: HfApi, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("hf_xet")
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    del environment["HF_HUB_DISABLE_XET"]

    def run(work: str) -> str:
        code = f"from huggingface_hub import HfApi; api = HfApi(); {work}"
        command = [sys.executable, "-c", code]
        return subprocess.run(
            command, env=environment, check=True, timeout=120, stdout=subprocess.PIPE, text=True
        ).stdout

    api.create_repo(REPO, private=True)
    run(f"api.upload_folder(repo_id={REPO!r}, folder_path={str(folder)!r})")
    assert seen(hub, "GET", "/xet-write-token/")
    assert seen(hub, "PUT", "") == 0

    name, cache, once = "weights/model.safetensors", tmp_path / "cache", tmp_path / "once"
    there = Path(run(f"print(api.snapshot_download({REPO!r}, cache_dir={str(cache)!r}))").strip())
    run(f"api.hf_hub_download({REPO!r}, {name!r}, local_dir={str(once)!r})")
    assert all((there / path).read_bytes() == data for path, data in FILES.items())
    assert (once / name).read_bytes() == WEIGHTS
    assert seen(hub, "GET", "/xet-read-token/")
    assert not any(method == "GET" and path.endswith(name) for method, path in hub.requests)

    (weights,) = api.get_paths_info(REPO, [name])
    assert (weights.size, weights.lfs.sha256) == (len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest())
