"""A Hugging Face Hub on 127.0.0.1, for tests: the real `huggingface_hub` client against a real HTTP server.

Served, for models, datasets and spaces: who am I; creating repos; card validation; branches and tags; uploads
(preupload, LFS batch, PUT, commit) to a branch or as a pull request; downloads (HEAD and GET of resolve, with
ranges); repo info, refs, commits, tree, paths info; the tokens of Xet, which then does without this server.
Not served, and answered 501, which the client does not retry: multipart LFS, plain downloads of what was uploaded
with Xet, discussions and merging, deleting and moving repos, a Space's hardware, secrets and runs, search.
A .gitignore is not honoured, listings have no pages.

All tokens belong to the one user, who owns every namespace: a token's role says whether it may write.

The client reads HF_ENDPOINT once, when imported, so this module must not import it: set HF_ENDPOINT, HF_HOME,
HF_TOKEN and HF_HUB_DISABLE_XET=1 first, then import `huggingface_hub`. Without HF_HUB_DISABLE_XET, a client that
has `hf_xet` uploads by Xet, see loopback_xet.py.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote

import yaml
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from helpers.loopback_server import Fault, LoopbackServer, hub_error
from helpers.loopback_store import (
    HEADS,
    MAIN,
    PULL_REQUESTS,
    TAGS,
    File,
    Repo,
    Store,
)
from helpers.loopback_xet import xet_address

__all__ = ["READ_TOKEN", "USER", "WRITE_TOKEN", "Fault", "LoopbackHub"]
logger = logging.getLogger(__name__)

USER = "tester"
WRITE_TOKEN, READ_TOKEN = "hf_loopback_write", "hf_loopback_read"
TOKENS = {WRITE_TOKEN: "write", READ_TOKEN: "read"}
LFS_PATTERNS = ("*.safetensors", "*.png", "*.bin", "*.pt", "*.parquet", "*.zip")
REGULAR_MAX_BYTES = 10 * 1024 * 1024
SPACE_SDKS = ("gradio", "docker", "static")
SPACE_COLORS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
XET_TOKEN_SECONDS = 3600

Handler = Callable[..., Response]
ROUTES: list[tuple[list[str], re.Pattern[str], bool, Handler]] = []
API = "/api/(?P<kind>models|datasets|spaces)/(?P<id>[^/]+/[^/]+)"
GIT = "/(?:(?P<kind>datasets|spaces)/)?(?P<id>[^/]+/[^/]+?)"
REV, PATH = "(?P<rev>[^/]+)", "(?P<path>.+)"


def route(methods: str, path: str, write: bool = False) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        ROUTES.append((methods.split(), re.compile(path), write, handler))
        return handler

    return register


class LoopbackHub(LoopbackServer):
    """The Hub, with what it keeps below `root`."""

    def __init__(self, root: Path, port: int = 0, tokens: Mapping[str, str] = TOKENS) -> None:
        super().__init__(port)
        self.store, self.tokens = Store(root), dict(tokens)

    def __enter__(self) -> LoopbackHub:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def answer(self, request: Request, path: str, body: bytes) -> Response:
        for methods, pattern, write, handler in ROUTES:
            match = pattern.fullmatch(path)
            if match is None or request.method not in methods:
                continue
            role = self._role(request)
            if write and role != "write":
                raise hub_error(403 if role else 401, "A token that may write is needed")
            # Decoded only now: a revision or a folder may hold an encoded slash.
            names: dict[str, Any] = {key: unquote(text) for key, text in match.groupdict().items() if text}
            if "id" in names:
                names["repo"] = self._repo(names.pop("kind", "models"), names.pop("id"), role)
            return handler(self, request, body, **names)
        logger.warning("the loopback hub does not serve %s %s", request.method, path)
        raise hub_error(501, "Not served by the loopback hub")

    def _role(self, request: Request) -> str | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token and token not in self.tokens:
            raise hub_error(401, "Invalid credentials in Authorization header")
        return self.tokens.get(token)

    def _repo(self, kind: str, repo_id: str, role: str | None) -> Repo:
        repo = self.store.load(kind, repo_id)
        if repo is None or (repo.private and role is None):  # these two look the same from outside
            raise hub_error(404 if role else 401, "Repository not found", "RepoNotFound")
        return repo

    def _repo_url(self, kind: str, repo_id: str) -> str:
        return f"{self.url}/{repo_id}" if kind == "models" else f"{self.url}/{kind}/{repo_id}"

    @route("GET", "/api/whoami-v2")
    def _whoami(self, request: Request, body: bytes) -> Response:
        role = self._role(request)
        if role is None:
            raise hub_error(401, "A token is needed")
        auth = {"type": "access_token", "accessToken": {"displayName": role, "role": role}}
        return JSONResponse({"type": "user", "name": USER, "fullname": USER, "orgs": [], "auth": auth})

    @route("POST", "/api/repos/create", write=True)
    def _create(self, request: Request, body: bytes) -> Response:
        asked = json.loads(body)
        kind, sdk = f"{asked.get('type') or 'model'}s", asked.get("sdk")
        repo_id = f"{asked.get('organization') or USER}/{asked['name']}"
        url = self._repo_url(kind, repo_id)
        if self.store.load(kind, repo_id) is not None:
            return JSONResponse({"error": "You already created this repo", "url": url}, 409)
        if kind == "spaces" and sdk not in SPACE_SDKS:
            raise hub_error(400, f"A Space's sdk is one of {', '.join(SPACE_SDKS)}")
        private = asked.get("private", asked.get("visibility") == "private")  # older and newer clients
        repo = Repo(kind, repo_id, private, sdk)
        attributes = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LFS_PATTERNS)
        files = {".gitattributes": (self.store.add_blob(attributes.encode()), False)}
        if kind == "spaces":  # a Space is its card, so it never goes without one
            card = f"---\ntitle: {asked['name']}\nsdk: {sdk}\n---\n"
            files["README.md"] = (self.store.add_blob(card.encode()), False)
        repo.commit(MAIN, files, "initial commit")
        self.store.save(repo)
        return JSONResponse({"url": url, "name": repo_id})

    @route("POST", "/api/validate-yaml")
    def _validate_yaml(self, request: Request, body: bytes) -> Response:
        asked = json.loads(body)
        try:
            data = _card_data(asked["content"])
            problems = _space_problems(data) if asked.get("repoType") == "space" else []
        except (yaml.YAMLError, ValueError) as error:
            problems = [str(error)]
        errors = [{"message": problem} for problem in problems]
        return JSONResponse({"errors": errors, "warnings": []}, 400 if errors else 200)

    @route("GET", f"{API}/refs")
    def _refs(self, request: Request, body: bytes, repo: Repo) -> Response:
        kinds = {"branches": HEADS, "tags": TAGS, "pullRequests": PULL_REQUESTS}
        listed: dict[str, list[dict[str, str]]] = {"converts": []}
        for kind, prefix in kinds.items():
            named = repo.named(prefix).items()
            listed[kind] = [{"name": name, "ref": prefix + name, "targetCommit": oid} for name, oid in named]
        return JSONResponse(listed)

    @route("POST", f"{API}/branch/{REV}", write=True)
    def _create_branch(self, request: Request, body: bytes, repo: Repo, rev: str) -> Response:
        if rev.startswith("refs/"):
            raise hub_error(400, "Invalid reference for a branch")
        return self._create_ref(repo, HEADS + rev, json.loads(body).get("startingPoint") or "main")

    @route("POST", f"{API}/tag/{REV}", write=True)
    def _create_tag(self, request: Request, body: bytes, repo: Repo, rev: str) -> Response:
        return self._create_ref(repo, TAGS + json.loads(body)["tag"], rev)

    def _create_ref(self, repo: Repo, ref: str, start: str) -> Response:
        if ref in repo.refs:
            raise hub_error(409, "Reference already exists")
        repo.refs[ref] = repo.at(start)[0]
        self.store.save(repo)
        return JSONResponse({})

    @route("DELETE", f"{API}/(?P<what>branch|tag)/{REV}", write=True)
    def _delete_ref(self, request: Request, body: bytes, repo: Repo, what: str, rev: str) -> Response:
        ref = (HEADS if what == "branch" else TAGS) + rev
        if ref == MAIN:
            raise hub_error(403, f"Cannot delete {MAIN}")
        if ref not in repo.refs:
            raise hub_error(404, "Invalid rev id", "RevisionNotFound")
        del repo.refs[ref]
        self.store.save(repo)
        return JSONResponse({})

    @route("POST", f"{API}/preupload/{REV}", write=True)
    def _preupload(self, request: Request, body: bytes, repo: Repo, rev: str) -> Response:
        _, files = repo.at(rev)
        answers = []
        for asked in json.loads(body)["files"]:
            answer = {"path": asked["path"], "uploadMode": _upload_mode(asked), "shouldIgnore": False}
            if asked["path"] in files:
                answer["oid"] = self.store.describe(*files[asked["path"]])["etag"]
            answers.append(answer)
        return JSONResponse({"files": answers})

    @route("POST", rf"{GIT}\.git/info/lfs/objects/batch", write=True)
    def _lfs_batch(self, request: Request, body: bytes, repo: Repo) -> Response:
        objects, batch = [], json.loads(body)
        for asked in batch["objects"]:
            item, href = {"oid": asked["oid"], "size": asked["size"]}, f"{self.url}/lfs/{asked['oid']}"
            if not self.store.has(asked["oid"]):
                item["actions"] = {"upload": {"href": href}}
            objects.append(item)
        transfer = "xet" if "xet" in batch.get("transfers", []) else "basic"  # older clients ask for Xet here
        return JSONResponse({"transfer": transfer, "objects": objects})

    @route("PUT", "/lfs/(?P<oid>[0-9a-f]{64})")  # no token: it stands for a signed address
    def _lfs_put(self, request: Request, body: bytes, oid: str) -> Response:
        if self.store.add_blob(body) != oid:
            raise hub_error(400, "The content is not what the oid says")
        return Response()

    @route("GET", f"{API}/xet-read-token/{REV}")
    def _xet_read_token(self, request: Request, body: bytes, repo: Repo, rev: str) -> Response:
        """In the headers for `huggingface_hub`, in the body for `hf_xet`."""
        address, expires = xet_address(self.store.cas), int(time.time()) + XET_TOKEN_SECONDS
        headers = {"Cas-Url": address, "Access-Token": "loopback", "Token-Expiration": str(expires)}
        told = {"casUrl": address, "accessToken": "loopback", "exp": expires}
        return JSONResponse(told, headers={f"X-Xet-{name}": value for name, value in headers.items()})

    @route("GET", f"{API}/xet-write-token/{REV}", write=True)
    def _xet_write_token(self, request: Request, body: bytes, repo: Repo, rev: str) -> Response:
        return self._xet_read_token(request, body, repo, rev)

    @route("POST", f"{API}/commit/{REV}", write=True)
    def _commit(self, request: Request, body: bytes, repo: Repo, rev: str) -> Response:
        ref = repo.branch(rev)
        head, files = repo.at(ref)
        header, *operations = map(json.loads, body.splitlines())
        if not head.startswith(header["value"].get("parentCommit", "")):
            raise hub_error(412, "A commit has happened since. Please refresh and try again.")
        files = self._changed(files, operations)
        url, answer = self._repo_url(repo.kind, repo.id), {}
        if request.query_params.get("create_pr") == "1":
            number = len(repo.named(PULL_REQUESTS)) + 1
            ref = f"{PULL_REQUESTS}{number}"
            repo.refs[ref] = head
            answer["pullRequestUrl"] = f"{url}/discussions/{number}"
        oid = repo.commit(ref, files, header["value"]["summary"], header["value"].get("description", ""))
        self.store.save(repo)
        return JSONResponse({"commitUrl": f"{url}/commit/{oid}", "commitOid": oid, **answer})

    def _changed(self, files: dict[str, File], operations: Iterable[dict[str, Any]]) -> dict[str, File]:
        """The files of a commit: those of its parent, and what it does to them."""
        for operation in operations:
            key, value = operation["key"], operation["value"]
            path = value["path"].rstrip("/")
            if key == "file":
                files[path] = (self.store.add_blob(base64.b64decode(value["content"])), False)
            elif key == "lfsFile":
                if not self.store.has(value["oid"]):
                    raise hub_error(400, "An LFS file of this commit was not uploaded")
                files[path] = (value["oid"], True)
            elif key in ("deletedFile", "deletedFolder"):
                gone = {path} & set(files)
                if key == "deletedFolder":
                    gone = {name for name in files if name.startswith(f"{path}/")}
                if not gone:
                    raise hub_error(404, "A file with this name doesn't exist", "EntryNotFound")
                files = {name: file for name, file in files.items() if name not in gone}
        return files

    @route("GET HEAD", f"{GIT}/resolve/{REV}/{PATH}")
    def _resolve(self, request: Request, body: bytes, repo: Repo, rev: str, path: str) -> Response:
        oid, files = repo.at(rev)
        if path not in files:
            raise hub_error(404, "Entry not found", "EntryNotFound", **{"X-Repo-Commit": oid})
        file = self.store.describe(*files[path])
        headers = {"X-Repo-Commit": oid, "ETag": f'"{file["etag"]}"'}
        if "lfs" in file:
            headers |= {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(file["size"])}
        if "xetHash" not in file:
            return FileResponse(self.store.blob(files[path][0]), headers=headers)
        if request.method == "GET":
            raise hub_error(501, "The loopback hub has this file in Xet only")
        tokens = f"{self.url}/api/{repo.kind}/{repo.id}/xet-read-token/{oid}"
        headers |= {"X-Xet-Hash": file["xetHash"], "Link": f'<{tokens}>; rel="xet-auth"'}
        return Response(headers={**headers, "Content-Length": str(file["size"])})

    @route("GET", f"{API}(?:/revision/{REV})?")
    def _info(self, request: Request, body: bytes, repo: Repo, rev: str = "main") -> Response:
        oid, files = repo.at(rev)
        siblings: list[dict[str, Any]] = []
        for path, file in sorted(files.items()):
            siblings.append({"rfilename": path})
            if "blobs" in request.query_params:  # sizes only for `files_metadata=True`, as on the Hub
                shown = self.store.describe(*file)
                siblings[-1] |= {"size": shown["size"], "blobId": shown["oid"], "lfs": shown.get("lfs")}
        readme = files.get("README.md")
        card = _card_data(self.store.blob(readme[0]).read_text(encoding="utf-8")) if readme else {}
        info = {"id": repo.id, "sha": oid, "private": repo.private, "gated": False, "siblings": siblings}
        info |= {"cardData": card, "tags": card.get("tags", []), "lastModified": repo.commits[oid].date}
        info |= {key: card[key] for key in ("library_name", "pipeline_tag", "model-index") if key in card}
        if repo.kind == "spaces":
            info["sdk"] = card.get("sdk", repo.sdk)
        return JSONResponse(info)

    @route("GET", f"{API}/commits/{REV}")
    def _commits(self, request: Request, body: bytes, repo: Repo, rev: str) -> Response:
        author = [{"user": USER}]
        return JSONResponse(
            [
                {"id": oid, "title": commit.title, "message": commit.message, "date": commit.date, "authors": author}
                for oid, commit in repo.history(rev)
            ]
        )

    @route("GET", f"{API}/tree/{REV}(?:/{PATH})?")
    def _tree(self, request: Request, body: bytes, repo: Repo, rev: str, path: str = "") -> Response:
        prefix = f"{path.strip('/')}/" if path else ""
        inside = [item for item in self.store.tree(repo.at(rev)[1]) if item["path"].startswith(prefix)]
        if prefix and not inside:
            raise hub_error(404, "Path not found", "EntryNotFound")
        if request.query_params.get("recursive", "").lower() not in ("true", "1"):
            inside = [item for item in inside if "/" not in item["path"].removeprefix(prefix)]
        return JSONResponse(inside)

    @route("POST", f"{API}/paths-info/{REV}")
    def _paths_info(self, request: Request, body: bytes, repo: Repo, rev: str) -> Response:
        paths = {path.rstrip("/") for path in parse_qs(body.decode()).get("paths", [])}
        return JSONResponse([item for item in self.store.tree(repo.at(rev)[1]) if item["path"] in paths])


def _upload_mode(asked: dict[str, Any]) -> str:
    """lfs or regular, from the path, the size and the first 512 bytes of a file."""
    sample = base64.b64decode(asked["sample"])
    text = sample.decode(errors="ignore").encode()  # up to 3 bytes of a character may be cut off at the end
    binary = b"\0" in sample or len(text) < len(sample) - 3
    named = any(fnmatch(PurePosixPath(asked["path"]).name, pattern) for pattern in LFS_PATTERNS)
    return "lfs" if named or binary or asked["size"] > REGULAR_MAX_BYTES else "regular"


def _card_data(card: str) -> dict[str, Any]:
    """The metadata on top of a README.md; {} if there is none."""
    block = re.match(r"---\r?\n(.*?)\r?\n?---\s*(\n|$)", card, re.DOTALL)
    data: Any = (yaml.safe_load(block.group(1)) if block else None) or {}
    if not isinstance(data, dict):
        raise ValueError("the metadata is not a mapping")
    # YAML has dates, JSON has not.
    return {str(key): json.loads(json.dumps(value, default=str)) for key, value in data.items()}


def _space_problems(data: dict[str, Any]) -> list[str]:
    """What the Hub refuses in a Space's card."""
    allowed = {"sdk": SPACE_SDKS, "colorFrom": SPACE_COLORS, "colorTo": SPACE_COLORS}
    problems = [
        f'"{key}" must be one of {", ".join(values)}'
        for key, values in allowed.items()
        if key in data and data[key] not in values
    ]
    if len(str(data.get("short_description", ""))) > 60:
        problems.append('"short_description" length must be less than or equal to 60 characters long')
    return problems
