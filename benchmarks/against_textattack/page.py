"""Makes the page on alum's attacks beside TextAttack's from its record, and measures nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.pages import Page
from benchmarks.places import DOCS
from benchmarks.tables import conditions, markdown_table, reached_or_missed

COMPARISONS = ("deepwordbug", "deepwordbug_512", "noise", "typos")


def parts(record: Mapping[str, Any]) -> dict[str, str]:
    found = {each["comparison"]: comparison(each) for each in record["comparisons"]}
    return {
        "victim": victim(record),
        "conditions": "\n\n".join([conditions(record, "; ".join(record["commands"])), *record.get("stopped", [])]),
        **{name: found.get(name, "Not measured.") for name in COMPARISONS},
        "targets": targets_table(record["comparisons"]),
    }


def victim(record: Mapping[str, Any]) -> str:
    found, theirs = record["victim"], record["comparisons"][0]["contenders"][1]["versions"]
    return (
        f"Sentences that the model has right: {found['clean_accuracy']:.1%}. Largest difference of a logit between the "
        f"two environments: {found['largest_difference_of_logits']:.1e}. Threads of each process: {record['threads']}. "
        f"TextAttack's environment: {', '.join(f'{name} {version}' for name, version in theirs.items())}."
    )


def comparison(found: Mapping[str, Any]) -> str:
    contenders, num_rounds = found["contenders"], found["num_rounds"]
    size = f"{found['num_sentences']} sentences, {num_rounds} {'round' if num_rounds == 1 else 'rounds'}."
    blocks = [size, speed_table(contenders)]
    if found["differences"]:
        num_attacked = f"Sentences attacked: {contenders[0]['num_attacked']}."
        blocks += [success_table(contenders), num_attacked, differences_table(found["differences"])]
    else:
        blocks.append(noise_table(contenders))
    return "\n\n".join(blocks)


def targets_table(comparisons: Sequence[Mapping[str, Any]]) -> str:
    """What was set out for, against every way of running TextAttack: the kindest to us is not the only one."""
    rows = []
    for found in comparisons:
        ratios = {row["contender"]: (row["ratio"], row["processor_ratio"]) for row in found["contenders"]}
        for name, difference in found["differences"].items():
            points = 100 * abs(difference["difference"])
            subject = f"{found['comparison']}, {name} ({found['contenders'][0]['num_attacked']} attacked)"
            outcome = reached_or_missed(points <= 5)
            rows.append((f"success rates apart: {subject}", "≤ 5 points", f"{points:.1f}", outcome))
            if found["comparison"].startswith("deepwordbug"):
                seconds, processor = ratios[name]
                measured = f"{seconds:.2f} (processor {processor:.2f})"
                rows.append((f"times as fast: {subject}", "≥ 3", measured, reached_or_missed(seconds >= 3)))
    return markdown_table(["", "to reach", "measured", ""], rows)


def speed_table(contenders: Sequence[Mapping[str, Any]]) -> str:
    return markdown_table(
        ["", "seconds", "by round", "times alum's", "processor seconds", "times alum's", "texts run", "load average"],
        [
            (
                row["contender"],
                f"{row['seconds']:.3g}",
                ", ".join(f"{seconds:.3g}" for seconds in row["seconds_by_round"]),
                f"{row['ratio']:.1f}",
                f"{row['processor_seconds']:.3g}",
                f"{row['processor_ratio']:.1f}",
                ", ".join(map(str, row["num_texts_run_by_round"])),
                ", ".join(f"{load:.1f}" for load in row["load_average_by_round"]),
            )
            for row in contenders
        ],
    )


def success_table(contenders: Sequence[Mapping[str, Any]]) -> str:
    return markdown_table(
        ["", "success rate", "95 %", "by seed", "words changed", "characters changed", "queries"],
        [
            (
                row["contender"],
                f"{row['success_rate']:.1%}",
                _interval(row["success_rate_interval"]),
                ", ".join(f"{rate:.1%}" for rate in row["success_rate_by_seed"]),
                f"{row['share_changed']:.1%}",
                f"{row['edit_distance']:.2f}",
                f"{row['queries']:.1f}",
            )
            for row in contenders
        ],
    )


def differences_table(differences: Mapping[str, Mapping[str, float]]) -> str:
    return markdown_table(
        ["alum's success rate beside", "points", "95 %"],
        [
            (
                name,
                f"{100 * found['difference']:+.1f}",
                f"{100 * found['low']:+.1f} to {100 * found['high']:+.1f}",
            )
            for name, found in differences.items()
        ],
    )


def noise_table(contenders: Sequence[Mapping[str, Any]]) -> str:
    return markdown_table(
        ["", "accuracy", "95 %", "words changed", "characters changed"],
        [
            (
                row["contender"],
                f"{row['accuracy']:.1%}",
                _interval(row["accuracy_interval"]),
                f"{row['share_changed']:.1%}",
                f"{row['edit_distance']:.2f}",
            )
            for row in contenders
        ],
    )


def _interval(bounds: Sequence[float]) -> str:
    return f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}"


PAGE = Page(DOCS / "benchmarks" / "textattack.md", parts)

if __name__ == "__main__":
    PAGE.command(__doc__)
