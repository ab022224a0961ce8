import pytest
import torch
from accelerate.utils import DistributedType
from transformers import TrainerCallback

from alum.core.errors import InputError
from alum.core.methods import METHODS, method_named
from alum.training.combinations import check_combination
from alum.training.config import AlumConfig
from alum.training.trainer import AlumTrainer
from tiny_models import classifier
from tiny_runs import config, labelled_sentences, weights


def check(folder, name, distributed_type, **settings):
    args = config(folder, adv_method=name, **settings)
    check_combination(args, args.method(), distributed_type, own_loss=False)


@pytest.mark.parametrize("layer", ["0", "1"])
def test_one_pass_at_a_block_is_refused_where_weights_are_freed_between_passes(tmp_path, layer):
    with pytest.raises(InputError, match=rf"with FSDP 'alum_one_pass' cannot perturb block {layer}.*or a method"):
        check(tmp_path, "alum_one_pass", DistributedType.FSDP, adv_layer=layer)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("alum_one_pass", {}), ("alum_one_pass", {"adv_layer": "embeddings"}), ("alum", {"adv_layer": "1"})],
)
def test_others_are_not(tmp_path, name, settings):
    check(tmp_path, name, DistributedType.FSDP, **settings)
    check(tmp_path, "alum_one_pass", DistributedType.MULTI_CPU, adv_layer="1")


def test_compiled_passes_in_several_processes_would_not_share_masks(tmp_path, monkeypatch):
    check(tmp_path, "alum", DistributedType.NO, torch_compile=True)
    monkeypatch.setattr(AlumConfig, "world_size", 2)
    with pytest.raises(InputError, match=r"cannot share dropout masks.*Leave torch_compile out, or set adv_dropout"):
        check(tmp_path, "alum", DistributedType.MULTI_CPU, torch_compile=True)
    check(tmp_path, "alum", DistributedType.MULTI_CPU, torch_compile=True, adv_dropout="off")
    check(tmp_path, "alum", DistributedType.MULTI_CPU)


@pytest.mark.parametrize("settings", [{"adv_method": "alum_one_pass"}, {"adv_method": "alum", "adv_fraction": 0.5}])
def test_two_backward_passes_are_refused_where_the_first_updates_the_weights(tmp_path, settings):
    args = config(tmp_path, **settings)
    with pytest.raises(InputError, match="DeepSpeed updates the weights in its backward pass"):
        check_combination(args, method_named(settings["adv_method"]), DistributedType.DEEPSPEED, own_loss=False)


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
