"""Commands of the command line: each reads its settings, calls the function that does the work, and prints the outcome.

A command imports its stage when it runs: torch and transformers take seconds, and lists and helps do without them.
"""

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from alum.cli.command_settings import command_settings
from alum.cli.names import COMMANDS
from alum.cli.output import print_json, print_last, require_files, work_shown
from alum.cli.parser import CommandParser
from alum.core.errors import InputError, unknown_name
from alum.data.visible_text import counted, fit_logs, print_visible


def run(command: str, argv: Sequence[str]) -> None:
    """Runs ``alum command argv``; raises `InputError` for an unknown command."""
    if command not in COMMANDS:
        raise unknown_name("command", command, COMMANDS)
    functions = {
        "pretrain": _pretrain,
        "finetune": _finetune,
        "methods": _methods,
        "tasks": _tasks,
        "suites": _suites,
        "evaluate": _evaluate,
        "advglue": _adv_glue,
        "radius": _radius,
        "plan": _plan,
        "study": _study,
        "compare": _compare,
        "attack": _attack,
        "checklist": _checklist,
        "reduce": _reduce,
        "triggers": _triggers,
        "augment": _augment,
        "demo": _demo,
        "env": _env,
        "completion": _completion,
    }
    functions[command](argv)


# -- training ----------------------------------------------------------------------------------------------------------


def _pretrain(argv: Sequence[str]) -> None:
    settings = _with_help("pretrain", argv)
    from alum.reports.pretraining import show_pretraining
    from alum.stages.first_process import is_first_process
    from alum.stages.pretraining.config import PretrainConfig
    from alum.stages.pretraining.run import pretrain

    arguments, quiet, config = CommandParser("pretrain", settings, PretrainConfig).parse(argv)
    with work_shown(quiet):
        result = pretrain(arguments, config)
        if is_first_process():
            show_pretraining(vars(result))
    if is_first_process():
        print_last(_where_the_model_is(result.output_dir))


def _finetune(argv: Sequence[str]) -> None:
    settings = _with_help("finetune", argv)
    from alum.stages.finetuning.config import FinetuneConfig
    from alum.stages.finetuning.run import finetune
    from alum.stages.first_process import is_first_process

    arguments, quiet, config = CommandParser("finetune", settings, FinetuneConfig).parse(argv)
    with work_shown(quiet):
        result = finetune(arguments, config)
        if is_first_process():
            result.show()
    if is_first_process():
        print_last(_where_the_model_is(result.output_dir))


def _with_help(command: str, argv: Sequence[str]) -> tuple[type, ...]:
    """A command's own settings, where no help is asked for: that would need nothing of what is loaded here."""
    settings = command_settings(command)
    CommandParser(command, (*settings.own, *settings.of_trainer)).show_help_if_asked(argv)
    _load_libraries(is_quiet=any(word.startswith("--quiet") for word in argv))
    return settings.own


def _demo(argv: Sequence[str]) -> None:
    arguments, quiet = _parsed("demo", argv)
    _load_libraries(quiet.quiet)
    from alum.stages.demo.run import demo

    with work_shown(quiet):
        demo(arguments)
    if quiet.quiet:
        print_last(f"Models and records are in {arguments.output_dir}, the report in {arguments.output_dir}/evaluated.")


# -- measuring ---------------------------------------------------------------------------------------------------------


def _evaluate(argv: Sequence[str]) -> None:
    arguments, quiet = _parsed("evaluate", argv)
    require_files(quiet, arguments.output_dir)
    _load_libraries(quiet.quiet)
    from alum.reports.evaluation.terminal import show_evaluation
    from alum.stages.evaluation.run import evaluate

    with work_shown(quiet):
        result = evaluate(arguments)
        show_evaluation(result.results)
    if result.output_dir is not None:
        print_last(_where_its_page_is(result.output_dir))


def _adv_glue(argv: Sequence[str]) -> None:
    def work(arguments: Any) -> Any:
        from alum.stages.adv_glue.run import adv_glue

        return adv_glue(arguments)

    _show_and_keep("advglue", argv, work, "The numbers are in {}/adv_glue.json.")


