"""Conditions that models are measured under: a suite, clean or under an attack, perhaps of some radius."""

from dataclasses import dataclass

ROBUST = "robust_"
LOG_LIKELIHOOD = "log_likelihood"  # of the right label, in nats: of models that choose one


@dataclass(frozen=True)
class Condition:
    """Suite and attack that a score is measured with; clean scores have no attack, and not every attack has a radius.

    >>> Condition("sst2", "pgd", 0.03).name
    'pgd, ε 0.03'
    """

    suite: str
    attack: str | None = None
    epsilon: float | None = None

    @property
    def name(self) -> str:
        if self.attack is None:
            return "clean"
        return self.attack if self.epsilon is None else f"{self.attack}, ε {self.epsilon:g}"

    def metric_name(self, metric: str) -> str:
        """Name of a metric in results: under an attack, ``robust_accuracy`` for accuracy."""
        return metric if self.attack is None else f"{ROBUST}{metric}"
