"""Instruction tuning by TRL's SFTTrainer with the adversary, and how often its answers are then right.

Runs offline in seconds, on made-up questions and a tiny Llama: python examples/trl_sft.py
Needs TRL: pip install 'alum[trl]'.
"""

import tempfile
from dataclasses import dataclass

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed
from trl import SFTConfig, SFTTrainer

from alum import AlumConfig, AlumMixin

CAPITALS = {"italy": "rome", "france": "paris", "spain": "madrid", "norway": "oslo", "egypt": "cairo", "peru": "lima"}
ASKED = ["the capital of {} is", "name the capital of {} :", "{} has its capital in"]


@dataclass
class AlumSFTConfig(SFTConfig, AlumConfig):
    """Settings of both: TRL's and, with the prefix adv_, the adversary's."""


class AlumSFTTrainer(AlumMixin, SFTTrainer):
    """TRL's trainer, made adversarial: the mix-in comes first."""


def tokenizer_of(texts: list[str]) -> PreTrainedTokenizerFast:
    """Makes a tokenizer whose tokens are the words of the texts."""
    words = ["[PAD]", "[EOS]", "[UNK]", *sorted({word for text in texts for word in text.split()})]
    by_words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    by_words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=by_words, pad_token="[PAD]", eos_token="[EOS]", unk_token="[UNK]", model_max_length=32
    )


def main() -> None:
    set_seed(0)
    rows = [
        {"prompt": asked.format(country), "completion": f" {capital}"}
        for country, capital in CAPITALS.items()
        for asked in ASKED
    ]
    tokenizer = tokenizer_of([row["prompt"] + row["completion"] for row in rows])
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), pad_token_id=0, eos_token_id=1, **size))
    with tempfile.TemporaryDirectory() as folder:
        args = AlumSFTConfig(
            output_dir=folder,
            adv_method="alum_virtual",
            num_train_epochs=16,
            learning_rate=1e-2,
            per_device_train_batch_size=6,
            logging_steps=48,
            save_strategy="no",
            report_to="none",
            bf16=False,
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = AlumSFTTrainer(
            model=model, args=args, train_dataset=Dataset.from_list(rows), processing_class=tokenizer
        )
        trainer.train()
    model.eval()
    right = 0
    for row in rows:
        ids = tokenizer(row["prompt"], return_tensors="pt")["input_ids"]
        with torch.no_grad():
            right += tokenizer.decode(model(ids).logits[0, -1].argmax()) == row["completion"].strip()
    print(f"accuracy {right / len(rows):.2f}")


if __name__ == "__main__":
    main()
