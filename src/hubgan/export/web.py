"""Models as a static page that computes in its visitor's browser, by ONNX Runtime Web.

The page is the files of `page/` as they are, the models as ONNX, and `models.json`, which says all that the page has
to know of them.
"""

import base64
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote

from hubgan.errors import ConfigError, ModelError, Remedy
from hubgan.export.onnx import export_estimator, export_onnx
from hubgan.media.strength import HEAVIEST, STANDARD
from hubgan.models import Generator, Translator, Upscaler
from hubgan.models.translator import HINT_COUNTS, HINTS
from hubgan.models.upscaler import CLEARLY, FAINT, SEEN, SEEN_SIDE
from hubgan.networks.edsr import SMALLEST_ESTIMATED
from hubgan.runtime.files import hashed, new_folder, remedy_of, sha256
from hubgan.version import __version__

_Kind: TypeAlias = type[Generator] | type[Upscaler] | type[Translator]

RUNTIME = "1.30.0"
"""The version of ONNX Runtime Web."""
_RECORD = "models.json"
_CDN = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{RUNTIME}/dist/"
_PACK = f"npm pack onnxruntime-web@{RUNTIME} && tar xf onnxruntime-web-{RUNTIME}.tgz"
# Files of the npm package with their SHA-256: the module and its binary, for CPUs and for GPUs.
_RUNTIMES = {
    "wasm": {
        "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
        "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    },
    "webgpu": {
        "ort.webgpu.bundle.min.mjs": "0730816731ce2cdfb06f273da065d4a1c7091eb9d1756a83b2916c8a89d015e2",
        "ort-wasm-simd-threaded.asyncify.wasm": "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
    },
}
_PAGE = Path(__file__).parent / "page"
_WORKER = "offline.js"
_MOST = 160_000  # pixels of a part with its margins: larger parts take more memory than phones have


class Page(NamedTuple):
    """A page that was written.

    Attributes:
        folder: where.
        files: its files, as paths in the folder.
        size: of all files together, in bytes.
    """

    folder: Path
    files: tuple[str, ...]
    size: int


def write_page(
    folder: str | Path,
    *,
    generators: Sequence[str] = (),
    upscalers: Sequence[str] = (),
    translators: Sequence[str] = (),
    fidelity: float | None = None,
    runtime: str | Path | None = None,
    overwrite: bool = False,
) -> Page:
    """Write a static page on which visitors use these models in their browser; no server computes anything.

    The page is written whole or not at all. Any web server can serve its folder.

    Args:
        folder: the folder to write; missing or empty, unless `overwrite`.
        generators: Hub names, or folders that hold a Generator. One model of any kind is enough.
        upscalers: likewise.
        translators: likewise.
        fidelity: of the upscalers, from 0 to 1 as in `Upscaler.from_pretrained`.
        runtime: the folder `dist` of the npm package onnxruntime-web, to copy into the page. By default visitors
            load it from the network of jsDelivr, and the page checks its bytes.
        overwrite: replace the page in the folder. Files of other origin stay there.

    Raises:
        ConfigError: no model is given, one is of another kind or cannot be exported, two have the same name, the
            folder holds something, or `runtime` is not that of the version `RUNTIME`.
        ModelError: a model cannot be found, reached, loaded or exported; or the folder cannot be written.
    """
    folder = Path(folder)
    kinds: list[tuple[_Kind, str]] = [
        *((Generator, name) for name in generators),
        *((Upscaler, name) for name in upscalers),
        *((Translator, name) for name in translators),
    ]
    _check(folder, [name for _, name in kinds], runtime=runtime, overwrite=overwrite)
    loaded = [_load(kind, name, fidelity) for kind, name in kinds]
    try:
        with new_folder(folder.parent), tempfile.TemporaryDirectory(prefix=".hubgan-", dir=folder.parent) as made:
            new = Path(made) / "page"
            shutil.copytree(_PAGE, new, ignore=shutil.ignore_patterns("__pycache__"))
            if runtime is not None:
                (new / "runtime").mkdir()
                for name in _runtime_files():
                    shutil.copyfile(Path(runtime) / name, new / "runtime" / name)
            about = [_export(model, _label(name), new) for model, (_, name) in zip(loaded, kinds, strict=True)]
            files = _finish(new, about, local=runtime is not None)
            size = sum((new / file).stat().st_size for file in files)
            _move(new, folder, files)
    except OSError as error:
        words = error.strerror or str(error)
        raise ModelError(f"{error.filename or folder} cannot be written: {words}", remedy_of(error)) from error
    return Page(folder, files, size)


def _check(folder: Path, models: Sequence[str], *, runtime: str | Path | None, overwrite: bool) -> None:
    """Check what `write_page` is called with, before work that takes long."""
    if not models:
        raise ConfigError(
            "no model was given",
            Remedy(
                "Pass at least one in generators=, upscalers= or translators=",
                "Pass at least one with --generator, --upscaler or --translator",
            ),
        )
    by_label: dict[str, str] = {}
    for name in models:
        if (other := by_label.setdefault(_label(name), name)) is not name:
            raise ConfigError(f"{other} and {name} would both become {_label(name)}", "Rename one of the folders")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file", "Pass another folder")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / _RECORD).is_file():
            raise ConfigError(f"{folder} holds other files, and no page", "Pass another folder")
        if not overwrite:
            raise ConfigError(
                f"{folder} already holds a page",
                Remedy(
                    "Pass another folder, or overwrite=True",
                    "Pass another folder, or replace the page with --overwrite",
                ),
            )
    for name, digest in _runtime_files().items() if runtime is not None else ():
        file = Path(runtime) / name  # type: ignore[arg-type]
        if not file.is_file() or sha256(file) != digest:
            what = "is not that of" if file.is_file() else "is missing in"
            raise ConfigError(
                f"{file} {what} ONNX Runtime Web {RUNTIME}",
                Remedy(
                    f"Run: {_PACK}. Then pass runtime='package/dist'",
                    f"Run: {_PACK}. Then pass --runtime package/dist",
                ),
            )


def _label(name: str) -> str:
    """What the page calls a model: the last part of its name."""
    return Path(name).expanduser().resolve().name


def _runtime_files() -> dict[str, str]:
    return {name: digest for files in _RUNTIMES.values() for name, digest in files.items()}


def _load(kind: _Kind, name: str, fidelity: float | None) -> Generator | Upscaler | Translator:
    if kind is Upscaler:
        return Upscaler.from_pretrained(name, fidelity=fidelity or 0.0)
    model = kind.from_pretrained(name)
    if isinstance(model, Translator) and model.input == "mask":
        raise ConfigError(
            f"{name} fills holes of pictures, which the page cannot show", "Show it in the demo: hubgan space"
        )
    return model


def _export(model: Generator | Upscaler | Translator, name: str, page: Path) -> dict[str, Any]:
    """Write a model into the page, and return what the page has to know of it."""
    file = export_onnx(model, page / "models" / f"{name}.onnx")
    about: dict[str, Any] = {"kind": model._kind().lower(), "name": name, "file": _asset(file, page)}
    about["channels"] = model.channels
    if isinstance(model, Generator):
        return about | {"size": model.image_size, "latents": model.latent_dim, "classes": list(model.labels)}
    if isinstance(model, Translator):
        hint = {"at": HINTS - 1, "least": HINT_COUNTS} if model.config["colour_hints"] else None
        about |= {"size": model.image_size, "input": model.input, "inputChannels": model.input_channels}
        return about | {"latents": model.latent_dim, "hint": hint, "multiple": int(model.network.multiple)}  # type: ignore[arg-type]
    about |= {"purpose": model.purpose, "scale": model.scale}
    multiple = int(getattr(model.network, "multiple", 1))
    about |= {"halo": int(model.network.receptive_field), "multiple": multiple, "most": _MOST * multiple**2}  # type: ignore[arg-type]
    if model.has_strength:
        estimator = export_estimator(model, page / "models" / f"{name}-strength.onnx")
        about["strength"] = {
            "file": _asset(estimator, page),
            "least": SMALLEST_ESTIMATED,
            "parts": SEEN,
            "side": SEEN_SIDE,
            "faint": FAINT,
            "clearly": CLEARLY,
            "standard": STANDARD,
            "heaviest": HEAVIEST,
        }
    return about


def _asset(file: Path, page: Path) -> dict[str, Any]:
    """A file as the page asks for it, and checks it."""
    return {
        "url": quote(file.relative_to(page).as_posix()),
        "integrity": _integrity(sha256(file)),
        "bytes": file.stat().st_size,
    }


def _integrity(digest: str) -> str:
    """A SHA-256 in hexadecimal digits as browsers want it (https://www.w3.org/TR/SRI)."""
    return f"sha256-{base64.b64encode(bytes.fromhex(digest)).decode()}"


def _finish(page: Path, models: list[dict[str, Any]], *, local: bool) -> tuple[str, ...]:
    """Write what names all other files: the record, and the beginning of the service worker."""
    base = "runtime/" if local else _CDN
    runtimes: Mapping[str, Any] = {
        kind: [{"url": f"{base}{name}", "integrity": _integrity(digest)} for name, digest in files.items()]
        for kind, files in _RUNTIMES.items()
    }
    shell = sorted(file.name for file in page.iterdir() if file.is_file() and file.name != _WORKER)
    below = sorted(file.relative_to(page).as_posix() for file in page.glob("*/*"))
    files = [*shell, _RECORD, _WORKER, *below]
    version = hashed(json.dumps([models, runtimes]), *(sha256(page / name) for name in [*shell, _WORKER]))
    record = {"hubgan": __version__, "version": version, "runtimes": runtimes, "models": models, "files": files}
    (page / _RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    script = (page / _WORKER).read_text(encoding="utf-8")
    page_of_it = json.dumps({"version": version, "files": [*shell, _RECORD]})
    (page / _WORKER).write_text(f"const PAGE = {page_of_it};\n{script}", encoding="utf-8")
    return tuple(files)


def _move(new: Path, folder: Path, files: Sequence[str]) -> None:
    """Put a page into its place; of an earlier page there, what is no longer needed is deleted."""
    if not folder.exists() or not any(folder.iterdir()):
        new.replace(folder)
        return
    earlier = _files_of(folder / _RECORD)
    for file in files:
        (folder / file).parent.mkdir(exist_ok=True)
        (new / file).replace(folder / file)
    for file in earlier - {*files}:
        (folder / file).unlink(missing_ok=True)


def _files_of(record: Path) -> set[str]:
    """The files of an earlier page, by its record; none where there is no such page."""
    try:
        found = json.loads(record.read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, LookupError, TypeError):
        return set()
    return {file for file in found if isinstance(file, str) and ".." not in file and not file.startswith("/")}
