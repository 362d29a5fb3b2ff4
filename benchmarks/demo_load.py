"""The demo under load: many clients at once, each of whom wants images or a picture enlarged, again and again.

    python -m benchmarks.demo_load --clients 50 --seconds 300

`app.py` runs with the models in the repository in a process of its own. Each picture to enlarge has a colour of its
own, so that a result that belongs to somebody else is seen. A client that meets a full queue is refused, and tries
again after a second. How often each client was answered shows whether one of them starves. The server's memory is
measured every second.
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
from statistics import median, quantiles
from threading import Event, Lock, Thread

import psutil
from gradio_client import Client, handle_file
from PIL import Image, ImageStat

from benchmarks.common import markdown, write

ROOT = Path(__file__).resolve().parents[1]
_SIDE = 128  # pixels of the pictures to enlarge
_START_SECONDS = 120
_PARTS = 10  # of the time, for each of which memory is reported


class Tally:
    """What came of the requests: seconds of those that were answered, by kind; how many were refused, or failed.

    And how often each client was answered, and how long the one waited that waited longest, refusals included.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.seconds: dict[str, list[float]] = {"generate": [], "upscale": []}
        self.counts: Counter[tuple[str, str]] = Counter()
        self.failures: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self.longest_wait = 0.0

    def add(self, kind: str, number: int, outcome: str, seconds: float, waited: float, said: str = "") -> None:
        with self.lock:
            self.counts[kind, outcome] += 1
            self.longest_wait = max(self.longest_wait, waited)
            if outcome == "answered":
                self.seconds[kind].append(seconds)
                self.answers[number] += 1
            if outcome == "failed":
                self.failures[said[:200]] += 1


def visit(url: str, number: int, until: float, folder: Path, tally: Tally) -> None:
    """One client, until that time: half generates, half enlarges."""
    client = None
    kind = "upscale" if number % 2 else "generate"
    colour = (number * 37 % 256, number * 91 % 256, number * 53 % 256)
    picture = folder / f"{number}.png"
    Image.new("RGB", (_SIDE, _SIDE), colour).save(picture)
    answered = time.monotonic()
    while (start := time.monotonic()) < until:
        try:
            client = client or Client(url, verbose=False, download_files=str(folder / f"of-{number}"))
            if kind == "generate":
                images, *_ = client.predict(count=16, seed=random.randrange(2**31), api_name="/generate")
                right = len(images) == 16
            else:
                _, large, _ = client.predict(handle_file(picture), api_name="/upscale")
                with Image.open(large) as result:
                    means = ImageStat.Stat(result.convert("RGB")).mean
                right = max(abs(a - b) for a, b in zip(means, colour, strict=True)) <= 2
            last, answered = answered, time.monotonic()
            tally.add(kind, number, "answered" if right else "wrong", answered - start, answered - last)
        except Exception as error:  # the client has many kinds; but for a full queue each is a failure of the demo's
            full = "queue is full" in str(error).lower()
            waited = time.monotonic() - answered
            tally.add(kind, number, "refused" if full else "failed", 0, waited, repr(error))
            time.sleep(1)


def main() -> None:
    """Measure, write results/demo_load.json or as `--name` says, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--name", default="demo_load", help="of the file in results/")
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
        finally:
            done.set()
            server.terminate()
            server.wait(30)
    table = [_row(kind, tally) for kind in tally.seconds]
    share = len(memory) / _PARTS
    answers = [tally.answers[number] for number in range(args.clients)]
    about = {
        "clients": args.clients,
        "seconds": args.seconds,
        "page answers after seconds": round(started, 2),
        "answers to a client, least, median and most": [min(answers), median(answers), max(answers)],
        "a client waited for an answer at most seconds": round(tally.longest_wait, 1),
        f"memory in MB at most, in each {_PARTS}th of the time": [
            round(max(memory[int(part * share) : int((part + 1) * share) + 1])) for part in range(_PARTS)
        ],
        "failures": dict(tally.failures),
    }
    write(args.name, table, **about)
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
