"""Makes the page on GPUs, ``gpu.md``: from the lines that a run left in FOLDER, or from ``gpu.json`` as it stands."""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from alum.core.outputs.rounding import ROUNDING_NATS
from benchmarks.gpu import cost, half_precision, identities
from benchmarks.gpu.lines import record_in
from benchmarks.gpu.precision import PRECISIONS
from benchmarks.gpu.subjects import CLASSIFIER
from benchmarks.pages import Page
from benchmarks.places import DOCS
from benchmarks.tables import markdown_table, short, versions

Row = Mapping[str, Any]

MOST_DEVIATION, LEAST_COSINE, MOST_DIFFERENCE = 0.1, 0.99, 0.01
"""Of divergence and gain from those in fp32, of gradients to those in fp32, of weights from those on the CPU."""
NOT_MEASURED = "Not measured."


def parts(record: Mapping[str, Any]) -> dict[str, str]:
    precision, costs = record.get("half_precision"), record.get("cost")
    some = precision["cells"] if precision else []
    others = costs["cells"] if costs else []
    return {
        "half precision, conditions": conditions(precision),
        "half precision, outcome": outcome(of_part(some, "precision")),
        "half precision, methods": methods_tables(of_part(some, "precision")),
        "identities": identities_table(some),
        "beside the CPU": beside_cpu_table(of_part(some, "beside cpu")),
        "cost, conditions": conditions(costs),
        "cost": cost_tables(costs) if costs else NOT_MEASURED,
        "waits": waits_table(of_part(others, "work")),
        "failures": failures([*some, *others]),
    }


def conditions(record: Row | None) -> str:
    """The sentence that says where, when and with what something was measured."""
    if record is None:
        return NOT_MEASURED
    machine = record["environment"]
    device = machine["gpu"] if record["device"] == "cuda" else f"the CPU ({machine['processor']})"
    took = "not finished" if record["minutes"] is None else f"{record['minutes']:.1f} minutes"
    return (
        f"`make bench-gpu`, {record['date']}, on {device}, {machine['platform']}, Python {machine['python']}; "
        f"{versions(machine)}; {took}."
    )


def of_part(cells: Iterable[Row], part: str) -> list[Row]:
    """Cells of a part that were measured."""
    return [cell for cell in cells if cell["part"] == part and "failed" not in cell and "left_out" not in cell]


# -- half precision ----------------------------------------------------------------------------------------------------


def methods_tables(cells: Sequence[Row]) -> str:
    """A table for each task, with a row for each method: divergence, gain and cosine in each precision."""
    if not cells:
        return NOT_MEASURED
    halves = [name for name in PRECISIONS if name != "fp32"]
    header = ["", *(f"divergence, {name}" for name in PRECISIONS), *(f"gain, {name}" for name in PRECISIONS)]
    header += [f"cosine, {name}" for name in halves]
    tables = []
    for task in dict.fromkeys(cell["task"] for cell in cells):
        found = {(cell["method"], cell["precision"]): cell for cell in cells if cell["task"] == task}
        rows = []
        for method in dict.fromkeys(method for method, _ in found):
            own = {name: found.get((method, name), {}) for name in PRECISIONS}
            exact = own["fp32"]
            rows.append(
                [
                    f"`{method}`",
                    *(beside_exact(own[name], exact, "divergence", task) for name in PRECISIONS),
                    *(beside_exact(own[name], exact, "gain", task) for name in PRECISIONS),
                    *(cosine_of(own[name]) for name in halves),
                ]
            )
        tables.append(f"#### {task.replace('_', ' ')}\n\n{markdown_table(header, rows)}")
    return "\n\n".join(tables)


def beside_exact(cell: Row, exact: Row, figure: str, task: str) -> str:
    """A figure, with an asterisk where it should be near that in fp32 and is not."""
    if not is_comparable(cell):
        return "–"
    mark = " *" if task == CLASSIFIER and is_comparable(exact) and not is_near(cell, exact, figure) else ""
    return f"{short(cell[figure])}{mark}"


def is_comparable(cell: Row) -> bool:
    """Whether there is a divergence at δ that is more than rounding."""
    return cell.get("divergence") is not None and cell["divergence"] > ROUNDING_NATS and cell["gain"] is not None


def is_near(cell: Row, exact: Row, figure: str) -> bool:
    return bool(abs(cell[figure] / exact[figure] - 1) <= MOST_DEVIATION)


def cosine_of(cell: Row) -> str:
    if cell.get("cosine") is None:
        return "–"
    return f"{cell['cosine']:.4f}{'' if cell['cosine'] >= LEAST_COSINE else ' *'}"


