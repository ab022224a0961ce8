from alum.training.records.logged_gain import first_and_last_gain


def test_the_first_and_last_gain_are_those_of_the_logs():
    logs = [
        {"step": 1, "loss": 2.0},
        {"step": 3, "divergence": 8e-10},
        {"step": 5, "adversarial_gain": 300.0, "divergence": 0.1, "adversarial_strength": 0.75},
        {"step": 9, "adversarial_gain": float("inf"), "divergence": 0.2},
        {"step": 9, "train_runtime": 1.0},
    ]
    assert first_and_last_gain(logs) == (
        {"step": 3, "gain": None, "divergence": 8e-10, "strength": None},
        {"step": 9, "gain": None, "divergence": 0.2, "strength": None},
    )
    first, last = first_and_last_gain(logs[:3])
    assert (first["step"], last) == (3, {"step": 5, "gain": 300.0, "divergence": 0.1, "strength": 0.75})
    assert first_and_last_gain(logs[:1]) == (None, None)
