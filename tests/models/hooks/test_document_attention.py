import pytest
import torch
from torch import nn
from transformers import AutoModelForMaskedLM, CamembertConfig, XLMRobertaConfig

from alum.core.errors import InputError
from alum.models.hooks.document_attention import AttentionWithinDocuments
from alum.models.hooks.injection import Injection
from alum.models.hooks.sequence_attention import SUPPORTED
from alum.models.model_parts import base_transformer
from tiny_models import CAUSAL, CLS, LANGUAGE_MODELS, MASK, PAD, SEP, VOCAB_SIZE, language_model

# [CLS] and seven tokens of document A, its [SEP]; eleven of B, its [SEP]; the beginning of C, and the row's [SEP].
LENGTH, A, B, C = 26, slice(0, 9), slice(9, 21), slice(21, 26)
WINDOW = 6  # of ModernBERT's local layers: 3 tokens to either side, fewer than a document has
RELATIVES_OF_ROBERTA = {"xlm-roberta": XLMRobertaConfig, "camembert": CamembertConfig}
WITH_MASK = [*(name for name in SUPPORTED if name not in RELATIVES_OF_ROBERTA), *RELATIVES_OF_ROBERTA]

both_implementations = pytest.mark.parametrize("implementation", ["sdpa", "eager"])


def model_of(architecture: str, implementation: str = "sdpa"):
    if architecture in RELATIVES_OF_ROBERTA:
        roberta = language_model("roberta")
        config = RELATIVES_OF_ROBERTA[architecture](**roberta.config.to_dict() | {"model_type": architecture})
        model = AutoModelForMaskedLM.from_config(config).eval()
        model.load_state_dict(roberta.state_dict())
    else:
        settings = {"local_attention": WINDOW} if architecture == "modernbert" else {}
        model = language_model(architecture, **settings)
    model.set_attn_implementation(implementation)
    return model


def within_documents(model, architecture: str):
    return AttentionWithinDocuments(model, SEP, causal=architecture in CAUSAL)


def three_documents(seed: int = 0, ends: tuple[int, ...] = (A.stop, B.stop, C.stop)) -> torch.Tensor:
    ids = torch.randint(MASK + 1, VOCAB_SIZE, (2, LENGTH), generator=torch.Generator().manual_seed(seed))
    ids[:, 0] = CLS
    ids[:, [end - 1 for end in ends]] = SEP
    return ids


def with_other_words(ids: torch.Tensor, document: slice) -> torch.Tensor:
    changed = ids.clone()
    words = slice(document.start + (document.start == 0), document.stop - 1)  # [CLS] and [SEP] stay
    changed[:, words] = MASK + 1 + (ids[:, words] - MASK) % (VOCAB_SIZE - MASK - 1)
    assert (changed != ids).sum() == 2 * (words.stop - words.start)
    return changed


@torch.no_grad()
def logits(model, ids: torch.Tensor, **inputs) -> torch.Tensor:
    return model(input_ids=ids, **inputs).logits


# -- the mask ----------------------------------------------------------------------------------------------------------


def mask_of(documents: list[list[str]], causal: bool) -> torch.Tensor:
    """``[batch, 1, length, length]`` from the name of each token's document."""
    places = range(len(documents[0]))
    return torch.tensor(
        [[[[names[i] == names[j] and not (causal and j > i) for j in places] for i in places]] for names in documents]
    )


def mask_of_three_documents(causal: bool) -> torch.Tensor:
    return mask_of([[*"A" * A.stop, *"B" * (B.stop - B.start), *"C" * (C.stop - C.start)]] * 2, causal)


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_the_mask_is_true_where_lists_of_documents_say_so(architecture):
    rows = [[CLS, 5, 6, SEP, 7, SEP, SEP, 8], [SEP, 5, 5, 5, 5, 5, 5, SEP], [5, 6, 7, 8, 9, 8, 7, 6]]
    documents = [["A", "A", "A", "A", "B", "B", "C", "D"], ["A", *"BBBBBBB"], [*"AAAAAAAA"]]
    model, masks = model_of(architecture), []
    with (
        within_documents(model, architecture),
        base_transformer(model).register_forward_pre_hook(
            lambda module, args, kwargs: masks.append(kwargs["attention_mask"]), with_kwargs=True
        ),
    ):
        logits(model, torch.tensor(rows))
    assert masks[0].dtype == torch.bool
    assert torch.equal(masks[0], mask_of(documents, causal=architecture in CAUSAL))