def outcome(cells: Sequence[Row]) -> str:
    """Sentences on how many cells are as they should be."""
    halves = [cell for cell in cells if cell["precision"] != "fp32"]
    if not halves:
        return NOT_MEASURED
    exact = {(cell["task"], cell["method"]): cell for cell in cells if cell["precision"] == "fp32"}
    pairs = [
        (cell, exact[cell["task"], cell["method"]])
        for cell in halves
        if (cell["task"], cell["method"]) in exact and cell["task"] == CLASSIFIER
    ]
    pairs = [(cell, other) for cell, other in pairs if is_comparable(cell) and is_comparable(other)]
    near = {figure: sum(is_near(*pair, figure) for pair in pairs) for figure in ("divergence", "gain")}
    cosines = [cell["cosine"] for cell in halves if cell["cosine"] is not None]
    lines = [
        f"In half precision {near['divergence']} of {len(pairs)} divergences and {near['gain']} of {len(pairs)} gains "
        f"in classification are within {MOST_DEVIATION:.0%} of those in fp32."
    ]
    if cosines:
        enough = sum(cosine >= LEAST_COSINE for cosine in cosines)
        lines.append(f"{enough} of {len(cosines)} cosines are {LEAST_COSINE} or more, the least {min(cosines):.4f}.")
    lines.append(
        f"Gradients are finite in {sum(cell['finite'] for cell in cells)} of {len(cells)} cells; the largest share of "
        f"adversarial terms left out as not finite is {max(cell['skipped'] for cell in cells):.0%}; the loss scale was "
        f"halved {max(cell['num_overflows'] for cell in cells)} times at most."
    )
    return " ".join(lines)


# -- identities --------------------------------------------------------------------------------------------------------


def identities_table(cells: Sequence[Row]) -> str:
    """A row for each task, attention and precision: divergences without δ, and passes repeated."""
    zeros, passes = of_part(cells, "without delta"), of_part(cells, "repeated pass")
    if not passes and not zeros:
        return NOT_MEASURED
    *shared, independent = identities.WITHOUT_DELTA
    rows = []
    for where in dict.fromkeys(_where(cell) for cell in [*passes, *zeros]):
        divergences = {cell["step"]: cell["divergence"] for cell in zeros if _where(cell) == where}
        of_shared = [divergences[step] for step in shared if step in divergences]
        again = next((cell for cell in passes if _where(cell) == where), None)
        rows.append(
            [
                ", ".join(where).replace("_", " "),
                f"{max(of_shared):.0e}{'' if max(of_shared) <= ROUNDING_NATS else ' *'}" if of_shared else "–",
                short(divergences.get(independent)),
                "–" if again is None else _yes_or_no(again["identical_shared"], wanted=True),
                "–" if again is None else _yes_or_no(again["identical_independent"], wanted=False),
            ]
        )
    header = ["", "divergence, shared masks", "independent ones", "bit for bit, shared masks", "independent ones"]
    return markdown_table(header, rows)


def _where(cell: Row) -> tuple[str, str, str]:
    return cell["task"], cell["attention"], cell["precision"]


def _yes_or_no(is_so: bool, wanted: bool) -> str:
    return ("yes" if is_so else "no") + ("" if is_so == wanted else " *")


def beside_cpu_table(cells: Sequence[Row]) -> str:
    if not cells:
        return NOT_MEASURED
    rows = []
    for cell in cells:
        is_compared = cell["method"] in identities.WITHOUT_NOISE
        mark = "" if not is_compared or cell["difference"] <= MOST_DIFFERENCE else " *"
        difference = f"{cell['difference']:.0e}{mark}" if is_compared else "other noise"
        rows.append(
            [
                f"`{cell['method']}`, {cell['task'].replace('_', ' ')}",
                difference,
                short(cell["divergence"]),
                short(cell["divergence_on_cpu"]),
            ]
        )
    return markdown_table(["", "difference of weights", "adversarial loss", "on the CPU"], rows)


# -- cost --------------------------------------------------------------------------------------------------------------


