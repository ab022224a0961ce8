import dataclasses
import logging
import random
import re
from collections import Counter

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForMultipleChoice, AutoModelForTokenClassification, DataCollatorWithPadding

from alum.attacks.text.base import NO_RESOURCES, Resources
from alum.attacks.text.random_changes import CHANGES, RandomChanges
from alum.attacks.text.worded import WordedText
from alum.core.divergences import symmetric_kl
from alum.core.errors import InputError
from alum.core.measures.pass_counts import pass_counts
from alum.models.tokenization import Tokenization
from alum.tasks.kinds.token_classification import TOKEN_CLASSIFICATION
from alum.training.parts.drawn_texts import RowTexts, check_compares_rows, drawn_passes
from alum.training.records.console import use_own_console
from alum.training.step import AlumStep
from alum.training.trainer import AlumTrainer
from places import ROOT
from tiny_models import classifier, headed, token_batch
from tiny_runs import config, measuring_config, weights
from tiny_tokenizers import wordpiece

ANY_WORD = Resources(
    masked_lm=lambda questions: [("other",)] * len(questions),
    wordnet=lambda word: ("another",),
    misspellings=lambda word: ("otehr",),
)
LABELS = torch.tensor([0, 1])
TEXTS = [f"{word} films are never {other} in 1999" for word in ("good", "bad", "long") for other in ("dull", "bright")]


