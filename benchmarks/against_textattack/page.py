"""The page on alum's attacks beside TextAttack's, from the record alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from records import conditions, markdown_table

TITLES = {
    "deepwordbug": "DeepWordBug",
    "deepwordbug_512": "DeepWordBug, with TextAttack as it comes",
    "noise": "Typing errors at random",
    "typos": "Typing errors, searched for",
}
WHAT = {
    "deepwordbug": "`deepwordbug` beside the recipe `DeepWordBugGao2018`. TextAttack's own wrapper of Hugging Face "
    "models pads each text to the tokenizer's limit. Here that is the 64 tokens that the model was trained with; and, "
    "since much of the time goes into padding, it is measured with that removed too, by a wrapper of ours.",
    "deepwordbug_512": "The same, with TextAttack's wrapper and the tokenizer as it was saved, whose limit is 512 "
    "tokens, which is what a user gets who changes nothing.",
    "noise": "No search: `with_typing_errors`, an error in each twentieth letter, beside TextAttack's `Augmenter` of "
    "neighbouring keys, letters left out and letters swapped, told to change the share of words that ours has changed. "
    "It rounds that down in each sentence and so changes fewer words: the accuracies are not of equal noise and tell "
    "nothing of which is harder. Seconds are those of making the texts. All are classified by one model.",
    "typos": "`typos` beside the same of TextAttack's parts: `WordSwapQWERTY` that spares the first and the last "
    "letter, words of four letters or more, and the search of DeepWordBug.",
}

# What is known to differ between the two.
DIFFERENCES = (
    "**Words.** TextAttack's are runs of letters, digits and underscores that may hold apostrophes, hyphens, asterisks "
    "and at signs; in ours the last two part words.",
    "**Letters.** TextAttack draws letters of either case, also the one that is there; ours takes another one, in the "
    "case of its place. For an uncased model that is one alphabet.",
    "**Insertion.** TextAttack never puts a letter behind the last one; ours may.",
    "**Swaps.** Where TextAttack draws two letters that are the same it drops the change; ours draws among those that "
    "differ.",
    "**Neighbouring keys.** TextAttack draws a letter inside of the word, and changes nothing if that is none; ours "
    "draws among the letters. TextAttack's table gives most keys one neighbour more, a key and a half away.",
    "**Long texts.** TextAttack changes words that the model does not read; ours leaves them alone. Long texts are "
    "ranked 512 words at a time in ours. The longest of these sentences has 60 tokens.",
    "**Edit distance.** TextAttack bounds that of the whole texts, ours the sum over words, which is never less.",
    "**Stop words.** Both have alum's list in these runs; TextAttack's own is NLTK's, which it looks up in the word's "
    "own case.",
    "**Random numbers.** Each candidate is one random change. Ours depends on the seed and the sentence alone, "
    "TextAttack's on all that came before it in the process.",
    "**Questions.** Both count each text that they ask about, the sentence itself included. TextAttack asks about one "
    "sentence at a time, 32 texts at once; ours joins 32 sentences, 64 texts at once of about the same length.",
)


def page(record: Mapping[str, Any]) -> str:
    versions = record["comparisons"][0]["contenders"][1]["versions"]
    installed = ", ".join(f"{name} {version}" for name, version in versions.items())
    victim = record["victim"]
    blocks = [
        "# Attacks on words beside TextAttack",
        "MiniLM-L6, fine-tuned for sentiment for 200 steps of 16 sentences at a learning rate of 1e-4, and 200 "
        "sentences of SST-2's validation set, drawn with one seed, of which it has "
        f"{victim['clean_accuracy']:.1%} right. "
        f"TextAttack cannot live beside transformers 5 and runs in an environment of its own, which the make target "
        f"makes: {installed}. There the same weights give the same answers: the largest difference of a logit is "
        f"{victim['largest_difference_of_logits']:.1e}.",
        conditions(record, "; ".join(record["commands"])),
        *record.get("stopped", []),
        f"Programs take turns, each in a process of its own with {record['threads']} threads, which do not spin while "
        "they wait (`OMP_WAIT_POLICY=passive`), since other programs ran on the machine; a round's number is the seed "
        "of both. Seconds are medians over the rounds, of the attack alone, without imports and loading. "
        "Processor seconds are disturbed less by other programs.",
    ]
    for found in record["comparisons"]:
        blocks += [f"## {TITLES[found['comparison']]}", f"{WHAT[found['comparison']]} {_size(found)}"]
        blocks += [speed_table(found["contenders"])]
        blocks += attack_blocks(found) if found["differences"] else [noise_table(found["contenders"])]
    differences = "\n".join(f"- {difference}" for difference in DIFFERENCES)
    return "\n\n".join([*blocks, *target_blocks(record), "## Known differences", differences]) + "\n"


def target_blocks(record: Mapping[str, Any]) -> list[str]:
    """What was set out for, against every way of running TextAttack: the kindest to us is not the only one."""
    rows = []
    for found in record["comparisons"]:
        ratios = {row["contender"]: (row["ratio"], row["processor_ratio"]) for row in found["contenders"]}
        for name, difference in found["differences"].items():
            points = 100 * abs(difference["difference"])
            subject = f"{found['comparison']}, {name} ({found['contenders'][0]['num_attacked']} attacked)"
            rows.append((f"success rates apart: {subject}", "≤ 5 points", f"{points:.1f}", _reached(points <= 5)))
            if found["comparison"].startswith("deepwordbug"):
                seconds, processor = ratios[name]
                measured = f"{seconds:.2f} (processor {processor:.2f})"
                rows.append((f"times as fast: {subject}", "≥ 3", measured, _reached(seconds >= 3)))
    return [
        "## Targets",
        markdown_table(["", "to reach", "measured", ""], rows),
        "On a processor a forward pass costs what its tokens cost, and both sides ask about as many texts: what alum "
        "saves beside TextAttack is mostly padding. Where that is removed little is left. No GPU was measured.",
    ]


def _reached(is_reached: bool) -> str:
    return "reached" if is_reached else "missed"


def _size(found: Mapping[str, Any]) -> str:
    single = found["num_rounds"] == 1
    rounds = "one round" if single else f"{found['num_rounds']} rounds"
    warning = " Seconds of one round are at the mercy of other programs: see the processor's." if single else ""
    return f"{found['num_sentences']} sentences, {rounds}.{warning}"


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


def attack_blocks(found: Mapping[str, Any]) -> list[str]:
    contenders = found["contenders"]
    table = markdown_table(
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
    differences = "; ".join(
        f"{100 * each['difference']:+.1f} points beside {name} ({100 * each['low']:+.1f} to {100 * each['high']:+.1f})"
        for name, each in found["differences"].items()
    )
    return [
        table,
        f"alum's success rate, paired by sentence, 95 %: {differences}. Rates are over the "
        f"{contenders[0]['num_attacked']} sentences that the model had right; words and characters changed are means "
        "over successes, queries over attacked sentences.",
    ]


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
