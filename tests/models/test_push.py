"""Models to the Hub: one commit or none, whatever happens on the way."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi, ModelCard
from PIL import Image
from safetensors.torch import save_file

from helpers.common import equal
from helpers.launching import PHOTO, TINY, train_here
from helpers.loopback_hub import READ_TOKEN, Fault, LoopbackHub
from hubgan import Discriminator, Generator, Upscaler
from hubgan.errors import ConfigError, ModelError
from hubgan.hub.download import ModelSource
from hubgan.hub.upload import Repository
from hubgan.models import HubModel
from hubgan.models.card_edits import is_untouched
from hubgan.publish.folder import push_folder

pytestmark = pytest.mark.slow  # each talks to a Hub

SMALL = {"width": 8, "latent_dim": 16}
FILES = {"README.md", "config.json", "model.safetensors"}
FAULTS = [
    Fault(method="POST", path="/preupload/", status=400, count=9),
    Fault(method="POST", path="/objects/batch", status=500, count=99),
    Fault(method="PUT", status=403, count=99),
    Fault(method="POST", path="/commit/", status=500, count=9),
    Fault(method="POST", path="/commit/", status=403, count=9),
    Fault(method="POST", path="/validate-yaml", cut=True, count=9),
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder as a training run leaves it."""
    folder = tmp_path / "run"
    Generator(**SMALL).save_pretrained(folder)
    Discriminator(width=8).save_pretrained(folder / "discriminator")
    Image.new("RGB", (8, 8)).save(folder / "samples.png")
    (folder / "recipe.yaml").write_text("task: generation\n")
    (folder / "checkpoints" / "step-1").mkdir(parents=True)
    (folder / "checkpoints" / "step-1" / "state.bin").write_bytes(b"x")
    (folder / "run.json").write_text("{}")
    return folder


def commits(repo_id: str = "tester/run", revision: str | None = None) -> str:
    return str(HfApi().model_info(repo_id, revision=revision).sha)


def card_on_hub(cache: Path, repo_id: str = "tester/run", revision: str | None = None) -> str:
    return ModelSource(repo_id, revision=revision, cache_dir=cache).file("README.md").read_text()


def edit_on_hub(repo_id: str, text: str) -> None:
    HfApi().upload_file(path_or_fileobj=text.encode(), path_in_repo="README.md", repo_id=repo_id)


# -- a model


@pytest.mark.parametrize("model", [Generator(**SMALL), Discriminator(width=8), Upscaler(width=8, depth=1)])
def test_round_trip_through_the_hub(hub: LoopbackHub, tmp_path: Path, model: HubModel) -> None:
    model.half().push_to_hub("tester/model", private=True)
    assert equal(model, type(model).from_pretrained("tester/model", cache_dir=tmp_path))
    info = HfApi().model_info("tester/model")
    assert info.private
    assert info.library_name == "hubgan"
    assert info.pipeline_tag == model._hub_mixin_info.model_card_data.pipeline_tag
    assert 'from_pretrained("tester/model"' in card_on_hub(tmp_path, "tester/model")


def test_save_and_push_in_one_word_and_by_a_bare_name(hub: LoopbackHub, tmp_path: Path) -> None:
    Generator(**SMALL).save_pretrained(tmp_path / "mine", push_to_hub=True, repo_id="mine")
    assert Generator.from_pretrained("tester/mine", cache_dir=tmp_path / "cache").latent_dim == 16
    assert '"tester/mine"' in card_on_hub(tmp_path, "tester/mine")


def test_pushing_a_model_again_makes_a_commit_only_when_it_has_changed(hub: LoopbackHub) -> None:
    model = Generator(**SMALL)
    first = model.push_to_hub("tester/model")
    assert model.push_to_hub("tester/model") == first
    next(model.parameters()).data.add_(1)
    assert model.push_to_hub("tester/model") != first


@pytest.mark.slow
def test_branch_pull_request_message_and_patterns(hub: LoopbackHub, tmp_path: Path) -> None:
    model = Generator(**SMALL)
    model.push_to_hub("tester/model")
    before = commits("tester/model")
    model.half().push_to_hub("tester/model", branch="half", commit_message="In half precision")
    assert model.from_pretrained("tester/model", revision="half", cache_dir=tmp_path).dtype == torch.float16
    address = model.push_to_hub("tester/model", create_pr=True)
    assert "discussions" in address
    assert commits("tester/model") == before
    assert model.from_pretrained("tester/model", cache_dir=tmp_path).dtype == torch.float32
    model.push_to_hub("tester/weights", allow_patterns="*.safetensors")
    model.push_to_hub("tester/weights", ignore_patterns="*.md", delete_patterns="*.safe*")
    HfApi().upload_file(path_or_fileobj=b"old", path_in_repo="old.txt", repo_id="tester/weights")
    model.push_to_hub("tester/weights", ignore_patterns="*.md", delete_patterns=["*"])
    there = {".gitattributes", "config.json", "model.safetensors"}
    assert set(HfApi().list_repo_files("tester/weights")) == there


