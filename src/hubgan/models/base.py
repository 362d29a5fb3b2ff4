"""The base of all models: one network, its configuration, and how both are saved and loaded."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from huggingface_hub import ModelCard, PyTorchModelHubMixin
from huggingface_hub.utils import filter_repo_objects
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor, nn

from hubgan.errors import ConfigError, ModelError, Remedy
from hubgan.hub.download import ModelSource
from hubgan.hub.upload import Repository
from hubgan.models.card import PICTURE, TrainingRun, local_name, model_card
from hubgan.models.card_edits import renewed
from hubgan.models.config import (
    CARD,
    CONFIG,
    WEIGHTS,
    build,
    network_options,
    read_config,
    without_memory,
    write_config,
)
from hubgan.models.weights import check_fit, plain_names, read_weights
from hubgan.runtime.files import remedy_of

Self = TypeVar("Self", bound="HubModel")


class HubModel(nn.Module, PyTorchModelHubMixin, library_name="hubgan"):
    """One network, chosen by `architecture`, with its configuration and the record of its training run.

    `config` holds the architecture and every option of its network. `training_run` describes the training (data set,
    images seen, hardware, ...). It is kept in `config.json`, so that the card stays correct when the model is loaded
    and saved again. `loaded_from` is the name that `from_pretrained` was given, for messages; empty if it was not
    loaded.

    Args:
        architecture: a name in `networks`.
        **options: options of that network, whose defaults stand for the others.

    Raises:
        ConfigError: an unknown architecture or option, or a value out of bounds.
    """

    networks: ClassVar[Mapping[str, type[nn.Module]]]
    description: ClassVar[str]
    loaded_from: str = ""

    def __init__(self, architecture: str, **options: Any) -> None:
        super().__init__()
        self.network = build(self.networks, architecture, options)
        defaults = network_options(self.networks, architecture)
        self.config: dict[str, Any] = {"architecture": architecture, **defaults, **options}
        self.training_run: TrainingRun | None = None

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return next(self.parameters()).dtype

    @classmethod
    def _kind(cls) -> str:
        """The name of hubgan's class that this class is, or is derived from."""
        return next(kind.__name__ for kind in cls.__mro__ if kind.__module__.startswith("hubgan."))

    def num_parameters(self) -> int:
        """The number of learned parameters."""
        return sum(p.numel() for p in self.parameters())

    # -- saving ------------------------------------------------------------------------------------------------

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        config: Any = None,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        model_card_kwargs: dict[str, Any] | None = None,
        **push_to_hub_kwargs: Any,
    ) -> str | None:
        """Write `model.safetensors`, `config.json` and `README.md` (the card) into a folder, made if it is missing.

        Each file is written under another name and renamed when it is whole. In a card that a person has edited only
        the metadata and the results are rewritten. The card shows a `samples.png` in the folder.

        Args:
            save_directory: the folder.
            config: ignored; the mixin has this argument, but the configuration is that of the network.
            repo_id: the model's name on the Hub, for the card and for the push. By default the card names the folder,
                and the repository has the folder's name.
            push_to_hub: also push the model; further arguments are those of `push_to_hub`.
            model_card_kwargs: passed to `generate_model_card`.

        Raises:
            ModelError: the folder cannot be written.
        """
        folder = Path(save_directory)
        name = repo_id or local_name(folder)
        picture = {"picture": PICTURE} if (folder / PICTURE).is_file() else {}
        card = str(self.generate_model_card(**{"name": name, **picture, **(model_card_kwargs or {})}))
        tensors = {key: value.detach().cpu().contiguous() for key, value in plain_names(self._weights()).items()}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / CARD).is_file():
                card = renewed((folder / CARD).read_text(encoding="utf-8"), card)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as unfinished:
                Path(unfinished, WEIGHTS).write_bytes(save(tensors, metadata={"format": "pt"}))
                settings = write_config(self._kind(), self.config, self.training_run)
                Path(unfinished, CONFIG).write_text(settings, encoding="utf-8")
                Path(unfinished, CARD).write_text(card, encoding="utf-8")
                for file in (CONFIG, WEIGHTS, CARD):
                    Path(unfinished, file).replace(folder / file)
        except (OSError, UnicodeDecodeError, SafetensorError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise ModelError(f"cannot save the model in {folder}: {reason}", remedy_of(error)) from error
        if push_to_hub:
            return self.push_to_hub(
                repo_id or folder.resolve().name, model_card_kwargs=model_card_kwargs, **push_to_hub_kwargs
            )
        return None

    def _weights(self) -> dict[str, Tensor]:
        """The tensors of `model.safetensors`."""
        return self.state_dict()

    def push_to_hub(
        self,
        repo_id: str,
        *,
        config: Any = None,
        commit_message: str = "Push model with hubgan",
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        create_pr: bool | None = None,
        allow_patterns: list[str] | str | None = None,
        ignore_patterns: list[str] | str | None = None,
        delete_patterns: list[str] | str | None = None,
        model_card_kwargs: dict[str, Any] | None = None,
    ) -> str:
        """Push weights, configuration and card in one commit. No commit is made if nothing has changed.

        The repository and the branch are made if they are missing. In a card that a person has edited on the Hub only
        the metadata and the results are rewritten. A failed push leaves the branch unchanged.

        Args:
            repo_id: the Hub name (user/model).
            config: ignored; the mixin has this argument.
            commit_message: the commit's first line.
            private: make the repository private if it is new; an error if it exists and is public.
            token: access token; by default the one of `hf auth login`.
            branch: main by default.
            create_pr: open a pull request instead.
            allow_patterns, ignore_patterns: push only files that match one of these, or none of those.
            delete_patterns: delete files on the Hub that match, in the same commit.
            model_card_kwargs: passed to `generate_model_card`.

        Returns:
            The address of the commit, of the last one if nothing had changed, or of the pull request.

        Raises:
            ModelError: not logged in, not allowed, not a Hub name, or the Hub cannot be reached.
        """
        again = "The model is unharmed: call push_to_hub again"
        repository = Repository(repo_id, private=bool(private), token=token, branch=branch, again=again)
        there = repository.read(CARD)
        # The pictures of a training run stay on the Hub if only the model is pushed again.
        picture = {"picture": PICTURE} if PICTURE in repository.files else {}
        about = {"name": repository.name, **picture, **(model_card_kwargs or {})}
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, model_card_kwargs=about)
            names = filter_repo_objects(
                [CONFIG, WEIGHTS, CARD], allow_patterns=allow_patterns, ignore_patterns=ignore_patterns
            )
            files: dict[str, Path | bytes] = {name: Path(folder, name) for name in names}
            if there and CARD in files:
                files[CARD] = renewed(there, Path(folder, CARD).read_text(encoding="utf-8")).encode()
            patterns = [delete_patterns] if isinstance(delete_patterns, str) else delete_patterns
            pushed = repository.commit(
                files, message=commit_message, create_pr=bool(create_pr), delete_patterns=patterns or ()
            )
        return pushed.url

    def generate_model_card(self, *, name: str = "", **kwargs: Any) -> ModelCard:
        """The card: what the model is, how to load it as `name`, its training, and its measured results."""
        metadata = self._hub_mixin_info.model_card_data
        about: dict[str, Any] = {
            "kind": self._kind(),
            "description": self.description,
            "pipeline_tag": metadata.pipeline_tag,
            "tags": metadata.tags,
            "config": self.config,
            "parameters": self.num_parameters(),
            "run": self.training_run or {},
        }
        return model_card(name=name, **about, **kwargs)

    # -- loading -----------------------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls: type[Self],
        pretrained_model_name_or_path: str | Path,
        *,
        subfolder: str | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        torch_dtype: torch.dtype | None = None,
        use_safetensors: bool = True,
        strict: bool = True,
    ) -> Self:
        """Load a model from a folder or from the Hub, in evaluation mode.

        Only `model.safetensors` is ever read, no pickle. Files from the Hub are compared with their checksums.

        Args:
            pretrained_model_name_or_path: a folder that holds `config.json` and `model.safetensors`, or a Hub name.
            subfolder: the model's folder inside the folder or repository, such as "discriminator".
            revision: branch, tag or commit on the Hub.
            token: access token; by default the one of `hf auth login`.
            cache_dir, force_download, local_files_only: as in `huggingface_hub.hf_hub_download`.
            device: the device of the weights.
            dtype: the dtype to convert the weights to; by default they keep the one that was saved.
            torch_dtype: diffusers' older name of `dtype`.
            use_safetensors: as in diffusers; only True is accepted, because nothing else is ever read.
            strict: refuse weights with missing or extra keys. Wrong shapes are always refused.

        Raises:
            ModelError: the model cannot be found or reached, its bytes are damaged, or its weights do not fit.
            ConfigError: its `config.json` is not one of hubgan's, or asks for something impossible.
        """
        if not use_safetensors:
            raise ConfigError(
                "hubgan reads only safetensors, so use_safetensors=False has no effect", "Leave out use_safetensors"
            )
        wanted = dtype or torch_dtype
        if wanted is not None and not isinstance(wanted, torch.dtype):
            raise ConfigError(f"dtype must be one of PyTorch's, such as torch.bfloat16, not {wanted!r}")
        name = str(pretrained_model_name_or_path)
        source = ModelSource(name, subfolder, revision, token, cache_dir, force_download, local_files_only)
        model = cls._load(source, strict).to(device, wanted).eval()
        model.loaded_from = name
        return model

    @classmethod
    def _load(cls: type[Self], source: ModelSource, strict: bool) -> Self:
        config_file = source.file(CONFIG)
        config = read_config(config_file)
        if config.kind and config.kind not in [kind.__name__ for kind in cls.__mro__]:
            found, wanted = (f"{'an' if name[0] in 'AEIOU' else 'a'} {name}" for name in (config.kind, cls.__name__))
            remedy = Remedy(f"Load it with {config.kind}.from_pretrained", f"Pass a model that is {wanted}")
            message = f"{config_file} describes {found}, but {wanted} is needed"
            raise ConfigError(message, remedy).with_context(remedy=config.upgrade)
        try:
            # The model takes no memory until the weights are known to fit.
            with without_memory() if strict else torch.device("cpu"):
                if "self" in config.options:
                    raise ConfigError("there is no option 'self'")
                model = cls(**config.options)
            weights_file = source.at_commit_of(config_file).file(WEIGHTS)
            state = read_weights(weights_file)
            check_fit(weights_file, model.state_dict(), state, strict)
        except (ConfigError, ModelError) as error:
            prefix = f"{config_file}: " if isinstance(error, ConfigError) else ""
            raise error.with_context(prefix, config.upgrade) from error
        model.load_state_dict(state, strict=strict, assign=True)
        model.training_run = config.training_run
        return model
