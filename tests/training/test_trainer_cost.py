"""What a step costs, counted through the trainer's own path: operations, and bytes saved for the backward pass."""

import gc
import itertools
import weakref

import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertForMaskedLM

from alum.core.measures.pass_counts import pass_counts
from alum.core.methods import METHODS
from alum.training.trainer import AlumTrainer
from tiny_models import language_model
from tiny_runs import config, masked_sentences

VOCAB_SIZE, BATCH, LENGTH = 30522, 2, 128


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    shape = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 4}
    return BertForMaskedLM(BertConfig(vocab_size=VOCAB_SIZE, **shape)).train()


@pytest.fixture(scope="module")
def batch():
    """15 % of the positions are predicted."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1000, VOCAB_SIZE, (BATCH, LENGTH), generator=generator)
    labels = torch.full_like(ids, -100)
    predicted = torch.randperm(ids.numel(), generator=generator)[: round(0.15 * ids.numel())]
    labels.view(-1)[predicted] = ids.view(-1)[predicted]
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


def step(tmp_path, model, batch, method, **settings):
    # Without the gain, which the first step and those that are logged measure by passes of their own.
    trainer = AlumTrainer(model=model, args=config(tmp_path, adv_method=method, adv_gain_draws=0, **settings))
    trainer.create_optimizer_and_scheduler(num_training_steps=4)
    trainer.state.max_steps = 4
    trainer.current_gradient_accumulation_steps = 1
    return lambda: trainer.training_step(model, dict(batch), (batch["labels"] != -100).sum())


def flops_of(run):
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@pytest.fixture(scope="module")
def flops(tmp_path_factory, model, batch):
    folder = tmp_path_factory.mktemp("runs")
    return {name: flops_of(step(folder, model, batch, name)) for name in METHODS}


@pytest.mark.slow
def test_standard_steps_skip_the_vocabulary_where_nothing_is_predicted(flops, model, batch):
    hugging_face = flops_of(lambda: model(**batch).loss.backward())
    assert flops["standard"] / hugging_face <= 0.42


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("alum", 2.70),
        ("alum_one_pass", 2.02),
        ("alum_virtual", 2.36),
        ("noise", 2.02),
        ("r3f", 2.02),
        ("freelb", 3.02),
        ("pgd", 4.1),
        ("adv_softmax", 1.001),
        ("smart", 3.04),
    ],
)
def test_adversarial_steps_cost_what_their_passes_do(flops, name, limit):
    ratio = flops[name] / flops["standard"]
    assert pass_counts(METHODS[name]).in_standard_steps * 0.98 <= ratio <= limit


# -- waiting for the device --------------------------------------------------------------------------------------------


class Reads(TorchDispatchMode):
    """Counts the values that the program reads from the device, for each of which it waits."""

    count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.count += operation is torch.ops.aten._local_scalar_dense.default
        return operation(*args, **(kwargs or {}))


def reads_of(run):
    with Reads() as reads:
        run()
    return reads.count


@pytest.mark.parametrize("name", METHODS)
def test_a_step_waits_once_more_than_its_passes_where_it_attacks(tmp_path, name):
    rows = masked_sentences(8)
    batch = {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
    small = language_model().train()
    in_a_pass = reads_of(lambda: small(**batch).loss.backward())  # transformers looks whether anything is padded
    method = METHODS[name]
    attacks = method.alpha > 0
    perturbs_x = attacks and not method.is_for_language_models
    num_passes = 1 + perturbs_x * (1 + method.num_own_passes) + method.has_proximal_term
    own = perturbs_x  # is the gradient finite?
    if name == "freelb":  # whose losses are all task losses: what is not finite there is the Trainer's business
        num_passes, own = method.num_steps, 0
    run = step(tmp_path, small, batch, name, logging_steps=100)
    assert reads_of(run) == num_passes * in_a_pass + own


# -- memory ------------------------------------------------------------------------------------------------------------


class _Holder:
    """Stands in a graph for a saved tensor; when the graph lets go of it, it is gone."""

    def __init__(self, tensor):
        self.tensor = tensor


def peak_saved_bytes(run, model):
    """The most bytes that live graphs hold at once, but for parameters; a storage counts once."""
    parameters = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    holders, live, peak = {}, 0, 0

    def released(storage, size):
        nonlocal live
        holders[storage] -= 1
        if holders[storage] == 0:
            live -= size

    def pack(tensor):
        nonlocal live, peak
        holder = _Holder(tensor)
        storage, size = tensor.untyped_storage().data_ptr(), tensor.untyped_storage().nbytes()
        if storage not in parameters:
            holders[storage] = holders.get(storage, 0) + 1
            if holders[storage] == 1:
                live += size
                peak = max(peak, live)
            weakref.finalize(holder, released, storage, size)
        return holder

    gc.collect()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda holder: holder.tensor):
        run()
    return peak


def peak_allocated_bytes(run):
    """The most bytes that are allocated at once, beside those before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        run()
    events = recorded.profiler.kineto_results.events()
    return max(itertools.accumulate(event.nbytes() for event in events if event.name() == "[memory]"))


