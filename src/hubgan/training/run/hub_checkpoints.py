"""Checkpoints on the Hub: pushed while a run trains, and fetched where it continues on another machine.

In the repository `checkpoints/step-00001234/` is a checkpoint, with its `checksums.json`. `checkpoints/run/` holds
what else a new folder needs: `run.json`, `metrics.jsonl`, samples, and weights that were kept on the way. A checkpoint
and all of that come by one commit. The repository is private, as `run.json` holds paths.
"""

import json
import logging
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from hubgan.errors import ConfigError, HubganError, ModelError, Remedy, TrainingError
from hubgan.hub.download import RUN
from hubgan.hub.upload import Repository, check_reachable
from hubgan.training.run.checkpoints import CHECKSUMS, name_of, newest_step, problem, step_of
from hubgan.training.run.folders import CHECKPOINTS, METRICS, holds_run, run_id
from hubgan.training.run.provenance import read_run
from hubgan.training.run.report import SAMPLES
from hubgan.training.signals import StopSignal

logger = logging.getLogger(__name__)

_CHECKPOINTS, _RUN = PurePosixPath("checkpoints"), PurePosixPath("checkpoints/run")
_PUSHING, _FETCHING = ".pushing", ".fetching"
_TRIES = 3
_PUBLIC = "Checkpoints are kept private. Make it private in its settings on the Hub, or choose another repository"


def shared_repository(name: str) -> ConfigError:
    """The error that checkpoints and model have one repository: its files would become public with the model."""
    return ConfigError(
        f"{name} cannot hold both the model and its checkpoints, which stay private",
        f"Pass another name with --checkpoint_to, for example {name}-checkpoints",
    )


class HubCheckpoints:
    """The checkpoints in a repository on the Hub, at its last commit. The repository is made if it is missing.

    Args:
        name: the Hub name; a bare name belongs to the user.

    Attributes:
        name: the full name.
        steps: the steps of the checkpoints, in order.

    Raises:
        ModelError: the repository cannot be used, or is public.
    """

    def __init__(self, name: str) -> None:
        remedy = Remedy(f"{_PUBLIC} as checkpoint_to", f"{_PUBLIC} with --checkpoint_to")
        check_reachable(name)
        self.repository = Repository(name, private=True, if_public=remedy)
        self.name = self.repository.name
        sealed = {_step(name) for name in self.repository.files if name.endswith(f"/{CHECKSUMS}")}
        self.steps = sorted(step for step in sealed if step >= 0)

    @cached_property
    def run(self) -> dict[str, Any]:
        """The `run.json` of the run that they belong to; empty if there are none.

        Raises:
            ModelError: it cannot be read, or the Hub cannot be reached.
        """
        if not self.steps:
            return {}
        text = self.repository.read(str(_RUN / RUN)) or ""
        try:
            run: dict[str, Any] = json.loads(text)
            return run | {"id": str(run["id"])}
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"{_RUN / RUN} of {self.name} cannot be read", "Choose another repository with --checkpoint_to"
            ) from error

    def run_id(self) -> str | None:
        """The id of the run that they belong to; None if there are none."""
        return self.run.get("id")

    def check(self, folder: Path, resume: str | None) -> None:
        """Refuse to mix the checkpoints of two runs, or to replace newer ones of the same run unasked.

        Args:
            folder: of the run that is to push here.
            resume: what the run resumes from.

        Raises:
            ConfigError: there are checkpoints of another run, or newer ones.
            ModelError: the Hub cannot be reached.
        """
        if not (theirs := self.run_id()):
            return
        if not resume or theirs != run_id(folder):
            remedy = "Continue that run with --resume hub, or choose another repository with --checkpoint_to"
            raise ConfigError(f"{self.name} holds the checkpoints of another run", remedy)
        here = max(map(step_of, (folder / CHECKPOINTS).glob("step-*")), default=-1)
        if resume == "auto" and self.steps[-1] > here:
            raise ConfigError(
                f"{self.name} holds a newer checkpoint (step {self.steps[-1]}) than {folder}",
                "Continue from that one with --resume hub",
            )

    def fetch(self, folder: Path) -> None:
        """Bring the last good checkpoint into a run's folder, unless that has a newer one of the same run.

        Raises:
            ConfigError: the folder holds another run.
            ModelError: a file cannot be downloaded.
            TrainingError: there are checkpoints, but all are damaged; or the folder cannot be written.
        """
        if not self.steps:
            logger.info("There is no checkpoint in %s yet", self.name)
            return
        if holds_run(folder) and run_id(folder) != self.run_id():
            raise ConfigError(
                f"{folder} holds another run than {self.name}", "Choose another folder with --output_dir"
            )
        fetching, here, damaged = folder / _FETCHING, newest_step(folder / CHECKPOINTS), []
        try:
            shutil.rmtree(fetching, ignore_errors=True)  # of a start that was killed
            for step in reversed(self.steps):
                if here >= step:
                    return
                logger.info("Fetching the checkpoint of step %d from %s ...", step, self.name)
                self._download(_CHECKPOINTS / name_of(step), checkpoint := fetching / name_of(step))
                if not (reason := problem(checkpoint)):
                    self._download(_RUN, fetching / _RUN.name)
                    _put_in_place(fetching, folder, checkpoint)
                    return
                damaged.append(f"{name_of(step)}, {reason}")
                logger.warning("%s of %s is damaged: %s", name_of(step), self.name, reason)
        except OSError as error:
            raise TrainingError(f"the checkpoint cannot be written into {folder}: {error}") from error
        finally:
            shutil.rmtree(fetching, ignore_errors=True)
        if here < 0:
            raise TrainingError(
                f"every checkpoint in {self.name} is damaged: {'; '.join(damaged)}",
                "Start a new run with another --checkpoint_to",
            )

    def push(self, staged: Path, step: int, keep: int, run: Mapping[str, Any], before: "HubCheckpoints") -> None:
        """Put a checkpoint, and what lies beside it, into the repository by one commit.

        Args:
            staged: a folder with the content of the repository's `checkpoints/`.
            step: the checkpoint's.
            keep: how many checkpoints are kept there. Those of later steps belong to a future that the run has left.
            run: the run's `run.json`.
            before: what was there when this session of the run started.

        Raises:
            ModelError: it cannot be pushed.
            _TakenError: another run, or another session of this one, has pushed its checkpoints meanwhile.
        """
        if self.run and self.run_id() != run.get("id"):
            raise _TakenError(f"{self.name} holds the checkpoints of another run")
        last = _last_session(self.run)
        seen = last == _last_session(before.run) and set(self.steps) <= set(before.steps)
        if self.run and not seen and last != _last_session(run):
            raise _TakenError(
                f"another session of this run, started at {last.get('started', 'an unknown time')}, has pushed"
                f" step {self.steps[-1]} to {self.name}"
            )
        older = [other for other in self.steps if other < step]
        kept = {step, *older[max(0, len(older) + 1 - keep) :]}
        gone = [name for name in self.repository.files if (other := _step(name)) >= 0 and other not in kept]
        files: dict[str, Path | bytes] = {
            str(_CHECKPOINTS / path.relative_to(staged).as_posix()): path
            for path in sorted(staged.rglob("*"))
            if path.is_file()
        }
        self.repository.commit(files, message=f"Checkpoint of step {step:,}", delete=gone)

    def _download(self, inside: PurePosixPath, folder: Path) -> None:
        """Download all files below a folder of the repository."""
        for name in sorted(self.repository.files):
            if PurePosixPath(name).is_relative_to(inside):
                self._download_file(name, folder / PurePosixPath(name).relative_to(inside))

    def _download_file(self, name: str, file: Path) -> None:
        for left in reversed(range(_TRIES)):
            try:
                self.repository.download(name, file)
                return
            except ModelError as error:
                if not left:
                    raise ModelError(
                        f"cannot resume from {self.name}: {error.message}", "Run the same command again"
                    ) from error
                logger.warning("%s. It is downloaded again", error.message)


