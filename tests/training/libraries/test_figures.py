from collections import defaultdict
from types import SimpleNamespace

from alum.training.libraries.figures import uncounted


def test_what_a_pass_adds_is_taken_back_and_nothing_is_copied():
    metrics = {"train": defaultdict(list, loss=[1.0, 2.0], tokens=[5]), "eval": defaultdict(list)}
    trainer = SimpleNamespace(_metrics=metrics, _total_train_tokens=5)
    losses = metrics["train"]["loss"]
    with uncounted(trainer):
        losses.append(3.0)
        metrics["train"]["entropy"].append(0.1)
        metrics["train"]["tokens"] = [12]  # instead of what was there
        trainer._total_train_tokens += 7
    assert trainer._metrics is metrics
    assert metrics["train"] == {"loss": [1.0, 2.0], "tokens": [5]}
    assert metrics["train"]["loss"] is losses
    assert trainer._total_train_tokens == 5
    losses.append(4.0)
    assert trainer._metrics["train"]["loss"] == [1.0, 2.0, 4.0]
