"""Settings of the demo."""

from dataclasses import dataclass, field

from alum.stages.runs.settings import require_seeds


@dataclass
class DemoArguments:
    """Settings of the demo, which runs all stages on the documentation of the installed packages."""

    output_dir: str = field(default="demo-run", metadata={"help": "Folder for models, records and tables."})
    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "Start anew in a folder that holds a run; the old one is moved aside."}
    )
    fast: bool = field(default=False, metadata={"help": "A smaller run, of about two minutes of processor time."})
    adv_method: str = field(default="alum_one_pass", metadata={"help": "The method to hold against standard."})
    seed: int = field(default=0, metadata={"help": "Random seed."})

    def __post_init__(self) -> None:
        require_seeds(self, "seed")