def _study(argv: Sequence[str]) -> None:
    if argv[:1] == ["merge"] and {"-h", "--help"}.isdisjoint(argv):
        _merge_studies(argv[1:])
        return
    arguments, quiet, as_json = _parsed("study", argv)
    _load_libraries(quiet.quiet)
    from alum.reports.study.terminal import show_study
    from alum.stages.study.run import study

    with work_shown(quiet, as_json):
        result = study(arguments)
        if not as_json.json:
            show_study(result.results)
    if as_json.json:
        print_json(result.results)
    print_last(_where_its_page_is(result.output_dir), as_json)


def _merge_studies(folders: Sequence[str]) -> None:
    _load_libraries()
    from alum.reports.study.terminal import show_study
    from alum.stages.study.run import merge_studies

    if len(folders) < 2 or any(word.startswith("-") for word in folders):
        raise InputError("expected alum study merge OUT A B …: a new folder, and those of studies to join in it.")
    result = merge_studies(folders[0], list(folders[1:]))
    show_study(result.results)
    print_last(_where_its_page_is(result.output_dir))


def _compare(argv: Sequence[str]) -> None:
    (arguments,) = _parsed("compare", argv)
    _tell_terminal("Reading the records of runs …")
    from alum.reports.study.terminal import show_study
    from alum.stages.study.comparing.finished_runs import compare_runs

    show_study(compare_runs(arguments))
    if arguments.output_dir is not None:
        print_last(_where_its_page_is(arguments.output_dir))


def _where_the_model_is(folder: object) -> str:
    return f"Open {folder}/README.md to read about the model; it, tokenizer and records are beside it."


def _where_its_page_is(folder: object) -> str:
    return f"To look at it open {folder}/report.html; all numbers are in results.json beside it."


def _attack(argv: Sequence[str]) -> None:
    (arguments,) = _parsed("attack", argv)
    _load_libraries()
    from alum.reports.attacked_text import show_attack
    from alum.stages.evaluation.attack import attack

    outcome = attack(arguments)
    show_attack(outcome.result, outcome.label, outcome.label_names, outcome.num_unread_words)


def _checklist(argv: Sequence[str]) -> None:
    def work(arguments: Any) -> Any:
        from alum.stages.checklist.run import checklist

        return checklist(arguments)

    where = "To look at it open {}/report.html; all numbers and failures are in checklist.json beside it."
    _show_and_keep("checklist", argv, work, where)


def _reduce(argv: Sequence[str]) -> None:
    def work(arguments: Any) -> Any:
        from alum.stages.reduction.run import reduce_inputs

        return reduce_inputs(arguments)

    _show_and_keep("reduce", argv, work, "The numbers are in {}/reduction.json.")


def _triggers(argv: Sequence[str]) -> None:
    def work(arguments: Any) -> Any:
        from alum.stages.triggers.run import triggers

        return triggers(arguments)

    _show_and_keep("triggers", argv, work, "The numbers are in {}/triggers.json.")


def _show_and_keep(command: str, argv: Sequence[str], work: Callable[[Any], Any], where: str) -> None:
    """Shows the result of ``work`` on a command's settings, and says ``where`` in the folder its numbers are kept."""
    arguments, quiet = _parsed(command, argv)
    require_files(quiet, arguments.output_dir)
    _load_libraries(quiet.quiet)
    with work_shown(quiet):
        work(arguments).show()
    if arguments.output_dir is not None:
        print_last(where.format(arguments.output_dir))


def _augment(argv: Sequence[str]) -> None:
    arguments, quiet = _parsed("augment", argv)
    _load_libraries(quiet.quiet)
    from alum.stages.augmentation.run import augment

    with work_shown(quiet):
        result = augment(arguments)
        for number, what in (
            (result.num_unchanged, "in which nothing could be changed"),
            (result.num_repeated, "like another one of the row"),
        ):
            if number:
                was = "was" if number == 1 else "were"
                print_visible(f"{counted(number, 'copy', 'copies')} {what} {was} left out.")
    rows_are = "row is" if result.num_written == 1 else "rows are"
    print_last(
        f"{result.num_written:,} {rows_are} in {result.output_file}: "
        f"{counted(result.num_changed, 'changed copy', 'changed copies')} of {counted(result.num_rows, 'row')}."
    )


