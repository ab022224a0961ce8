"""Studies: train and measure what is missing, and sum up what is there."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

from alum.core.errors import InputError
from alum.data.visible_text import print_visible
from alum.data.writing import explained_if_full, holds_only_drafts, write_text
from alum.reports.exports import frame_of
from alum.reports.numbers import duration_text, value_text
from alum.reports.pages.notebook import inline_page, show
from alum.reports.study.page import study_page, write_study_page
from alum.reports.study.record import StudyRecord
from alum.reports.study.terminal import show_study
from alum.stages.evaluation.plan import plan_of
from alum.stages.held_folder import held
from alum.stages.runs.folder import RESULTS, write_json
from alum.stages.runs.settings import require_one_or_more
from alum.stages.runs.stopping import Interrupted, exit_code_of, terminated_by_exception
from alum.stages.study.cells.cell_run import evaluation_of
from alum.stages.study.cells.finetune_cell import FinetuneCell
from alum.stages.study.cells.ledger import DIVERGED, Cell, Ledger
from alum.stages.study.cells.pretrain_cell import PretrainCell
from alum.stages.study.inputs import StudyInputs, inputs_of
from alum.stages.study.merging import joined, same_everywhere
from alum.stages.study.outcome import outcome_of
from alum.stages.study.planning import LOSS, StudyPlan, validation_loss
from alum.stages.study.reading.kept import with_files
from alum.stages.study.reading.study_file import read_study, study_in, with_seeds
from alum.stages.study.settings import STANDARD, Study, StudyArguments
from alum.stages.study.workers import LOGS, work_off

STUDY_FILE, GIVEN = "study.yaml", "given"


if TYPE_CHECKING:
    from pandas import DataFrame


class CellsFailed(Exception):
    """Some trainings of a study failed; all others are done, and the page is of them."""


@dataclass(frozen=True)
class StudyResult:
    """Results of a study, as in its ``results.json``, and its folder."""

    results: StudyRecord = field(repr=False)
    output_dir: str

    def to_pandas(
        self, part: Literal["scores", "comparisons", "costs", "answers", "searches"] = "scores"
    ) -> "DataFrame":
        """Makes a data frame of a part of the results, a row for each entry; of scores by default."""
        return frame_of(self.results[part])

    def show(self) -> None:
        """Shows the page in a notebook, and its tables in a terminal."""
        show(self, lambda: show_study(self.results))

    def _repr_html_(self) -> str:
        return inline_page(study_page(self.results), "Study")


def study(
    study: StudyArguments | Study | Mapping[str, Any] | str,
    output_dir: str | None = None,
    *,
    workers: int = 1,
    seeds: str | list[int] | None = None,
) -> StudyResult:
    """Trains and measures what a study lacks, and writes its ``results.json`` and ``report.html``.

    ``study`` is `StudyArguments`, which name a file and all else, or that file, or a `Study`, or a dictionary in the
    form of the file. In a dictionary, tasks may have ``train_rows``, ``validation_rows`` and ``test_rows`` in memory
    instead of files, and ``base``, tasks and arms a ``model`` with its ``tokenizer``; these are written to
    ``output_dir``.

    A folder that holds the study is gone on with, and what is new in the file (arms, tasks, seeds) is added to it.
    With several workers call it from under ``if __name__ == "__main__"``, since they are started anew. Raises
    `InputError` for what cannot be used, `Interrupted` when stopped, and `CellsFailed` at the end where some failed.
    """
    if isinstance(study, StudyArguments):
        output_dir, workers, seeds = study.output_dir, study.workers, study.seeds
    if output_dir is None:
        raise InputError("a study needs an output_dir: its trainings are kept there, and gone on with.")
    require_one_or_more(SimpleNamespace(workers=workers), "workers")
    file = study.study_file if isinstance(study, StudyArguments) else study
    asked = read_study(file, seeds if isinstance(seeds, str) else None) if isinstance(file, str) else file
    with held(output_dir, "use a folder of your own and join both by alum study merge"):
        folder = _opened(Path(output_dir))
        if not isinstance(asked, Study):
            asked = study_in(_with_files(asked, folder / GIVEN))
        return _run(_with_former(folder, with_seeds(asked, seeds)), folder, workers)


def _with_files(found: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Dictionary of a study with rows and models in memory written to a folder, by the parts that name them."""
    if not isinstance(found, Mapping):
        raise InputError(
            f"expected a study as a dictionary, a file, a Study or StudyArguments, not {type(found).__name__}."
        )
    written = dict(found)
    if isinstance(found.get("base"), Mapping):
        written["base"] = with_files(dict(found["base"]), folder / "base")
    for part in ("tasks", "arms"):
        if isinstance(found.get(part), Mapping):
            written[part] = {
                name: with_files(dict(own), folder / part / name) if isinstance(own, Mapping) else own
                for name, own in found[part].items()
            }
    return written