def test_the_pictures_of_a_run_stay_in_the_card_of_a_model_pushed_anew(
    hub: LoopbackHub, run: Path, tmp_path: Path
) -> None:
    push_folder(run, "tester/run")
    Generator.from_pretrained("tester/run", cache_dir=tmp_path).half().push_to_hub("tester/run")
    assert "](samples.png)" in card_on_hub(tmp_path)


# -- a run's folder


def test_a_push_is_one_commit_of_both_networks_the_card_samples_and_recipe(
    hub: LoopbackHub, run: Path, tmp_path: Path
) -> None:
    pushed = push_folder(run, "tester/run", commit_message="First")
    assert pushed.changed and pushed.url.startswith(f"{hub.url}/tester/run/commit/")
    assert sum("/commit/" in path for _, path in hub.requests) == 1
    files = set(HfApi().list_repo_files("tester/run")) - {".gitattributes"}
    assert files == FILES | {f"discriminator/{name}" for name in FILES} | {"samples.png", "recipe.yaml"}
    loaded = Discriminator.from_pretrained("tester/run", subfolder="discriminator", cache_dir=tmp_path)
    assert equal(loaded, Discriminator.from_pretrained(run, subfolder="discriminator"))
    assert 'Generator.from_pretrained("tester/run")' in card_on_hub(tmp_path)


def test_the_weights_of_the_pixel_part_are_pushed_if_they_fit(hub: LoopbackHub, tmp_path: Path) -> None:
    model = Upscaler(width=8, depth=1)
    model.save_pretrained(tmp_path)
    save_file(Upscaler(width=4, depth=1).state_dict(), tmp_path / "pixel.safetensors")
    with pytest.raises(ModelError, match=r"pixel\.safetensors do not fit"):
        push_folder(tmp_path, "tester/upscaler")
    assert not HfApi().repo_exists("tester/upscaler")
    save_file(model.state_dict(), tmp_path / "pixel.safetensors")
    push_folder(tmp_path, "tester/upscaler")
    assert equal(Upscaler.from_pretrained("tester/upscaler", fidelity=1.0), model)


