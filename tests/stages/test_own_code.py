"""Models with code of their own in every stage: where it is trusted they are like any other, else they are refused."""

import json
import shutil

import pytest
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification

from alum.core.errors import InputError
from alum.models.checkpoint import Checkpoint
from alum.stages.evaluation.arguments import AttackArguments, EvaluateArguments
from alum.stages.evaluation.attack import attack
from alum.stages.evaluation.run import evaluate
from alum.stages.finetuning.run import finetune
from alum.stages.pretraining.run import pretrain
from own_code import save_with_own_code
from tiny_stages import finetune_arguments, finetune_config, pretrain_arguments, pretrain_config

TRUSTED = {"trust_remote_code": True}
REFUSED = r"comes with code of its own, which runs only where it is trusted: .* --trust_remote_code true\.$"
TEXT = "the gentle cat sees the lovely dog ."


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return save_with_own_code(tmp_path_factory.mktemp("models") / "own")


@pytest.fixture(scope="module")
def finetuned_own(own, opinions_folder, tmp_path_factory):
    config = finetune_config(tmp_path_factory.mktemp("runs") / "finetuned", adv_layer="1")
    return finetune(finetune_arguments(own, opinions_folder, **TRUSTED), config)


def with_heads(own, folder, *heads):
    """A copy whose configuration says that the code has these heads; with none the model is a plain BERT."""
    shutil.copytree(own, folder)
    config = json.loads((folder / "config.json").read_text())
    names = {"AutoConfig": config["auto_map"]["AutoConfig"], **dict.fromkeys(heads, "modeling_own.Any")}
    changed = {"auto_map": names} if heads else {"auto_map": {}, "model_type": "bert"}
    (folder / "config.json").write_text(json.dumps({**config, **changed}))
    return folder


def test_it_is_fine_tuned_as_the_same_model_without_its_code(finetuned_own, own, opinions_folder, tmp_path):
    plain = finetune_arguments(with_heads(own, tmp_path / "plain"), opinions_folder)
    assert finetuned_own.metrics == finetune(plain, finetune_config(tmp_path / "run", adv_layer="1")).metrics
    saved = Checkpoint(finetuned_own.output_dir, trust_remote_code=True)
    assert type(saved.trained_model(AutoModelForSequenceClassification)).__name__ == "OwnForSequenceClassification"


@pytest.mark.parametrize("layer", ["word", "1"])
def test_it_is_not_fine_tuned_unasked(layer, own, opinions_folder, tmp_path):
    with pytest.raises(InputError, match=REFUSED):
        finetune(finetune_arguments(own, opinions_folder), finetune_config(tmp_path / "run", adv_layer=layer))
    assert not (tmp_path / "run").exists()


def test_it_is_pre_trained(own, text, tmp_path):
    config = pretrain_config(tmp_path / "run", max_steps=2, adv_layer="1")
    result = pretrain(pretrain_arguments(text, model_name_or_path=str(own), **TRUSTED), config)
    assert result.objective == "masked_lm"
    saved = Checkpoint(result.output_dir, trust_remote_code=True)
    assert type(saved.trained_model(AutoModelForMaskedLM)).__name__ == "OwnForMaskedLM"


def test_it_is_not_pre_trained_unasked(own, text, tmp_path):
    with pytest.raises(InputError, match=REFUSED):
        pretrain(pretrain_arguments(text, model_name_or_path=str(own)), pretrain_config(tmp_path / "run"))


def test_it_is_pre_trained_for_what_it_has_a_head_for(own, text, tmp_path):
    def refused(message, model, objective):
        arguments = pretrain_arguments(text, model_name_or_path=str(model), objective=objective, **TRUSTED)
        with pytest.raises(InputError, match=rf"\(small_and_own\) {message}"):
            pretrain(arguments, pretrain_config(tmp_path / "run"))

    refused("can be trained with objective masked_lm, not causal_lm", own, "causal_lm")
    causal = with_heads(own, tmp_path / "causal", "AutoModelForCausalLM")
    refused("can be trained with objective causal_lm, not masked_lm", causal, "masked_lm")
    refused("cannot be pre-trained here", with_heads(own, tmp_path / "encoder", "AutoModel"), None)


def evaluated(model, rows, **settings):
    return evaluate(
        EvaluateArguments(
            model_name_or_path=[str(model)],
            validation_file=str(rows / "validation.jsonl"),
            text_columns="text",
            label_column="label",
            max_attacked_samples=2,
            check_gradient_masking=False,
            **settings,
        )
    )


def test_it_is_evaluated_and_helps_to_attack(finetuned_own, own, opinions_folder):
    helpers = {"masked_lm": str(own), "similarity_model": str(own)}
    attacks = ["pgd", "hotflip", "masked_lm"]
    result = evaluated(finetuned_own.output_dir, opinions_folder, attacks=attacks, **helpers, **TRUSTED)
    assert result.score("accuracy") == finetuned_own.metrics["accuracy"]


def test_it_is_not_evaluated_unasked(finetuned_own, opinions_folder):
    with pytest.raises(InputError, match=REFUSED):
        evaluated(finetuned_own.output_dir, opinions_folder, attacks=["none"])


def test_it_is_attacked_with_the_help_of_such_models(finetuned_own, own):
    settings = {"attack": "masked_lm", "masked_lm": str(own), "similarity_model": str(own), "min_similarity": -1.0}
    outcome = attack(AttackArguments(model_name_or_path=finetuned_own.output_dir, text=TEXT, **settings, **TRUSTED))
    assert outcome.model == finetuned_own.output_dir
    assert outcome.result.num_queries > 1


@pytest.mark.parametrize("role", ["model_name_or_path", "masked_lm", "similarity_model"])
def test_nothing_of_it_runs_in_an_attack_unasked(role, finetuned, own):
    settings = {"model_name_or_path": finetuned.output_dir, "attack": "masked_lm", role: str(own)}
    with pytest.raises(InputError, match=REFUSED):
        attack(AttackArguments(text=TEXT, **{"masked_lm": finetuned.output_dir, **settings}))
