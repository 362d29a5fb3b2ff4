"""A Hugging Face Hub on 127.0.0.1, for tests: the real `huggingface_hub` client against a real HTTP server.

Served, for models, datasets and spaces: who am I; creating repos; card validation; uploads (preupload, LFS
batch, PUT, commit); downloads (HEAD and GET of resolve, with ranges); repo info, tree, paths info.
Not served, and answered 501, which the client does not retry: Xet, multipart LFS, pull requests, branches and
tags, deleting and moving repos, search. A .gitignore is not honoured, listings have no pages.

Blobs lie under the root by sha256, and each repo is one JSON file with all its commits. Nothing else is kept:
a hub started again on the same root goes on where it was. All tokens belong to the one user, who owns every
namespace: a token's role says whether it may write.

The client reads HF_ENDPOINT once, when imported, so this module must not import it: set HF_ENDPOINT, HF_HOME,
HF_TOKEN and HF_HUB_DISABLE_XET=1 first, then import `huggingface_hub`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote

import uvicorn
import yaml
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

logger = logging.getLogger(__name__)

USER = "tester"
WRITE_TOKEN, READ_TOKEN = "hf_loopback_write", "hf_loopback_read"
TOKENS = {WRITE_TOKEN: "write", READ_TOKEN: "read"}
LFS_PATTERNS = ("*.safetensors", "*.png", "*.bin", "*.pt", "*.parquet", "*.zip")
REGULAR_MAX_BYTES = 10 * 1024 * 1024
FLIPPED = bytes(255 - byte for byte in range(256))


@dataclass
class Fault:
    """Trouble for the next `count` requests of this method ("" is any) whose path the regex is found in.

    A download is a HEAD and then a GET, so name the method. The path is percent-encoded, without the query.
    """

    method: str = ""
    path: str = ""
    count: int = 1  # counts down to 0
    delay: float = 0.0  # seconds to wait before serving
    status: int | None = None  # answer this instead of serving
    cut: bool = False  # serve, then cut the connection inside the answer (before it, if it has no body)
    corrupt: bool = False  # serve, with every byte of the body flipped and the length kept

    def hits(self, method: str, path: str) -> bool:
        return self.count > 0 and self.method in ("", method) and bool(re.search(self.path, path))


File = tuple[str, bool]  # its sha256, and whether it is kept as LFS


@dataclass
class Repo:
    kind: str  # models, datasets or spaces
    id: str
    private: bool
    sdk: str | None
    commits: dict[str, dict[str, File]]  # the last one is main: there are no other branches

    def at(self, rev: str) -> tuple[str, dict[str, File]]:
        oid = list(self.commits)[-1] if rev == "main" else rev
        if oid not in self.commits:
            raise hub_error(404, "Invalid rev id", "RevisionNotFound")
        return oid, dict(self.commits[oid])

    def commit(self, files: dict[str, File]) -> str:
        oid = hashlib.sha1(uuid.uuid4().bytes).hexdigest()
        self.commits[oid] = files
        return oid


def hub_error(status: int, message: str, code: str = "", **headers: str) -> HTTPException:
    """An answer that is not a success. The client tells the kinds of it apart by `X-Error-Code`."""
    code_header = {"X-Error-Code": code} if code else {}
    return HTTPException(status, message, {"X-Error-Message": message, **code_header, **headers})


class _Protocol(H11Protocol):
    """Shows the connection to the application, as ASGI has no way to cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


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


