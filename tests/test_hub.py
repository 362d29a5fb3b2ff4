"""Models to the Hub and back, with the real client."""

import logging
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi, constants

from hubgan import Discriminator, Generator, Upscaler
from hubgan.errors import ModelError
from hubgan.models import HubModel
from hubgan.publish import push_folder
from loopback_hub import Fault, LoopbackHub

TINY = {"width": 8, "latent_dim": 16}


@pytest.mark.parametrize("model", [Generator(**TINY), Discriminator(width=8), Upscaler(width=8, depth=1)])
def test_round_trip_through_the_hub(hub: LoopbackHub, tmp_path: Path, model: HubModel) -> None:
    model.half().push_to_hub("tester/model", private=True)
    loaded = type(model).from_pretrained("tester/model", cache_dir=tmp_path)
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)
        assert loaded.state_dict()[key].dtype == value.dtype
    info = HfApi().model_info("tester/model")
    assert info.private
    assert info.library_name == "hubgan"
    assert info.pipeline_tag == model._hub_mixin_info.model_card_data.pipeline_tag
    card = Path(HfApi().hf_hub_download("tester/model", "README.md", cache_dir=tmp_path)).read_text()
    assert 'from_pretrained("tester/model"' in card


def test_save_and_push_in_one_word(hub: LoopbackHub, tmp_path: Path) -> None:
    Generator(**TINY).save_pretrained(tmp_path / "mine", push_to_hub=True, repo_id="tester/mine")
    assert Generator.from_pretrained("tester/mine", cache_dir=tmp_path / "cache").latent_dim == 16


def test_a_pushed_folder_holds_both_networks_and_no_checkpoints(hub: LoopbackHub, tmp_path: Path) -> None:
    run = tmp_path / "run"
    Generator(**TINY).save_pretrained(run)
    Discriminator(width=8).save_pretrained(run / "discriminator")
    (run / "checkpoints" / "step-1").mkdir(parents=True)
    (run / "checkpoints" / "step-1" / "state.bin").write_bytes(b"x")
    push_folder(run, "tester/run")
    files = set(HfApi().list_repo_files("tester/run")) - {".gitattributes"}
    names = {"README.md", "config.json", "model.safetensors"}
    assert files == names | {f"discriminator/{name}" for name in names}
    Discriminator.from_pretrained("tester/run", subfolder="discriminator", cache_dir=tmp_path / "cache")


def test_a_push_that_fails_says_how_to_go_on(hub: LoopbackHub, tmp_path: Path) -> None:
    Generator(**TINY).save_pretrained(tmp_path / "run")
    for fault in (Fault(method="PUT", status=400, count=9), Fault(method="POST", path="/commit/", status=403)):
        hub.inject(fault)
        with pytest.raises(ModelError, match="push it again with hf upload tester/run"):
            push_folder(tmp_path / "run", "tester/run")
        hub.clear_faults()
    push_folder(tmp_path / "run", "tester/run")
    with pytest.raises(ModelError, match="not a Hub name"):
        push_folder(tmp_path / "run", "not a name")


def test_what_is_not_on_the_hub(hub: LoopbackHub, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="neither a folder on this machine nor a model you can see"):
        Generator.from_pretrained("tester/nothing", cache_dir=tmp_path)
    HfApi().create_repo("tester/empty")
    with pytest.raises(ModelError, match=r"has no config\.json"):
        Generator.from_pretrained("tester/empty", cache_dir=tmp_path)
    Generator(**TINY).push_to_hub("tester/model")
    with pytest.raises(ModelError, match="no revision 'v9'"):
        Generator.from_pretrained("tester/model", revision="v9", cache_dir=tmp_path)
    with pytest.raises(ModelError, match=r"has no discriminator/config\.json"):
        Discriminator.from_pretrained("tester/model", subfolder="discriminator", cache_dir=tmp_path)


def test_only_pickles_on_the_hub_are_refused(hub: LoopbackHub, tmp_path: Path) -> None:
    Generator(**TINY).save_pretrained(tmp_path / "model")
    torch.save({}, tmp_path / "model" / "pytorch_model.bin")
    (tmp_path / "model" / "model.safetensors").unlink()
    push_folder(tmp_path / "model", "tester/pickle")
    with pytest.raises(ModelError, match=r"has no model\.safetensors"):
        Generator.from_pretrained("tester/pickle", cache_dir=tmp_path / "cache")


def test_without_a_network_the_cache_serves_and_else_the_error_says_so(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Generator(**TINY).push_to_hub("tester/model")
    Generator.from_pretrained("tester/model", cache_dir=tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    Generator.from_pretrained("tester/model", cache_dir=tmp_path)
    with pytest.raises(ModelError, match="cannot be reached; check the connection, or pass the path of a folder"):
        Generator.from_pretrained("tester/other", cache_dir=tmp_path)


def test_a_server_that_is_down_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    Generator(**TINY).save_pretrained(tmp_path / "run")
    with pytest.raises(ModelError, match="cannot push to tester/run"):
        push_folder(tmp_path / "run", "tester/run")
    with pytest.raises(ModelError, match="cannot be reached"):
        Generator.from_pretrained("tester/model", cache_dir=tmp_path)


def test_the_token_stays_out_of_messages_and_logs(
    hub: LoopbackHub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "hf_wrongwrongwrongwrong"
    with caplog.at_level(logging.DEBUG), pytest.raises(ModelError) as caught:
        Generator.from_pretrained("tester/model", token=secret, cache_dir=tmp_path)
    assert secret not in str(caught.value) + caplog.text
