"""Settings of the stage that tests a classifier's behaviour."""

from dataclasses import dataclass, field

from alum.core.errors import InputError
from alum.stages.classified_rows.arguments import ClassifiedRowsArguments


@dataclass(kw_only=True)
class ChecklistArguments(ClassifiedRowsArguments):
    """Settings of `checklist`: a classifier, rows to make texts of, what its labels mean, and which tests to run."""

    tests: list[str] = field(
        default_factory=list, metadata={"help": "Tests to run, by their names; default: all that fit."}
    )
    positive_label: str | None = field(
        default=None, metadata={"help": "Label of praise; default: the one called positive."}
    )
    negative_label: str | None = field(
        default=None, metadata={"help": "Label of blame; default: the one called negative."}
    )
    same_label: str | None = field(
        default=None,
        metadata={
            "help": "Label of pairs that say the same; default: the one called duplicate, equivalent, paraphrase, "
            "entailment or entails."
        },
    )
    num_examples: int = field(default=2, metadata={"help": "Failures of each test to show in the terminal."})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_examples < 0:
            raise InputError(f"num_examples must be 0 or more, not {self.num_examples}.")
