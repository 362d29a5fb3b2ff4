"""A pushed model is served as the toolkit of Inference Endpoints does it.

https://github.com/huggingface/huggingface-inference-toolkit: its `check_and_register_custom_pipeline_from_directory`
loads `handler.py`, and its web service hands a request over as JSON, or as {"inputs": picture} with the query's words
as parameters.
"""

import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from PIL import Image

from helpers.loopback_hub import LoopbackHub
from hubgan import Discriminator, Generator, Translator, Upscaler
from hubgan.errors import ConfigError, HubganError, ImageError
from hubgan.models.endpoint import EndpointHandler
from hubgan.publish.folder import push_folder

# What the toolkit does with a folder, in a process that cannot import hubgan from elsewhere.
SERVE = """
import importlib.util, json, sys
folder, request = sys.argv[1:]
sys.path[:] = [folder, *(path for path in sys.path if not path.endswith("src"))]
spec = importlib.util.spec_from_file_location("handler", folder + "/handler.py")
handler = importlib.util.module_from_spec(spec)
sys.modules["handler"] = handler
spec.loader.exec_module(handler)
answer = handler.EndpointHandler(folder)(json.loads(request))
import hubgan
print(json.dumps([hubgan.__file__, [image.tobytes().hex() for image in answer]]))
"""


@pytest.mark.slow
def test_a_pushed_generator_answers_with_its_own_code(hub: LoopbackHub, tmp_path: Path) -> None:
    model = Generator(width=4, image_size=8, labels=["cat", "dog"])
    model.save_pretrained(tmp_path / "model")
    push_folder(tmp_path / "model", "tester/served", handler=True)
    folder = snapshot_download("tester/served", local_dir=tmp_path / "served")
    assert "torch>=2" in Path(folder, "requirements.txt").read_text() and not Path(folder, "hubgan", "demo").exists()
    request = {"inputs": ["cat", "dog"], "parameters": {"seed": 3}}
    done = subprocess.run(
        [sys.executable, "-c", SERVE, folder, json.dumps(request)], capture_output=True, text=True, cwd=tmp_path
    )
    assert not done.returncode, done.stderr
    package, images = json.loads(done.stdout)
    assert Path(package).is_relative_to(folder)
    assert images == [image.tobytes().hex() for image in model.eval().sample(labels=["cat", "dog"], seed=3)]

    # A later version of the package leaves nothing of the earlier one, and a push without the option leaves it alone.
    HfApi().upload_file(path_or_fileobj=b"", path_in_repo="hubgan/old.py", repo_id="tester/served")
    push_folder(tmp_path / "model", "tester/served")
    assert "hubgan/old.py" in HfApi().list_repo_files("tester/served")
    push_folder(tmp_path / "model", "tester/served", handler=True)
    files = HfApi().list_repo_files("tester/served")
    assert "hubgan/old.py" not in files and {"hubgan/errors.py", "handler.py"} <= {*files}


def served(model: Any, folder: Path) -> EndpointHandler:
    model.save_pretrained(folder)
    return EndpointHandler(str(folder))


def test_pictures_come_as_the_toolkit_opens_them_or_in_base64(tmp_path: Path) -> None:
    picture = Image.effect_noise((12, 8), 64).convert("RGB")
    picture.save(file := io.BytesIO(), "PNG")
    text = base64.b64encode(file.getvalue()).decode()
    endpoint = served(Upscaler(scale=2, width=4, depth=1), tmp_path)
    wanted = Upscaler.from_pretrained(tmp_path).upscale(picture, tile=8)
    requests = [
        {"inputs": picture, "parameters": {"tile": 8}},
        {"inputs": text, "parameters": {"tile": "8"}},
        {"inputs": f"data:image/png;base64,{text}", "parameters": {"tile": 8}},
    ]
    for request in requests:
        answer = endpoint(request)
        assert isinstance(answer, Image.Image) and np.array_equal(answer, wanted)


def test_a_translator_answers_with_one_picture(tmp_path: Path) -> None:
    model = Translator(width=8, depth=1, image_size=16, input="edges")
    picture = Image.effect_noise((16, 16), 64).convert("RGB")
    answer = served(model, tmp_path)({"inputs": picture, "parameters": {"seed": "3", "prepare": True}})
    assert np.array_equal(answer, Translator.from_pretrained(tmp_path).translate(picture, seed=3, prepare=True))
    with pytest.raises(ConfigError, match=r"prepare cannot be 'yes'\. Pass true or false"):
        EndpointHandler(str(tmp_path))({"inputs": picture, "parameters": {"prepare": "yes"}})


def test_a_generator_without_a_class_answers_with_one_image(tmp_path: Path) -> None:
    endpoint = served(Generator(width=4, image_size=8), tmp_path)
    one, two = endpoint({"inputs": "", "parameters": {"seed": 1}}), endpoint({"inputs": None, "parameters": {"n": 2}})
    assert isinstance(one, Image.Image) and one.size == (8, 8)
    assert isinstance(two, list) and len(two) == 2


@pytest.mark.parametrize(
    ("request_", "kind", "said"),
    [
        ({"inputs": "", "parameters": {"sed": 1}}, ConfigError, "no parameter 'sed'. Did you mean 'seed'"),
        ({"inputs": "", "parameters": {"seed": "one"}}, ConfigError, "seed cannot be 'one'. Pass a whole number"),
        ({"inputs": "", "parameters": {"n": 2.7}}, ConfigError, "n cannot be 2.7. Pass a whole number"),
        (
            {"inputs": "", "parameters": {"truncation": "low"}},
            ConfigError,
            "truncation cannot be 'low'. Pass a number",
        ),
        ({"inputs": "cat"}, ConfigError, "no classes"),
        ({"inputs": "", "parameters": {"n": 0}}, ConfigError, "n must be 1 or more"),
    ],
)
def test_wrong_requests(request_: dict[str, Any], kind: type[HubganError], said: str, tmp_path: Path) -> None:
    endpoint = served(Generator(width=4, image_size=8), tmp_path)
    with pytest.raises(kind, match=said):
        endpoint(request_)


def test_what_is_no_picture(tmp_path: Path) -> None:
    endpoint = served(Upscaler(scale=2, width=4, depth=1), tmp_path)
    with pytest.raises(ImageError, match="not a picture in base64"):
        endpoint({"inputs": "photo.jpg"})
    with pytest.raises(ImageError):
        endpoint({"inputs": base64.b64encode(b"no picture").decode()})


def test_a_discriminator_is_not_served(hub: LoopbackHub, tmp_path: Path) -> None:
    Discriminator(width=4, image_size=8).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="an endpoint cannot serve a Discriminator"):
        EndpointHandler(str(tmp_path))
    with pytest.raises(ConfigError, match="an endpoint cannot serve"):
        push_folder(tmp_path, "tester/judge", handler=True)


def test_other_peoples_weights_bring_spandrel(hub: LoopbackHub, tmp_path: Path) -> None:
    compact = pytest.importorskip("spandrel").architectures.Compact
    torch.manual_seed(0)
    network = compact.Compact(num_in_ch=3, num_out_ch=3, num_feat=4, num_conv=1, upscale=2)
    torch.save(network.state_dict(), tmp_path / "2x.pth")
    Upscaler.from_pretrained(tmp_path / "2x.pth", allow_pickle=True).save_pretrained(tmp_path / "model")
    push_folder(tmp_path / "model", "tester/compact", handler=True)
    file = hf_hub_download("tester/compact", "requirements.txt")
    assert "spandrel" in Path(file).read_text()