def drawn_batch(num_draws=3, seed=0):
    """Texts of another length than the batch's, with padding."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(4, 60, (2, num_draws, 11), generator=generator)
    mask = torch.ones_like(ids)
    mask[:, :, 9:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def gradients(model):
    return [parameter.grad for parameter in model.parameters()]


def of_draws(drawn, draws):
    return {name: torch.stack([values[row, draw] for row, draw in enumerate(draws)]) for name, values in drawn.items()}


# -- the objective -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dropout", ["shared", "off"])
@pytest.mark.parametrize("name", ["alum", "alum_one_pass"])
def test_step_is_task_loss_and_divergence_at_the_worst_text(name, dropout):
    model, written_out = (classifier(dropout=0.0) for _ in range(2))
    drawn = drawn_batch()
    inputs = {**token_batch(), "labels": LABELS, "drawn_texts": drawn}
    result = AlumStep(model, name, space="text", text_draws=3, alpha=2.0, dropout=dropout)(inputs)

    clean = written_out(**token_batch(), labels=LABELS)
    constant = clean.logits.detach()
    of_texts = [
        symmetric_kl(written_out(**of_draws(drawn, [draw, draw])).logits, constant).detach() for draw in range(3)
    ]
    worst = torch.stack(of_texts).argmax(0).tolist()
    side = constant if name == "alum_one_pass" else clean.logits
    divergence = symmetric_kl(written_out(**of_draws(drawn, worst)).logits, side).mean()
    (clean.loss + 2.0 * divergence).backward()
    torch.testing.assert_close(gradients(model), gradients(written_out))
    torch.testing.assert_close(result.text_loss, divergence.detach())
    torch.testing.assert_close(result.loss.detach(), (clean.loss + 2.0 * divergence).detach())
    assert divergence > max(float(found.mean()) for found in of_texts) * (1 - 1e-5)


WORDS = ["bright", "never"]  # which the rows do not have: each stands for the word in whose place it is


@pytest.fixture(scope="module")
def tokenizer():
    return wordpiece(TEXTS)


def aligned_batch(tokenizer, num_draws=4, changes=None):
    """Two rows with texts drawn for them, in which words of one token stand for words of one token."""
    other = Resources(wordnet=lambda word: [one for one in WORDS if one != word])
    row_texts = RowTexts(("sentence",), lambda examples: tokenizer([text for (text,) in examples]))
    changes = changes or RandomChanges(["synonyms"], 0.5, other)
    collate = DataCollatorWithPadding(tokenizer)
    examples = [("good films are long",), ("dull and dull and bad films",)]
    drawn = row_texts.drawn(examples, changes, num_draws, collate, "seed", aligned=True)
    return {**tokenizer([text for (text,) in examples], padding=True, return_tensors="pt"), "labels": LABELS}, drawn


def chosen_to_first_order(model, inputs, ids):
    """Clean outputs, back-propagated, and the draws of the largest gradient times difference of the embeddings."""
    embeddings, seen = model.get_input_embeddings(), []

    def see(module, args, output):
        output.retain_grad()
        seen.append(output)

    handle = embeddings.register_forward_hook(see)
    clean = model(**inputs)
    clean.loss.backward(retain_graph=True)
    handle.remove()
    assert ids.shape[2] == inputs["input_ids"].shape[1]  # tokens stand for tokens: HotFlip's first order
    table = embeddings.weight.detach()
    gains = [(seen[0].grad * (table[ids[:, draw]] - table[inputs["input_ids"]])).sum((1, 2)) for draw in range(4)]
    return clean, torch.stack(gains).argmax(0).tolist()


@pytest.mark.parametrize("space", ["text", "both"])
@pytest.mark.parametrize("name", ["alum_one_pass", "fgm"])
def test_text_of_the_largest_first_order_gain_is_taken(tokenizer, name, space):
    model, written_out, of_delta, plain = (classifier(vocab_size=len(tokenizer), dropout=0.0) for _ in range(4))
    inputs, drawn = aligned_batch(tokenizer)
    settings = {"space": space, "text_draws": 4, "text_choice": "gradient", "alpha": 2.0}
    result = AlumStep(model, name, **settings)({**inputs, "drawn_texts": drawn})

    clean, chosen = chosen_to_first_order(written_out, inputs, drawn["input_ids"])
    texts = {key: drawn[key] for key in ("input_ids", "attention_mask", "token_type_ids")}
    if name == "fgm":
        term = written_out(**of_draws(texts, chosen), labels=LABELS).loss
    else:
        term = symmetric_kl(written_out(**of_draws(texts, chosen)).logits, clean.logits.detach()).mean()
    (2.0 * term).backward()
    expected = gradients(written_out)
    if space == "both":
        AlumStep(of_delta, name, alpha=2.0)(inputs)
        AlumStep(plain, "standard")(inputs)
        parts = zip(expected, gradients(of_delta), gradients(plain), strict=True)
        expected = [text + delta - standard for text, delta, standard in parts]
    torch.testing.assert_close(gradients(model), expected, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(result.text_loss, term.detach())


def test_gains_are_the_slope_of_the_loss_on_the_way_to_other_words(tokenizer):
    model = classifier(vocab_size=len(tokenizer), dropout=0.0).double()
    inputs, drawn = aligned_batch(tokenizer, changes=RandomChanges(["typing", "textbugger"], 0.6))
    assert drawn["input_ids"].shape[2] > inputs["input_ids"].shape[1]
    table = model.get_input_embeddings().weight.detach()
    passes = drawn_passes(drawn, inputs, lambda: model, None, model.get_input_embeddings())
    x = table[inputs["input_ids"]].requires_grad_()
    rest = {name: value for name, value in inputs.items() if name != "input_ids"}
    (gradient,) = torch.autograd.grad(model(inputs_embeds=x, **rest).loss * 2, x)  # of the sum over rows
    found = passes.gains(gradient, x)
    for row in range(2):
        for draw in range(4):
            new = x.detach().clone()
            for place, (first, last) in enumerate(drawn["aligned"][row, draw].T.tolist()):
                if first >= 0:
                    new[row, place] = table[drawn["input_ids"][row, draw, first:last]].sum(0) / max(last - first, 1)
            step = 1e-5 * (new - x.detach())
            with torch.no_grad():
                losses = [2 * model(inputs_embeds=x + sign * step, **rest).loss for sign in (1, -1)]
            torch.testing.assert_close(found[row, draw].double(), (losses[0] - losses[1]) / 2e-5, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("space", ["text", "both"])
def test_choice_by_the_gradient_has_no_pass_more_than_one_draw(tokenizer, space):
    def passes(num_draws, **settings):
        model = classifier(vocab_size=len(tokenizer))
        inputs, drawn = aligned_batch(tokenizer, num_draws)
        counts = Counter()
        last = model.bert.encoder.layer[-1].output.dense
        last.register_forward_hook(lambda *args: counts.update(["forward"]))
        last.register_full_backward_hook(lambda *args: counts.update(["backward"]))
        step = AlumStep(model, "alum_one_pass", space=space, text_draws=num_draws, **settings)
        step._is_checked = True  # the check of the first batch has passes of its own
        step({**inputs, "drawn_texts": drawn})
        return counts

    one = passes(1)
    assert passes(4, text_choice="gradient") == one
    assert passes(4) == one + Counter(forward=4)
    assert one == Counter(forward=3, backward=3) if space == "both" else Counter(forward=2, backward=2)


def test_choice_by_the_gradient_needs_one_that_is_there():
    for name in ("alum", "alum_virtual", "pgd"):
        with pytest.raises(InputError, match=r"text_choice cannot be 'gradient' with method .* Choose 'alum_one_pass'"):
            AlumStep(classifier(), name, space="text", text_draws=2, text_choice="gradient")
    step = AlumStep(classifier(), "alum_one_pass", space="text", text_draws=3, text_choice="gradient")
    with pytest.raises(InputError, match=r"draw them with RowTexts.drawn\(…, aligned=True\)"):
        step({**token_batch(), "labels": LABELS, "drawn_texts": drawn_batch()})
    counts = {
        choice: pass_counts(dataclasses.replace(step.method, text_choice=choice))
        for choice in ("gradient", "divergence")
    }
    assert {choice: count.in_standard_steps for choice, count in counts.items()} == {"gradient": 2, "divergence": 3}
    assert {choice: count.graphs for choice, count in counts.items()} == {"gradient": 1, "divergence": 2}


def test_augmentation_is_the_task_loss_at_the_text():
    model, written_out = (classifier(dropout=0.0) for _ in range(2))
    drawn = drawn_batch(num_draws=1)
    AlumStep(model, "fgm", space="text")({**token_batch(), "labels": LABELS, "drawn_texts": drawn})
    clean = written_out(**token_batch(), labels=LABELS).loss
    (clean + written_out(**of_draws(drawn, [0, 0]), labels=LABELS).loss).backward()
    torch.testing.assert_close(gradients(model), gradients(written_out))


@pytest.mark.parametrize("name", ["alum", "alum_one_pass", "alum_virtual", "pgd", "r_drop"])
def test_both_spaces_have_the_terms_of_each(name):
    model, of_delta, of_text, plain = (classifier(dropout=0.0) for _ in range(4))
    inputs = {**token_batch(), "labels": LABELS}
    drawn = {"drawn_texts": drawn_batch()}
    torch.manual_seed(0)
    both = AlumStep(model, name, space="both", text_draws=2)({**inputs, **drawn})
    torch.manual_seed(0)
    AlumStep(of_delta, name)(inputs)
    AlumStep(of_text, name, space="text", text_draws=2)({**inputs, **drawn})
    AlumStep(plain, "standard")(inputs)
    expected = [
        first + second - standard
        for first, second, standard in zip(*map(gradients, (of_delta, of_text, plain)), strict=True)
    ]
    torch.testing.assert_close(gradients(model), expected, atol=1e-6, rtol=1e-4)
    assert 0 < both.text_loss <= both.adversarial_loss


def test_choices_are_compared_by_rows():
    model = headed(AutoModelForMultipleChoice, dropout=0.0)
    batch = {name: torch.stack((values, values.flip(0)), dim=1) for name, values in token_batch().items()}
    same = {name: values[:, None] for name, values in batch.items()}
    result = AlumStep(model, "alum", space="text")({**batch, "labels": LABELS, "drawn_texts": same})
    torch.testing.assert_close(result.text_loss, torch.tensor(0.0))


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(
        InputError, match=r"^space 'text' .*token_classification has one for each of its places.*space 'em"
    ):
        AlumStep(headed(AutoModelForTokenClassification), "alum", space="text")
    with pytest.raises(InputError, match=r"^adv_space 'both' needs one output .* Choose adv_space 'embedding'"):
        check_compares_rows(TOKEN_CLASSIFICATION, "both")
    with pytest.raises(InputError, match="space must be 'embedding' with method 'freelb'"):
        AlumStep(classifier(), "freelb", space="both")
    with pytest.raises(InputError, match=r"clean_side must be 'joint' or 'constant' with space 'text'"):
        AlumStep(classifier(), "alum", space="text", clean_side="first")
    with pytest.raises(InputError, match="text_draws must be 1 or more"):
        AlumStep(classifier(), "alum", space="text", text_draws=0)
    with pytest.raises(InputError, match="give the batch the texts that were drawn"):
        AlumStep(classifier(), "alum", space="text")({**token_batch(), "labels": LABELS})


# -- random changes ----------------------------------------------------------------------------------------------------


def test_changes_leave_negations_numbers_and_what_is_between_the_words():
    changes = RandomChanges(list(CHANGES), word_share=1.0, resources=ANY_WORD)
    rng = random.Random(0)
    text = "The 3rd film isn’t good, and nothing in it is - never; cannot be 100% dull."
    for _ in range(200):
        (changed,) = changes((text,), rng)
        assert {"3rd", "isn’t", "nothing", "never", "cannot", "100"} <= set(WordedText.of(changed).words)
        assert changed != text
        assert changed.endswith(".")


def test_as_many_words_are_changed_as_the_share_says():
    changes, rng = RandomChanges(["homoglyphs"], word_share=0.3), random.Random(0)
    words = ["word"] * 40
    counts = [sum(word != "word" for word in changes((" ".join(words),), rng)[0].split(" ")) for _ in range(300)]
    assert abs(sum(counts) / len(counts) - 12) < 4 * (40 * 0.3 * 0.7 / 300) ** 0.5
    few = RandomChanges(["homoglyphs"], word_share=1e-9)
    assert all(few(("one word or two",), rng) != ("one word or two",) for _ in range(20))
    assert few(("no 1 a ?",), rng) == ("no 1 a ?",)


def test_each_kind_of_changes_is_drawn_as_often():
    changes, rng = RandomChanges(["homoglyphs", "typing"], word_share=1.0), random.Random(0)
    found = Counter(changes(("example",), rng)[0].isascii() for _ in range(1000))
    assert abs(found[True] - 500) < 4 * 250**0.5


def test_unknown_changes_and_shares_out_of_range_are_refused():
    with pytest.raises(InputError, match="unknown kind of changes 'typos'"):
        RandomChanges(["typos"], 0.2)
    with pytest.raises(InputError, match=r"must lie in \(0, 1\], not 0"):
        RandomChanges(["typing"], 0)


# -- the Trainer -------------------------------------------------------------------------------------------------------


def trainer_of(folder, tokenizer, texts=True, model=None, resources=NO_RESOURCES, **settings):
    encoded = tokenizer(TEXTS)
    rows = Dataset.from_dict({**encoded, "labels": [0, 1, 0, 1, 0, 1], "sentence": TEXTS})
    row_texts = RowTexts(
        ("sentence",),
        lambda examples: tokenizer([text for (text,) in examples]),
        resources,
        tokenization=Tokenization(tokenizer, 32),
    )
    return AlumTrainer(
        model=model or classifier(vocab_size=len(tokenizer), dropout=0.0),
        args=measuring_config(
            folder,
            **{"per_device_train_batch_size": 2, "max_steps": 4, "adv_space": "text", "adv_method": "alum", **settings},
        ),
        train_dataset=rows,
        eval_dataset=rows,
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer),
        texts=row_texts if texts else None,
    )


def test_trainer_takes_the_step_of_the_texts_that_it_drew(tmp_path, tokenizer):
    settings = {
        "max_steps": 1,
        "optim": "sgd",
        "learning_rate": 0.5,
        "max_grad_norm": 0.0,
        "lr_scheduler_type": "constant",
    }
    trainer = trainer_of(tmp_path, tokenizer, per_device_train_batch_size=6, **settings)
    start = {name: value.clone() for name, value in weights(trainer).items()}
    trainer.train()

    model = classifier(vocab_size=len(tokenizer), dropout=0.0)
    model.load_state_dict(start)
    order = list(
        next(iter(trainer_of(tmp_path, tokenizer, per_device_train_batch_size=6, **settings).get_train_dataloader()))[
            "texts"
        ]
    )
    changes = RandomChanges(("typing", "deepwordbug"), 0.2)
    drawn = [changes(example, random.Random(f"42:0:{example}"))[0] for example in order]  # seed, step, row
    changed = tokenizer(drawn, padding=True, return_tensors="pt")
    batch = tokenizer([text for (text,) in order], padding=True, return_tensors="pt")
    labels = torch.tensor([[0, 1, 0, 1, 0, 1][TEXTS.index(text)] for (text,) in order])
    clean = model(**batch, labels=labels)
    (clean.loss + symmetric_kl(model(**changed).logits, clean.logits).mean()).backward()
    expected = {name: parameter - 0.5 * parameter.grad for name, parameter in model.named_parameters()}
    found = weights(trainer)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    "of_texts",
    [
        {},
        {"adv_text_changes": "subwords,typing", "adv_text_word_share": 0.6},
        {"adv_method": "alum_one_pass", "adv_text_draws": 3, "adv_text_choice": "gradient"},
    ],
)
def test_resumed_training_draws_the_same_texts(tmp_path, tokenizer, of_texts):
    settings = {"save_strategy": "steps", "save_steps": 2, "gradient_accumulation_steps": 2, **of_texts}
    whole = trainer_of(tmp_path / "whole", tokenizer, **settings)
    whole.train()
    resumed = trainer_of(tmp_path / "resumed", tokenizer, **settings)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(resumed)[name], value, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("space", "place"), [("embedding", "alum$"), ("text", "alum in the text$"), ("both", "embeddings and in the text$")]
)
def test_training_says_where_it_changes_the_input(tmp_path, tokenizer, space, place, capsys):
    trainer = trainer_of(tmp_path, tokenizer, adv_space=space, max_steps=1, disable_tqdm=False)
    use_own_console(trainer)
    trainer.train()
    shown = capsys.readouterr()
    assert re.search(place, shown.out.splitlines()[0])


def test_other_subwords_are_of_the_texts_of_the_rows(tmp_path, tokenizer):
    trainer = trainer_of(tmp_path, tokenizer, adv_text_changes="subwords", adv_text_word_share=0.9, max_steps=1)
    batches, seen = [], trainer._draw_texts
    trainer._draw_texts = lambda found: (seen(found), batches.extend(found))
    trainer.train()
    (batch,) = batches
    for ids, (drawn,) in zip(batch["input_ids"], batch["drawn_texts"]["input_ids"], strict=True):
        assert ids.tolist() != drawn.tolist()
        assert tokenizer.decode(ids, skip_special_tokens=True) == tokenizer.decode(drawn, skip_special_tokens=True)


def test_evaluation_sees_no_texts_and_logs_have_the_text_loss(tmp_path, tokenizer):
    trainer = trainer_of(tmp_path, tokenizer, logging_steps=1, adv_space="both", adv_text_draws=2)
    trainer.train()
    losses = [logs["text_loss"] for logs in trainer.state.log_history if "text_loss" in logs]
    assert len(losses) == 4
    assert min(losses) > 0
    assert any("adv_epsilon" in logs and "adversarial_gain" in logs for logs in trainer.state.log_history)
    assert "eval_loss" in trainer.evaluate()


def test_the_share_of_the_texts_that_were_changed_is_logged_and_most_unchanged_are_told_once(
    tmp_path, tokenizer, caplog
):
    with caplog.at_level(logging.WARNING, logger="alum"):
        trainer = trainer_of(tmp_path, tokenizer, logging_steps=1)
        trainer.train()
        assert not [record for record in caplog.records if "texts that it drew" in record.getMessage()]
        shares = [logs["changed_text_share"] for logs in trainer.state.log_history if "changed_text_share" in logs]
        assert shares == [1.0] * 4
        unknown = Resources(wordnet=lambda word: ())
        trainer = trainer_of(tmp_path, tokenizer, resources=unknown, adv_text_changes="synonyms", logging_steps=1)
        trainer.train()
    shares = [logs["changed_text_share"] for logs in trainer.state.log_history if "changed_text_share" in logs]
    assert shares == [0.0] * 4
    (told,) = (record.getMessage() for record in caplog.records if "texts that it drew" in record.getMessage())
    assert told.startswith("The adversary changed 0.0 % of the texts that it drew")


def test_what_is_of_the_perturbation_alone_is_not_logged_in_the_text(tmp_path, tokenizer):
    trainer = trainer_of(tmp_path, tokenizer, logging_steps=1)
    trainer.train()
    logged = {name for logs in trainer.state.log_history for name in logs}
    assert logged >= {"task_loss", "adversarial_loss", "text_loss", "adv_alpha"}
    assert not logged & {"adv_epsilon", "adversarial_gain", "adversarial_strength", "divergence", "perturbation_norm"}


def test_standard_steps_draw_nothing(tmp_path, tokenizer):
    late = trainer_of(tmp_path, tokenizer, adv_start_fraction=1.0, max_steps=2)
    late.train()
    standard = trainer_of(tmp_path, tokenizer, adv_method="standard", adv_space=None, max_steps=2)
    standard.train()
    for name, value in weights(standard).items():
        torch.testing.assert_close(weights(late)[name], value, rtol=0, atol=0)


def test_what_is_missing_or_idle_is_said(tmp_path, tokenizer):
    with pytest.raises(InputError, match=r"needs the texts of the training rows: give the trainer texts=RowTexts"):
        trainer_of(tmp_path, tokenizer, texts=False)
    with pytest.raises(InputError, match=r"the changes 'subwords' need to know the tokenizer: give RowTexts a"):
        RowTexts(("sentence",), lambda examples: {}).check(RandomChanges(["subwords"], 0.2))
    with pytest.raises(InputError, match=r"adv_text_choice gradient has no effect .* a single text is drawn"):
        config(tmp_path, adv_space="text", adv_text_choice="gradient")
    with pytest.raises(InputError, match=r"adv_text_choice cannot be 'gradient' with method 'alum'"):
        config(tmp_path, adv_method="alum", adv_space="text", adv_text_draws=2, adv_text_choice="gradient")
    with pytest.raises(InputError, match="adv_fraction must be 1 where texts are changed"):
        trainer_of(tmp_path, tokenizer, adv_fraction=0.5)
    with pytest.raises(InputError, match=r"adv_epsilon 0.1 has no effect .* changes the text, and no embeddings"):
        config(tmp_path, adv_space="text", adv_epsilon=0.1)
    with pytest.raises(InputError, match=r"adv_text_changes typing has no effect .* no text is changed"):
        config(tmp_path, adv_text_changes="typing")
    with pytest.raises(InputError, match="unknown kind of changes 'slang'"):
        config(tmp_path, adv_space="text", adv_text_changes="slang")


def test_page_on_texts_runs_as_it_is_written(tmp_path, monkeypatch, tokenizer):
    monkeypatch.chdir(tmp_path)
    classifier(vocab_size=len(tokenizer)).save_pretrained("pretrained")
    tokenizer.save_pretrained("pretrained")
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "text.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    found = {}
    exec(code, found)
    losses = [logs["text_loss"] for logs in found["trainer"].state.log_history if "text_loss" in logs]
    assert losses
    assert min(losses) > 0


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("alum", {"space": "text"}),
        ("alum", {"space": "both"}),
        ("alum_one_pass", {"space": "text", "text_draws": 2, "text_choice": "gradient"}),
        ("alum_one_pass", {"space": "both", "text_draws": 2, "text_choice": "gradient"}),
    ],
)
def test_step_whose_text_has_no_finite_outputs_is_skipped(name, settings):
    model, plain = (classifier(dropout=0.0) for _ in range(2))
    drawn = drawn_batch(settings.get("text_draws", 1))
    drawn["aligned"] = torch.arange(9).expand(2, drawn["input_ids"].shape[1], 2, 9) + torch.tensor([[0], [1]])
    for one in (model, plain):
        with torch.no_grad():
            one.get_input_embeddings().weight[63] = float("inf")
    drawn["input_ids"][:, :, 3] = 63
    inputs = {**token_batch(), "labels": LABELS}
    assert (inputs["input_ids"] != 63).all()
    result = AlumStep(model, name, **settings)({**inputs, "drawn_texts": drawn})
    plain(**inputs).loss.backward()
    assert (result.skipped, result.text_loss, result.adversarial_loss) == (1, 0, 0)
    torch.testing.assert_close(gradients(model), gradients(plain))