def merge_studies(output_dir: str, parts: list[str]) -> StudyResult:
    """Joins finished cells of several folders of one study in a new one, and sums them up there.

    Arms, tasks and seeds are those of all parts. Raises `InputError` where parts differ in what they have in common.
    """
    with held(output_dir):
        return _merged(Path(output_dir), parts)


def _merged(folder: Path, parts: list[str]) -> StudyResult:
    if folder.exists() and not (folder.is_dir() and holds_only_drafts(folder)):
        raise InputError(f"{folder} holds something already: name a new folder to merge into.")
    for part in parts:
        if not (Path(part) / STUDY_FILE).is_file():
            raise InputError(f"{part} is no folder of a study: expected {STUDY_FILE} in it.")
    studies = [read_study(Path(part) / STUDY_FILE) for part in parts]
    whole, inputs = joined(studies, list(map(Path, parts)), folder)
    write_text(folder / STUDY_FILE, whole.written())
    return StudyResult(_summed_up(StudyPlan(whole, inputs, Ledger(folder))), str(folder))


def _opened(folder: Path) -> Path:
    """Folder of a study, made where it is not there; raises `InputError` where it holds something else."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output_dir {folder} is a file: name a folder.")
    if folder.is_dir() and not (folder / STUDY_FILE).is_file():
        others = [path for path in folder.iterdir() if path.name not in ("data", "inputs.json", LOGS, GIVEN)]
        if any(not path.name.endswith(".draft") for path in others):
            raise InputError(f"output_dir {folder} already holds something that is no study: name another folder.")
    try:
        with explained_if_full(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"output_dir {folder} cannot be made: {error.strerror}.") from None
    return folder


def _with_former(folder: Path, asked: Study) -> Study:
    """Study of a folder with what is asked for added to it."""
    file = folder / STUDY_FILE
    return same_everywhere([read_study(file), asked], [str(file), "the file"]) if file.is_file() else asked


def _run(study: Study, folder: Path, num_workers: int) -> StudyResult:
    inputs = inputs_of(study, folder)
    plan = StudyPlan(study, inputs, Ledger(folder))
    _check_settings(plan)
    write_text(folder / STUDY_FILE, study.written())

    def done(cell: Cell, seconds: float) -> None:
        record = plan.ledger.record(cell) or {}
        if DIVERGED in record:
            outcome = "diverged"
        elif isinstance(cell, PretrainCell):
            outcome = f"validation {LOSS} {value_text(LOSS, validation_loss(record))}"
        else:
            metric = inputs.main_metrics[cell.task]
            outcome = f"validation {metric} {value_text(metric, record['metrics'][metric])}"
        finished = sum(plan.ledger.record(one) is not None for one in plan.cells().values())
        text = f"{cell.described()}: {outcome}, {duration_text(seconds)}"
        print_visible(f"{text}; {finished} of {len(list(plan.places()))}", sys.stderr)

    try:
        with terminated_by_exception():
            failures = work_off(plan, num_workers, done)
    except (KeyboardInterrupt, Interrupted) as stop:
        code = stop.exit_code if isinstance(stop, Interrupted) else exit_code_of(stop)
        raise Interrupted(f"stopped. Finished cells are kept in {folder}: the same command goes on.", code) from None
    results = _summed_up(plan)
    if failures.errors:
        first = next(iter(failures.errors.values()))
        raise CellsFailed(
            f"{len(failures.errors)} cells failed, the first with: {first}. All are in {folder / LOGS / 'failed.txt'}; "
            "the page is of the others, and the same command tries these again."
        )
    return StudyResult(results, str(folder))


def _summed_up(plan: StudyPlan) -> StudyRecord:
    results = outcome_of(plan)
    folder = plan.ledger.folder
    write_json(folder / RESULTS, results)
    write_study_page(folder / "report.html", results)
    return results


def _check_settings(plan: StudyPlan) -> None:
    """Checks each arm's settings on each task, and how it is to be measured, before anything is trained."""
    study, inputs = plan.study, plan.inputs
    for arm in study.arms:
        if study.pretrains(arm):
            for values in study.searched_pretraining(arm):
                PretrainCell(arm, {**study.pretraining_of(arm), **values}, 0, inputs.texts, None).check()
        for task in study.tasks:
            for values in study.searched(arm):
                settings = {**study.finetuning_of(task, arm), **values}
                _checked(FinetuneCell(task, arm, settings, 0, inputs.tasks[task], "", study.evaluation), inputs)


def _checked(cell: FinetuneCell, inputs: StudyInputs) -> None:
    cell.check()
    if cell.arm == STANDARD:
        try:
            plan_of(evaluation_of(cell, inputs, inputs.folder))
        except (InputError, TypeError) as error:
            raise InputError(f"{cell.task}, evaluation: {error}") from None
