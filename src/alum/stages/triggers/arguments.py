"""Settings of the stage that looks for a universal trigger."""

from dataclasses import dataclass, field

from alum.stages.classified_rows.arguments import ClassifiedRowsArguments
from alum.stages.runs.settings import require_one_or_more


@dataclass(kw_only=True)
class TriggersArguments(ClassifiedRowsArguments):
    """Settings of `triggers`: a classifier, rows of which one half is searched, and the label that is to be turned."""

    label: str | None = field(
        default=None, metadata={"help": "Turn rows of this label alone, as the paper does; default: of every label."}
    )
    num_words: int = field(default=3, metadata={"help": "Words of the trigger, put before the last text of a row."})

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_or_more(self, "num_words")
