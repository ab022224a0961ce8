"""Training with ``torch_compile``: all passes run compiled, hooks and all, and come to the same."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch._dynamo.config
from torch import nn
from torch._dynamo.utils import counters
from transformers import TrainerCallback

from alum.training.step import AlumStep
from alum.training.trainer import AlumTrainer
from tiny_models import classifier, language_model, token_batch
from tiny_runs import config, labelled_sentences, logged, masked_sentences, measuring_config, trained, weights

NUM_STEPS = 3
COMPILED = {"torch_compile": True, "torch_compile_backend": "aot_eager"}


@pytest.fixture
def compiled_passes(monkeypatch):
    """The inputs of each pass that went through a compiled model."""
    passes, compile_ = [], nn.Module.compile

    def compile_and_count(self, *args, **kwargs):
        compile_(self, *args, **kwargs)
        call = self._compiled_call_impl

        def counted(*inputs, **named):
            passes.append(named)
            return call(*inputs, **named)

        self._compiled_call_impl = counted

    monkeypatch.setattr(nn.Module, "compile", compile_and_count)
    torch.compiler.reset()
    with torch._dynamo.config.patch(skip_nnmodule_hook_guards=True):  # as in a new process, and afterwards as it was
        yield passes
    torch.compiler.reset()


def small(dropout=0.1, **settings):
    """Compiling takes long for each block; of two it is where the second is perturbed."""
    return classifier(dropout=dropout, num_hidden_layers=2 if settings.get("adv_layer") == "1" else 1)


def run(folder, dropout, **settings):
    arguments = config(folder, max_steps=NUM_STEPS, adv_gain_draws=1, **settings)
    return trained(small(dropout, **settings), arguments, labelled_sentences(24))


@pytest.mark.parametrize(
    ("method", "settings", "num_passes"),  # each step measures the gain by two more
    [
        pytest.param("standard", {}, 1, marks=pytest.mark.slow),
        ("alum_one_pass", {"adv_layer": "1"}, 2 + 2),
        pytest.param("alum", {"adv_layer": "1"}, 3 + 2, marks=pytest.mark.slow),
        pytest.param("alum_virtual", {"adv_clean_side": "first"}, 3 + 2, marks=pytest.mark.slow),
        # With independent masks: their own divergence, and all others without dropout.
        pytest.param("alum_paper", {}, 3 + 4, marks=pytest.mark.slow),
    ],
)
def test_losses_are_those_of_the_model_that_is_not_compiled(tmp_path, compiled_passes, method, settings, num_passes):
    plain = run(tmp_path, dropout=0.1, adv_method=method, **settings)
    assert compiled_passes == []
    compiled = run(tmp_path, dropout=0.1, adv_method=method, **settings, **COMPILED)
    assert len(compiled_passes) == num_passes * NUM_STEPS
    for name in ("loss", "adversarial_loss", "adversarial_gain"):
        assert logged(compiled, name) == pytest.approx(logged(plain, name), rel=1e-3, abs=1e-9)
    for name, value in weights(plain).items():
        torch.testing.assert_close(weights(compiled)[name], value, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("alum", {"adv_start_fraction": 0.5}),
        ("alum_one_pass", {"adv_every_steps": 3}),
        ("alum", {"adv_fraction": 0.5}),
    ],
)
def test_an_adversary_that_comes_and_goes_is_not_compiled_away(tmp_path, compiled_passes, method, settings):
    plain, compiled = (
        run(tmp_path, dropout=0.0, adv_method=method, **settings, **compilation) for compilation in ({}, COMPILED)
    )
    assert logged(compiled, "adv_alpha")[-1] == 1
    for name in ("loss", "adversarial_loss"):
        assert logged(compiled, name) == pytest.approx(logged(plain, name), rel=1e-3, abs=1e-9)


@pytest.mark.slow
def test_nor_is_it_in_a_thread_of_its_own(tmp_path, compiled_passes):
    """The compiler's settings are each thread's own."""
    settings = {"adv_method": "alum_one_pass", "adv_start_fraction": 0.5, **COMPILED}
    trainer = AlumTrainer(
        model=small(),
        args=config(tmp_path, max_steps=NUM_STEPS, **settings),
        train_dataset=labelled_sentences(24),
    )
    with ThreadPoolExecutor() as threads:
        threads.submit(trainer.train).result()
    assert [loss > 0 for loss in logged(trainer, "adversarial_loss")] == [False, False, True]


@pytest.mark.slow
@pytest.mark.parametrize("in_place", [True, False])
def test_a_step_of_ones_own_perturbs_a_model_that_was_compiled_and_run_before(compiled_passes, in_place):
    model, batch = small(dropout=0.0).train(), {**token_batch(), "labels": torch.tensor([0, 1])}
    expected = AlumStep(model, "alum_one_pass")(batch).adversarial_loss
    if in_place:
        model.compile(backend="aot_eager")
    else:
        model = torch.compile(model, backend="aot_eager")
    model(**batch).loss.backward()
    torch.testing.assert_close(AlumStep(model, "alum_one_pass")(batch).adversarial_loss, expected, rtol=1e-3, atol=1e-9)


class Compilations(TrainerCallback):
    """Frames that were compiled until the end of each step."""

    def __init__(self):
        self.until = []

    def on_step_end(self, args, state, control, **kwargs):
        self.until.append(sum(counters["frames"].values()))


@pytest.mark.slow
@pytest.mark.parametrize(("method", "layer"), [("alum", "word"), ("alum_one_pass", "1"), ("alum_virtual", "word")])
def test_later_steps_compile_nothing_anew(tmp_path, compiled_passes, method, layer):
    counters.clear()
    arguments = measuring_config(tmp_path, max_steps=8, adv_method=method, adv_layer=layer, **COMPILED)
    compilations = Compilations()
    trained(small(adv_layer=layer), arguments, labelled_sentences(24), callbacks=[compilations])
    assert compilations.until[2] > 0
    assert compilations.until[2:] == compilations.until[2:3] * 6


@pytest.mark.slow
@pytest.mark.parametrize("method", ["standard", "alum_one_pass", "adv_softmax"])
def test_nor_where_the_number_of_predicted_tokens_changes(tmp_path, compiled_passes, method):
    found = []
    for num_steps, compilation in ((4, {}), (9, COMPILED)):
        counters.clear()
        compilations, model = Compilations(), language_model(dropout=0.0, num_hidden_layers=1)
        arguments = config(tmp_path, max_steps=num_steps, adv_method=method, **compilation)
        trainer = trained(model, arguments, masked_sentences(24), callbacks=[compilations])
        found.append((compilations.until, logged(trainer, "loss")))
    (none, losses), (compiled, losses_compiled) = found
    assert none == [0] * 4
    assert compiled[3] > 0
    assert compiled[3:] == compiled[3:4] * 6
    assert losses_compiled[:4] == pytest.approx(losses, rel=1e-4)


@pytest.mark.slow
def test_compiled_passes_share_their_dropout_masks(tmp_path, compiled_passes):
    """The compiler of the default backend draws masks in its own way; at δ = 0 the two passes must not differ."""
    trainer = run(tmp_path, 0.1, adv_method="noise", adv_init_std=0.0, torch_compile=True)
    assert logged(trainer, "adversarial_loss") == [0.0] * NUM_STEPS
    assert len(compiled_passes) == (2 + 2) * NUM_STEPS


@pytest.mark.slow
@pytest.mark.parametrize("method", ["alum", "alum_one_pass"])
def test_the_gain_is_measured_with_the_masks_of_the_clean_pass(tmp_path, compiled_passes, method):
    """With others it would be about 1: all of the divergence would be dropout."""
    trainer = run(tmp_path, 0.1, adv_method=method, torch_compile=True)
    assert min(logged(trainer, "adversarial_gain")) > 10
