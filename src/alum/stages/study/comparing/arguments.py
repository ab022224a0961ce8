"""Settings of a comparison of finished runs."""

from dataclasses import dataclass, field


@dataclass
class CompareArguments:
    """Settings of a comparison of finished runs, grouped by name."""

    runs: list[str] = field(
        metadata={"help": "Folders of runs or their results.json, each as NAME=PATH; the first name is the baseline."}
    )
    output_dir: str | None = field(
        default=None, metadata={"help": "Folder for results.json and report.html; none: no files."}
    )