def cost_tables(record: Mapping[str, Any]) -> str:
    """A table for each task, with a row for each contender."""
    cells, peak = record["cells"], peak_flops(record["environment"]["gpu"])
    header = ["", "ms", "quartiles", "ratio", "predicted", "tokens/s", "peak memory, GB", "ratio", "TFLOPs"]
    header += ["utilisation", "waits"]
    tables = []
    for model in of_part(cells, "model"):
        work, times, operations = (
            {cell["contender"]: cell for cell in of_part(cells, part) if cell["task"] == model["task"]}
            for part in ("work", "time", "operations")
        )
        floor = work.get(cost.HUGGING_FACE, {}).get("peak_bytes")
        rows = [
            [
                name,
                *_time_cells(times.get(name)),
                f"{own['predicted_ratio']:.2f}",
                f"{times[name]['tokens_per_second']:,.0f}" if name in times else "–",
                "–" if own["peak_bytes"] is None else f"{own['peak_bytes'] / 1e9:.2f}",
                "–" if own["peak_bytes"] is None or not floor else f"{own['peak_bytes'] / floor:.2f}",
                *_work_cells(operations.get(name), times.get(name), peak),
                "–" if own["synchronisations"] is None else str(own["synchronisations"]),
            ]
            for name, own in work.items()
        ]
        num_rows, length = record["shape"][model["task"]]
        tables.append(
            f"### {model['task'].replace('_', ' ').capitalize()}: {model['num_parameters'] / 1e6:.0f} million "
            f"parameters, {num_rows} × {length} tokens\n\n{markdown_table(header, rows)}"
        )
    return "\n\n".join(tables) or NOT_MEASURED


def _time_cells(row: Row | None) -> tuple[str, str, str]:
    """Of three columns, whose third precedes the prediction."""
    if row is None:
        return "–", "–", "–"
    first, third = (1000 * row[f"seconds_{name}_quartile"] for name in ("first", "third"))
    return f"{1000 * row['seconds']:.1f}", f"{first:.1f} to {third:.1f}", f"{row['median_of_ratios']:.2f}"


def _work_cells(operations: Row | None, time: Row | None, peak: float | None) -> tuple[str, str]:
    if operations is None:
        return "–", "–"
    share = None if time is None or peak is None else operations["flops"] / time["seconds"] / peak
    return f"{operations['flops'] / 1e12:.2f}", "–" if share is None else f"{share:.0%}"


def peak_flops(gpu: str | None) -> float | None:
    """Dense bf16 operations per second of a GPU whose data sheet is known."""
    return next((peak for name, peak in cost.PEAK_FLOPS.items() if gpu and name in gpu), None)


def waits_table(cells: Sequence[Row]) -> str:
    """A row for each line of Python that waits, with how often it does so in a step of each task's contenders."""
    counted = [cell for cell in cells if cell["synchronisations"] is not None]
    if not counted:
        return NOT_MEASURED
    places = dict.fromkeys(place for cell in counted for place in cell["synchronisations_at"])
    rows = []
    for place in places:
        waiting: dict[tuple[str, int], list[str]] = {}
        for cell in counted:
            if times := cell["synchronisations_at"].get(place):
                waiting.setdefault((cell["task"], times), []).append(cell["contender"])
        who = (f"{times} × {task}: {', '.join(names)}" for (task, times), names in waiting.items())
        rows.append([f"`{place}`", "; ".join(who)])
    return markdown_table(["", "in a step of"], rows, num_text_columns=2) if rows else "Nowhere."


# -- what failed -------------------------------------------------------------------------------------------------------


def failures(cells: Sequence[Row]) -> str:
    """A line for each cell that failed, and how many there was no time for."""
    lines = [f"- {_name(cell)}: {cell['failed']} ({cell['at']})" for cell in cells if "failed" in cell]
    if left_out := sum("left_out" in cell for cell in cells):
        lines.append(f"- {left_out} cells were left out for want of time.")
    return "\n".join(lines) or "Nothing."


def _name(cell: Row) -> str:
    return ", ".join(str(value) for name, value in cell.items() if name not in ("failed", "at"))


PAGE = Page(DOCS / "benchmarks" / "gpu.md", parts)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("folder", type=Path, nargs="?", help="folder of the lines (default: make the page of gpu.json)")
    flags.add_argument("--output_dir", type=Path, default=PAGE.file.parent, help="folder of gpu.json and the page")
    given = flags.parse_args()
    if given.folder is None:
        print(PAGE.write(given.output_dir))
        return
    files = {"half_precision": half_precision.FILE_NAME, "cost": cost.FILE_NAME}
    found = {name: record_in(given.folder / file) for name, file in files.items()}
    known = given.output_dir / f"{PAGE.file.stem}.json"
    before = json.loads(known.read_text(encoding="utf-8")) if known.is_file() else {}
    print(PAGE.write_with({**before, **{name: part for name, part in found.items() if part}}, given.output_dir))


if __name__ == "__main__":
    main()
