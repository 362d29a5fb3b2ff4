"""Models from the Hub: whole, checked, from the cache where there is no network, and never a pickle."""

from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi, constants

from helpers.loopback_hub import READ_TOKEN, Fault, LoopbackHub
from hubgan import Discriminator, Generator
from hubgan.errors import ConfigError, ModelError
from hubgan.hub.download import ModelSource
from hubgan.publish.folder import push_folder

SMALL = {"width": 8, "latent_dim": 16}


@pytest.fixture
def pushed(hub: LoopbackHub) -> Generator:
    """The model tester/model, in half precision."""
    model = Generator(**SMALL).half()
    model.push_to_hub("tester/model")
    return model


def upload(repo_id: str, **files: bytes) -> None:
    HfApi().create_repo(repo_id, exist_ok=True)
    for name, data in files.items():
        HfApi().upload_file(path_or_fileobj=data, path_in_repo=name.replace("__", "."), repo_id=repo_id)


def test_what_is_not_on_the_hub(hub: LoopbackHub, pushed: Generator, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="neither a folder on this machine nor a model you can see"):
        Generator.from_pretrained("tester/nothing", cache_dir=tmp_path)
    HfApi().create_repo("tester/empty")
    with pytest.raises(ModelError, match=r"has no config\.json"):
        Generator.from_pretrained("tester/empty", cache_dir=tmp_path)
    with pytest.raises(ModelError, match="no revision 'v9'"):
        Generator.from_pretrained("tester/model", revision="v9", cache_dir=tmp_path)
    with pytest.raises(ModelError, match=r"has no discriminator/config\.json"):
        Discriminator.from_pretrained("tester/model", subfolder="discriminator", cache_dir=tmp_path)


def test_a_cache_that_cannot_be_written_says_what_to_set(
    hub: LoopbackHub, pushed: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", tmp_path / "file" / "hub")
    with pytest.raises(
        ModelError, match=r"the cache folder .*file/hub cannot be written .*Set HF_HOME to a writable folder"
    ):
        Generator.from_pretrained("tester/model")
    with pytest.raises(ModelError, match=r"file/mine cannot be written .*Pass another folder as cache_dir"):
        Generator.from_pretrained("tester/model", cache_dir=tmp_path / "file" / "mine")
    monkeypatch.delenv("HF_TOKEN")  # so that the token is looked for in a file
    monkeypatch.setattr(constants, "HF_HOME", tmp_path / "file")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "file" / "token"))
    with pytest.raises(
        ModelError, match=r"the cache folder .*file cannot be written .*Set HF_HOME to a writable folder"
    ):
        Generator.from_pretrained("tester/model")


def test_every_option_of_loading(hub: LoopbackHub, pushed: Generator, tmp_path: Path) -> None:
    first = HfApi().model_info("tester/model").sha
    Generator(latent_dim=8, width=8).push_to_hub("tester/model")
    load = Generator.from_pretrained
    assert load("tester/model", cache_dir=tmp_path).latent_dim == 8
    assert load("tester/model", cache_dir=tmp_path, revision=first).dtype == torch.float16
    assert load("tester/model", cache_dir=tmp_path, revision=first, torch_dtype=torch.float32).dtype == torch.float32
    assert load("tester/model", cache_dir=tmp_path, device="meta").device.type == "meta"
    pushed.push_to_hub("tester/mine", private=True)
    assert load("tester/mine", cache_dir=tmp_path, token=READ_TOKEN).latent_dim == 16
    with pytest.raises(ModelError, match=r"For a private model log in .* or pass token=") as caught:
        load("tester/mine", cache_dir=tmp_path / "other", token=False)
    assert caught.value.for_command_line().endswith("or set HF_TOKEN")
    hub.requests.clear()
    load("tester/model", cache_dir=tmp_path)
    assert not any(method == "GET" and "resolve" in path for method, path in hub.requests)
    load("tester/model", cache_dir=tmp_path, force_download=True)
    assert any(method == "GET" and path.endswith("model.safetensors") for method, path in hub.requests)
    hub.requests.clear()
    load("tester/model", cache_dir=tmp_path, local_files_only=True)
    assert not hub.requests


@pytest.mark.parametrize("filename", ["model.safetensors", "config.json"])
def test_wrong_bytes_are_found_refused_and_not_cached_for_ever(
    hub: LoopbackHub, pushed: Generator, tmp_path: Path, filename: str
) -> None:
    hub.inject(Fault(method="GET", path=f"/resolve/.*{filename}", corrupt=True))
    with pytest.raises(ModelError, match=rf"{filename} of tester/model .* was damaged .*[Ll]oad the model again"):
        Generator.from_pretrained("tester/model", cache_dir=tmp_path)
    assert Generator.from_pretrained("tester/model", cache_dir=tmp_path).latent_dim == 16


