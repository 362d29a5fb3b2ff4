"""Where the time of `hubgan upscale` goes for one picture: start-up, reading, the network, writing.

    python -m benchmarks.end_to_end --photos DATA

A photograph is resampled to each size, and saved as PNG and as JPEG. Each is enlarged four times by a process of its
own, into the same format. The seconds of the parts are those of all processor cores, which other programs disturb
little. Start-up is all that is no other part. *Beside the network* is the time of the other parts over the network's.
The last column is the time from the shell, with everything that disturbs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from PIL import Image

from benchmarks.common import called, markdown, write
from hubgan.data import load_images

ROOT = Path(__file__).resolve().parents[1]
_MODEL = "model_cards/photo-x4"
_PARTS = ("start-up", "reading", "network", "writing")
# What runs in a process of its own; it imports nothing that the command does not.
_COMMAND = """
import json, sys, time
import hubgan.cli
from hubgan.cli.inputs import UpscaleJob
from hubgan.media import writing
from hubgan.models import Upscaler

seconds = {}

def measure(owner, name, part):
    function = getattr(owner, name)
    def measured(*args, **options):
        start = time.process_time()
        try:
            return function(*args, **options)
        finally:
            seconds[part] = time.process_time() - start
    setattr(owner, name, measured)

measure(UpscaleJob, "open", "reading")
measure(Upscaler, "upscale", "network")
measure(writing, "save_picture", "writing")
status = hubgan.cli.main(["upscale", *sys.argv[1:]])
print(json.dumps({"start-up": time.process_time() - sum(seconds.values()), **seconds}))
sys.exit(status)
"""


def main() -> None:
    """Measure, write results/end_to_end.json, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", required=True, metavar="DATA", help="a data set of photographs")
    parser.add_argument("--row", type=int, default=20, help="of the photograph in it")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--name", default="end_to_end", help="of the file of results")
    args = parser.parse_args()
    photo = load_images(args.photos).image(args.row).convert("RGB")
    table: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for megapixels in args.megapixels:
            factor = (megapixels * 1e6 / photo.width / photo.height) ** 0.5
            size = (round(photo.width * factor), round(photo.height * factor))
            for ending in ("png", "jpg"):
                file = Path(folder, f"small.{ending}")
                photo.resize(size, Image.Resampling.LANCZOS).save(file, quality=90)
                found = [_run(file, args.threads) for _ in range(args.repetitions)]
                parts = {name: round(median(each[name] for each in found), 3) for name in found[0]}
                beside = sum(parts[name] for name in _PARTS) / parts["network"] - 1
                whole = parts.pop("from the shell")
                table.append(
                    {
                        "picture": f"{size[0]} x {size[1]}, {ending}",
                        **parts,
                        "beside the network": f"{beside:.0%}",
                        "from the shell": whole,
                    }
                )
                print(table[-1], flush=True)
    about = {"photos": called(args.photos, None), "row": args.row, "model": _MODEL}
    write(args.name, table, **about, threads_of_each=args.threads, repetitions=args.repetitions)
    print(markdown(table))


def _run(file: Path, threads: int) -> dict[str, float]:
    """The seconds of each part, and those from the shell; the size of the result in megabytes."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT / "src")}
    result = file.with_stem("large")
    command = [sys.executable, "-c", _COMMAND, _MODEL, str(file), "-o", str(result), "--overwrite"]
    start = perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    whole = perf_counter() - start
    parts: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**parts, "MB": result.stat().st_size / 1e6, "from the shell": whole}


if __name__ == "__main__":
    main()
