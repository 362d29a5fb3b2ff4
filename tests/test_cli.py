"""The command line, as a person types it: what it writes, what it says, and with which exit status it ends."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import try_to_load_from_cache
from PIL import ExifTags, Image, ImageCms

from conftest import ROOT
from hubgan import Discriminator, Generator, Upscaler, __version__
from hubgan.cli import COMMANDS, main
from loopback_hub import LoopbackHub

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in `tmp_path`; gives its exit status, and what it wrote to stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*argv: object) -> tuple[int, str, str]:
        status = main([str(word) for word in argv])
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def generator(tmp_path: Path) -> Generator:
    """An untrained generator, saved in `gen`."""
    model = Generator(image_size=16, width=4, latent_dim=16)
    model.training_run = {
        "dataset": "tester/shapes",
        "facts": {"images seen": "1,000"},
        "results": [
            {"metric": "fd", "name": "FD", "value": 12.5, "dataset": "tester/shapes", "split": "test", "samples": 500},
            {"metric": "fd", "name": "FD", "value": 9.25, "dataset": "tester/shapes", "split": "train"},
        ],
    }
    model.save_pretrained(tmp_path / "gen")
    return model


@pytest.fixture
def upscaler(tmp_path: Path) -> Upscaler:
    """An untrained upscaler, twice, saved in `up`."""
    model = Upscaler(scale=2, width=4, depth=1)
    model.save_pretrained(tmp_path / "up")
    return model


def picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (12, 8), **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    bands = np.stack([x * 20 % 256, y * 20 % 256, x * y % 256, x * 9 % 256], axis=2).astype(np.uint8)
    Image.fromarray(bands).convert(mode).save(path, **options)
    return path


def same(one: Path, other: Image.Image) -> bool:
    with Image.open(one) as image:
        return image.mode == other.mode and image.size == other.size and image.tobytes() == other.tobytes()


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": ""}


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
        ("smaple",): "unknown command 'smaple'; did you mean 'sample'?",
        ("--verson",): "unknown option --verson; did you mean '--version'?",
        ("sample", "gen", "--sed", "3"): "unknown option --sed; did you mean '--seed'?",
        ("sample", "gen", "more"): "unexpected more",
        ("sample", "gen", "-n", "0"): "'0' is not a whole number from 1 to 1000000",
        ("sample", "gen", "--se", "3"): "unknown option --se",
        ("upscale", "up"): "required: INPUT",
        ("upscale", "up", "a.png", "--quality", "high"): "'high' is not a whole number from 1 to 100",
    }.items():
        status, said, complained = run(*argv)
        assert (status, said) == (2, "")
        assert words in complained


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


def test_who_reads_the_output_may_leave() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = shell("--help", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_output_that_cannot_be_written_is_an_error() -> None:
    with Path("/dev/full").open("w") as full:
        done = shell("--version", stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (2, "hubgan: error: No space left on device\n")


# -- sample -------------------------------------------------------------------------------------------------------


def test_samples_are_files_named_by_seed_and_number(run: Run, tmp_path: Path, generator: Generator) -> None:
    status, said, complained = run("sample", "gen", "-n", 11, "--seed", 7, "--grid", "--batch-size", 3)
    assert (status, complained) == (0, "")
    assert "11 images: gen-samples/seed7-0000.png to seed7-0010.png" in said
    assert "on one sheet: gen-samples/seed7-grid.png" in said
    images = generator.sample(11, seed=7)
    assert names(tmp_path / "gen-samples") == {f"seed7-{index:04d}.png" for index in range(11)} | {"seed7-grid.png"}
    for index, image in enumerate(images):
        assert same(tmp_path / "gen-samples" / f"seed7-{index:04d}.png", image)
    with Image.open(tmp_path / "gen-samples" / "seed7-grid.png") as sheet:
        assert sheet.size == (4 * 18 + 2, 3 * 18 + 2)
        corner = sheet.crop((2 + 2 * 18, 2 + 2 * 18, 18 + 2 * 18, 18 + 2 * 18))
        assert corner.tobytes() == images[10].tobytes()


def test_samples_of_classes(run: Run, tmp_path: Path, generator: Generator) -> None:
    named = Generator(labels=["cat", "dog", "ship"], width=4, latent_dim=8).eval()
    named.save_pretrained(tmp_path / "named")
    options = ["-n", 9, "--seed", 7, "--labels", "ship", "0", "--truncation", "1", "--batch-size", 8, "-o", "out"]
    assert run("sample", "named", *options)[0] == 0
    images = named.sample(9, seed=7, labels=["ship", "cat"], truncation=1)
    assert all(same(tmp_path / "out" / f"seed7-{index:04d}.png", image) for index, image in enumerate(images))
    status, _, complained = run("sample", "named", "--labels", "shp")
    assert status == 2 and "no class 'shp'; did you mean 'ship'?" in complained
    status, _, complained = run("sample", "gen", "--labels", "ship")
    assert status == 2 and "this model has no classes" in complained


def test_samples_replace_nothing_unasked(run: Run, tmp_path: Path, generator: Generator) -> None:
    run("sample", "gen", "-n", 2, "--seed", 7, "-o", "out")
    (tmp_path / "out" / "seed7-0001.png").write_bytes(b"mine")
    status, said, complained = run("sample", "gen", "-n", 4, "--seed", 7, "-o", "out")
    assert (status, said) == (2, "")
    assert complained.startswith("hubgan sample: error: out/seed7-0000.png is there already: take another --seed")
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
    for argv, words in {
        ("up",): "up/config.json describes",
        ("nothing here",): "'nothing here' is neither a folder on this machine nor a Hub name",
        ("gen", "--device", "toaster"): "--device toaster: this machine has no such device",
        ("gen", "--grid", "-n", "1000000"): "--grid is for at most",
        ("gen", "-o", "file"): "file: File exists",
    }.items():
        status, said, complained = run("sample", *argv)
        assert (status, said) == (2, "")
        assert complained.startswith("hubgan sample: error: ") and words in complained
        assert complained.count("\n") == 1


# -- upscale ------------------------------------------------------------------------------------------------------


def test_a_picture_gets_its_result_beside_it(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    source = picture(tmp_path / "my photos" / "a.b.png", icc_profile=SRGB)
    status, said, complained = run("upscale", "up", source)
    result = source.with_name("a.b-x2.png")
    assert (status, said, complained) == (0, f"{result}: 24 x 16 pixels\n", "")
    assert same(result, upscaler.upscale(source))
    with Image.open(result) as image:
        assert image.info["icc_profile"] == SRGB
    status, said, complained = run("upscale", "up", source)
    assert (status, said) == (2, "")
    assert f"{result} is there already: replace it by --overwrite" in complained
    assert run("upscale", "up", source, "--overwrite")[0] == 0


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_the_cameras_data_come_along_and_the_orientation_is_applied(
    run: Run, tmp_path: Path, upscaler: Upscaler, ending: str
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation] = "hubgan", 6
    Image.new("RGB", (12, 8), "red").save(tmp_path / f"photo.{ending}", exif=exif)
    assert run("upscale", "up", f"photo.{ending}", "-o", f"large.{ending}")[0] == 0
    with Image.open(tmp_path / f"large.{ending}") as large:
        assert large.size == (16, 24)
        found = large.getexif()
    assert found[ExifTags.Base.Make] == "hubgan" and found.get(ExifTags.Base.Orientation, 1) == 1


def test_a_scale_between(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    picture(tmp_path / "a.png")
    assert run("upscale", "up", "a.png", "--scale", "1.5")[0] == 0
    assert Image.open(tmp_path / "a-x1.5.png").size == (18, 12)
    assert "this model enlarges 2 times" in run("upscale", "up", "a.png", "--scale", "3")[2]


def test_a_result_keeps_its_format_where_that_can_hold_it(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    folder = tmp_path / "in"
    for name in ("jpg.JPG", "jpeg.jpeg", "webp.webp", "png.png", "gif.gif", "bmp.bmp", "tiff.tif", "grey.ppm"):
        picture(folder / name)
    status, said, _ = run("upscale", "up", "in")
    assert status == 0
    assert said == "8 pictures enlarged 2 times, in in-x2\n"
    written = {"jpg.JPG", "jpeg.jpeg", "webp.webp", "png.png", "gif.png", "bmp.png", "tiff.png", "grey.png"}
    assert names(tmp_path / "in-x2") == written
    formats = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".png": "PNG"}
    for file in (tmp_path / "in-x2").iterdir():
        with Image.open(file) as image:
            assert (image.format, image.size) == (formats[file.suffix.lower()], (24, 16))


def test_transparency_and_great_width_go_into_png(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    picture(tmp_path / "in" / "clear.png", "RGBA")
    picture(tmp_path / "in" / "solid.png").replace(tmp_path / "solid.png")
    with Image.open(tmp_path / "solid.png") as image:
        image.putalpha(255)
        image.save(tmp_path / "in" / "solid.png")
    picture(tmp_path / "wide.webp", size=(8192, 1))
    status, said, _ = run("upscale", "up", "in", "--format", "jpg", "--quality", "50")
    assert (status, names(tmp_path / "in-x2")) == (0, {"clear.png", "solid.jpg"})
    assert "1 as PNG: JPEG has no transparency" in said
    assert run("upscale", "up", "in", "--format", "jpg")[1].startswith("2 passed over")
    status, said, _ = run("upscale", "up", "wide.webp")
    assert said == "wide-x2.png: 16384 x 2 pixels (as PNG: WEBP has at most 16,383 pixels a side)\n"


def test_a_result_never_takes_the_place_of_a_picture(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    clear = picture(tmp_path / "in" / "clear.png", "RGBA")
    before = clear.read_bytes()
    for argv, words in {
        ("in", "-o", "in"): "would be replaced by its own result",
        ("in/clear.png", "-o", "in/clear.png"): "would be replaced by its own result",
        ("in/clear.png", "-o", "in/clear.jpg"): "JPEG has no transparency, and in/clear.png is another picture",
        ("in", "-o", "in", "--format", "jpg"): "JPEG has no transparency, and in/clear.png is another picture",
    }.items():
        status, _, complained = run("upscale", "up", *argv, "--overwrite")
        assert status == 2 and words in complained
        assert clear.read_bytes() == before
    picture(tmp_path / "in" / "clear-x2.png")
    status, _, complained = run("upscale", "up", "in/clear.png", "in/clear-x2.png")
    assert status == 2 and "in/clear-x2.png is both the result of in/clear.png and a picture to enlarge" in complained


def test_two_results_of_one_name_are_refused_before_any_work(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    for name in ("a/x.png", "b/x.png", "c/x.png", "c/x.gif"):
        picture(tmp_path / name)
    for inputs in (("a", "b"), ("a/x.png", "b/x.png"), ("c",)):
        status, said, complained = run("upscale", "up", *inputs, "-o", "out")
        assert (status, said) == (2, "")
        assert "would both become out/x.png" in complained
    assert not (tmp_path / "out").exists()
    assert run("upscale", "up", "a", "b")[:2] == (0, "2 pictures enlarged 2 times, in a-x2, b-x2\n")


def test_subfolders_keep_their_places_and_results_are_not_enlarged_again(
    run: Run, tmp_path: Path, upscaler: Upscaler
) -> None:
    for name in ("in/a.png", "in/deep/er/b.jpg", "in/.hidden.png", "in/.thumbnails/c.png"):
        picture(tmp_path / name)
    (tmp_path / "in" / "notes.txt").touch()
    assert run("upscale", "up", "in", "-o", "top")[0] == 0
    assert names(tmp_path / "top") == {"a.png"}
    for _ in range(2):
        assert run("upscale", "up", "in", "-o", "in/large", "--recursive")[0] == 0
        assert names(tmp_path / "in" / "large") == {"a.png", "deep/er/b.jpg"}


def test_a_broken_picture_does_not_keep_the_others_from_being_done(
    run: Run, tmp_path: Path, upscaler: Upscaler
) -> None:
    whole = picture(tmp_path / "in" / "a.jpg")
    (tmp_path / "in" / "b.jpg").write_bytes(whole.read_bytes()[:400])
    (tmp_path / "in" / "c.png").touch()
    picture(tmp_path / "in" / "d.png")
    status, said, complained = run("upscale", "up", "in")
    assert (status, said) == (2, "2 pictures enlarged 2 times, in in-x2\n")
    assert complained.startswith("hubgan upscale: error: 2 of 4 pictures failed:\n  in/b.jpg cannot be read")
    assert "\n  in/c.png is empty" in complained
    assert names(tmp_path / "in-x2") == {"a.jpg", "d.png"}
    shutil.copy(whole, tmp_path / "in" / "b.jpg")
    (tmp_path / "in" / "c.png").unlink()
    assert run("upscale", "up", "in")[:2] == (
        0,
        "1 picture enlarged 2 times, in in-x2\n"
        "2 passed over: the results are there already (--overwrite makes them anew)\n",
    )


def test_paths_are_taken_as_they_are(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    strange = ["*.png", "~.png", "$HOME.png", "%s {0}.png", "a\nb.png", "-o.png", os.fsdecode(b"\xff.png")]
    for name in strange:
        picture(tmp_path / "in" / name)
    assert run("upscale", "up", "-o", "out", "--", *(f"in/{name}" for name in strange))[0] == 0
    assert names(tmp_path / "out") == set(strange)
    os.chdir(tmp_path / "in")
    assert main(["upscale", "../up", "--", "-o.png"]) == 0
    assert main(["upscale", "../up", strange[-1]]) == 0
    assert main(["upscale", "--tile", "8", "--", "../up", "-o-x2.png"]) == 0
    assert (tmp_path / "in" / "-o-x2-x2.png").exists()


def test_what_cannot_be_upscaled_is_told_in_a_line(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    (tmp_path / "empty").mkdir()
    Generator(width=4).save_pretrained(tmp_path / "gen")
    shutil.copytree(tmp_path / "up", tmp_path / "two")
    shutil.copy(tmp_path / "two" / "model.safetensors", tmp_path / "two" / "other.safetensors")
    (tmp_path / "two" / "config.json").unlink()
    for argv, words in {
        ("up", "c.png"): "c.png does not exist: check the path",
        ("up", "empty"): "empty holds no pictures (avif, bmp",
        ("up", "up/config.json"): "up/config.json is not a picture in a known format",
        ("up", "a.png", "b.png", "-o", "c.png"): "-o c.png is one file",
        ("up", "a.png", "-o", "c.tif"): "-o c.tif: pictures are written as .png, .jpg or .webp",
        ("up", "a.png", "-o", "c.jpg", "--format", "png"): "contradict each other",
        ("gen", "a.png"): "gen/config.json describes a Generator",
        ("two", "a.png"): "choose one by --weights-name",
    }.items():
        status, said, complained = run("upscale", *argv)
        assert (status, said) == (2, "")
        assert complained.startswith("hubgan upscale: error: ") and words in complained
        assert complained.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_after_ctrl_c_the_same_command_goes_on(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    for index in range(8):
        picture(tmp_path / "in" / f"{index:02d}.png", size=(500, 400))
    command = [sys.executable, "-m", "hubgan", "upscale", "up", "in"]
    process = subprocess.Popen(
        command,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where the tests run in background
    )
    while process.poll() is None and not (tmp_path / "in-x2" / "01.png").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == (None, "")
    assert process.returncode == 130
    done = names(tmp_path / "in-x2")
    assert 2 <= len(done) < 8
    assert all(name.endswith(".png") and not name.startswith(".") for name in done)
    status, said, _ = run("upscale", "up", "in")
    assert status == 0 and f"{len(done)} passed over" in said
    assert len(names(tmp_path / "in-x2")) == 8


# -- info, push, space --------------------------------------------------------------------------------------------


def test_info_tells_what_a_model_is(run: Run, tmp_path: Path, generator: Generator) -> None:
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
                  "FD  12.5  (tester/shapes test, 500 images)", "FD  9.25  (tester/shapes train)"):  # fmt: skip
        assert words in said
    said = run("info", "gen", "--subfolder", "discriminator")[1]
    assert said.startswith("Discriminator, network dcgan: ") and "float16" in said and "none recorded" in said


def test_info_fetches_no_weights_from_the_hub(hub: LoopbackHub, run: Run, generator: Generator) -> None:
    generator.push_to_hub("tester/info")
    here, there = (json.loads(run("info", name, "--json")[1]) for name in ("gen", "tester/info"))
    assert here == there
    assert try_to_load_from_cache("tester/info", "config.json")
    assert try_to_load_from_cache("tester/info", "model.safetensors") is None


def test_info_of_a_broken_model_is_an_error(run: Run, tmp_path: Path, generator: Generator) -> None:
    weights = tmp_path / "gen" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "model.safetensors is damaged or cut short" in run("info", "gen")[2]
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
    assert said.startswith("http://127.0.0.1") and "/tester/pushed/commit/" in said
    assert run("push", "gen", "tester/pushed")[:2] == (0, f"Nothing has changed since {said}")
    assert run("sample", "tester/pushed", "-n", 1)[0] == 0
    assert (tmp_path / "pushed-samples").is_dir()
    for argv, words in {
        ("nowhere", "tester/x"): "nowhere is no folder",
        (".", "tester/x"): ". holds no config.json and model.safetensors",
        ("gen", "not a name"): "not a Hub name",
    }.items():
        status, said, complained = run("push", *argv)
        assert (status, said) == (2, "") and words in complained


def test_space_pushes_the_demo(hub: LoopbackHub, run: Run, generator: Generator, upscaler: Upscaler) -> None:
    models = ("--generator", "gen", "--upscaler", "up")
    status, said, complained = run("space", "tester/demo", *models, "--checkout", ROOT)
    assert (status, complained) == (0, "")
    assert "/spaces/tester/demo/commit/" in said
    status, _, complained = run("space", "tester/demo", *models)
    assert status == 2 and "is no checkout of hubgan" in complained
