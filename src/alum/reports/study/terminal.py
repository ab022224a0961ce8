"""Tables of a study for the terminal, and its sentences."""

from rich.console import Console
from rich.text import Text

from alum.data.visible_console import VisibleConsole
from alum.data.visible_text import visible
from alum.reports.evaluation.scores import metric_words
from alum.reports.numbers import MISSING, difference_text, p_text, rough_interval_text, value_text
from alum.reports.study.page import condition_words, times_text
from alum.reports.study.record import ArmComparison, StudyRecord
from alum.reports.tables import show_table


def show_study(results: StudyRecord, console: Console | None = None) -> None:
    """Prints a study's record: a table for each task, an arm a row, and the sentences."""
    console = console or VisibleConsole()
    for task in results["tasks"]:
        _show_task(results, task, console)
    for answer in results["answers"]:
        console.print(Text(visible(answer["sentence"])))
    if results["missing"]:
        console.print(Text(f"{len(results['missing'])} trainings are missing, such as {results['missing'][0]}."))


def _show_task(results: StudyRecord, task: str, console: Console) -> None:
    costs = {cost["arm"]: cost["times_standard"] for cost in results["costs"] if cost["task"] == task}
    baselines = list(dict.fromkeys(entry["baseline"] for entry in results["comparisons"]))
    lines = dict.fromkeys(
        (score["attack"], score["epsilon"], score["metric"])
        for score in results["scores"]
        if score["task"] == task and score["is_main"]
    )
    for attack, epsilon, metric in lines:
        rows = []
        for score in results["scores"]:
            if (score["task"], score["attack"], score["epsilon"], score["metric"]) != (task, attack, epsilon, metric):
                continue
            value = value_text(metric, score["value"]).removesuffix(" %")
            found = {
                entry["baseline"]: entry
                for entry in results["comparisons"]
                if (entry["task"], entry["arm"], entry["attack"], entry["epsilon"], entry["metric"])
                == (task, score["arm"], attack, epsilon, metric)
            }
            rows.append(
                [
                    visible(score["arm"]),
                    f"{value} ({rough_interval_text(metric, score['low'], score['high'])})",
                    *(_compared(found.get(baseline)) for baseline in baselines),
                    times_text(costs.get(score["arm"])),
                ]
            )
        title = f"{task}: {metric_words(metric)}, {condition_words(attack, epsilon)}"
        header = ("arm", "mean", *(f"− {visible(baseline)}" for baseline in baselines), "cost")
        show_table(visible(title), header, rows, console)


def _compared(entry: ArmComparison | None) -> str:
    if entry is None:
        return MISSING
    return f"{difference_text(entry['metric'], entry['difference'])} (p {p_text(entry['p_adjusted'])})"