class _TakenError(ModelError):
    """The repository has become that of somebody else, whose checkpoints must not be removed."""


class CheckpointPusher:
    """Pushes the checkpoints of a run, by a thread. If one comes while another is being pushed, the last one counts.

    A push that fails is a warning: the next checkpoint brings the same files. None is made once another run or session
    has pushed to the repository.

    Args:
        checkpoints: where they go.
        folder: the run's.
        keep: how many are kept there.
    """

    def __init__(self, checkpoints: HubCheckpoints, folder: Path, keep: int) -> None:
        self.name, self._folder, self._keep = checkpoints.name, folder, keep
        self._before, self._taken = checkpoints, False
        self._changed = threading.Condition()
        self._waiting: _Staged | None = None
        self._pushing: _Staged | None = None
        self._failed: tuple[_Staged, str] | None = None
        self._numbers = count()
        self._thread: threading.Thread | None = None
        shutil.rmtree(folder / _PUSHING, ignore_errors=True)  # of a run that was killed

    def add(self, checkpoint: Path, kept: Iterable[str]) -> None:
        """Push a checkpoint as soon as the one before it is done. It may be removed from the run's folder meanwhile.

        Args:
            checkpoint: its folder.
            kept: files of weights beside it that belong to the run's state.
        """
        if self._taken:
            return
        try:
            staged = self._stage(checkpoint, kept)
        except OSError as error:
            logger.warning("%s cannot be pushed to %s: %s", checkpoint.name, self.name, error)
            return
        with self._changed:
            skipped, self._waiting = self._waiting, staged
            self._changed.notify_all()
        if skipped:
            skipped.remove()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)
            self._thread.start()

    def add_missing(self, checkpoint: Path, kept: Iterable[str]) -> None:
        """Push a checkpoint that an earlier session of the run could not push."""
        if step_of(checkpoint) not in self._before.steps:
            self.add(checkpoint, kept)

    @contextmanager
    def working(self, stop_signal: StopSignal) -> Iterator[None]:
        """A block that trains. At its end the last push is waited for, and tried again if it has failed.

        Args:
            stop_signal: a signal that comes to it meanwhile ends the wait.
        """
        silenced = not are_progress_bars_disabled()
        if silenced:  # they would write into the run's own
            disable_progress_bars()
        try:
            yield
        finally:
            try:
                self._finish(stop_signal)
            finally:
                if silenced:
                    enable_progress_bars()

    def _finish(self, stop_signal: StopSignal) -> None:
        left = self._wait(stop_signal)
        if self._failed and not left:
            with self._changed:
                self._waiting = self._failed[0]
                self._changed.notify_all()
            left = self._wait(stop_signal)
        missing = (left, "a signal has ended the wait") if left else self._failed
        if missing:
            staged, reason = missing
            logger.warning(
                "The last checkpoint (step %d) is not on the Hub: %s. It is in %s. To push it, repeat the command with"
                " --resume",
                staged.step,
                reason,
                self._folder / CHECKPOINTS / name_of(staged.step),
            )
        if not left:  # its files are still being read
            shutil.rmtree(self._folder / _PUSHING, ignore_errors=True)

    def _wait(self, stop_signal: StopSignal) -> "_Staged | None":
        """Wait until all is pushed; returns what is not, if a signal has come meanwhile."""
        before = stop_signal.count
        with self._changed:
            if self._waiting or self._pushing:
                logger.info("Waiting until the last checkpoint is pushed to %s. Ctrl-C ends the wait ...", self.name)
            try:
                while (self._waiting or self._pushing) and stop_signal.count == before:
                    self._changed.wait(1)  # Windows lets Ctrl-C through only between two waits
            except KeyboardInterrupt:  # the second Ctrl-C
                if stop_signal.count == before:
                    raise
            return self._waiting or self._pushing

    def _work(self) -> None:
        while True:
            with self._changed:
                while self._waiting is None:
                    self._changed.wait()
                self._pushing, self._waiting = self._waiting, None
            self._push(self._pushing)
            with self._changed:
                self._pushing = None
                self._changed.notify_all()

    def _push(self, staged: "_Staged") -> None:
        before, self._failed = self._failed, None
        if before and before[0] != staged:
            before[0].remove()
        try:
            run = read_run(self._folder) or {}
            HubCheckpoints(self.name).push(staged.folder, staged.step, self._keep, run, self._before)
        except _TakenError as error:
            self._taken = True
            staged.remove()
            logger.warning(
                "Checkpoints are no longer pushed: %s. Those of this session stay in %s. Stop one of the two. To push"
                " these, pass another --checkpoint_to with --resume",
                error.message,
                self._folder / CHECKPOINTS,
            )
        except Exception as error:  # whatever it is, the run goes on
            reason = error.message if isinstance(error, HubganError) else f"{type(error).__name__}: {error}"
            self._failed = staged, reason
            if not before or before[0] != staged:
                logger.warning("The checkpoint of step %d was not pushed: %s", staged.step, reason)
        else:
            staged.remove()

    def _stage(self, checkpoint: Path, kept: Iterable[str]) -> "_Staged":
        """Put the files to push into a folder of their own, where the run does not change them."""
        folder = self._folder / _PUSHING / str(next(self._numbers))
        shutil.copytree(checkpoint, folder / checkpoint.name, copy_function=_link)
        (run := folder / _RUN.name).mkdir()
        for name in (RUN, METRICS):  # the run goes on to write them
            if (self._folder / name).is_file():
                shutil.copy(self._folder / name, run)
        for name in kept:
            if (self._folder / name).is_file():
                _link(self._folder / name, run / name)
        if (self._folder / SAMPLES).is_dir():
            shutil.copytree(self._folder / SAMPLES, run / SAMPLES, copy_function=_link)
        return _Staged(step_of(checkpoint), folder)


