"""Model cards: what they say, what they keep, and that their code runs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from PIL import Image

from helpers.common import ROOT, equal
from helpers.loopback_hub import LoopbackHub
from hubgan import Discriminator, Generator, Translator, Upscaler
from hubgan.errors import ModelError
from hubgan.hub.download import ModelSource
from hubgan.models import MODELS, HubModel
from hubgan.models.card import PICTURE, TrainingRun, upscaler_purpose
from hubgan.models.card_edits import is_untouched, renewed
from hubgan.models.config import read_config
from hubgan.models.figures import Result, in_words
from hubgan.models.figures import table as figures_table
from hubgan.publish.folder import push_folder

TINY = {"width": 8, "latent_dim": 16}
RESULT: Result = {
    "metric": "fd-enl0",
    "name": "FD-ENL0",
    "value": 182.34,
    "dataset": "uoft-cs/cifar10",
    "split": "test",
    "revision": "0b2714987fa478483af9968de7c934580d0bb9a2",
    "samples": 10_000,
    "extractor": "EfficientNet-Lite0",
    "settings": {"seed": 0, "floor": 18.02},
}
RUN: TrainingRun = {
    "dataset": "uoft-cs/cifar10",
    "facts": {"images seen": "1,234", "time": "3 minutes on 1 CPU thread"},
    "results": [RESULT],
    "license": "other",
    "notice": "CIFAR-10 states no licence.",
}
SHIPPED = sorted(path.parent for path in (ROOT / "model_cards").rglob("config.json"))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = Generator(**TINY)
    model.training_run = RUN
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def header(card: str) -> dict[str, object]:
    return yaml.safe_load(card.split("---")[1])


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def save_again(folder: Path, value: float = 150.0) -> str:
    model = Generator.from_pretrained(folder)
    model.training_run = {**RUN, "results": [{**RESULT, "value": value}], "facts": {"images seen": "9,999"}}
    model.save_pretrained(folder)
    return (folder / "README.md").read_text()


# -- what a card says


def test_the_card_says_what_the_model_is_and_keeps_its_training(saved: Path) -> None:
    Generator.from_pretrained(saved).save_pretrained(saved)
    card = (saved / "README.md").read_text()
    assert 'Generator.from_pretrained("./model")' in card
    for words in ("images seen: 1,234", "3 minutes on 1 CPU thread", "CIFAR-10 states no licence", "biases",
                  '- latent_dim: `16`'):  # fmt: skip
        assert words in card
    Generator(**TINY).save_pretrained(saved / "new")
    assert "was not trained" in (saved / "new" / "README.md").read_text()
    assert "Nothing was measured" in (saved / "new" / "README.md").read_text()


def test_the_metadata_is_what_the_hub_asks_for(saved: Path, hub: LoopbackHub) -> None:
    card = ModelCard.load(saved / "README.md")
    assert card.data.library_name == "hubgan"
    assert card.data.pipeline_tag == "unconditional-image-generation"
    assert card.data.datasets == ["uoft-cs/cifar10"]
    assert card.data.license == "other"
    assert {"hubgan", "gan", "dcgan"} <= set(card.data.tags)
    card.validate()  # by the Hub


def test_every_measured_figure_is_in_the_model_index(saved: Path) -> None:
    (found,) = ModelCard.load(saved / "README.md").data.eval_results
    assert (found.metric_type, found.metric_name, found.metric_value) == ("fd-enl0", "FD-ENL0", 182.34)
    assert found.task_type == "unconditional-image-generation"
    assert (found.dataset_type, found.dataset_split) == ("uoft-cs/cifar10", "test")
    assert found.dataset_revision == RESULT["revision"]
    wanted = {"extractor": "EfficientNet-Lite0", "samples": 10_000, "seed": 0, "floor": 18.02}
    assert found.metric_args == wanted
    row = next(line for line in (saved / "README.md").read_text().splitlines() if line.startswith("| FD-ENL0"))
    for words in ("**182.34**", "test", "10,000", "floor 18.02"):
        assert words in row
    told = f"- On uoft-cs/cifar10: EfficientNet-Lite0; data `{RESULT['revision']}`; seed 0"
    assert told in (saved / "README.md").read_text()


def test_of_two_judges_the_first_is_put_into_words_and_each_has_settings_of_its_own() -> None:
    results = [
        Result(metric=f"{metric}-{judge}", name=f"{metric}-{judge.upper()}", value=0.5, dataset="photos", split="test",
               samples=10_000, extractor=about, settings={"seed": 0, "images": size})
        for judge, about, size in (("enl0", "EfficientNet-Lite0", "128 x 128"), ("c10", "a classifier", "32 x 32"))
        for metric in ("fd", "precision", "recall")
    ]  # fmt: skip
    words, table = in_words(results), figures_table(results)
    assert words.count("ENL0 ") == 3 and "C10" not in words
    assert "- On photos: EfficientNet-Lite0; data `unknown`; seed 0; images 128 x 128.\n" in table
    assert "- On photos: a classifier; data `unknown`; seed 0; images 32 x 32.\n" in table


def test_figures_are_in_words_before_what_is_folded(saved: Path) -> None:
    screen, folded = (saved / "README.md").read_text().split("---", 2)[2].split("<details>", 1)
    assert "- **FD-ENL0 182**: the distance from real images (lower is better; real against real 18).\n" in screen
    assert "Measured on uoft-cs/cifar10, split test, 10,000 samples." in screen
    assert "pictures of 32x32 pixels" in screen and "pip install" in screen and "with their biases" in screen
    for words in (str(RESULT["revision"]), "images seen", "parameters", "CIFAR-10 states"):
        assert words not in screen
    assert "| FD-ENL0 |" in folded and "images seen" in folded
    assert "Trained on uoft-cs/cifar10. CIFAR-10 states" in folded and "`dcgan` network with" in folded
    assert folded.count("<details>") + 1 == folded.count("</details>") == 2


@pytest.mark.parametrize(("value", "words"), [(26.5, "1.5 dB above"), (24.96, "Level with"), (24, "1.0 dB below")])
def test_upscalers_are_compared_with_bicubic_in_words(value: float, words: str, tmp_path: Path) -> None:
    def result(metric: str, name: str, value: float, bicubic: float, samples: int = 100) -> Result:
        return Result(metric=metric, name=name, value=value, dataset="photos", samples=samples,
                      settings={"bicubic": bicubic})  # fmt: skip

    model = Upscaler(scale=2, width=4, depth=1)
    model.training_run = {
        "limits": "Text of it is worse.",
        "results": [
            {**result("psnr", "PSNR", 31, 30, samples=5), "dataset": "few"},
            result("psnr", "PSNR", value, 25),
            result("pd-enl2", "PD-ENL2", 0.4, 0.53),
            result("psnr", "PSNR of everyday pictures", 24.9, 24.4, samples=40),
        ],
    }
    model.save_pretrained(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert f"- **{words} bicubic** (PSNR {value:.1f} dB); perceptual distance 0.4, bicubic 0.53." in card
    assert "- Everyday pictures: **0.5 dB above bicubic** (PSNR 24.9 dB, 40 pictures)." in card
    assert "Measured on photos, 100 pictures." in card and " Text of it is worse.\n" in card and "31.0" not in card


def test_the_picture_beside_the_card_is_shown(saved: Path) -> None:
    assert PICTURE not in (saved / "README.md").read_text()
    Image.new("RGB", (4, 4)).save(saved / PICTURE)
    Generator.from_pretrained(saved).save_pretrained(saved)
    assert f"![Samples]({PICTURE})" in (saved / "README.md").read_text()


# -- what a person has written


def test_words_written_by_hand_stay_and_the_results_are_renewed(saved: Path) -> None:
    change(saved / "README.md", "## Limits", "## Cats\n\nMostly cats.\n\n## Limits")
    card = save_again(saved)
    assert "Mostly cats." in card
    assert "**150**" in card and "**FD-ENL0 150**" in card and "182" not in card
    assert "images seen: 1,234" in card  # as it was: not hubgan's any more
    assert ModelCard(card).data.eval_results[0].metric_value == 150
    assert not is_untouched(card)
    assert "Mostly cats." in save_again(saved, 140.0)  # and again


def test_a_header_written_by_hand_stays_while_the_body_is_renewed(saved: Path) -> None:
    change(saved / "README.md", "license: other", "license: cc-by-4.0\nlanguage: en")
    change(saved / "README.md", "- dcgan\n", "- dcgan\n- cats\n")
    card = save_again(saved)
    about = header(card)
    assert (about["license"], about["language"]) == ("cc-by-4.0", "en")
    assert {"cats", "dcgan", "hubgan"} <= set(about["tags"])
    assert ModelCard(card).data.eval_results[0].metric_value == 150
    assert "images seen: 9,999" in card
    assert header(save_again(saved))["license"] == "cc-by-4.0"


def test_an_untouched_card_is_renewed_as_a_whole_also_with_windows_line_ends(saved: Path) -> None:
    file = saved / "README.md"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert is_untouched(file.read_bytes().decode())
    assert "images seen: 9,999" in save_again(saved)


def test_results_whose_marks_were_deleted_stay_deleted(saved: Path) -> None:
    file = saved / "README.md"
    text = re.sub(r"<!-- (figures|results).*?<!-- end of \1 -->", "", file.read_text(), flags=re.DOTALL)
    file.write_text(text)
    assert "150" not in save_again(saved).split("---", 2)[2]


def test_a_header_from_an_editor_that_marks_files_and_one_odd_tag_are_taken(saved: Path) -> None:
    file = saved / "README.md"
    change(file, "license: other", "license: mit")
    file.write_text("\ufeff" + file.read_text())
    assert header(save_again(saved))["license"] == "mit"
    file.write_text("---\ntags: 3\n---\nWords.")
    assert header(save_again(saved))["tags"][0] == 3


def test_results_that_are_no_longer_true_leave_the_header(saved: Path) -> None:
    change(saved / "README.md", "license: other", "license: mit")
    model = Generator.from_pretrained(saved)
    model.training_run = None
    model.save_pretrained(saved)
    assert "model-index" not in header((saved / "README.md").read_text())


def test_a_card_of_the_hubs_making_takes_the_body_and_keeps_its_licence(saved: Path) -> None:
    card = renewed("---\nlicense: mit\n---\n", (saved / "README.md").read_text())
    assert header(card)["license"] == "mit"
    assert "## How good it is" in card
    assert renewed("", (saved / "README.md").read_text()) == (saved / "README.md").read_text()
    mine = renewed("Only my words, no header.", (saved / "README.md").read_text())
    assert "Only my words" in mine and header(mine)["library_name"] == "hubgan"


@pytest.mark.parametrize("broken", ["license: [", "- a list", "2024: a year"])
def test_a_broken_header_is_an_error_and_nothing_is_written(saved: Path, broken: str) -> None:
    file = saved / "README.md"
    file.write_text(f"---\n{broken}\n---\nWords.")
    with pytest.raises(ModelError, match=r"header of .*README\.md"):
        save_again(saved)
    assert "Words." in file.read_text()


# -- the snippets, and the cards of the published models


@pytest.mark.parametrize(
    "model", [Generator(**TINY), Upscaler(width=8, depth=1), Discriminator(width=8), Discriminator("patch", width=4)]
)
def test_the_snippet_of_a_new_card_runs(model: HubModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (9, 7), "teal").save("photo.jpg")
    model.save_pretrained("models/mine")
    run_snippet(Path("models/mine/README.md"))
    model.save_pretrained(tmp_path.parent / f"{tmp_path.name}-elsewhere")
    card = (tmp_path.parent / f"{tmp_path.name}-elsewhere" / "README.md").read_text()
    assert f"run it in the folder that holds `{tmp_path.name}-elsewhere`" in card and str(tmp_path.parent) not in card


@pytest.mark.parametrize(
    ("kind", "run", "file", "words"),
    [
        ("edges", {}, "drawing.png", "It takes a drawing with dark lines on white."),
        ("grey", {}, "photo.jpg", "It takes any picture, and keeps its size and brightness."),
        ("mask", {}, "picture.png", "It takes a picture with transparent parts, and fills these."),
        ("small", {}, "photo.jpg", "It takes a picture that was shrunk, and gives it more detail."),
        ("", {"pairs": "inputs in `map`"}, "picture.png", "It takes a picture like the inputs of the pairs"),
        (
            "",
            {"domains": "from horses"},
            "photo.jpg",
            "It takes a picture like those of the domain it translates from.",
        ),
    ],
)
def test_a_translators_card_says_what_it_takes(
    kind: str, run: TrainingRun, file: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = Image.new("RGBA" if file == "picture.png" else "RGB", (9, 7), "teal")
    picture.putpixel((2, 2), (0, 0, 0))
    if kind == "mask":
        picture.putpixel((4, 4), (0, 0, 0, 0))
    picture.save(file)
    model = Translator("resnet", width=4, depth=1, image_size=16, input=kind)
    model.training_run = run
    model.save_pretrained("mine")
    card = Path("mine/README.md").read_text()
    run_snippet(Path("mine/README.md"))
    assert words in card and Path("translated.png").is_file() and "seed" not in card


def test_a_cyclegans_card_shows_the_other_direction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (9, 7), "teal").save("photo.jpg")
    models = [Translator("resnet", width=4, depth=1, image_size=16) for _ in range(2)]
    for model, folder in zip(models, ("", "backward"), strict=True):
        model.training_run = {"domains": "from horses to zebras", "backward": "backward"}
        about = {"name": "./mine", **({"subfolder": folder} if folder else {})}
        model.save_pretrained(Path("mine", folder), model_card_kwargs=about)
    assert equal(run_snippet(Path("mine/README.md"))["backward"], models[1])
    assert equal(run_snippet(Path("mine/backward/README.md"))["translator"], models[1])


def test_the_snippet_of_a_subfolder_loads_what_lies_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    top, inside = Generator(**TINY), Generator(**TINY)
    top.save_pretrained("mine")
    inside.save_pretrained("mine/reverse", model_card_kwargs={"name": "./mine", "subfolder": "reverse"})
    assert equal(run_snippet(Path("mine/reverse/README.md"))["generator"], inside)


def test_an_edited_card_names_its_repository_when_it_is_pushed(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Generator(**TINY).save_pretrained("runs/mine")
    change(Path("runs/mine/README.md"), "## Limits", "## Words of mine\n\n## Limits")
    assert push_folder(Path("runs/mine"), "tester/mine").changed
    card = ModelSource("tester/mine", cache_dir=tmp_path / "cache").file("README.md").read_text()
    assert "Words of mine" in card and "runs" not in card
    assert 'Generator.from_pretrained("tester/mine")' in card and "`tester/mine` is this repository on the Hub" in card
    assert not push_folder(Path("runs/mine"), "tester/mine").changed


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: str(path.relative_to(ROOT / "model_cards")))
def test_the_snippet_of_a_published_card_runs_as_printed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model_cards").symlink_to(ROOT / "model_cards")
    for name in ("photo.jpg", "drawing.png"):
        Image.effect_noise((64, 48), 64).convert("RGB").save(name)
    run_snippet(folder / "README.md")
    config = read_config(folder / "config.json")
    if config.kind == "Upscaler":
        scale = config.options["scale"]
        assert Image.open(f"photo-x{scale}.png").size == (64 * scale, 48 * scale)


def run_snippet(card: Path) -> dict[str, Any]:
    """Run the code of a card; its variables."""
    (code,) = re.findall(r"```python\n(.*?)```", card.read_text(), re.DOTALL)
    exec(code, variables := {})
    return variables


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: str(path.relative_to(ROOT / "model_cards")))
def test_a_published_card_is_what_hubgan_writes(folder: Path) -> None:
    top = ROOT / "model_cards" / folder.relative_to(ROOT / "model_cards").parts[0]
    model = MODELS[str(read_config(folder / "config.json").kind)].from_pretrained(folder)
    about = {"picture": PICTURE} if (folder / PICTURE).is_file() else {}
    about |= {"subfolder": folder.name} if folder != top else {}
    assert (folder / "README.md").read_text() == str(
        model.generate_model_card(name=f"./model_cards/{top.name}", **about)
    )
    screen = ModelCard.load(folder / "README.md").text.split("<details>")[0]
    assert len(screen.split()) <= 300  # with its picture it fits on one screen
    if not isinstance(model, Discriminator):
        width, height = Image.open(folder / PICTURE).size
        assert height * min(1, 850 / width) <= 360  # in a column of 850 pixels
        assert ModelCard.load(folder / "README.md").data.eval_results


@pytest.mark.parametrize(
    ("scale", "run", "purpose"),
    [
        (4, {"dataset": "photos"}, "Clean pictures, four times as large"),
        (2, {"dataset": "photos", "degraded": 0.9, "degradation": "everyday"}, "Everyday photos, twice as large"),
        (1, {"dataset": "photos", "degraded": 0.5}, "Worn pictures, at the same size"),
        (8, {"dataset": "photos", "degraded": 0.5, "degradation": "heavy"}, "Worn pictures, 8 times as large"),
        (4, {"results": []}, "Pictures, four times as large: nobody recorded"),
    ],
)
def test_an_upscalers_purpose_comes_from_its_training(scale: int, run: TrainingRun, purpose: str) -> None:
    assert upscaler_purpose(scale, run).startswith(purpose)


def test_the_readme_says_what_each_upscaler_is_for() -> None:
    readme = (ROOT / "README.md").read_text()
    for folder in SHIPPED:
        config = read_config(folder / "config.json")
        if config.kind == "Upscaler":
            purpose = upscaler_purpose(config.options["scale"], config.training_run or {})
            assert f"[{folder.name}](model_cards/{folder.name}/README.md) | {purpose} |" in readme