@pytest.fixture(scope="module")
def standard_bytes(tmp_path_factory, model, batch):
    return peak_saved_bytes(step(tmp_path_factory.mktemp("runs"), model, batch, "standard"), model)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "clean_side"),
    [
        ("alum_one_pass", None), ("fgm", None), ("pgd", None), ("freelb", None),
        ("alum", "first"), ("alum", "constant"), ("alum_virtual", "first"), ("alum_virtual", "constant"),
    ],
)  # fmt: skip
def test_one_graph_is_alive_at_a_time(tmp_path, model, batch, standard_bytes, name, clean_side):
    one_graph = peak_saved_bytes(step(tmp_path, model, batch, name, adv_clean_side=clean_side), model)
    assert one_graph / standard_bytes <= 1.05


ONE_GRAPH = [
    (name, clean_side)
    for name, method in METHODS.items()
    if method.alpha > 0 and not method.has_proximal_term  # whose clean pass stays to the end
    for clean_side in (
        ["first", "constant"] if method.clean_side == "joint" and method.term == "divergence" else [None]
    )
]
QUICK = [("alum", "first"), ("alum_virtual", "first"), ("alum_one_pass", None)]


@pytest.fixture(scope="module")
def over_a_vocabulary(tmp_path_factory):
    """Measures steps of a small model whose logits are larger than what its blocks save."""
    rows = masked_sentences(64)
    batch = {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
    small = language_model(vocab_size=20_000).train()
    logits_bytes = (batch["labels"] != -100).sum().item() * 20_000 * torch.float32.itemsize

    def measured(name, clean_side=None):
        folder = tmp_path_factory.mktemp("runs")
        run = step(folder, small, batch, name, adv_clean_side=clean_side)
        run()  # gradients of the weights are there from now on
        return peak_saved_bytes(run, small), peak_allocated_bytes(run)

    return measured, measured("standard"), logits_bytes


@pytest.mark.parametrize(
    ("name", "clean_side"),
    [pytest.param(*row, marks=[] if row in QUICK else pytest.mark.slow) for row in ONE_GRAPH],
)
def test_over_a_vocabulary_steps_hold_the_clean_logits_beside_what_standard_ones_do(
    over_a_vocabulary, name, clean_side
):
    measured, (standard_saved, standard_allocated), logits_bytes = over_a_vocabulary
    saved, allocated = measured(name, clean_side)
    assert logits_bytes > standard_saved / 2
    assert saved / standard_saved <= 1.05
    assert (allocated - standard_allocated) / logits_bytes <= 1.1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alum", "alum_virtual"])
def test_the_count_can_tell_two_graphs(tmp_path, model, batch, standard_bytes, name):
    assert peak_saved_bytes(step(tmp_path, model, batch, name), model) / standard_bytes > 1.5
