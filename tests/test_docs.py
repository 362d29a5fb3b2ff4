"""The README and docs/: commands and code that work, links that lead somewhere, sentences that are short."""

import argparse
import contextlib
import importlib
import json
import os
import posixpath
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import launch_command_parser
from click.testing import CliRunner
from huggingface_hub.cli.hf import app as hf
from PIL import Image

from helpers.common import ROOT
from helpers.guides import GUIDES, PAGES, README, anchors, code, commands, links, sentences, text
from hubgan.cli import COMMANDS
from hubgan.cli import main as hubgan_main
from hubgan.demo.limits import Limits
from hubgan.models.endpoint import PARAMETERS
from hubgan.training import parse
from hubgan.training.config import TrainingConfig
from hubgan.training.tasks import TASKS

TABLES = runpy.run_path(str(ROOT / "docs" / "tables.py"))
PROSE = [guide for guide in GUIDES if guide.stem != "experiments"]  # a record, not a guide
# Code with one of these needs a server, or weights that are not here.
ELSEWHERE = ("gradio_client", "4x-model.safetensors", "runs/sketch-to-emoji", "user/horse2zebra")
VARIABLES = {"HUBGAN_GENERATORS", "HUBGAN_UPSCALERS", "HUBGAN_TRANSLATORS", "GRADIO_MCP_SERVER", "GRADIO_SERVER_NAME"}


def relative(guide: Path) -> str:
    return str(guide.relative_to(ROOT))


class Parsed(Exception):
    """A parser has accepted its arguments."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a clone of the repository, with the pictures that the guides name."""
    monkeypatch.chdir(tmp_path)
    for name in ("model_cards", "train.py", "app.py", "tests"):
        Path(name).symlink_to(ROOT / name)
    Path("holiday").mkdir()
    for name in ("photo.jpg", "drawing.png", "holiday/beach.jpg"):
        Image.effect_noise((8, 8), 64).convert("RGB").save(name)
    return tmp_path


# -- commands


@pytest.mark.skipif(os.name == "nt", reason="needs bash")
def test_the_job_for_a_cluster_starts_a_command_on_each_machine(tmp_path: Path) -> None:
    """SLURM's two programs are played: `srun` starts both tasks, and `accelerate` says how it was called."""
    job = next(block for block in code(ROOT / "docs" / "training.md", "bash") if "#SBATCH" in block)
    played = {
        "scontrol": "printf 'node7\\nnode8\\n'",
        "srun": 'while [[ $1 == --* ]]; do shift; done; for id in 0 1; do SLURM_NODEID=$id SLURM_NNODES=2 "$@"; done',
        "accelerate": 'echo "$*"',
    }
    for name, body in played.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/bash\n{body}\n")
        program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "SLURM_JOB_NODELIST": "node[7-8]",
    }
    said = subprocess.run(["bash", "-c", job], env=environment, capture_output=True, text=True, check=True).stdout
    for rank, line in enumerate(said.splitlines()):
        asked = launch_command_parser().parse_args(shlex.split(line)[1:])
        assert (asked.num_machines, asked.num_processes, asked.machine_rank) == (2, 8, rank)
        assert (asked.main_process_ip, asked.module, asked.training_script) == ("node7", True, "hubgan")
        assert parse(asked.training_script_args[1:]).resume == "auto"
    assert said.count("\n") == 2


def test_the_file_for_two_machines_is_one_of_accelerates(tmp_path: Path) -> None:
    (text,) = [block for block in code(ROOT / "docs" / "training.md", "yaml") if "num_machines" in block]
    (tmp_path / "config.yaml").write_text(text)
    config = load_config_from_file(str(tmp_path / "config.yaml"))
    assert (config.num_machines, config.machine_rank, config.num_processes) == (2, 1, 8)