@pytest.mark.parametrize("architecture", ["bert", "roberta", "gpt2"])
def test_models_without_windows_take_the_mask_itself(architecture):
    model, ids = model_of(architecture), three_documents()
    given = logits(model, ids, attention_mask=mask_of_three_documents(causal=architecture in CAUSAL))
    with within_documents(model, architecture):
        torch.testing.assert_close(logits(model, ids), given, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("architecture", ["bert", "modernbert", "gpt2"])
@pytest.mark.parametrize(("ends", "is_table"), [((5, 9, 14, 19, 26), True), ((2, 4, 6, 26), False)])
def test_documents_by_themselves_and_under_a_mask_are_the_same(architecture, ends, is_table, monkeypatch):
    model, ids, masks = model_of(architecture), three_documents(ends=ends), []

    def seen(module, args, kwargs):
        found = kwargs["attention_mask"]
        masks.append((found["full_attention"] if isinstance(found, dict) else found).dtype)

    with within_documents(model, architecture):
        base_transformer(model).register_forward_pre_hook(seen, with_kwargs=True)
        chosen = logits(model, ids)
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)  # where a mask is taken always
        masked = logits(model, ids)
    assert masks == [torch.long if is_table else torch.bool, torch.bool]
    torch.testing.assert_close(chosen, masked, rtol=1e-4, atol=1e-5)


# -- independence ------------------------------------------------------------------------------------------------------


@both_implementations
@pytest.mark.parametrize("architecture", WITH_MASK)
def test_what_stands_in_a_document_changes_nothing_in_the_others(architecture, implementation):
    model, ids = model_of(architecture, implementation), three_documents()
    for document, others in ((A, (B, C)), (B, (A, C)), (C, (A, B))):
        changed = with_other_words(ids, document)
        with within_documents(model, architecture):
            before, after = logits(model, ids), logits(model, changed)
        assert not torch.allclose(before[:, document], after[:, document], atol=1e-2)
        for other in others:
            torch.testing.assert_close(after[:, other], before[:, other], rtol=0, atol=0)
    # Without the mask it does: in C, which comes last, even where nothing is seen before it is written.
    assert not torch.allclose(logits(model, ids)[:, C], logits(model, with_other_words(ids, A))[:, C], atol=1e-2)


@both_implementations
@pytest.mark.parametrize("architecture", WITH_MASK)
def test_a_single_document_is_seen_as_without_the_mask(architecture, implementation):
    model, ids = model_of(architecture, implementation), three_documents(ends=(LENGTH,))
    expected = logits(model, ids)
    with within_documents(model, architecture):
        torch.testing.assert_close(logits(model, ids), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("architecture", "first_position"), [("bert", 0), ("roberta", PAD + 1), ("gpt2", 0)])
def test_a_document_is_what_it_is_alone_at_its_positions(architecture, first_position):
    model, ids = model_of(architecture), three_documents()
    positions = first_position + torch.arange(LENGTH)[None]
    with within_documents(model, architecture):
        together = logits(model, ids)
    for document in (A, B, C):
        alone = logits(model, ids[:, document], position_ids=positions[:, document])
        torch.testing.assert_close(together[:, document], alone, rtol=1e-5, atol=1e-5)


