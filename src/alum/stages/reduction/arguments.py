"""Settings of the stage that reduces inputs."""

from dataclasses import dataclass, field

from alum.core.errors import InputError
from alum.stages.classified_rows.arguments import ClassifiedRowsArguments


@dataclass(kw_only=True)
class ReduceArguments(ClassifiedRowsArguments):
    """Settings of `reduce`: a classifier, and the rows whose words are taken away."""

    num_examples: int = field(default=5, metadata={"help": "Reduced texts to show."})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_examples < 0:
            raise InputError(f"num_examples must be 0 or more, not {self.num_examples}.")
