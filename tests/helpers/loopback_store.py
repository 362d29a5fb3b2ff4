"""What the loopback Hub keeps: blobs by their sha256, and one JSON file for each repo with all its commits.

Nothing else is kept: a hub started again on the same root goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any

from helpers.loopback_server import hub_error
from helpers.loopback_xet import XetFile, xet_files

File = tuple[str, bool]  # its sha256, and whether it is kept as LFS
HEADS, TAGS, PULL_REQUESTS = "refs/heads/", "refs/tags/", "refs/pr/"
MAIN = f"{HEADS}main"


@dataclass
class Commit:
    files: dict[str, File]
    title: str
    message: str
    parent: str | None
    date: str


@dataclass
class Repo:
    kind: str  # models, datasets or spaces
    id: str
    private: bool
    sdk: str | None
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)  # full name -> commit

    def at(self, rev: str) -> tuple[str, dict[str, File]]:
        """The commit and the files of a branch, a tag, a pull request or a commit."""
        names = (f"{HEADS}{rev}", f"{TAGS}{rev}", rev)
        oid = next((self.refs[name] for name in names if name in self.refs), rev)
        if oid not in self.commits:
            raise hub_error(404, "Invalid rev id", "RevisionNotFound")
        return oid, dict(self.commits[oid].files)

    def branch(self, rev: str) -> str:
        """The full name of the branch or pull request `rev`: what can be committed to."""
        ref = rev if rev.startswith(PULL_REQUESTS) else f"{HEADS}{rev.removeprefix(HEADS)}"
        if ref not in self.refs:
            raise hub_error(404, "Invalid rev id", "RevisionNotFound")
        return ref

    def named(self, prefix: str) -> dict[str, str]:
        """The commits of the refs below this prefix, by short name."""
        return {ref.removeprefix(prefix): oid for ref, oid in self.refs.items() if ref.startswith(prefix)}

    def commit(self, ref: str, files: dict[str, File], title: str, message: str = "") -> str:
        oid = hashlib.sha1(uuid.uuid4().bytes).hexdigest()
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self.commits[oid] = Commit(files, title, message, self.refs.get(ref), now)
        self.refs[ref] = oid
        return oid

    def history(self, rev: str) -> Iterator[tuple[str, Commit]]:
        """The commits that lead to `rev`, the newest first."""
        oid: str | None = self.at(rev)[0]
        while oid is not None:
            yield oid, self.commits[oid]
            oid = self.commits[oid].parent


class Store:
    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.cas = self.root / "xet"  # Xet clients write here themselves

    def blob(self, sha256: str) -> Path:
        return self.root / "blobs" / sha256

    def add_blob(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        self._write(self.blob(sha256), data)
        return sha256

    def xet(self, sha256: str) -> XetFile | None:
        """How Xet has this file; None if it is a blob here, or nowhere."""
        return None if self.blob(sha256).is_file() else xet_files(self.cas).get(sha256)

    def has(self, sha256: str) -> bool:
        return self.blob(sha256).is_file() or self.xet(sha256) is not None

    def describe(self, sha256: str, lfs: bool) -> dict[str, Any]:
        """A file as the API shows it, and its etag. What git has of an LFS file is a pointer."""
        if not lfs:
            data = self.blob(sha256).read_bytes()
            return {"type": "file", "size": len(data), "oid": git_oid(data), "etag": git_oid(data)}
        xet = self.xet(sha256)
        size = xet.size if xet else self.blob(sha256).stat().st_size
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
        about = {"oid": sha256, "sha256": sha256, "size": size, "pointerSize": len(pointer)}
        shown = {"type": "file", "size": size, "oid": git_oid(pointer), "etag": sha256, "lfs": about}
        return shown | ({"xetHash": xet.hash} if xet else {})

    def tree(self, files: dict[str, File]) -> list[dict[str, Any]]:
        """All folders and files, by path."""
        folders = {str(folder) for path in files for folder in list(PurePosixPath(path).parents)[:-1]}
        items = [{"type": "directory", "path": path, "oid": git_oid(path.encode())} for path in folders]
        items += [{"path": path, **self.describe(*file)} for path, file in files.items()]
        return sorted(items, key=lambda item: str(item["path"]))

    def load(self, kind: str, repo_id: str) -> Repo | None:
        path = self._repo_path(kind, repo_id)
        if not path.is_file():
            return None
        kept = json.loads(path.read_bytes())
        kept["commits"] = {oid: Commit(**commit) for oid, commit in kept["commits"].items()}
        return Repo(**kept)

    def save(self, repo: Repo) -> None:
        self._write(self._repo_path(repo.kind, repo.id), json.dumps(asdict(repo)).encode())

    def _repo_path(self, kind: str, repo_id: str) -> Path:
        return self.root / "repos" / kind / f"{repo_id}.json"

    def _write(self, target: Path, data: bytes) -> None:
        temporary = self.root / "tmp" / uuid.uuid4().hex
        for path in (temporary, target):
            path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(target)


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