def test_modernbert_sees_a_document_as_it_does_alone_through_its_windows():
    model, ids = model_of("modernbert"), three_documents()
    assert model.config.layer_types == ["full_attention", "sliding_attention"]
    with within_documents(model, "modernbert"):
        together = logits(model, ids)
    for document in (A, B, C):  # rotary positions are relative
        torch.testing.assert_close(together[:, document], logits(model, ids[:, document]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ["bert", "roberta", "modernbert", "gpt2"])
def test_gradients_do_not_cross_either(architecture):
    model, ids = model_of(architecture), three_documents()

    def gradients() -> torch.Tensor:
        with Injection(model).cutting() as x:
            model(input_ids=ids).logits[:, C].square().sum().backward()
        return x().grad.norm(dim=-1)

    assert (gradients()[:, A.stop : C.start - 1] > 0).all()
    with within_documents(model, architecture):
        assert (gradients()[:, : C.start] == 0).all()


# -- padding, precision, the handle ------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["left", "right"])
@both_implementations
def test_padding_is_nobodys_document(implementation, side):
    model, ids = model_of("bert", implementation), three_documents(ends=(A.stop, B.stop))  # C has no end of its own
    fill = torch.full((2, 5), PAD)
    padded = torch.cat((fill, ids) if side == "left" else (ids, fill), dim=1)
    tokens = slice(5, None) if side == "left" else slice(0, LENGTH)
    positions = torch.zeros_like(padded)
    positions[:, tokens] = torch.arange(LENGTH)
    with within_documents(model, "bert"):
        expected = logits(model, ids)
        found = logits(model, padded, attention_mask=(padded != PAD).long(), position_ids=positions)
    assert found.isfinite().all()
    torch.testing.assert_close(found[:, tokens], expected, rtol=1e-5, atol=1e-5)


@both_implementations
@pytest.mark.parametrize("architecture", ["bert", "modernbert", "gpt2"])
def test_half_precision(architecture, implementation):
    model, ids = model_of(architecture, implementation).bfloat16(), three_documents()
    with within_documents(model, architecture):
        before, after = logits(model, ids), logits(model, with_other_words(ids, A))
    assert before.isfinite().all()
    torch.testing.assert_close(after[:, B], before[:, B], rtol=0, atol=0)


@both_implementations
def test_automatic_mixed_precision(implementation):
    model, ids = model_of("bert", implementation), three_documents()
    with within_documents(model, "bert"), torch.autocast("cpu", torch.bfloat16):
        before, after = logits(model, ids), logits(model, with_other_words(ids, A))
    torch.testing.assert_close(after[:, B], before[:, B], rtol=0, atol=0)


def test_the_model_sees_everything_again_once_the_handle_is_removed():
    model, ids = model_of("bert"), three_documents()
    expected = logits(model, ids)
    handle = within_documents(model, "bert")
    assert not torch.allclose(logits(model, ids), expected, atol=1e-2)
    handle.remove()
    torch.testing.assert_close(logits(model, ids), expected, rtol=0, atol=0)


def test_wrapped_models():
    class Wrapper(nn.Module):
        """As DistributedDataParallel holds its model."""

        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, **inputs):
            return self.module(**inputs)

    model, ids = model_of("bert"), three_documents()
    with within_documents(model, "bert"):
        expected = logits(model, ids)
    with within_documents(Wrapper(model), "bert"):
        torch.testing.assert_close(logits(Wrapper(model), ids), expected, rtol=0, atol=0)


# -- models that cannot ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", [name for name in LANGUAGE_MODELS if name not in SUPPORTED])
def test_models_that_would_leak_are_refused(architecture):
    model, ids = language_model(architecture), three_documents()
    with pytest.raises(InputError, match=f"within documents in a model of type {architecture}: it can in albert, bert"):
        AttentionWithinDocuments(model, SEP, causal=False)
    try:  # the refusal is not idle
        mask = mask_of_three_documents(causal=False)
        before, after = (logits(model, i, attention_mask=mask) for i in (ids, with_other_words(ids, A)))
    except RuntimeError:
        return
    assert not torch.allclose(after[:, B], before[:, B], atol=1e-2)


def test_other_ways_to_compute_attention_are_refused():
    model = model_of("bert")
    model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(InputError, match="attn_implementation='flash_attention_2': choose 'sdpa' or 'eager'"):
        AttentionWithinDocuments(model, SEP, causal=False)


def test_modules_that_transformers_does_not_know_are_refused():
    with pytest.raises(InputError, match="a model of type Linear"):
        AttentionWithinDocuments(nn.Linear(2, 2), SEP, causal=False)
