"""Xet without a server of its own: `hf_xet` itself keeps the chunks in a folder, told to by a `local://` address.

The Hub hands out that address with its Xet tokens. What the client has stored it then reads from the shards in
the folder, the files of metadata that Xet uploads last: https://huggingface.co/docs/xet/shard.

hf_xet locks the folder as long as a process has used it, so one process at a time may push or pull.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROW = 48  # bytes: the header of a shard, and every row after it
END = b"\xff" * 32  # instead of a file's hash: no more files
VERIFIED, WITH_SHA256 = 1 << 31, 1 << 30


class XetFile(NamedTuple):
    hash: str  # Xet's own, by which it is downloaded
    size: int  # bytes


def xet_address(folder: Path) -> str:
    """What to give a Xet client as the address of the storage."""
    return f"local://{folder.resolve()}"


def xet_files(folder: Path) -> dict[str, XetFile]:
    """The files that Xet clients have stored in this folder, by sha256."""
    return {sha256: file for shard in folder.rglob("shards/*.mdb") for sha256, file in _read(shard.read_bytes())}


def _read(shard: bytes) -> Iterator[tuple[str, XetFile]]:
    """A file is a row with its hash, a row for each of its segments, as many again to verify them, its sha256."""
    at = ROW
    while shard[at : at + 32] != END:
        file_hash = _hex(shard, at)
        flags, segments = struct.unpack_from("<II", shard, at + 32)
        size = sum(struct.unpack_from("<I", shard, at + ROW * (1 + i) + 36)[0] for i in range(segments))
        at += ROW * (1 + segments * (2 if flags & VERIFIED else 1))
        if flags & WITH_SHA256:
            yield _hex(shard, at), XetFile(file_hash, size)
            at += ROW


def _hex(shard: bytes, at: int) -> str:
    """32 bytes as Xet spells them: four little-endian numbers."""
    return "".join(f"{number:016x}" for number in struct.unpack_from("<4Q", shard, at))