def test_pushing_again_unchanged_makes_no_commit(
    hub: LoopbackHub, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = push_folder(run, "tester/run")
    again = push_folder(run, "tester/run")
    assert again == (first.url, False)
    assert not caplog.records
    (run / "recipe.yaml").write_text("task: upscaling\n")
    assert push_folder(run, "tester/run").changed


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.path or fault.method}-{fault.status or 'cut'}")
def test_a_push_broken_half_way_leaves_the_remote_as_it_was_and_says_how_to_go_on(
    hub: LoopbackHub, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client waits longer and longer between trials
    push_folder(run, "tester/run")
    before, files = commits(), HfApi().list_repo_files("tester/run")
    Generator(**SMALL).save_pretrained(run)
    (run / "new.txt").write_text("new")
    hub.inject(replace(fault))
    with pytest.raises(ModelError, match=r"cannot push to tester/run.*hubgan push .*run tester/run") as caught:
        push_folder(run, "tester/run")
    assert "\n" not in str(caught.value)
    hub.clear_faults()
    assert (commits(), HfApi().list_repo_files("tester/run")) == (before, files)
    assert push_folder(run, "tester/run").changed
    assert equal(Generator.from_pretrained(run), Generator.from_pretrained("tester/run", cache_dir=tmp_path))


def test_a_commit_whose_answer_is_lost_is_not_made_twice(hub: LoopbackHub, run: Path) -> None:
    push_folder(run, "tester/run")
    (run / "recipe.yaml").write_text("task: upscaling\n")
    hub.inject(Fault(method="POST", path="/commit/", cut=True))
    with pytest.raises(ModelError, match="the complete commit, or nothing of it"):
        push_folder(run, "tester/run")
    assert not push_folder(run, "tester/run").changed


def test_trouble_that_passes_is_no_trouble(hub: LoopbackHub, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.inject(Fault(method="PUT", status=500))
    hub.inject(Fault(method="POST", path="/preupload/", status=503))
    hub.inject(Fault(method="POST", path="/objects/batch", delay=0.5))
    assert push_folder(run, "tester/run").changed


def test_somebody_elses_commit_in_between_is_not_overwritten(
    hub: LoopbackHub, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_folder(run, "tester/run")
    (run / "recipe.yaml").write_text("task: upscaling\n")
    create_commit = HfApi.create_commit

    def late(self: HfApi, *args: object, **options: object) -> object:
        monkeypatch.undo()
        edit_on_hub("tester/run", "mine")
        return create_commit(self, *args, **options)

    monkeypatch.setattr(HfApi, "create_commit", late)
    with pytest.raises(ModelError, match="somebody else has changed it in the meantime"):
        push_folder(run, "tester/run")
    assert push_folder(run, "tester/run").changed


def test_a_broken_model_is_not_published(hub: LoopbackHub, run: Path, tmp_path: Path) -> None:
    (run / "discriminator" / "model.safetensors").write_bytes(b"cut short")
    with pytest.raises(ModelError, match=r"discriminator/model\.safetensors is damaged"):
        push_folder(run, "tester/run")
    with pytest.raises(ModelError, match="is not a folder"):
        push_folder(tmp_path / "nothing", "tester/run")
    with pytest.raises(ModelError, match=r"has no config\.json and model\.safetensors"):
        push_folder(tmp_path, "tester/run")
    (run / "config.json").write_text('{"architecture": "dcgan", "_class_name": "Painter"}')
    with pytest.raises(ConfigError, match="describes a Painter"):
        push_folder(run, "tester/run")
    assert not hub.requests


# -- the card


@pytest.mark.slow
def test_words_written_on_the_hub_or_here_are_kept(hub: LoopbackHub, run: Path, tmp_path: Path) -> None:
    push_folder(run, "tester/run")
    edit_on_hub("tester/run", card_on_hub(tmp_path).replace("## Limits", "## Cats\n\nMostly.\n\n## Limits"))
    Generator(**SMALL).save_pretrained(run)
    push_folder(run, "tester/run")
    assert "Mostly." in card_on_hub(tmp_path)
    Generator(**SMALL).push_to_hub("tester/run")
    assert "Mostly." in card_on_hub(tmp_path)
    mine = (run / "README.md").read_text().replace("## Limits", "## Dogs\n\nNone.\n\n## Limits")
    (run / "README.md").write_text(mine)
    push_folder(run, "tester/other")
    assert "None." in card_on_hub(tmp_path, "tester/other")


@pytest.mark.slow
def test_both_edited_is_told_and_the_folders_words_are_pushed(
    hub: LoopbackHub, run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    push_folder(run, "tester/run")
    edit_on_hub("tester/run", card_on_hub(tmp_path).replace("## Limits", "There.\n\n## Limits"))
    (run / "README.md").write_text((run / "README.md").read_text().replace("## Limits", "Here.\n\n## Limits"))
    push_folder(run, "tester/run")
    assert "edited both here and on the Hub" in caplog.text
    assert "Here." in card_on_hub(tmp_path) and "There." not in card_on_hub(tmp_path)
    caplog.clear()
    assert not push_folder(run, "tester/run").changed
    assert not caplog.records


def test_a_card_that_is_no_text_is_an_error(hub: LoopbackHub, run: Path) -> None:
    (run / "README.md").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match=r"README\.md is not UTF-8"):
        push_folder(run, "tester/run")


def test_what_is_added_on_the_hub_after_a_push_of_edited_words_is_kept(
    hub: LoopbackHub, run: Path, tmp_path: Path
) -> None:
    mine = (run / "README.md").read_text().replace("## Limits", "Here.\n\n## Limits")
    (run / "README.md").write_text(mine)
    push_folder(run, "tester/run")
    edit_on_hub("tester/run", card_on_hub(tmp_path) + "\nThere, below the mark.\n")
    Generator(**SMALL).save_pretrained(run)
    push_folder(run, "tester/run")
    card = card_on_hub(tmp_path)
    assert "Here." in card and "There, below the mark." in card and card.count("<!-- hubgan ") == 1


def test_a_header_edited_here_and_a_body_there_are_both_kept(hub: LoopbackHub, run: Path, tmp_path: Path) -> None:
    push_folder(run, "tester/run")
    edit_on_hub("tester/run", card_on_hub(tmp_path).replace("## Limits", "There.\n\n## Limits"))
    (run / "README.md").write_text((run / "README.md").read_text().replace("---\n", "---\nlicense: mit\n", 1))
    push_folder(run, "tester/run")
    assert "There." in card_on_hub(tmp_path) and "license: mit" in card_on_hub(tmp_path)


def test_the_remedy_repeats_the_options_and_nothing_else_of_the_folder_is_pushed(
    hub: LoopbackHub, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (run / "link.png").symlink_to(tmp_path / "secret.txt")
    for name in ("train.log", "id_rsa", "best.pth", "discriminator/run.json"):
        (run / name).write_text("private")
    push_folder(run, "tester/run")
    assert not {"link.png", "train.log", "id_rsa", "best.pth", "discriminator/run.json"} & set(
        HfApi().list_repo_files("tester/run")
    )
    (run / "recipe.yaml").write_text("task: upscaling\n")
    hub.inject(Fault(method="POST", path="/commit/", status=500))
    with pytest.raises(ModelError, match=r"hubgan push \S+run tester/run --revision exp --message 'On trial'$"):
        push_folder(run, "tester/run", revision="exp", commit_message="On trial")


def test_a_readme_damaged_on_its_way_is_not_taken_for_words(hub: LoopbackHub, run: Path) -> None:
    push_folder(run, "tester/run")
    hub.inject(Fault(method="GET", path=r"README\.md", corrupt=True))
    with pytest.raises(ModelError, match="damaged"):
        push_folder(run, "tester/run")


def test_an_open_pull_request_can_be_pushed_to(hub: LoopbackHub) -> None:
    model = Generator(**SMALL)
    model.push_to_hub("tester/model")
    model.half().push_to_hub("tester/model", create_pr=True)
    next(model.parameters()).data.add_(1)
    model.push_to_hub("tester/model", branch="refs/pr/1")
    loaded = Generator.from_pretrained("tester/model", revision="refs/pr/1")
    assert equal(loaded, model)


def test_a_repository_made_on_the_site_keeps_its_licence_and_takes_the_card(
    hub: LoopbackHub, run: Path, tmp_path: Path
) -> None:
    HfApi().create_repo("tester/run")
    edit_on_hub("tester/run", "---\nlicense: mit\n---\n")
    push_folder(run, "tester/run")
    card = ModelCard(card_on_hub(tmp_path))
    assert card.data.license == "mit" and "## How good it is" in card.text
    assert is_untouched((run / "README.md").read_text())


# -- who may


def test_who_may_not_push(hub: LoopbackHub, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="not a Hub name"):
        push_folder(run, "not a name")
    with pytest.raises(ModelError, match="access token does not allow it"):
        push_folder(run, "tester/run", token=READ_TOKEN)
    monkeypatch.setenv("HF_TOKEN", "")
    with pytest.raises(ModelError, match=r"Log in \(hf auth login\)"):
        push_folder(run, "tester/run")


def test_what_should_be_private_is_not_pushed_to_a_public_repository(hub: LoopbackHub, run: Path) -> None:
    Repository("tester/run")
    with pytest.raises(ModelError, match="already exists and is public"):
        push_folder(run, "tester/run", private=True)
    push_folder(run, "tester/mine", private=True)
    push_folder(run, "tester/mine", private=True)
    assert HfApi().model_info("tester/mine").private


@pytest.mark.parametrize("secret", ["hf_wrongwrongwrongwrong", "hf_wrongwrong\nwrong", "hf_wröngwrong"])
def test_the_token_stays_out_of_errors_logs_and_cards(
    hub: LoopbackHub, run: Path, caplog: pytest.LogCaptureFixture, secret: str
) -> None:
    calls = [
        lambda: Generator.from_pretrained("tester/model", token=secret, cache_dir=run),
        lambda: push_folder(run, "tester/run", token=secret),
        lambda: Generator(**SMALL).push_to_hub("tester/run", token=secret),
    ]
    for call in calls:
        with caplog.at_level(logging.DEBUG), pytest.raises(ModelError) as caught:
            call()
        error: BaseException | None = caught.value
        while error:
            assert not any(part in f"{error} {error.args}" for part in secret.split())
            error = error.__cause__
    assert not any(part in caplog.text for part in secret.split())


def test_a_server_that_is_down_is_an_error_that_says_what_to_do(run: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot push to tester/run.*Push it again"):
        push_folder(run, "tester/run")


# -- after training


@pytest.mark.slow
@pytest.mark.parametrize("options", [TINY, PHOTO], ids=["generation", "upscaling"])
def test_what_training_pushes_can_be_pulled(hub: LoopbackHub, tmp_path: Path, options: list[str]) -> None:
    where = ["--output_dir", str(tmp_path / "run"), "--max_steps", "2"]
    folder = train_here(*options, *where, "--push_to_hub", "tester/trained", "--private", "True")
    kind = Generator if options is TINY else Upscaler
    model = kind.from_pretrained("tester/trained", cache_dir=tmp_path / "cache")
    assert equal(model, kind.from_pretrained(folder))
    assert model.training_run["facts"]["images seen"]
    names = set(HfApi().list_repo_files("tester/trained"))
    assert {"recipe.yaml", "samples.png", "discriminator/model.safetensors"} <= names
    assert not {"run.json", "metrics.jsonl", "report.html"} & names
    assert HfApi().model_info("tester/trained").private
    assert not push_folder(folder, "tester/trained").changed
