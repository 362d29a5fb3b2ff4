"""The command line, as a person types it: what it writes, what it says, and with which exit status it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import try_to_load_from_cache
from PIL import Image, ImageCms

from helpers.command_line import Run, environment
from helpers.common import ROOT, names
from helpers.loopback_hub import LoopbackHub
from helpers.pictures import same
from hubgan import Discriminator, Generator, Upscaler, __version__
from hubgan.cli import COMMANDS
from hubgan.cli.arguments import announce_torch

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture
def run(hubgan: Run) -> Run:
    """Run `hubgan`."""
    return hubgan


@pytest.fixture
def generator(tmp_path: Path) -> Generator:
    """An untrained generator, saved in `gen`."""
    model = Generator(image_size=16, width=4, latent_dim=16)
    model.training_run = {
        "dataset": "tester/shapes",
        "facts": {"images seen": "1,000"},
        "results": [
            {"metric": "fd", "name": "FD", "value": 12.5, "dataset": "tester/shapes", "split": "test", "samples": 500},
            {
                "metric": "fd",
                "name": "FD",
                "value": 9.25,
                "dataset": "tester/shapes",
                "split": "train",
                "settings": {"floor": 3.125},
            },
        ],
    }
    model.save_pretrained(tmp_path / "gen")
    return model


def shell(*argv: str, code: str = "", **options: object) -> subprocess.CompletedProcess[str]:
    """`python -m hubgan`, or some code, in a process of its own."""
    command = [sys.executable, *(["-c", code] if code else ["-m", "hubgan", *argv])]
    return subprocess.run(command, env=environment(), text=True, timeout=60, check=False, **options)


# -- the way in ---------------------------------------------------------------------------------------------------


def test_help_lists_every_command_and_every_command_has_one(run: Run) -> None:
    status, table, _ = run("--help")
    assert status == 0
    for command, (_, line) in COMMANDS.items():
        assert f"  {command}" in table and line in table
        status, said, _ = run(command, "--help")
        assert status == 0
        assert said.startswith(f"usage: hubgan {command} [-h]")
        assert run("help", command)[1] == said
    assert run("--version")[:2] == (0, f"hubgan {__version__}\n")


def test_what_is_mistyped_is_told_on_stderr_with_the_nearest_that_is_known(run: Run) -> None:
    for argv, words in {
        (): "usage: hubgan COMMAND",
        ("smaple",): "unknown command 'smaple'. Did you mean 'sample'?",
        ("trian",): "unknown command 'trian'. Did you mean 'train'?",
        ("--verson",): "unknown option --verson. Did you mean '--version'?",
        ("sample", "gen", "--sed", "3"): "unknown option --sed. Did you mean '--seed'?",
        ("sample", "gen", "more"): "unexpected argument: more",
        ("sample", "gen", "-n", "0"): "'0' is not a whole number from 1 to 1000000",
        ("sample", "gen", "--se", "3"): "unknown option --se",
        ("upscale",): "required: MODEL",
        ("upscale", "up", "a.png", "--quality", "high"): "'high' is not a whole number from 1 to 100",
    }.items():
        status, said, complained = run(*argv)
        assert (status, said) == (2, "")
        assert words in complained


@pytest.mark.e2e
def test_what_needs_no_model_imports_neither_torch_nor_the_hubs_client() -> None:
    done = shell(
        code="""
import sys
from hubgan.cli import main
status = [main(argv) for argv in ([], ["--help"], ["--version"], ["smaple"], ["upscale", "--help"], ["sample"])]
assert status == [2, 0, 0, 2, 0, 2], status
print({"torch", "huggingface_hub", "PIL", "numpy"} & set(sys.modules))
""",
        capture_output=True,
    )
    assert done.stdout.endswith("set()\n"), done.stderr


@pytest.mark.e2e
def test_a_model_that_the_hub_cannot_give_is_an_error_before_the_imports_that_take_seconds(tmp_path: Path) -> None:
    """`push` and `space` need the Hub, whatever their models are; `train` needs no model."""
    done = shell(
        code="""
