"""The notebooks run from top to bottom, and are kept without outputs."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from helpers.common import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TINY = {
    "use_the_models": "IMAGES, FRAMES = 1, 4",
    "train_on_your_pictures": "CLASSES, IMAGE_SIZE, MINUTES, SAMPLES = True, 8, 1, 16\n"
    'MORE = ["--max_steps", "3", "--batch_size", "8", "--generator.width", "4", "--discriminator.width", "4",'
    ' "--mixed_precision", "no"]',
}


def read(file: Path) -> Any:
    return nbformat.read(file, as_version=4)


@pytest.mark.slow
def test_the_notebooks_run(
    tmp_path: Path, launch_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other in one kernel, which forgets its variables: a new one would import for seconds."""
    for name, value in {**launch_environment, "IPYTHONDIR": str(tmp_path), "HF_HOME": str(tmp_path / "hf")}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "model_cards").symlink_to(ROOT / "model_cards")
    (tmp_path / "notebooks").mkdir()
    kernel = KernelManager(kernel_name="python3")
    kernel.start_kernel(cwd=str(tmp_path / "notebooks"))
    try:
        for file in NOTEBOOKS:
            notebook = read(file)
            notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
            (settings,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
            settings.source += f"\n{TINY[file.stem]}"
            NotebookClient(notebook, km=kernel, timeout=240).execute()
            check_outputs(notebook, file.stem, tmp_path / "notebooks")
    finally:
        kernel.shutdown_kernel(now=True)


def check_outputs(notebook: Any, name: str, folder: Path) -> None:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 2
    words = "".join(str(output.get("text", "")) for output in outputs)
    if name == "train_on_your_pictures":
        assert "FD-ENL0" in words and "500" in words
        assert "FD-ENL0" in (folder / "runs" / "mine" / "README.md").read_text()
    else:
        assert (folder / "large.png").is_file()


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_is_clean_and_opens_from_its_repository(file: Path) -> None:
    notebook = read(file)
    for cell in notebook.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None
        assert not re.search(r"""["' ](/|~)\w""", cell.source)  # no path of one machine
    first, install = notebook.cells[0].source, notebook.cells[2].source
    found = re.search(r'REPOSITORY = "https://github\.com/([\w-]+/[\w-]+)"', install)
    assert found
    links = re.findall(r"\]\((https://[^)]*)\)", first)
    assert len([link for link in links if f"{found[1]}/blob/main/notebooks/{file.name}" in link]) == 2
    assert file.stat().st_size < 20_000