class LoopbackHub:
    """The server. `requests` lists the (method, path) of every request, `errors` its own exceptions."""

    def __init__(self, root: Path, port: int = 0, tokens: Mapping[str, str] = TOKENS) -> None:
        self.root, self.port, self.tokens = Path(root), port, dict(tokens)
        # Shared by the test and the server's thread without a lock: each is changed in single, atomic steps.
        self.requests: list[tuple[str, str]] = []
        self.errors: list[Exception] = []
        self._faults: list[Fault] = []
        self._running: tuple[uvicorn.Server, threading.Thread] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve in a thread. A port of 0 becomes a free one, kept for the next start."""
        listener = socket.create_server(("127.0.0.1", self.port))  # sets SO_REUSEADDR where that is safe
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(self._app, http=_Protocol, interface="asgi3", lifespan="off", log_config=None)
        config.timeout_keep_alive = 600  # not to hang up just when the client reuses a pooled connection
        config.timeout_graceful_shutdown = 1
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="loopback-hub", daemon=True)
        thread.start()
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the loopback hub did not start: see the log")
            time.sleep(0.005)
        self._running = server, thread

    def stop(self) -> None:
        if self._running is None:
            return
        server, thread = self._running
        server.should_exit = True
        thread.join(timeout=10)
        if thread.is_alive():
            raise RuntimeError("the loopback hub did not stop")
        self._running = None

    def __enter__(self) -> LoopbackHub:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def inject(self, fault: Fault) -> Fault:
        self._faults.append(fault)
        return fault

    def clear_faults(self) -> None:
        self._faults.clear()

    # One event loop serves all requests. Once the body is read, a handler runs without a pause: it is atomic.

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = scope["raw_path"].decode("ascii")
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        self.requests.append((request.method, path))
        fault = next((fault for fault in list(self._faults) if fault.hits(request.method, path)), None)
        if fault is not None:
            fault.count -= 1
            await asyncio.sleep(fault.delay)
            send = _faulty(fault, scope, receive, send)
        try:
            if fault is not None and fault.status is not None:
                raise hub_error(fault.status, "Injected fault")
            response = self._answer(request, path, body)
        except HTTPException as error:
            response = JSONResponse({"error": error.detail}, error.status_code, error.headers)
        except Exception as error:
            # Not a 500: the client would retry that for half a minute, and then hide what happened.
            logger.exception("the loopback hub failed on %s %s", request.method, path)
            self.errors.append(error)
            response = JSONResponse({"error": f"The loopback hub failed: {error!r}"}, 501)
        await response(scope, receive, send)

    def _answer(self, request: Request, path: str, body: bytes) -> Response:
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

    def _blob(self, sha256: str) -> Path:
        return self.root / "blobs" / sha256

    def _write(self, target: Path, data: bytes) -> None:
        temporary = self.root / "tmp" / uuid.uuid4().hex
        for path in (temporary, target):
            path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(target)

    def _add_blob(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        self._write(self._blob(sha256), data)
        return sha256

    def _describe(self, sha256: str, lfs: bool) -> dict[str, Any]:
        """A file as the API shows it, and its etag. What git has of an LFS file is a pointer."""
        size = self._blob(sha256).stat().st_size
        if not lfs:
            oid = _git_oid(self._blob(sha256).read_bytes())
            return {"type": "file", "size": size, "oid": oid, "etag": oid}
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
        about = {"oid": sha256, "sha256": sha256, "size": size, "pointerSize": len(pointer)}
        return {"type": "file", "size": size, "oid": _git_oid(pointer), "etag": sha256, "lfs": about}

    def _repo_path(self, kind: str, repo_id: str) -> Path:
        return self.root / "repos" / kind / f"{repo_id}.json"

    def _repo_url(self, kind: str, repo_id: str) -> str:
        return f"{self.url}/{repo_id}" if kind == "models" else f"{self.url}/{kind}/{repo_id}"

    def _repo(self, kind: str, repo_id: str, role: str | None) -> Repo:
        path = self._repo_path(kind, repo_id)
        repo = Repo(**json.loads(path.read_bytes())) if path.is_file() else None
        if repo is None or (repo.private and role is None):  # these two look the same from outside
            raise hub_error(404 if role else 401, "Repository not found", "RepoNotFound")
        return repo

    def _save(self, repo: Repo) -> None:
        self._write(self._repo_path(repo.kind, repo.id), json.dumps(vars(repo)).encode())

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
        kind = f"{asked.get('type') or 'model'}s"
        repo_id = f"{asked.get('organization') or USER}/{asked['name']}"
        url = self._repo_url(kind, repo_id)
        if self._repo_path(kind, repo_id).is_file():
            return JSONResponse({"error": "You already created this repo", "url": url}, 409)
        private = asked.get("private", asked.get("visibility") == "private")  # older and newer clients
        repo = Repo(kind, repo_id, private, asked.get("sdk"), commits={})
        attributes = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LFS_PATTERNS)
        repo.commit({".gitattributes": (self._add_blob(attributes.encode()), False)})
        self._save(repo)
        return JSONResponse({"url": url, "name": repo_id})

    @route("POST", "/api/validate-yaml")
    def _validate_yaml(self, request: Request, body: bytes) -> Response:
        try:
            _card_data(json.loads(body)["content"])
        except (yaml.YAMLError, ValueError) as error:
            return JSONResponse({"errors": [{"message": str(error)}], "warnings": []}, 400)
        return JSONResponse({"errors": [], "warnings": []})

    @route("POST", f"{API}/preupload/{REV}", write=True)
    def _preupload(self, request: Request, body: bytes, repo: Repo, rev: str) -> Response:
        _, files = repo.at(rev)
        answers = []
        for asked in json.loads(body)["files"]:
            answer = {"path": asked["path"], "uploadMode": _upload_mode(asked), "shouldIgnore": False}
            if asked["path"] in files:
                answer["oid"] = self._describe(*files[asked["path"]])["etag"]
            answers.append(answer)
        return JSONResponse({"files": answers})

    @route("POST", rf"{GIT}\.git/info/lfs/objects/batch", write=True)
    def _lfs_batch(self, request: Request, body: bytes, repo: Repo) -> Response:
        objects = []
        for asked in json.loads(body)["objects"]:
            item, href = {"oid": asked["oid"], "size": asked["size"]}, f"{self.url}/lfs/{asked['oid']}"
            if not self._blob(asked["oid"]).is_file():
                item["actions"] = {"upload": {"href": href}}
            objects.append(item)
        return JSONResponse({"transfer": "basic", "objects": objects})

    @route("PUT", "/lfs/(?P<oid>[0-9a-f]{64})")  # no token: it stands for a signed address
    def _lfs_put(self, request: Request, body: bytes, oid: str) -> Response:
        if self._add_blob(body) != oid:
            raise hub_error(400, "The content is not what the oid says")
        return Response()

    @route("POST", f"{API}/commit/{REV}", write=True)
    def _commit(self, request: Request, body: bytes, repo: Repo, rev: str) -> Response:
        if rev != "main" or "create_pr" in request.query_params:
            raise hub_error(501, "The loopback hub has no branches and no pull requests")
        head, files = repo.at(rev)
        for operation in map(json.loads, body.splitlines()):
            key, value = operation["key"], operation["value"]
            path = value.get("path", "").rstrip("/")
            if key == "header" and not head.startswith(value.get("parentCommit", "")):
                raise hub_error(412, "A commit has happened since. Please refresh and try again.")
            if key == "file":
                files[path] = (self._add_blob(base64.b64decode(value["content"])), False)
            elif key == "lfsFile":
                if not self._blob(value["oid"]).is_file():
                    raise hub_error(400, "An LFS file of this commit was not uploaded")
                files[path] = (value["oid"], True)
            elif key in ("deletedFile", "deletedFolder"):
                gone = {path} & set(files)
                if key == "deletedFolder":
                    gone = {name for name in files if name.startswith(f"{path}/")}
                if not gone:
                    raise hub_error(404, "A file with this name doesn't exist", "EntryNotFound")
                files = {name: file for name, file in files.items() if name not in gone}
        oid = repo.commit(files)
        self._save(repo)
        url = f"{self._repo_url(repo.kind, repo.id)}/commit/{oid}"
        return JSONResponse({"commitUrl": url, "commitOid": oid})

    @route("GET HEAD", f"{GIT}/resolve/{REV}/{PATH}")
    def _resolve(self, request: Request, body: bytes, repo: Repo, rev: str, path: str) -> Response:
        oid, files = repo.at(rev)
        if path not in files:
            raise hub_error(404, "Entry not found", "EntryNotFound", **{"X-Repo-Commit": oid})
        file = self._describe(*files[path])
        headers = {"X-Repo-Commit": oid, "ETag": f'"{file["etag"]}"'}
        if "lfs" in file:
            headers |= {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(file["size"])}
        return FileResponse(self._blob(files[path][0]), headers=headers)

    @route("GET", f"{API}(?:/revision/{REV})?")
    def _info(self, request: Request, body: bytes, repo: Repo, rev: str = "main") -> Response:
        oid, files = repo.at(rev)
        siblings: list[dict[str, Any]] = []
        for path, file in sorted(files.items()):
            siblings.append({"rfilename": path})
            if "blobs" in request.query_params:  # sizes only for `files_metadata=True`, as on the Hub
                shown = self._describe(*file)
                siblings[-1] |= {"size": shown["size"], "blobId": shown["oid"], "lfs": shown.get("lfs")}
        readme = files.get("README.md")
        card = _card_data(self._blob(readme[0]).read_text(encoding="utf-8")) if readme else {}
        info = {"id": repo.id, "sha": oid, "private": repo.private, "gated": False, "siblings": siblings}
        info |= {"cardData": card, "tags": card.get("tags", []), "sdk": repo.sdk}
        info |= {key: card[key] for key in ("library_name", "pipeline_tag", "model-index") if key in card}
        return JSONResponse(info)

    @route("GET", f"{API}/tree/{REV}(?:/{PATH})?")
    def _tree(self, request: Request, body: bytes, repo: Repo, rev: str, path: str = "") -> Response:
        prefix = f"{path.strip('/')}/" if path else ""
        inside = [item for item in self._tree_items(repo.at(rev)[1]) if item["path"].startswith(prefix)]
        if prefix and not inside:
            raise hub_error(404, "Path not found", "EntryNotFound")
        if request.query_params.get("recursive", "").lower() not in ("true", "1"):
            inside = [item for item in inside if "/" not in item["path"].removeprefix(prefix)]
        return JSONResponse(inside)

    @route("POST", f"{API}/paths-info/{REV}")
    def _paths_info(self, request: Request, body: bytes, repo: Repo, rev: str) -> Response:
        paths = {path.rstrip("/") for path in parse_qs(body.decode()).get("paths", [])}
        return JSONResponse([item for item in self._tree_items(repo.at(rev)[1]) if item["path"] in paths])

    def _tree_items(self, files: dict[str, File]) -> list[dict[str, Any]]:
        folders = {str(folder) for path in files for folder in list(PurePosixPath(path).parents)[:-1]}
        items = [{"type": "directory", "path": path, "oid": _git_oid(path.encode())} for path in folders]
        items += [{"path": path, **self._describe(*file)} for path, file in files.items()]
        return sorted(items, key=lambda item: str(item["path"]))


def _git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


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


def _faulty(fault: Fault, scope: Scope, receive: Receive, send: Send) -> Send:
    """`send`, as the fault has it."""
    start: Message = {}

    async def faulty(message: Message) -> None:
        nonlocal start
        if fault.corrupt and "body" in message:
            message = {**message, "body": message["body"].translate(FLIPPED)}
        if not fault.cut:
            await send(message)
        elif message["type"] == "http.response.start":
            start = message
        else:
            half = message["body"][: len(message["body"]) // 2]
            if half and scope["method"] != "HEAD":
                await send(start)
                await send({"type": "http.response.body", "body": half, "more_body": True})
            scope["state"]["transport"].close()
            while (await receive())["type"] != "http.disconnect":
                pass

    return faulty
