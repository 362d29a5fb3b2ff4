"""`report.html`: a run at a glance, in one file that needs no other and no network."""

import base64
import html
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hubgan.errors import ConfigError
from hubgan.metrics import registry
from hubgan.models.config import CONFIG, read_config
from hubgan.models.figures import Result, images_of
from hubgan.runtime.counting import counted
from hubgan.runtime.files import write_text
from hubgan.training.config import NetworkConfig, TrainingConfig
from hubgan.training.options import complete_block
from hubgan.training.run.curves import axis, panels
from hubgan.training.run.folders import METRICS
from hubgan.training.run.provenance import flat, read_run
from hubgan.training.tasks import TASKS

SAMPLES, REPORT = "samples", "report.html"
CAPTION = "Description"
"""The text in a PNG file of samples that says what it shows."""

_EARLIER = 11
_LARGE, _SMALL = 1200, 320
_HEAVY = 1_500_000

_BESIDE = {
    "floor": "the floor, real images against real images, is",
    "real": "other real images have",
    "bicubic": "bicubic enlarging has",
    "input": "the picture as the model was given it has",
}
"""What a figure is compared with, by its name in the settings of a result."""

_LINES, _LAST = 2000, 50  # of the log, to draw: a run of a week may have a hundred times as many

_CSS = """
:root { color-scheme: light dark; --page: #fbfbfa; --card: #fff; --text: #22252a; --dim: #686e78; --line: #dfe1e5; }
@media (prefers-color-scheme: dark) {
  :root { --page: #15171a; --card: #1c1f23; --text: #e4e6ea; --dim: #98a0ab; --line: #353a41; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 28px 20px 60px; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.7rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 38px 0 12px; }
h3 { font-size: .92rem; margin: 0; }
.dim, figcaption, th { color: var(--dim); }
.state { display: grid; grid-template-columns: repeat(auto-fit, minmax(132px, 1fr)); gap: 10px; margin: 20px 0 0; }
.state div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 9px 13px; }
.state dt { color: var(--dim); font-size: .8rem; }
.state dd { margin: 0; font-size: 1.12rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.bar { height: 5px; border-radius: 3px; background: var(--line); margin-top: 14px; overflow: hidden; }
.bar i { display: block; height: 100%; background: #3f8fd2; }
figure { margin: 0; }
.latest img { display: block; max-width: 100%; height: auto; border-radius: 6px; }
figcaption { font-size: .82rem; margin-top: 5px; }
.samples { display: flex; flex-wrap: wrap; gap: 18px 24px; align-items: flex-start; }
.latest { flex: 0 1 auto; max-width: 100%; }
.strip { flex: 1 1 300px; display: grid; grid-template-columns: repeat(auto-fill, minmax(94px, 1fr)); gap: 12px; }
.strip img { display: block; width: 100%; height: auto; border-radius: 4px; }
.pixels { image-rendering: pixelated; }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 14px; }
.panel { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px 8px; }
.panel figcaption { margin: 0 0 6px; display: flex; flex-wrap: wrap; gap: 2px 18px; align-items: baseline; }
.panel h3 { color: var(--text); margin-right: auto; }
.panel svg { display: block; width: 100%; height: auto; overflow: visible; color: var(--dim); }
.panel svg text { font-family: inherit !important; }
.legend { display: flex; flex-wrap: wrap; gap: 0 14px; font-variant-numeric: tabular-nums; }
.legend i { display: inline-block; width: 12px; height: 3px; border-radius: 2px; margin-right: 5px;
  vertical-align: middle; }
.legend b { color: var(--text); font-weight: 600; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th { text-align: left; font-weight: 500; }
td:first-child { white-space: nowrap; }
td, th { padding: 5px 16px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
.pairs th { width: 1%; white-space: nowrap; }
.pairs td { white-space: normal; }
code { font: .86em ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; }
"""


def write_report(folder: Path) -> None:
    """Write `folder/report.html` from its metrics.jsonl, samples/ and run.json, whichever of them there are.

    Raises:
        OSError: it cannot be written.
    """
    lines, run = _lines(folder / METRICS), read_run(folder) or {}
    sessions = run.get("sessions") or [{}]
    options = (run.get("options") or {}) | (sessions[-1].get("changed") or {})
    parts = [_header(folder, lines, options, run), _results(folder), _samples(folder / SAMPLES, lines)]
    if lines:
        parts.append(f'<h2>Curves</h2><div class="curves">{"".join(panels(lines))}</div>')
    parts += [_options(options), _sessions(run)]
    title = html.escape(folder.resolve().name)
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_CSS}</style></head><body>{''.join(parts)}</body></html>\n"
    )
    write_text(folder / REPORT, page)


