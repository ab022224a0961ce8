import pytest
import torch

from alum.core.errors import InputError
from alum.models.inputs import unlabelled
from alum.models.model_parts import block, word_embeddings
from alum.tasks.lookup import kind_of
from benchmarks.architectures.page import reasons_in, table
from benchmarks.architectures.small_models import rows_for, small_model
from benchmarks.architectures.trials import METHODS, trials_of

WORKING = {"divergence", "gain"}


@pytest.mark.parametrize("architecture", ["bert", "qwen3", "t5"])
def test_an_architecture_that_works_has_an_adversary_at_every_place(architecture):
    found = trials_of(architecture)
    cells = [cell for place in found["places"].values() for cell in place.values()]
    assert len(cells) == 3 * len(METHODS)
    assert all(cell["gain"] > 2 for cell in cells)


@pytest.mark.parametrize(
    ("architecture", "place", "reason"),
    [
        ("xlnet", "word", "as [length, batch, hidden]"),
        ("reformer", "word", "random numbers of its own in each pass"),
        ("ibert", "embeddings", "gives a tuple, not hidden vectors"),
        ("canine", "word", "has no input embeddings"),
        ("canine", "1", "[3, 4, 32], but the batch has [3, 8] tokens"),
        ("rwkv", "word", "changes its weights where it goes from training to evaluation"),
        ("xlm", "1", "keeps its blocks in parts (attentions, layer_norm1, ffns, layer_norm2)"),
        ("flaubert", "1", "keeps its blocks in parts"),
        ("funnel", "1", "no list of transformer blocks"),
        ("albert", "1", "one block over and over"),
    ],
)
def test_what_cannot_be_perturbed_is_refused_for_its_own_reason(architecture, place, reason):
    found = trials_of(architecture)
    assert all(reason in cell["refused"] for cell in found["places"][place].values())


def test_batches_as_long_as_they_are_wide_do_not_let_length_first_models_in():
    with pytest.raises(InputError, match=r"\[length, batch, hidden\]"):
        word_embeddings(small_model("xlnet"))
    with pytest.raises(InputError, match=r"\[length, batch, hidden\]"):
        block(small_model("xlnet"), 0)


@pytest.mark.parametrize("architecture", ["marian", "pegasus", "blenderbot"])
def test_decoders_whose_loss_does_not_shift_labels_are_no_causal_models(architecture):
    model = small_model(architecture)
    assert type(model).__name__.endswith("ForCausalLM")
    rows = rows_for(model)
    loss = model(**rows).loss
    logits = model.eval()(**rows).logits
    in_place = -logits.log_softmax(-1).gather(-1, rows["labels"].clamp_min(0).unsqueeze(-1)).squeeze(-1)
    labelled = rows["labels"] != -100
    model.train()
    assert loss.item() == pytest.approx(in_place[labelled].mean().item(), rel=0.05)  # but for dropout
    with pytest.raises(InputError, match="takes each label for that of its own position"):
        kind_of(model)


def test_the_table_has_gains_and_numbers_of_reasons():
    rows = [
        {
            "architecture": "one", "class": "One",
            "places": {
                "word": {"alum": {"gain": 12.0, "divergence": 1.0}, "alum_virtual": {"gain": 3.456, "divergence": 1.0}},
                "embeddings": {name: {"refused": "One has none."} for name in ("alum", "alum_virtual")},
                "1": {"alum": {"gain": 5.0, "divergence": 1e-12}, "alum_virtual": {"failed": "ValueError: no"}},
            },
        }
    ]  # fmt: skip
    reasons = reasons_in(rows)
    assert reasons == ["the model has none", "ValueError: no"]
    assert table(rows, reasons).splitlines()[-1] == "| `one` | One | 12 / 3.5 | no (1) | – / failed (2) |"


def test_passes_without_labels_have_the_decoder_inputs_that_the_model_makes_of_labels_inside():
    """M2M-100, which has no function for it that could be called."""
    model = small_model("m2m_100").eval()
    rows = rows_for(model)
    with torch.no_grad():
        inside = model(**rows).logits
        given = model(**unlabelled(model, rows)).logits
    torch.testing.assert_close(given, inside)
    assert all(cell["gain"] > 2 for place in trials_of("m2m_100")["places"].values() for cell in place.values())