import os, sys
os.environ["HF_HUB_OFFLINE"] = "1"
import hubgan
from hubgan.cli import COMMANDS, main
picture = os.path.join(os.path.dirname(hubgan.__file__), "demo", "examples", "cat.png")
more = {"synthesize": ["-n", "3", "-o", "fakes"], "upscale": ["."], "translate": ["."], "invert": [picture],
        "evaluate": ["--dataset", "."],
        "push": ["me/repository"], "space": ["--generator", "me/x", "--upscaler", "me/y"],
        "web": ["--upscaler", "me/y"]}
for command in COMMANDS.keys() - {"train"}:
    model = ["--upscaler", "me/x"] if command == "demo" else ["me/x"]
    assert main([command, *model, *more.get(command, [])]) == 2
print({"torch", "datasets", "accelerate"} & set(sys.modules))
""",
        capture_output=True,
        cwd=tmp_path,
    )
    assert done.stdout == "set()\n", done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == len(COMMANDS) - 1 and all("cannot be reached" in line for line in lines), lines
    assert not list(tmp_path.iterdir())


@pytest.mark.e2e
def test_a_data_set_that_the_hub_cannot_give_is_an_error_before_the_imports_that_take_seconds(tmp_path: Path) -> None:
    Upscaler(scale=2, width=4, depth=1).save_pretrained(tmp_path / "up")
    done = shell(
        code="""
import os, sys
os.environ["HF_HUB_OFFLINE"] = "1"
from hubgan.cli import main
for words in (["train"], ["evaluate", "up"], ["upscale", "up", "-o", "large"]):
    assert main([*words, "--dataset", "me/x"]) == 2
