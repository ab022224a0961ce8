"""Checkpoints that are written whole or not at all, and checked for damage when a run resumes from them."""

import pickle
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from transformers import Trainer
from transformers.trainer import TRAINING_ARGS_NAME

from alum.core.errors import InputError, NotWritten
from alum.data.writing import explained_if_full, free_space, megabytes, why_unwritable
from alum.training.checkpoint_files import (
    DRAFTS,
    STATE,
    check_no_pickled_weights,
    check_readable,
    checkpoints_in,
    give_draft_its_name,
    give_replaced_back,
    newest_whole_checkpoint,
    size_of_files,
    step_in_name,
    strict_json,
    write_manifest,
)
from alum.training.pushing import explained_if_not_pushed

if TYPE_CHECKING:  # a mix-in: the Trainer that it is mixed into comes after it in the order of the bases
    _Trainer = Trainer
else:
    _Trainer = object


class AtomicCheckpoints(_Trainer):
    """Makes a Trainer subclass save so that it may be killed at any moment: ``class T(AtomicCheckpoints, Trainer)``.

    A checkpoint is written to a hidden draft, gets a manifest of its files, is flushed to the disk and then renamed to
    ``checkpoint-N``; only after that older ones are deleted. The format is the Trainer's, with one file
    more, and without its settings, which are a pickle.
    """

    records: tuple[Path, ...] = ()
    """Files of the run of which each checkpoint has a copy, so that it can be told what it is of."""
    _drafts: Path | None = None  # while a checkpoint is written

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """Trains as the Trainer does; ``True`` resumes from the newest whole checkpoint, passing over damaged ones.

        Raises `InputError` where the checkpoint to resume from is not one that was written whole by this class.
        """
        folder = Path(self._get_output_dir(None))
        if self.args.should_save:
            give_replaced_back(folder)
            shutil.rmtree(folder / DRAFTS, ignore_errors=True)
        if resume_from_checkpoint is True:
            newest = newest_whole_checkpoint(folder)
            if newest is None:
                raise InputError(f"no whole checkpoint to resume from in {folder}.")
            check_no_pickled_weights(newest)
            resume_from_checkpoint = str(newest)
        elif isinstance(resume_from_checkpoint, str):
            check_readable(Path(resume_from_checkpoint))
        return super().train(resume_from_checkpoint, *args, **kwargs)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        if _internal_call:  # part of a checkpoint, which says itself what was not written
            super().save_model(output_dir, _internal_call)
        else:
            with explained_if_full(Path(output_dir or self._get_output_dir(None))):
                super().save_model(output_dir, _internal_call)

    def init_hf_repo(self, *args: Any, **kwargs: Any) -> None:
        advice = "Log in by hf auth login, name the model by --hub_model_id, or leave --push_to_hub out."
        with explained_if_not_pushed("there is nowhere to push the model to", advice):
            super().init_hf_repo(*args, **kwargs)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Saves model and tokenizer as the Trainer does.

        Differs from the Trainer, which leaves its settings beside them: a pickle, with names of places on this machine.
        """
        super()._save(output_dir, state_dict)
        if self.args.should_save:
            (Path(output_dir or str(self.args.output_dir)) / TRAINING_ARGS_NAME).unlink(missing_ok=True)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        folder = Path(self._get_output_dir(trial))
        checkpoint = folder / f"checkpoint-{self.state.global_step}"
        reason = self._write(model, trial, checkpoint)
        if reason is not None:
            raise NotWritten(self._unwritten(checkpoint, reason))
        self.accelerator.wait_for_everyone()
        if self.args.push_to_hub:
            super()._push_from_checkpoint(str(checkpoint))
        if self.args.should_save:
            self.rotate(checkpoint)

    def _write(self, model: nn.Module, trial: Any, checkpoint: Path) -> str | None:
        """Why there was no space for the checkpoint, of which then nothing is left; None if it was written."""
        draft = checkpoint.parent / DRAFTS / checkpoint.name
        self._drafts = draft.parent
        try:
            super()._save_checkpoint(model, trial)
            self._record_best(checkpoint.parent, draft)
            self.accelerator.wait_for_everyone()  # each process writes its own random states
            if self.args.should_save:
                for record in self.records:
                    shutil.copyfile(record, draft / record.name)
                strict_json(draft / STATE)
                write_manifest(draft)
                give_draft_its_name(draft, checkpoint)
        except BaseException as error:
            if self.args.should_save:
                shutil.rmtree(draft.parent, ignore_errors=True)
            reason = why_unwritable(error)
            if reason is None:
                raise
            return reason  # the error goes, and with it the open file that still takes up space
        finally:
            self._drafts = None
        return None

    def _get_output_dir(self, trial: Any) -> str:
        return super()._get_output_dir(trial) if self._drafts is None else str(self._drafts)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Waits for the checkpoint's name: uploads go on while training does, and a draft moves away under them."""

    def _load_best_model(self) -> None:
        check_readable(Path(str(self.state.best_model_checkpoint)))  # a path that a checkpoint's state names
        super()._load_best_model()

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with _explained_if_refused(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_scaler(self, checkpoint: str | None) -> None:
        if self.accelerator.scaler is None:  # a run with fp16 that goes on without it, where the Trainer fails
            return
        with _explained_if_refused(checkpoint):
            super()._load_scaler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with _explained_if_refused(checkpoint):
            super()._load_rng_state(checkpoint)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """The Trainer's, without the weights that are there under the name that they are tied to."""
        tied = getattr(self.model, "all_tied_weights_keys", {})
        missing = [key for key in load_result.missing_keys if key not in tied]
        super()._issue_warnings_after_load(load_result._replace(missing_keys=missing))

    def _run_epoch(self, *args: Any, **kwargs: Any) -> Any:
        """The Trainer's, unless the run went on from its very last step: the Trainer would then take one more."""
        if self.state.global_step < self.state.max_steps and not self.control.should_training_stop:
            super()._run_epoch(*args, **kwargs)  # type: ignore[no-untyped-call]
        else:  # a stream has epochs without end
            self.control.should_training_stop = True

    def _record_best(self, folder: Path, draft: Path) -> None:
        """The best checkpoint by the name that it has or will have; the Trainer looked for it among the drafts."""
        best = folder / f"checkpoint-{self.state.best_global_step}"
        if best.name == draft.name or best.is_dir():
            self.state.best_model_checkpoint = str(best)
            if self.args.should_save:
                self.state.save_to_json(str(draft / STATE))

    def rotate(self, checkpoint: Path) -> None:
        """Deletes the oldest beyond ``save_total_limit``, never this checkpoint or the best.

        Differs from the Trainer, which goes by the time of writing: those of later steps, left from another run in the
        same folder, go first.
        """
        limit = self.args.save_total_limit
        if not limit or limit < 0:
            return
        present = checkpoints_in(checkpoint.parent)
        present.sort(key=lambda path: (step_in_name(path) <= self.state.global_step, step_in_name(path)))
        others = [path for path in present if path != checkpoint and str(path) != self.state.best_model_checkpoint]
        for path in others[: max(len(present) - limit, 0)]:
            shutil.rmtree(path, ignore_errors=True)

    def _unwritten(self, checkpoint: Path, reason: str) -> str:
        former = checkpoints_in(checkpoint.parent)
        if former:
            needed, unharmed = size_of_files(former[-1]), f"{former[-1].name} is unharmed"
        else:
            needed, unharmed = self._estimated_size(), "there is no earlier one"
        return (
            f"{checkpoint.name} could not be written: {reason}; {free_space(checkpoint.parent)}, and it takes about "
            f"{megabytes(needed)}; {unharmed}. Free space, for instance from older checkpoints, and go on with the "
            "same command, a training with --resume_from_checkpoint true. --save_total_limit keeps fewer of them; "
            "--save_only_model true makes them smaller, but a run cannot go on from them as if nothing had been."
        )

    def _estimated_size(self) -> int:
        assert self.model is not None
        tensors = [*self.model.parameters(), *self.model.buffers()]
        if self.optimizer is not None and not self.args.save_only_model:
            states = self.optimizer.state.values()
            tensors += [value for state in states for value in state.values() if isinstance(value, Tensor)]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@contextmanager
def _explained_if_refused(checkpoint: str | None) -> Iterator[None]:
    """Raises `InputError` where PyTorch's reader of tensors finds code in a state, instead of its advice to run it."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")  # of what is refused then
            yield
    except pickle.UnpicklingError:
        raise InputError(
            f"the checkpoint {checkpoint} was not loaded: a state in it is no plain tensors, but would run code, or is "
            "damaged. Do not use what else came with it; begin a new run, or go on from a checkpoint of your own."
        ) from None
