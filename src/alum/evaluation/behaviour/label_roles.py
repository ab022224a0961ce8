"""Labels that behavioural tests speak of: praise, blame, and that two texts say the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alum.core.errors import InputError, unknown_name
from alum.evaluation.behaviour.sentences import Role
from alum.evaluation.behaviour.table import Behaviour

_UNORDERED = ("duplicate", "equivalent", "paraphrase")
_KNOWN: Mapping[Role, tuple[str, ...]] = {
    "positive": ("positive",),
    "negative": ("negative",),
    "same": (*_UNORDERED, "entailment", "entails"),
}
_QUESTION = "question"


@dataclass(frozen=True)
class LabelRoles:
    """Index of the label of each role that one has; ``are_unordered`` where it says nothing which text is the first."""

    label_of: Mapping[Role, int]
    num_texts: int
    are_unordered: bool

    @classmethod
    def of(
        cls, label_names: Sequence[str], text_columns: Sequence[str], given: Mapping[Role, str | None]
    ) -> "LabelRoles":
        """Roles of labels by their names, or as ``given``; raises `InputError` for a name that no label has.

        A question and a text, as in QNLI, never say the same.
        """
        found: dict[Role, int] = {}
        for role, known in _KNOWN.items():
            name = given.get(role)
            if name is not None:
                if name not in label_names:
                    raise unknown_name("label", name, label_names)
                found[role] = list(label_names).index(name)
            elif not (role == "same" and _QUESTION in text_columns):
                matching = [index for index, label in enumerate(label_names) if label.lower() in known]
                found |= {role: matching[0]} if len(matching) == 1 else {}
        if "positive" in found and found.get("negative") == found["positive"]:
            raise InputError(
                f"positive_label and negative_label are both {label_names[found['positive']]!r}: name two."
            )
        same = found.get("same")
        unordered = same is not None and label_names[same].lower() in _UNORDERED
        return cls(found, len(text_columns), unordered)

    def fits(self, behaviour: Behaviour) -> bool:
        """Whether a test is for so many texts in a row."""
        return behaviour.form == "any" or (behaviour.form == "single") == (self.num_texts == 1)

    def obstacle(self, behaviour: Behaviour) -> str | None:
        """Says in words why a test is not for these rows and labels; None where it is."""
        if not self.fits(behaviour):
            return "it is of single texts" if behaviour.form == "single" else "it is of pairs"
        if behaviour.form == "unordered_pair" and not self.are_unordered:
            return f"only where a label is {', '.join(_UNORDERED[:-1])} or {_UNORDERED[-1]} the order says nothing"
        missing = [role for role in _KNOWN if role in behaviour.roles and role not in self.label_of]
        if missing:
            meaning = "says that two texts are the same" if missing[0] == "same" else f"is known to be {missing[0]}"
            return f"no label {meaning}: name it with --{missing[0]}_label"
        return None
