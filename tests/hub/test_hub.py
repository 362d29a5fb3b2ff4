"""From training to the Hub and back on a bad day: both tasks' models and a Space, under ordered faults."""

from pathlib import Path

import pytest
from huggingface_hub import HfApi, snapshot_download

from helpers.common import ROOT, equal
from helpers.launching import PHOTO, TINY, train_here
from helpers.loopback_hub import Fault, LoopbackHub
from hubgan import Discriminator, Generator, Upscaler
from hubgan.errors import ModelError
from hubgan.hub.upload import Pushed
from hubgan.publish.folder import push_folder
from hubgan.publish.space import push_space


def trained(folder: Path, options: list[str], repo_id: str) -> Path:
    """A short run, whose own push fails at its commit; the run's folder must be none the worse."""
    with pytest.raises(ModelError, match=rf"hubgan push .*{folder.name} {repo_id}"):
        train_here(*options, "--max_steps", "2", "--output_dir", str(folder), "--push_to_hub", repo_id)
    return folder


@pytest.mark.slow
def test_models_and_a_space_reach_the_hub_and_come_back_whole(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client waits longer and longer between its trials
    commits = hub.inject(Fault(method="POST", path="/commit/", status=500, count=2))
    runs = {
        "tester/gan": trained(tmp_path / "gan", TINY, "tester/gan"),
        "tester/photo": trained(tmp_path / "photo", PHOTO, "tester/photo"),
    }
    assert commits.count == 0
    for repo_id, folder in runs.items():
        assert "config.json" not in HfApi().list_repo_files(repo_id)
        hub.inject(Fault(method="POST", path="/preupload/", status=503))
        hub.inject(Fault(method="PUT", status=500, count=2))  # the commit that failed had brought the blobs already
        assert push_folder(folder, repo_id).changed
        hub.clear_faults()

    def space() -> Pushed:
        return push_space(
            "tester/demo", generators=["tester/gan"], upscalers=[str(runs["tester/photo"])], checkout=ROOT
        )

    for fault in (
        Fault(method="POST", path="/preupload/", status=401),
        Fault(method="POST", path="/commit/", cut=True),
    ):
        hub.inject(fault)
        with pytest.raises(ModelError, match="Run the same command again"):
            space()
    assert not space().changed  # the second commit was made, only its answer was lost

    cache = tmp_path / "fresh cache"
    for trouble in (Fault("GET", "/resolve/.*safetensors", corrupt=True), Fault("GET", "/resolve/", status=500)):
        hub.inject(trouble)
        with pytest.raises(ModelError, match="tester/gan"):
            Generator.from_pretrained("tester/gan", cache_dir=cache)
    hub.inject(Fault("HEAD", "/resolve/", delay=0.5))
    for kind, repo_id in ((Generator, "tester/gan"), (Upscaler, "tester/photo")):
        assert equal(kind.from_pretrained(runs[repo_id]), kind.from_pretrained(repo_id, cache_dir=cache))
        opponent = Discriminator.from_pretrained(repo_id, subfolder="discriminator", cache_dir=cache)
        assert equal(opponent, Discriminator.from_pretrained(runs[repo_id], subfolder="discriminator"))
    there = Path(snapshot_download("tester/demo", repo_type="space", cache_dir=cache))
    assert equal(
        Upscaler.from_pretrained(there / "model_cards" / "photo"), Upscaler.from_pretrained(tmp_path / "photo")
    )