def test_bytes_that_a_disk_has_lost_are_found_too(hub: LoopbackHub, pushed: Generator, tmp_path: Path) -> None:
    Generator.from_pretrained("tester/model", cache_dir=tmp_path)
    (file,) = tmp_path.rglob("snapshots/*/model.safetensors")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.resolve().write_bytes(data)
    with pytest.raises(ModelError, match="damaged"):
        Generator.from_pretrained("tester/model", cache_dir=tmp_path, local_files_only=True)
    assert not file.is_symlink()
    Generator.from_pretrained("tester/model", cache_dir=tmp_path)


@pytest.mark.parametrize("subfolder", ["", "inner/most"])
def test_configuration_and_weights_are_of_one_commit(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subfolder: str
) -> None:
    def push(model: Generator) -> None:
        model.save_pretrained(tmp_path / subfolder)
        HfApi().upload_folder(repo_id="tester/model", folder_path=tmp_path, ignore_patterns=["cache/*", "hub/*"])

    HfApi().create_repo("tester/model")
    push(Generator(**SMALL))
    file = ModelSource.file

    def late(place: ModelSource, filename: str) -> Path:
        if filename == "model.safetensors":
            monkeypatch.undo()
            push(Generator(width=4))
        return file(place, filename)

    monkeypatch.setattr(ModelSource, "file", late)
    options = {"subfolder": subfolder or None, "cache_dir": tmp_path / "cache"}
    assert Generator.from_pretrained("tester/model", **options).latent_dim == 16
    assert Generator.from_pretrained("tester/model", **options).latent_dim == 100


def test_a_cut_connection_is_no_model_and_no_harm(
    hub: LoopbackHub, pushed: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.inject(Fault(method="GET", path=r"/resolve/.*safetensors", cut=True, count=99))
    with pytest.raises(ModelError, match=r"tester/model"):
        Generator.from_pretrained("tester/model", cache_dir=tmp_path)
    hub.clear_faults()
    assert Generator.from_pretrained("tester/model", cache_dir=tmp_path).latent_dim == 16


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_refusing_hub_is_an_error_in_one_line(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.inject(Fault(path="/resolve/", status=status, count=99))
    with pytest.raises(ModelError, match="tester/model") as caught:
        Generator.from_pretrained("tester/model", cache_dir=tmp_path)
    assert "\n" not in str(caught.value)


def test_only_pickles_are_refused_with_the_reason(hub: LoopbackHub, pushed: Generator, tmp_path: Path) -> None:
    config = ModelSource("tester/model", cache_dir=tmp_path).file("config.json").read_bytes()
    upload("tester/pickle", config__json=config, pytorch_model__bin=b"\x80\x04.", README__md=b"Hello")
    with pytest.raises(ModelError, match=r"only pytorch_model\.bin\. Reading pickled weights can run any code"):
        Generator.from_pretrained("tester/pickle", cache_dir=tmp_path)
    assert not list(tmp_path.rglob("pytorch_model.bin"))


def test_another_librarys_model_says_that_it_is_none_of_ours(hub: LoopbackHub, tmp_path: Path) -> None:
    upload("tester/bert", config__json=b'{"model_type": "bert"}', model__safetensors=b"x")
    with pytest.raises(ConfigError, match="not the configuration of a hubgan model"):
        Generator.from_pretrained("tester/bert", cache_dir=tmp_path)


def test_the_files_of_a_place(hub: LoopbackHub, pushed: Generator, tmp_path: Path) -> None:
    names = ["README.md", "config.json", "model.safetensors"]
    pushed.save_pretrained(tmp_path / "model")
    pushed.save_pretrained(tmp_path / "model" / "discriminator")
    push_folder(tmp_path / "model", "tester/both")
    cache = tmp_path / "cache"
    for name in (str(tmp_path / "model"), "tester/both"):
        assert [x for x in ModelSource(name, cache_dir=cache).files() if not x.startswith(".git")] == names
        assert ModelSource(name, "discriminator", cache_dir=cache).files() == names
    Generator.from_pretrained("tester/model", cache_dir=cache)
    assert ModelSource("tester/model", cache_dir=cache, local_files_only=True).files() == names[1:]
    with pytest.raises(ModelError, match="neither a folder"):
        ModelSource("tester/nothing", cache_dir=cache).files()


def test_without_a_network_the_cache_serves_and_else_the_error_says_so(
    hub: LoopbackHub, pushed: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    Generator.from_pretrained("tester/model", cache_dir=tmp_path)
    hub.inject(Fault(status=503, count=99))
    Generator.from_pretrained("tester/model", cache_dir=tmp_path)
    assert "config.json" in ModelSource("tester/model", cache_dir=tmp_path).files()
    hub.stop()
    Generator.from_pretrained("tester/model", cache_dir=tmp_path)
    assert "config.json" in ModelSource("tester/model", cache_dir=tmp_path).files()
    with pytest.raises(ModelError, match="cannot be reached"):
        Generator.from_pretrained("tester/other", cache_dir=tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    Generator.from_pretrained("tester/model", cache_dir=tmp_path)
    with pytest.raises(ModelError, match=r"cannot be reached\. Check the connection, or pass the path of a folder"):
        Generator.from_pretrained("tester/other", cache_dir=tmp_path)
