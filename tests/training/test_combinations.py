import pytest
import torch
from accelerate.utils import DistributedType
from transformers import TrainerCallback

from alum.core.errors import InputError
from alum.core.methods import METHODS, method_named
from alum.training.combinations import check_combination
from alum.training.trainer import AlumTrainer
from tiny_models import classifier
from tiny_runs import config, labelled_sentences, weights


def check(folder, name, distributed_type, fsdp_version=1, **settings):
    args = config(folder, adv_method=name, **settings)
    check_combination(args, args.method(), distributed_type, fsdp_version, own_loss=False)


@pytest.mark.parametrize("distributed_type", [DistributedType.FSDP, DistributedType.DEEPSPEED])
def test_a_choice_by_the_gradient_needs_all_embeddings(tmp_path, distributed_type):
    settings = {"adv_space": "text", "adv_text_draws": 2}
    with pytest.raises(InputError, match=r"adv_text_choice 'gradient' looks up .* Choose 'divergence'"):
        check(tmp_path, "alum_one_pass", distributed_type, 2, adv_text_choice="gradient", **settings)
    check(tmp_path, "alum_one_pass", distributed_type, 2, **settings)


@pytest.mark.parametrize("name", ["alum", "alum_one_pass", "r_drop"])
def test_the_first_fsdp_is_refused_which_frees_weights_between_passes(tmp_path, name):
    with pytest.raises(InputError, match=rf"{name!r} has several forward passes .*Use FSDP2: fsdp_config"):
        check(tmp_path, name, DistributedType.FSDP, fsdp_version=1)


@pytest.mark.parametrize("layer", ["word", "embeddings", "1"])
def test_the_second_is_not(tmp_path, layer):
    for name in ("alum", "alum_one_pass"):
        check(tmp_path, name, DistributedType.FSDP, fsdp_version=2, adv_layer=layer)
        check(tmp_path, name, DistributedType.MULTI_CPU, adv_layer=layer)


@pytest.mark.parametrize("distributed_type", [DistributedType.FSDP, DistributedType.DEEPSPEED])
def test_compiled_passes_share_masks_in_one_process_and_under_ddp_alone(tmp_path, distributed_type):
    for kind in (DistributedType.NO, DistributedType.MULTI_CPU):
        check(tmp_path, "alum", kind, torch_compile=True)
    with pytest.raises(InputError, match=r"share their dropout masks\. Leave torch_compile out"):
        check(tmp_path, "alum", distributed_type, fsdp_version=2, torch_compile=True)
    check(tmp_path, "alum", distributed_type, fsdp_version=2, torch_compile=True, adv_dropout="off")


@pytest.mark.parametrize("settings", [{"adv_method": "alum_one_pass"}, {"adv_method": "alum", "adv_fraction": 0.5}])
def test_two_backward_passes_are_refused_where_they_do_not_add_up(tmp_path, monkeypatch, settings):
    args, method = config(tmp_path, **settings), method_named(settings["adv_method"])
    check_combination(args, method, DistributedType.DEEPSPEED, fsdp_version=1, own_loss=False)
    monkeypatch.setattr("alum.training.combinations.is_deepspeed_zero3_enabled", lambda: True)
    with pytest.raises(InputError, match=r"which DeepSpeed does not add up with ZeRO 3\. Set stage 2"):
        check_combination(args, method, DistributedType.DEEPSPEED, fsdp_version=1, own_loss=False)


# -- optimizers that step in the backward pass -------------------------------------------------------------------------

TWICE = [{"adv_method": "alum_one_pass"}, {"adv_method": "fgm"}, {"adv_method": "alum", "adv_fraction": 0.5}]
IN_BACKWARD = ["galore_adamw_layerwise", "galore_adafactor_layerwise", "apollo_adamw_layerwise", "lomo", "adalomo"]


@pytest.mark.parametrize("settings", TWICE, ids=str)
@pytest.mark.parametrize("optim", IN_BACKWARD)
def test_optimizers_that_step_in_the_backward_pass_are_refused_where_there_are_two(tmp_path, settings, optim):
    settings = config(tmp_path, optim=optim, **settings)
    with pytest.raises(InputError, match=f"optimizer '{optim}' updates the weights in its backward .*another optim"):
        AlumTrainer(model=classifier(), args=settings, train_dataset=labelled_sentences())


@pytest.mark.parametrize("optim", IN_BACKWARD)
@pytest.mark.parametrize("method", [name for name, row in METHODS.items() if not row.has_one_graph])
def test_they_are_not_where_there_is_one(tmp_path, optim, method):
    check(tmp_path, method, DistributedType.NO, optim=optim)


class StepsInHooks(TrainerCallback):
    """Gradient descent by hooks, as the layer-wise optimizers do it: from a weight's gradient, which is then freed."""

    def __init__(self, learning_rate):
        self.handles = []
        self._learning_rate = learning_rate

    def on_train_begin(self, args, state, control, model, **kwargs):
        self.handles = [p.register_post_accumulate_grad_hook(self._step) for p in model.parameters()]

    def _step(self, parameter):
        parameter.data -= self._learning_rate * parameter.grad
        parameter.grad = None


def hooked(folder, model, **settings):
    settings = config(folder, max_grad_norm=0.0, **settings)
    return AlumTrainer(model=model, args=settings, train_dataset=labelled_sentences())


@pytest.mark.parametrize("settings", TWICE, ids=str)
def test_hooks_that_would_run_twice_are_refused_when_training_begins(tmp_path, settings):
    model = classifier()
    StepsInHooks(0.05).on_train_begin(None, None, None, model)
    with pytest.raises(InputError, match=r"weight bert.embeddings.word_embeddings.weight has a hook .* call it twice"):
        hooked(tmp_path, model, **settings).train()


@pytest.mark.parametrize("settings", TWICE, ids=str)
def test_hooks_that_the_optimizer_sets_are_seen(tmp_path, settings):
    trainer = hooked(tmp_path, classifier(), **settings)
    create = trainer.create_optimizer

    def create_with_hooks(*arguments):
        StepsInHooks(0.05).on_train_begin(None, None, None, trainer.model)
        return create(*arguments)

    trainer.create_optimizer = create_with_hooks
    with pytest.raises(InputError, match="call it twice in a step"):
        trainer.train()


def test_hooks_of_a_method_with_one_backward_pass_step_as_the_optimizer_does(tmp_path):
    by_hooks = hooked(tmp_path, classifier(dropout=0.0), adv_method="alum")
    by_hooks.add_callback(StepsInHooks(0.05))
    plain = hooked(tmp_path, classifier(dropout=0.0), adv_method="alum")
    for trainer in (by_hooks, plain):
        trainer.train()
    torch.testing.assert_close(weights(by_hooks), weights(plain), rtol=1e-5, atol=1e-6)
