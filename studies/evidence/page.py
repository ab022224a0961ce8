"""Makes the page on what regularises and what makes robust, and its pictures, from the ledger, and trains nothing."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.pages import filled
from benchmarks.places import DOCS
from studies.evidence.reading.findings import Findings, findings_of
from studies.evidence.reading.forest import draw
from studies.evidence.reading.headline import ARMS, STUDY, draw_headline
from studies.evidence.reading.questions import answers_table, told_apart

RESULTS = DOCS / "results"


def parts(studies: Sequence[Findings]) -> dict[str, str]:
    found = [sentences for each in studies if (sentences := told_apart(each))]
    sections = {
        name: "\n\n".join(_section(each) for each in studies if each.is_text == is_text) or "Nothing is trained yet."
        for name, is_text in (("text", True), ("tasks", False))
    }
    return {"found": "\n".join(found) or "Nothing yet.", **sections}


def _section(study: Findings) -> str:
    picture = f"![Difference of each arm from “{study.baseline}”]({_picture(study)})"
    return "\n\n".join((f"### {study.study}", study.conditions(), picture, study.table(), answers_table(study)))


def _picture(study: Findings) -> str:
    return f"evidence-{study.study.replace(':', '-')}.png"


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--output_dir", type=Path, default=RESULTS, help="folder of the ledger")
    folder = flags.parse_args().output_dir
    studies = findings_of(folder / "evidence.jsonl")
    text = filled((RESULTS / "evidence.md").read_text(encoding="utf-8"), parts(studies))
    (folder / "evidence.md").write_text(text, encoding="utf-8")
    for each in studies:
        draw(each, folder / _picture(each))
        if each.study == STUDY and set(ARMS) <= set(each.arms):
            draw_headline(each, folder)
    print(text)


if __name__ == "__main__":
    main()
