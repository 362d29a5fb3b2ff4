"""Cold start: how long until something is there, each time in a process of its own.

    python -m benchmarks.cold_start

`import hubgan`, `hubgan --help`, the first sample of a generator, the first answer of the demo's page, and the first
images that the demo hands out; beside them what cannot be less: Python itself, `import torch`, `import gradio`. The
files have been read before, so that the disk counts little.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.common import markdown, write

ROOT = Path(__file__).resolve().parents[1]
_DEADLINE = 120
_ATTEMPTS = 3
_SAMPLE = (
    "from hubgan import Generator; Generator.from_pretrained('model_cards/cifar-dcgan').sample(1, seed=0)[0].tobytes()"
)
_COMMANDS = {
    "python": ["-c", "pass"],
    "import torch": ["-c", "import torch"],
    "import gradio": ["-c", "import gradio"],
    "import hubgan": ["-c", "import hubgan"],
    "hubgan --help": ["-c", "import sys; from hubgan.cli import main; sys.exit(main(['--help']))"],
    "import hubgan.demo": ["-c", "import hubgan.demo"],
    "the first sample": ["-c", _SAMPLE],
}


def main() -> None:
    """Measure, write results/cold_start.json, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--warm-ups", type=int, default=1, help="rounds before, which read the disk (default: 1)")
    args = parser.parse_args()
    seconds: dict[str, list[float]] = {}
    for number in range(args.warm_ups + args.repetitions):
        found = {name: _command(command) for name, command in _COMMANDS.items()}
        found["app.py: the page answers"], found["app.py: the first images are there"] = _demo()
        for name, each in found.items():
            if number >= args.warm_ups:
                seconds.setdefault(name, []).append(each)
        print(found, flush=True)
    table: list[dict[str, Any]] = [
        {"what": name, "seconds": round(median(each), 3), "least-most": f"{min(each):.3g}-{max(each):.3g}"}
        for name, each in seconds.items()
    ]
    write("cold_start", table, repetitions=args.repetitions, warm_ups=args.warm_ups)
    print(markdown(table))


def _command(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=_environment(), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _demo() -> tuple[float, float]:
    """Seconds until the page answers, and until it hands out images.

    On a machine with much other work Gradio may not reach its own address in time, and ends: then it is tried again.
    """
    for left in reversed(range(_ATTEMPTS)):
        try:
            return _start_demo()
        except (OSError, HTTPException):
            if not left:
                raise
    raise AssertionError("the last attempt returns or raises")


def _start_demo() -> tuple[float, float]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as cache:
        environment = {**_environment(), "GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": cache}
        start = time.perf_counter()
        server = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        try:
            _request(url, start)
            page = time.perf_counter() - start
            event = _request(f"{url}/gradio_api/call/generate", start, b'{"data": [4, 0, [], 4, null]}')
            number = event.partition('"event_id":"')[2].partition('"')[0]
            said = _request(f"{url}/gradio_api/call/generate/{number}", start)
            if "event: complete" not in said:
                raise SystemExit(f"the demo made no images: {said}")
            return page, time.perf_counter() - start
        finally:
            server.terminate()
            server.wait(30)


def _request(url: str, start: float, data: bytes | None = None) -> str:
    while True:
        try:
            request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=_DEADLINE) as answer:
                body: bytes = answer.read()
                return body.decode()
        except urllib.error.HTTPError:
            raise
        except OSError:
            if time.perf_counter() - start > _DEADLINE:
                raise
            time.sleep(0.02)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUBGAN_")}
    return {**kept, "PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"}


if __name__ == "__main__":
    main()