def _lines(metrics: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, less those that a kill cut short; of very many some, spread evenly, and the last."""
    found = []
    try:
        text = metrics.read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return []
    for line in [*text[: -_LAST : -(-len(text) // _LINES)], *text[-_LAST:]]:
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def _header(folder: Path, lines: list[dict[str, Any]], options: dict[str, Any], run: dict[str, Any]) -> str:
    last = lines[-1] if lines else {}
    seconds = last.get("seconds") or 0
    data = run.get("data") or {}
    state = {
        "images seen": f"{last.get('images', 0):,}",
        "steps": f"{last.get('steps', 0):,}",
        "training time": str(timedelta(seconds=round(seconds))),
    }
    used = [
        (last.get("images", 0), options.get("max_images")),
        (last.get("steps", 0), options.get("max_steps")),
        (seconds / 60, options.get("max_minutes")),
    ]
    share = max((amount / limit for amount, limit in used if limit), default=None)
    bar = ""
    if share is not None:
        state["of the budget"] = f"{min(share, 1):.0%}"
        bar = f'<div class="bar"><i style="width:{min(share, 1):.1%}"></i></div>'
    if images := data.get("images"):
        state["images in the data"] = f"{images:,}"
        if isinstance(images, int) and last.get("images"):
            state["epochs"] = f"{last['images'] / images:.1f}"
    if last.get("rollbacks"):
        state["returns to a checkpoint"] = str(last["rollbacks"])
    blocks = [
        value["architecture"] for value in options.values() if isinstance(value, dict) and "architecture" in value
    ]
    architecture = options.get("architecture") or next(iter(blocks), None)  # runs of earlier versions have no blocks
    data_name = options.get("dataset_name") or Path(data.get("name") or "").name
    what = " · ".join(filter(None, (options.get("task"), architecture, data_name)))
    cells = "".join(f"<div><dt>{name}</dt><dd>{html.escape(value)}</dd></div>" for name, value in state.items())
    name = html.escape(folder.resolve().name)
    return f'<h1>{name}</h1><div class="dim">{html.escape(what)}</div><dl class="state">{cells}</dl>{bar}'


def _results(folder: Path) -> str:
    """The figures of the saved model, each with a plain reading."""
    try:
        results = (read_config(folder / CONFIG).training_run or {}).get("results", [])
    except ConfigError:  # there is no model yet
        return ""
    if not results:
        return ""
    rows = []
    for result in results:
        value = f"{result['value']:.4g}{registry.mark(result['metric'], images_of(result))}"
        on = f"{result['dataset']}, split {result.get('split', '?')}"
        cells = "".join(f"<td>{html.escape(text)}</td>" for text in (result["name"], value, _reading(result), on))
        rows.append(f"<tr>{cells}</tr>")
    metrics = [(result["metric"], images_of(result)) for result in results]
    words = registry.legends(metric for metric, _ in metrics)
    words += [f"{registry.MARK} {caution}"] if (caution := registry.caution(metrics)) else []
    notes = "".join(f'<p class="dim">{html.escape(text)}</p>' for text in words)
    head = "<tr><th>figure</th><th>value</th><th>reading</th><th>measured on</th></tr>"
    return f'<h2>Results</h2><div class="wide"><table>{head}{"".join(rows)}</table></div>{notes}'


def _reading(result: Result) -> str:
    """What a figure's value means: which values are better, and what the comparison beside it has."""
    found, settings = registry.find(result["metric"]), result.get("settings", {})
    parts = [f"{found.figure.better} is better"] if found else []
    parts += [f"{who} {settings[key]:.4g}" for key, who in _BESIDE.items() if key in settings]
    return "; ".join(parts).capitalize()


def _samples(folder: Path, lines: list[dict[str, Any]]) -> str:
    files = sorted(folder.glob("step-*.png"), key=lambda path: (len(path.name), path.name))
    if not files:
        return ""
    *earlier, latest = files
    kept = sorted({round(i * (len(earlier) - 1) / max(_EARLIER - 1, 1)) for i in range(_EARLIER)}) if earlier else []
    figures = [f"{_picture(earlier[i], _SMALL)}{_caption(earlier[i], lines)}" for i in reversed(kept)]
    strip = "".join(f"<figure>{figure}</figure>" for figure in figures)
    large = _picture(latest, _LARGE) + _caption(latest, lines)
    return (
        f'<h2>Samples</h2>{_shown(latest)}<div class="samples"><figure class="latest">{large}</figure>'
        f'<div class="strip">{strip}</div></div>'
    )


def _shown(sample: Path) -> str:
    """What samples show, as their file says."""
    try:
        with Image.open(sample) as image:
            words = image.info.get(CAPTION)
    except OSError:
        return ""
    return f'<p class="dim">{html.escape(words)}.</p>' if words else ""


def _caption(sample: Path, lines: list[dict[str, Any]]) -> str:
    """Where a run stood when a sample was made, on the axis of the curves."""
    step = sample.stem.removeprefix("step-")
    if not step.isdigit():
        return ""
    if not lines or axis(lines) == "steps":
        return f"<figcaption>step {int(step):,}</figcaption>"
    steps, images = ([0, *(line[key] for line in lines)] for key in ("steps", "images"))
    # Between two lines of the log the number of images grows steadily, and after the last one as on average.
    seen = np.interp(int(step), steps, images) * max(int(step) / max(steps[-1], 1), 1)
    return f"<figcaption>{seen:,.0f} images</figcaption>"


def _picture(file: Path, side: int) -> str:
    """A picture inside the page, no larger than it is shown."""
    try:
        with Image.open(file) as image:
            width, height = image.size
            content = file.read_bytes()
            if max(width, height) > side or len(content) > _HEAVY:
                small = image.convert("RGB")
                small.thumbnail((side, side), Image.Resampling.LANCZOS)
                target = io.BytesIO()
                small.save(target, "PNG", optimize=True)
                (width, height), content = small.size, target.getvalue()
    except OSError:
        return '<span class="dim">(cannot be read)</span>'
    times = max(1, 640 // width) if side == _LARGE else 1
    shown = f'width="{width * times}" height="{height * times}"' + (' class="pixels"' if times > 1 else "")
    data = base64.b64encode(content).decode()
    return f'<img {shown} alt="samples" src="data:image/png;base64,{data}">'


def _options(options: dict[str, Any]) -> str:
    task = TASKS.get(options.get("task", ""))
    defaults = _defaults(task.config_class if task else TrainingConfig)
    rows = []
    for name, value in flat(options).items():
        if name != "config" and (name not in defaults or value != defaults[name]):
            given = _value(defaults[name]) if name in defaults else ""
            rows.append(f"<tr><td>{html.escape(name)}</td><td>{_value(value)}</td><td>{given}</td></tr>")
    if not rows:
        return ""
    head = f"<tr><th>option</th><th>value</th><th>default</th></tr>{''.join(rows)}"
    recipe = f" of the recipe {_value(options['config'])}" if options.get("config") else ""
    return f'<h2>Options{recipe} that are not the defaults</h2><div class="wide"><table>{head}</table></div>'


def _defaults(kind: type[TrainingConfig]) -> dict[str, Any]:
    """The options that have a default, with it; those of blocks by their names on the command line."""
    known = {name: field.default for name, field in kind.model_fields.items() if not field.is_required()}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in known.items()}
    blocks = {name: complete_block(kind, name) for name, value in known.items() if isinstance(value, NetworkConfig)}
    return flat(plain | {name: block.model_dump() for name, block in blocks.items()})


def _value(value: Any) -> str:
    return f"<code>{html.escape(value if isinstance(value, str) else json.dumps(value))}</code>"


def _sessions(run: dict[str, Any]) -> str:
    sessions = run.get("sessions") or []
    if not sessions:
        return ""
    last = sessions[-1]
    machine, versions, git = last.get("hardware") or {}, last.get("versions") or {}, last.get("git")
    gpus = ", ".join(f"{gpu['name']} ({gpu['memory_gib']} GiB)" for gpu in machine.get("gpus") or [])
    machines = counted(last.get("machines", 1), "machine")
    facts = {
        "processes": f"{last.get('processes')}, on {machines}, {last.get('precision')}",
        "processor": f"{machine.get('processor')}; {machine.get('usable_cpus')} usable CPUs, {machine.get('threads')}"
        f" threads a process, {machine.get('memory_gib')} GiB",
        "GPUs": gpus or "none",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "git": f"{git['revision']}{', changed since' if git['dirty'] else ''}" if git else "",
        "data": ", ".join(f"{name} {value}" for name, value in (run.get("data") or {}).items() if value is not None),
        "seed": str(run.get("seed")),
    }
    pairs = "".join(f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in facts.items() if text)
    starts = "".join(
        f"<tr><td>{html.escape(str(s.get('started')))}</td><td>{html.escape(str(s.get('checkpoint') or 'the start'))}"
        f"</td><td><code>{html.escape(str(s.get('command')))}</code></td></tr>"
        for s in sessions
    )
    return (
        f'<h2>Machine and versions</h2><div class="wide"><table class="pairs">{pairs}</table></div>'
        f'<h2>Sessions</h2><div class="wide"><table><tr><th>started</th><th>from</th><th>command</th></tr>{starts}'
        "</table></div>"
    )