@pytest.mark.slow
@pytest.mark.parametrize("guide", [guide for guide in GUIDES if commands(guide)], ids=relative)
def test_every_command_is_accepted(guide: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in commands(guide):
        try:
            check(words, monkeypatch)
        except (Exception, SystemExit) as error:
            raise AssertionError(f"{guide.name}: {shlex.join(words)}: {error}") from error


def check(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a command to the parser that it would meet."""
    while re.match(r"[A-Z_]+=", words[0]):
        variable, words = words[0].partition("=")[0], words[1:]
        assert variable in VARIABLES
    match words:
        case ["accelerate", "config"] | ["cd", "hubgan"] | ["tensorboard", "--logdir", _]:
            pass
        case ["accelerate", "launch", *options]:
            launched = launch_command_parser().parse_args(options)
            program = ["-m", launched.training_script] if launched.module else [launched.training_script]
            check(["python", *program, *launched.training_script_args], monkeypatch)
        case (
            ["python", "train.py", *options]
            | ["hubgan", "train", *options]
            | ["python", "-m", "hubgan", "train", *options]
        ):
            with contextlib.suppress(SystemExit) if "--help" in options else contextlib.nullcontext():
                parse(options)
        case ["uv", "run", *program]:
            check(["python", *program], monkeypatch)
        case ["hubgan", name, *options] | ["python", "-m", "hubgan", name, *options]:
            monkeypatch.setattr(f"{COMMANDS[name][0]}.run", lambda args: None)
            assert hubgan_main([name, *options]) == 0
        case ["python", "-m", module, *options] if module.startswith("benchmarks."):
            accepted(importlib.import_module(module).main, options, monkeypatch)
        case ["python", "tests/kill.py", *options]:
            accepted(importlib.import_module("kill").main, options, monkeypatch)
        case ["python", "app.py"]:
            pass
        case ["python", "-m", "pytest", file]:
            assert (ROOT / file).exists()
        case ["hf", *command]:
            result = CliRunner().invoke(hf, [*command, "--help"])
            assert result.exit_code == 0, result.output
        case ["make", target, *_]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        case ["pip", "install", "-e", package, *_] | ["pip", "install", package, *_]:
            name, _, extras = package.partition("[")
            assert name in (".", "hubgan")
            project = (ROOT / "pyproject.toml").read_text()
            for extra in re.findall(r"[a-z]+", extras):
                assert re.search(rf"^{extra} = \[", project, re.MULTILINE)
        case ["curl", address, *options]:  # of an endpoint
            asked = dict(parse_qsl(address.partition("?")[2]))
            if "-d" in options:
                asked |= json.loads(options[options.index("-d") + 1])["parameters"]
            assert asked and any(asked.keys() <= known.keys() for known in PARAMETERS.values())
        case ["docker", "build", "--tag", "hubgan", "."]:
            assert (ROOT / "Dockerfile").is_file()
        case ["docker", "run", *words] if "hubgan" in words:
            check(["hubgan", "demo", *words[words.index("hubgan") + 1 :]], monkeypatch)
        case ["python", "-m", "http.server", "-d", _]:
            pass
        case ["git", "clone", "--depth", "1", _] | ["mkdir", _] | ["find", *_]:
            pass
        case ["python3", "-m", "venv", ".venv"] | [".", ".venv/bin/activate"]:
            pass
        case _:
            raise AssertionError("no test knows this command")


def accepted(main: Callable[[], None], options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a program until its parser has accepted the options."""
    parse_args = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser: argparse.ArgumentParser, *args: Any) -> None:
        parse_args(parser, *args)
        raise Parsed

    with monkeypatch.context() as patch, pytest.raises(Parsed):
        patch.setattr(sys, "argv", ["program", *options])
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
        main()


@pytest.mark.slow
def test_the_readmes_first_commands_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    block = next(block for block in code(README, "console") if "hubgan upscale" in block)
    ran = [words[1:] for words in commands(README) if shlex.join(words[:2]) in block and words[0] == "hubgan"]
    for words in ran:
        assert hubgan_main(words) == 0, capsys.readouterr().err
    assert {words[0] for words in ran} == {"upscale", "sample", "translate", "info"}
    assert Image.open("large.jpg").size == Image.open("holiday-large/beach.jpg").size == (32, 32)
    assert len([*Path("horses").glob("*.png")]) == 16


# -- code


@pytest.mark.slow
@pytest.mark.parametrize("guide", [guide for guide in GUIDES if code(guide, "python")], ids=relative)
def test_code_runs(guide: Path, here: Path) -> None:
    for block in code(guide, "python"):
        program = compile(block, guide.name, "exec")
        if any(word in block for word in ELSEWHERE):
            block = "\n".join(line for line in block.splitlines() if re.match("(from|import) ", line))
            program = compile(block, guide.name, "exec")
        exec(program, {})


# -- what is made from the code


def test_tables_hold_every_command_and_option() -> None:
    made = {name: "\n".join(part()) for name, part in TABLES["PARTS"].items()}
    assert all(f"## hubgan {name}\n" in made["commands"] for name in COMMANDS)
    for kind in (TrainingConfig, *(task.config_class for task in TASKS.values())):
        for name in kind.model_fields:
            assert f"--{name}`" in made["options"] or f"--{name}.architecture`" in made["options"] or name == "task"
    assert "`--generator.width` | `64` | C" in made["options"]
    assert "quickstart" in made["recipes"]


def test_pages_ask_only_for_tables_that_exist() -> None:
    asked = {name for page in PAGES for name in re.findall(r"<!-- generated: (.+?) -->", text(page))}
    assert asked == TABLES["PARTS"].keys()


def test_the_demos_page_names_its_variables_and_endpoints() -> None:
    page = text(ROOT / "docs" / "demo.md")
    demo = "\n".join(file.read_text() for file in [ROOT / "app.py", *(ROOT / "src/hubgan/demo").glob("*.py")])
    variable = r"\bHUBGAN_[A-Z_]*[A-Z]\b"
    limits = {f"HUBGAN_MAX_{name.upper()}" for name in Limits.__dataclass_fields__}
    assert set(re.findall(variable, page)) == set(re.findall(variable, demo)) | limits
    assert all(f"`{name}`" in page for name in re.findall(r"environ(?:ment)?\.get\(\"(\w+)\"", demo))
    listed = page.partition("describes the endpoints")[2].partition("```")[0]
    assert set(re.findall(r"`/(\w+)`", listed)) == set(re.findall(r"api_name=\"(\w+)\"", demo))


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_a_page_begins_with_a_task_and_a_command(page: Path) -> None:
    assert re.match(r"# .+\n\n([^`\n].*\n){1,2}\n```(console|python)\n", text(page))


# -- links and words


@pytest.mark.parametrize(
    "guide", [*GUIDES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=lambda path: path.name
)
def test_links_lead_somewhere(guide: Path) -> None:
    for link in links(guide):
        path, _, anchor = link.partition("#")
        target = Path(posixpath.normpath(guide.parent / path)) if path else guide
        assert target.exists(), f"{guide.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{guide.name}: {link}"


def test_the_site_has_every_page() -> None:
    site = (ROOT / "mkdocs.yml").read_text()
    assert all(re.search(rf": {re.escape(page.name)}$", site, re.MULTILINE) for page in PAGES)


@pytest.mark.parametrize("guide", PROSE, ids=relative)
def test_sentences_are_short(guide: Path) -> None:
    lengths = {sentence: len(sentence.split()) for sentence in sentences(guide)}
    assert not [sentence for sentence, length in lengths.items() if length > 25]
    assert sum(lengths.values()) <= 14 * len(lengths)


def test_the_readme_stays_short() -> None:
    """`pytest -rP` shows the figures."""
    readme, lengths = text(README), [len(sentence.split()) for sentence in sentences(README)]
    lines, words = len(readme.splitlines()), len(readme.split())
    mean = sum(lengths) / len(lengths)
    sys.stdout.write(f"{lines} lines, {words} words; sentences: mean {mean:.1f} words, longest {max(lengths)}\n")
    assert lines <= 140 and words <= 1000 and mean <= 12 and max(lengths) <= 25
