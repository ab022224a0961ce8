"""Settings of a comparison of finished runs."""

from dataclasses import dataclass, field

from alum.stages.runs.settings import one_for_a_list


@dataclass
class CompareArguments:
    """Settings of a comparison of finished runs, grouped by name."""

    runs: list[str] = field(
        metadata={"help": "Folders of runs or their results.json, each as NAME=PATH; the first name is the baseline."}
    )
    output_dir: str | None = field(
        default=None, metadata={"help": "Folder for results.json and report.html; none: no files."}
    )

    def __post_init__(self) -> None:
        one_for_a_list(self)
