import io

from rich.console import Console

from alum.stages.evaluation.progress import EvaluationProgress


def shown(num_rows, is_terminal):
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=80)
    with EvaluationProgress(console).shown("a model on a suite, clean", num_rows) as done:
        for _ in range(num_rows):
            done(1)
    return console.file.getvalue()


def test_a_file_gets_a_line_for_each_measurement_and_no_bar():
    (line,) = shown(3, is_terminal=False).splitlines()
    assert line.startswith("a model on a suite, clean: 3 rows in ")


def test_a_terminal_gets_a_bar_too():
    assert "3/3" in shown(3, is_terminal=True)


def test_rounds_of_a_search_that_ends_early_are_those_that_were_made():
    console = Console(file=io.StringIO(), force_terminal=False, width=80)
    with EvaluationProgress(console).shown("looking", 30, "rounds") as done:
        done(2)
    assert console.file.getvalue().startswith("looking: 2 rounds in ")


def test_what_was_measured_before_is_not_mentioned():
    assert shown(0, is_terminal=True) == ""