# -- choosing ----------------------------------------------------------------------------------------------------------


def _radius(argv: Sequence[str]) -> None:
    arguments, quiet, as_json = _parsed("radius", argv)
    if not as_json.json:
        require_files(quiet, arguments.output_dir)
    _load_libraries(quiet.quiet)
    from alum.reports.choosing.radius import show_radius
    from alum.stages.radius.run import radius

    with work_shown(quiet, as_json):
        result = radius(arguments)
        if not as_json.json:
            show_radius(result)
    if as_json.json:
        print_json(asdict(result))
    if arguments.output_dir is not None:
        print_last(f"The numbers are in {arguments.output_dir}/radius.json.", as_json)


def _plan(argv: Sequence[str]) -> None:
    arguments, as_json = _parsed("plan", argv)
    _load_libraries()
    from alum.reports.choosing.plan import show_plan
    from alum.stages.plan.run import plan

    _tell_terminal(f"Counting the operations of {', '.join(arguments.methods)} …")
    with work_shown(as_json):
        result = plan(arguments)
    if as_json.json:
        print_json(asdict(result))
    else:
        show_plan(result)
    if arguments.output_file is not None:
        print_last(f"The plan is in {arguments.output_file}.", as_json)


# -- lists -------------------------------------------------------------------------------------------------------------


def _methods(argv: Sequence[str]) -> None:
    (as_json,) = _parsed("methods", argv)
    if as_json.json:
        from alum.cli.listings import methods_record

        print_json(methods_record())
        return
    from alum.reports.methods import show_methods

    show_methods()


def _tasks(argv: Sequence[str]) -> None:
    (arguments,) = _parsed("tasks", argv)
    from alum.cli.listings import show_task, show_tasks, task_record
    from alum.tasks.named import TASKS, task_named

    asked_for = list(TASKS.values()) if arguments.task is None else [task_named(arguments.task)]
    if arguments.json:
        print_json([task_record(task) for task in asked_for])
    elif arguments.task is None:
        show_tasks()
    else:
        show_task(asked_for[0])


def _suites(argv: Sequence[str]) -> None:
    (as_json,) = _parsed("suites", argv)
    from alum.cli.listings import show_suites, suite_record
    from alum.evaluation.suites import SUITES

    if as_json.json:
        print_json([suite_record(suite) for suite in SUITES.values()])
    else:
        show_suites()


def _env(argv: Sequence[str]) -> None:
    (as_json,) = _parsed("env", argv)
    from alum.cli.environment import installed, surroundings

    if as_json.json:
        print_json({**installed(), **surroundings()})
        return
    for part in (installed, surroundings):  # the second imports torch, which takes seconds
        for name, value in part().items():
            print_visible(f"{name:<22} {'none' if value is None else value}")


def _completion(argv: Sequence[str]) -> None:
    (arguments,) = _parsed("completion", argv)
    from alum.cli.completion import completion_script

    print(completion_script(arguments.shell))


def _parsed(command: str, argv: Sequence[str]) -> tuple[Any, ...]:
    """Objects of a command's settings, in the order in which `command_settings` has them."""
    settings = command_settings(command)
    return CommandParser(command, settings.own, positional=settings.positional).parse(argv)


def _tell_terminal(line: str) -> None:
    """Prints a line on what takes long, where somebody may be waiting for it; logs have no use for it."""
    if sys.stderr.isatty():
        print_visible(line, sys.stderr)


def _load_libraries(is_quiet: bool = False) -> None:
    """Imports what takes seconds, which a terminal is told first, and makes it keep to the lines that alum has.

    Progress bars of loading and writing weights are off, and those of data sets where standard error is no terminal.
    """
    if not is_quiet:
        _tell_terminal("Loading torch and transformers …")
    from datasets import disable_progress_bars
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # training keeps its own
    for library in ("transformers", "datasets", "huggingface_hub"):
        fit_logs(library)
        logging.getLogger(library).propagate = False  # it has a handler of its own, and the root's would say all twice
    if is_quiet or not sys.stderr.isatty():
        disable_progress_bars()
