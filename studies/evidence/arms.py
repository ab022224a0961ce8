"""Ways to train that are compared, as settings of alum's methods, and what some of them have from others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from alum.core.methods import method_named


@dataclass(frozen=True)
class Arm:
    """One way to train: a method with some of its settings changed.

    Controls are made to match another arm of the same seed: ``divergence_of`` is the arm whose mean divergence this one
    is to have, by its radius; ``radius_of`` the one whose median radius it has. ``epochs`` and ``dropout`` are factors
    on those of the study. ``start_epochs`` is how many epochs of standard training come first.
    """

    name: str
    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    divergence_of: str | None = None
    radius_of: str | None = None
    epochs: float = 1.0
    dropout: float = 1.0
    start_epochs: int = 0

    @property
    def reference(self) -> str | None:
        """Arm that has to be trained before this one."""
        return self.divergence_of or self.radius_of

    def settings_at(self, epsilon: float) -> dict[str, Any]:
        """Settings with a radius, where the arm has none of its own and the method takes one."""
        takes_radius = "epsilon" not in method_named(self.method, **self.settings).idle_settings()
        return {**({"epsilon": epsilon} if takes_radius else {}), **self.settings}


_INDEPENDENT = {"dropout": "independent"}
_PAPER = {"epsilon": 1e-5}  # of its own unit


def _virtual_and_controls(name: str) -> tuple[Arm, ...]:
    """Nothing, noise of the same divergence, the adversary; each with shared and with independent dropout masks."""
    return (
        Arm("standard", "standard"),
        Arm("R-Drop", "r_drop"),
        Arm(name, "alum_virtual"),
        Arm(f"{name}, independent masks", "alum_virtual", _INDEPENDENT),
        Arm("noise of its divergence", "noise", divergence_of=name),
        Arm(
            "noise of that median radius, independent masks", "noise", _INDEPENDENT, radius_of="noise of its divergence"
        ),
    )


TEXT_ARMS = (
    *_virtual_and_controls("virtual"),
    Arm("one-pass", "alum_one_pass"),
    Arm("one-pass, independent masks", "alum_one_pass", _INDEPENDENT),
    Arm("R-Drop, α 3", "r_drop", {"alpha": 3.0}),
    Arm("virtual, independent masks, α 3", "alum_virtual", {**_INDEPENDENT, "alpha": 3.0}),
    Arm("R-Drop, α 10", "r_drop", {"alpha": 10.0}),
    Arm(
        "virtual, independent masks, α 3, after 4 epochs",
        "alum_virtual",
        {**_INDEPENDENT, "alpha": 3.0},
        start_epochs=4,
    ),
    Arm("standard, twice the dropout", "standard", dropout=2.0),
    Arm("as published", "alum_paper", _PAPER),
)

TASK_ARMS = (
    *_virtual_and_controls("virtual"),
    Arm("one-pass", "alum_one_pass"),
    Arm("standard, at the cost of virtual", "standard", epochs=7 / 3),
    Arm("R-Drop, α 3", "r_drop", {"alpha": 3.0}),
)
