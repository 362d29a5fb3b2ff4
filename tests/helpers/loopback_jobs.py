"""Jobs of the loopback Hub: each is a process on this machine, with the command, environment and secrets it was given.

`uv` and `uvx`, which the image of a job has, are played by scripts that install nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from helpers.loopback_hub import USER, LoopbackHub, hub_error, route

_NOW = "2026-01-01T00:00:00.000Z"
_GPU = {"type": "gpu", "model": "A10G", "quantity": "1", "vram": "24 GB", "manufacturer": "Nvidia"}
_HARDWARE: list[dict[str, Any]] = [
    {"name": "cpu-basic", "prettyName": "CPU Basic", "cpu": "2 vCPU", "ram": "16 GB", "accelerator": None,
     "unitCostMicroUSD": 167, "unitCostUSD": 0.000167, "unitLabel": "minute"},
    {"name": "a10g-small", "prettyName": "Nvidia A10G - small", "cpu": "4 vCPU", "ram": "15 GB", "accelerator": _GPU,
     "unitCostMicroUSD": 16667, "unitCostUSD": 0.016667, "unitLabel": "minute"},
    {"name": "a10g-largex4", "prettyName": "4x Nvidia A10G - large", "cpu": "48 vCPU", "ram": "184 GB",
     "accelerator": {**_GPU, "quantity": "4"}, "unitCostMicroUSD": 83333, "unitCostUSD": 0.083333,
     "unitLabel": "minute"},
]  # fmt: skip
_UVX = """#!/bin/sh
[ "$1 $2 $3" = "--from huggingface_hub hf" ] || exit 64
shift 3
exec hf "$@"
"""
_UV = """#!/bin/sh
[ "$1 $2 $3" = "run --no-project --with-requirements" ] && grep -q "^torch" "$4" || exit 64
shift 4
exec "$@"
"""


@dataclass
class Job:
    """A job: what it was started with, and its process."""

    id: str
    spec: dict[str, Any]
    process: subprocess.Popen[bytes]
    log: Path
    cancelled: bool = False

    @property
    def stage(self) -> str:
        if self.cancelled:
            return "CANCELED"
        return "RUNNING" if self.process.poll() is None else "ERROR" if self.process.returncode else "COMPLETED"

    def answer(self) -> dict[str, Any]:
        message = f"exit code {self.process.returncode}" if self.stage == "ERROR" else None
        shown = {key: self.spec.get(key) for key in ("command", "arguments", "environment", "flavor", "labels")}
        owner = {"id": "1", "name": USER, "type": "user"}
        return {"id": self.id, "createdAt": _NOW, **shown, "owner": owner,
                "status": {"stage": self.stage, "message": message}}  # fmt: skip


class JobsHub(LoopbackHub):
    """A loopback Hub that runs jobs. `instead` is run in place of a job's command."""

    def __init__(self, root: Path, port: int) -> None:
        super().__init__(root, port)
        self.jobs: dict[str, Job] = {}
        self.instead: list[str] | None = None
        self._root = root

    def stop(self) -> None:
        for job in self.jobs.values():
            job.process.kill()
            job.process.wait()
        super().stop()

    def run(self, spec: dict[str, Any]) -> Job:
        number = f"job{len(self.jobs) + 1}"
        folder, tools = self._root / number, self._root / "tools"
        folder.mkdir()
        tools.mkdir(exist_ok=True)
        for name, script in (("uv", _UV), ("uvx", _UVX)):
            (tools / name).write_text(script)
            (tools / name).chmod(0o755)
        kept = {
            key: value
            for key, value in os.environ.items()
            if key not in ("HF_TOKEN", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
        }
        path = f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**kept, **spec["environment"], **spec["secrets"], "PATH": path, "PYTHONUNBUFFERED": "1"}
        log = folder / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                self.instead or spec["command"], cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT
            )
        self.jobs[number] = Job(number, spec, process, log)
        return self.jobs[number]


def _job(hub: JobsHub, name: str) -> Job:
    if name not in hub.jobs:
        raise hub_error(404, "Job not found")
    return hub.jobs[name]


@route("GET", "/api/jobs/hardware")
def _hardware(hub: JobsHub, request: Request, body: bytes) -> Response:
    return JSONResponse(_HARDWARE)


@route("POST", f"/api/jobs/{USER}", write=True)
def _start(hub: JobsHub, request: Request, body: bytes) -> Response:
    return JSONResponse(hub.run(json.loads(body)).answer())


@route("GET", f"/api/jobs/{USER}", write=True)
def _list(hub: JobsHub, request: Request, body: bytes) -> Response:
    labels = dict(label.split("=", 1) for label in request.query_params.getlist("label"))
    return JSONResponse([job.answer() for job in hub.jobs.values() if labels.items() <= job.spec["labels"].items()])


@route("GET", f"/api/jobs/{USER}/(?P<name>[^/]+)", write=True)
def _inspect(hub: JobsHub, request: Request, body: bytes, name: str) -> Response:
    return JSONResponse(_job(hub, name).answer())


@route("POST", f"/api/jobs/{USER}/(?P<name>[^/]+)/cancel", write=True)
def _cancel(hub: JobsHub, request: Request, body: bytes, name: str) -> Response:
    job = _job(hub, name)
    job.cancelled = True
    job.process.terminate()
    return JSONResponse({})


@route("GET", f"/api/jobs/{USER}/(?P<name>[^/]+)/logs", write=True)
def _logs(hub: JobsHub, request: Request, body: bytes, name: str) -> Response:
    return StreamingResponse(_events(_job(hub, name)), media_type="text/event-stream")


async def _events(job: Job) -> AsyncIterator[str]:
    """The log from its beginning, a line an event, until the job has ended."""
    with job.log.open(encoding="utf-8", errors="replace") as file:
        while True:
            ended = job.stage != "RUNNING"
            while line := file.readline():
                yield f"data: {json.dumps({'data': line.rstrip(), 'timestamp': _NOW})}\n\n"
            if ended:
                return
            await asyncio.sleep(0.1)
