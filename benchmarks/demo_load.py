"""The demo under load: many clients at once, each of whom wants images or a picture enlarged, again and again.

    python -m benchmarks.demo_load --clients 50 --seconds 300

`app.py` runs with the models in the repository in a process of its own. Each picture to enlarge has a colour of its
own, so that a result that belongs to somebody else is seen. Who meets a full queue is told so, and comes again after
a second.
"""

import argparse
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles
from threading import Event, Lock, Thread

import psutil
from gradio_client import Client, handle_file
from PIL import Image, ImageStat

from benchmarks.common import markdown, write

ROOT = Path(__file__).resolve().parents[1]
_SIDE = 128  # pixels of the pictures to enlarge
_START_SECONDS = 120


class Tally:
    """What came of the requests: seconds of those that were answered, by kind; how many were refused, or failed."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.seconds: dict[str, list[float]] = {"generate": [], "upscale": []}
        self.counts: Counter[tuple[str, str]] = Counter()
        self.failures: Counter[str] = Counter()

    def add(self, kind: str, outcome: str, seconds: float, said: str = "") -> None:
        with self.lock:
            self.counts[kind, outcome] += 1
            if outcome == "answered":
                self.seconds[kind].append(seconds)
            if outcome == "failed":
                self.failures[said[:200]] += 1


def visit(url: str, number: int, until: float, folder: Path, tally: Tally) -> None:
    """One client, until that time: half generates, half enlarges."""
    client = Client(url, verbose=False, download_files=str(folder / f"of-{number}"))
    kind = "upscale" if number % 2 else "generate"
    colour = (number * 37 % 256, number * 91 % 256, number * 53 % 256)
    picture = folder / f"{number}.png"
    Image.new("RGB", (_SIDE, _SIDE), colour).save(picture)
    while time.monotonic() < until:
        start = time.monotonic()
        try:
            if kind == "generate":
                images, *_ = client.predict(count=16, seed=random.randrange(2**31), api_name="/generate")
                right = len(images) == 16
            else:
                _, large, _ = client.predict(handle_file(picture), api_name="/upscale")
                with Image.open(large) as result:
                    means = ImageStat.Stat(result.convert("RGB")).mean
                right = max(abs(a - b) for a, b in zip(means, colour, strict=True)) <= 2
            tally.add(kind, "answered" if right else "wrong", time.monotonic() - start)
        except Exception as error:  # the client has many kinds; but for a full queue each is a failure of the demo's
            full = "queue is full" in str(error).lower()
            tally.add(kind, "refused" if full else "failed", 0, repr(error))
            time.sleep(1)


def main() -> None:
    """Measure, write results/demo_load.json, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=300)
    args = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    tally, memory, done = Tally(), [], Event()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {
            **os.environ,
            "GRADIO_SERVER_PORT": str(port),
            "GRADIO_TEMP_DIR": str(folder / "gradio"),
            "HF_HUB_OFFLINE": "1",
        }
        server = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        try:
            started = _wait(url, server)
            Client(url, verbose=False).predict(count=1, api_name="/generate")

            def watch() -> None:
                process = psutil.Process(server.pid)
                while not done.wait(1):
                    memory.append(process.memory_info().rss / 1e6)

            watcher = Thread(target=watch)
            watcher.start()
            until = time.monotonic() + args.seconds
            with ThreadPoolExecutor(args.clients) as pool:
                list(pool.map(lambda number: visit(url, number, until, folder, tally), range(args.clients)))
            done.set()
            watcher.join()
        finally:
            server.terminate()
            server.wait(30)
    table = [_row(kind, tally) for kind in tally.seconds]
    quarter = len(memory) // 4
    about = {
        "clients": args.clients,
        "seconds": args.seconds,
        "page answers after seconds": round(started, 2),
        "memory in MB after a quarter": round(max(memory[: quarter + 1])),
        "memory in MB at most": round(max(memory)),
        "failures": dict(tally.failures),
    }
    write("demo_load", table, **about)
    print(markdown(table))
    print("\n".join(f"{key}: {value}" for key, value in about.items()))


def _wait(url: str, server: subprocess.Popen[bytes]) -> float:
    """Until the page answers; returns how many seconds that took."""
    start = time.monotonic()
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return time.monotonic() - start
        except OSError:
            if server.poll() is not None or time.monotonic() - start > _START_SECONDS:
                raise
            time.sleep(0.05)


def _row(kind: str, tally: Tally) -> dict[str, object]:
    seconds = tally.seconds[kind]
    cuts = quantiles(seconds, n=20) if len(seconds) > 1 else [0.0] * 19
    return {
        "request": kind,
        "answered": len(seconds),
        "refused, queue full": tally.counts[kind, "refused"],
        "failed": tally.counts[kind, "failed"],
        "somebody else's": tally.counts[kind, "wrong"],
        "p50 s": round(cuts[9], 2),
        "p95 s": round(cuts[18], 2),
        "most s": round(max(seconds, default=0.0), 2),
    }


if __name__ == "__main__":
    main()