print({"torch", "datasets", "accelerate"} & set(sys.modules))
""",
        capture_output=True,
        cwd=tmp_path,
    )
    assert done.stdout == "set()\n", done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 3 and all("'me/x' is not a folder on this machine" in line for line in lines), lines
    assert [file.name for file in tmp_path.iterdir()] == ["up"]


@pytest.mark.e2e
def test_who_reads_the_output_may_leave() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = shell("--help", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.e2e
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_output_that_cannot_be_written_is_an_error() -> None:
    with Path("/dev/full").open("w") as full:
        done = shell("--version", stdout=full, stderr=subprocess.PIPE)
    remedy = "Free some space, or choose a folder on another disk"
    assert (done.returncode, done.stderr) == (2, f"hubgan: error: No space left on device. {remedy}\n")


# -- sample -------------------------------------------------------------------------------------------------------


def test_samples_are_files_named_by_seed_and_number(run: Run, tmp_path: Path, generator: Generator) -> None:
    status, said, complained = run("sample", "gen", "-n", 11, "--seed", 7, "--grid", "--batch-size", 3)
    assert (status, complained) == (0, "")
    assert "11 images: gen-samples/seed7-0000.png to seed7-0010.png" in said
    assert "in one grid: gen-samples/seed7-grid.png" in said
    images = generator.sample(11, seed=7)
    assert names(tmp_path / "gen-samples") == {f"seed7-{index:04d}.png" for index in range(11)} | {"seed7-grid.png"}
    for index, image in enumerate(images):
        assert same(tmp_path / "gen-samples" / f"seed7-{index:04d}.png", image)
    with Image.open(tmp_path / "gen-samples" / "seed7-grid.png") as grid:
        assert grid.size == (4 * 18 + 2, 3 * 18 + 2)
        corner = grid.crop((2 + 2 * 18, 2 + 2 * 18, 18 + 2 * 18, 18 + 2 * 18))
        assert corner.tobytes() == images[10].tobytes()


def test_a_terminal_is_told_what_is_loaded(
    run: Run, generator: Generator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Loading" not in "".join(run("sample", "gen", "-n", 1, "--seed", 7)[1:])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run("sample", "gen", "-n", 1, "--seed", 8)[2].startswith("Loading gen ...\n")
    announced = run("info", "gen", "--json")
    assert json.loads(announced[1]) and not announced[2]  # PyTorch is here already
    monkeypatch.delitem(sys.modules, "torch")
    announce_torch()
    assert capsys.readouterr().err == "Loading PyTorch ...\n"
    monkeypatch.setenv("RANK", "1")
    announce_torch()
    assert not capsys.readouterr().err


def test_samples_of_classes(run: Run, tmp_path: Path, generator: Generator) -> None:
    named = Generator(labels=["cat", "dog", "ship"], width=4, latent_dim=8).eval()
    named.save_pretrained(tmp_path / "named")
    options = ["-n", 9, "--seed", 7, "--labels", "ship", "0", "--truncation", "1", "--batch-size", 8, "-o", "out"]
    assert run("sample", "named", *options)[0] == 0
    images = named.sample(9, seed=7, labels=["ship", "cat"], truncation=1)
    assert all(same(tmp_path / "out" / f"seed7-{index:04d}.png", image) for index, image in enumerate(images))
    status, _, complained = run("sample", "named", "--label", "shp")
    assert status == 2 and "no class 'shp'. Did you mean 'ship'?" in complained
    status, _, complained = run("sample", "gen", "--labels", "ship")
    assert status == 2 and "this model has no classes" in complained


def test_samples_replace_nothing_unasked(run: Run, tmp_path: Path, generator: Generator) -> None:
    run("sample", "gen", "-n", 2, "--seed", 7, "-o", "out")
    (tmp_path / "out" / "seed7-0001.png").write_bytes(b"mine")
    status, said, complained = run("sample", "gen", "-n", 4, "--seed", 7, "-o", "out")
    assert (status, said) == (2, "")
    assert complained.startswith("hubgan sample: error: out/seed7-0000.png already exists. Use another --seed")
    assert (tmp_path / "out" / "seed7-0001.png").read_bytes() == b"mine"
    assert run("sample", "gen", "-n", 4, "--seed", 8, "-o", "out")[0] == 0
    assert run("sample", "gen", "-n", 4, "--seed", 7, "-o", "out", "--overwrite")[0] == 0
    assert same(tmp_path / "out" / "seed7-0001.png", generator.sample(2, seed=7)[1])


def test_a_seed_that_was_drawn_is_told(run: Run, tmp_path: Path, generator: Generator) -> None:
    _, said, _ = run("sample", "gen", "-n", 1, "-o", "a")
    seed = said.split("--seed ")[1].split()[0]
    assert f"1 image: a/seed{seed}-0000.png" in said
    assert run("sample", "gen", "-n", 1, "--seed", seed, "-o", "b")[0] == 0
    file = f"seed{seed}-0000.png"
    assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_what_cannot_be_sampled_is_told_in_a_line(run: Run, tmp_path: Path, generator: Generator) -> None:
    Upscaler(width=4, depth=1).save_pretrained(tmp_path / "up")
    (tmp_path / "file").touch()
    (tmp_path / "runs" / "quickstart").mkdir(parents=True)
    for argv, words in {
        ("up",): "up/config.json describes",
        ("runs/quikstart",): "runs/quikstart does not exist. Did you mean runs/quickstart?",
        ("user/model",): "nor in the download cache, and the Hub (http://127.0.0.1",  # which refuses connections
        ("nothing here",): "'nothing here' is neither a folder on this machine nor a Hub name",
        ("gen", "--device", "toaster"): "this machine has no device toaster",
        ("gen", "--grid", "-n", "1000000"): "--grid: a grid of 1,000,000 images of 16 x 16 pixels would have more",
        ("gen", "-o", "file"): "file: File exists",
    }.items():
        status, said, complained = run("sample", *argv)
        assert (status, said) == (2, "")
        assert complained.startswith("hubgan sample: error: ") and words in complained
        assert complained.count("\n") == 1


# -- info, push, space --------------------------------------------------------------------------------------------


def test_info_tells_what_a_model_is(run: Run, tmp_path: Path, generator: Generator, upscaler: Upscaler) -> None:
    Discriminator(width=4).half().save_pretrained(tmp_path / "gen" / "discriminator")
    status, said, _ = run("info", "gen", "--json")
    about = json.loads(said)
    assert status == 0
    assert (about["class"], about["architecture"], about["dtype"]) == ("Generator", "dcgan", "float32")
    assert about["parameters"] == generator.num_parameters()
    assert about["options"]["latent_dim"] == 16
    assert about["bytes"] == (tmp_path / "gen" / "model.safetensors").stat().st_size
    assert about["results"][0]["value"] == 12.5
    said = run("info", "gen")[1]
    for words in (f"{generator.num_parameters():,} parameters, float32", "latent_dim 16", "images seen  1,000",
                  "FD  12.5  (tester/shapes test, 500 images)",
                  "FD  9.25, floor 3.125  (tester/shapes train)"):  # fmt: skip
        assert words in said
    said = run("info", "gen", "--subfolder", "discriminator")[1]
    assert said.startswith("Discriminator, network dcgan: ") and "float16" in said and "none recorded" in said
    assert upscaler.purpose in run("info", "up")[1]


def test_info_fetches_no_weights_from_the_hub(hub: LoopbackHub, run: Run, generator: Generator) -> None:
    generator.push_to_hub("tester/info")
    here, there = (json.loads(run("info", name, "--json")[1]) for name in ("gen", "tester/info"))
    assert here == there
    assert try_to_load_from_cache("tester/info", "config.json")
    assert try_to_load_from_cache("tester/info", "model.safetensors") is None


def test_info_of_a_broken_model_is_an_error(run: Run, tmp_path: Path, generator: Generator) -> None:
    weights = tmp_path / "gen" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "model.safetensors is damaged or incomplete" in run("info", "gen")[2]
    (tmp_path / "gen" / "config.json").write_text("{")
    assert "config.json is not valid JSON" in run("info", "gen")[2]
    (tmp_path / "empty").mkdir()
    status, said, complained = run("info", "empty")
    assert (status, said) == (2, "") and "empty has no config.json" in complained


def test_push_prints_the_address_and_says_when_nothing_is_new(
    hub: LoopbackHub, run: Run, tmp_path: Path, generator: Generator
) -> None:
    status, said, _ = run("push", "gen", "tester/pushed", "--private", "--message", "Ours")
    assert status == 0
    page, commit = said.splitlines()
    assert page == f"{hub.url}/tester/pushed" and commit.startswith(f"{page}/commit/")
    assert run("push", "gen", "tester/pushed")[:2] == (0, f"{page}\nNothing has changed since {commit}\n")
    assert run("sample", "tester/pushed", "-n", 1)[0] == 0
    assert (tmp_path / "pushed-samples").is_dir()
    for argv, words in {
        ("nowhere", "tester/x"): "nowhere is not a folder",
        (".", "tester/x"): ". has no config.json and model.safetensors",
        ("gen", "not a name"): "not a Hub name",
    }.items():
        status, said, complained = run("push", *argv)
        assert (status, said) == (2, "") and words in complained


def test_space_pushes_the_demo(hub: LoopbackHub, run: Run, generator: Generator, upscaler: Upscaler) -> None:
    models = ("--generator", "gen", "--upscaler", "up")
    status, said, complained = run("space", "tester/demo", *models)
    assert (status, complained) == (0, "")
    assert "/spaces/tester/demo/commit/" in said
    status, said, _ = run("space", "tester/demo", *models, "--checkout", ROOT)
    assert status == 0 and "Nothing has changed" in said
    status, _, complained = run("space", "tester/demo", *models, "--checkout", ".")
    assert status == 2 and "is not a checkout of hubgan: it has no" in complained and "--checkout" in complained