class _Staged(NamedTuple):
    """What is pushed in one commit, in a folder of its own."""

    step: int
    folder: Path

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _step(name: str) -> int:
    """The step of the checkpoint that a file of the repository belongs to; -1 for other files."""
    parts = PurePosixPath(name).parts
    return step_of(PurePosixPath(parts[1])) if len(parts) > 2 and parts[0] == str(_CHECKPOINTS) else -1


def _last_session(run: Mapping[str, Any]) -> dict[str, Any]:
    """The session that has written a `run.json`; empty if it tells of none."""
    sessions = run.get("sessions")
    last = sessions[-1] if isinstance(sessions, list) and sessions else None
    return last if isinstance(last, dict) else {}


def _put_in_place(fetched: Path, folder: Path, checkpoint: Path) -> None:
    """Move what was fetched into the run's folder, the checkpoint last: without it nothing counts."""
    run = fetched / _RUN.name
    for file in sorted(path for path in run.rglob("*") if path.is_file()):
        place = folder / file.relative_to(run)
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)
    final = folder / CHECKPOINTS / checkpoint.name
    final.parent.mkdir(exist_ok=True)
    shutil.rmtree(final, ignore_errors=True)  # damaged
    checkpoint.replace(final)


def _link(source: str | Path, target: str | Path) -> None:
    """A second name for a file, which costs nothing; a copy where the file system has no such names."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)
