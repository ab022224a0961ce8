"""Cases of model folders: pickles in every place where one could lie, code, and kernels."""

from collections.abc import Callable, Sequence
from pathlib import Path

from safety.case import ATTACK, COMPARE, EVALUATE, FINETUNE, PRETRAIN, RADIUS, STUDY, Case, instead
from safety.hostile import update_json, write_module, write_pickle, write_torch

INDEX = "model.safetensors.index.json"
Spoil = Callable[[Path], None]


def _index_of_a_pickle(model: Path) -> None:
    (model / "model.safetensors").unlink()
    write_torch(model / "pytorch_model.bin")
    update_json(model / INDEX, {"metadata": {}, "weight_map": {"bert.x": "pytorch_model.bin"}})


def _index_of_a_pickle_elsewhere(model: Path) -> None:
    (model / "model.safetensors").unlink()
    write_pickle(model.parent / "x.safetensors")
    update_json(model / INDEX, {"metadata": {}, "weight_map": {"bert.x": "../x.safetensors"}})


def _index_of_a_pickle_by_another_name(model: Path) -> None:
    (model / "model.safetensors").unlink()
    write_torch(model / "model-1.safetensors")
    update_json(model / INDEX, {"metadata": {}, "weight_map": {"bert.x": "model-1.safetensors"}})


def _named_by_the_configuration(model: Path) -> None:
    write_torch(model / "adapter_model.bin")
    update_json(model / "config.json", {"transformers_weights": "adapter_model.bin"})


def _adapter(model: Path) -> None:
    write_torch(model / "adapter_model.bin")
    update_json(model / "adapter_config.json", {"peft_type": "LORA", "r": 1, "target_modules": ["query"]})


def _weights_alone(name: str) -> Spoil:
    def spoil(model: Path) -> None:
        (model / "model.safetensors").unlink()
        write_torch(model / name)

    return spoil


def _sharded_pickles_alone(model: Path) -> None:
    _weights_alone("pytorch_model-1.bin")(model)
    update_json(model / "pytorch_model.bin.index.json", {"weight_map": {"bert.x": "pytorch_model-1.bin"}})


def _link_to_a_pickle(model: Path) -> None:
    (model / "model.safetensors").unlink()
    write_torch(model.parent / "elsewhere.bin")
    (model / "model.safetensors").symlink_to(model.parent / "elsewhere.bin")


def _pickle_as(name: str) -> Spoil:
    def spoil(model: Path) -> None:
        write_pickle(model / name)

    return spoil


def _pickles_beside(*names: str) -> Spoil:
    def spoil(model: Path) -> None:
        for name in names:
            write_torch(model / name) if name.endswith((".bin", ".pt", ".pth")) else write_pickle(model / name)

    return spoil


def _code(model: Path) -> None:
    write_module(model / "modeling_own.py")
    classes = {"AutoConfig": "Config", "AutoModel": "Model", "AutoModelForSequenceClassification": "Model"}
    auto_map = {name: f"modeling_own.{of}" for name, of in classes.items()}
    update_json(model / "config.json", {"model_type": "own", "auto_map": auto_map})


def _code_of_a_known_model(model: Path) -> None:
    _code(model)
    update_json(model / "config.json", {"model_type": "bert"})


def _code_of_a_tokenizer(model: Path) -> None:
    write_module(model / "tokenization_own.py")
    auto_map = {"AutoTokenizer": ["tokenization_own.Tokenizer", "tokenization_own.Tokenizer"]}
    update_json(model / "tokenizer_config.json", {"auto_map": auto_map, "tokenizer_class": "Tokenizer"})


def _code_to_generate(model: Path) -> None:
    (model / "custom_generate").mkdir()
    write_module(model / "custom_generate" / "generate.py")


def _kernel(model: Path) -> None:
    update_json(model / "config.json", {"attn_implementation": "kernels-community/flash-attn"})


def _case(tried: str, spoil: Spoil, is_refused: bool, place: str = "model, weights") -> Case:
    def prepare(folder: Path) -> Sequence[str]:
        spoil(folder / "model")
        return FINETUNE

    return Case(place, tried, prepare, is_refused)


def _study(folder: Path) -> Sequence[str]:
    return STUDY


ROLES: dict[str, tuple[str, Sequence[str]]] = {
    "pretrain": ("model", PRETRAIN),
    "evaluate": ("classifier", EVALUATE),
    "attack": ("classifier", ATTACK),
    "attack, as masked_lm": ("model", [*ATTACK, "--attack", "masked_lm", "--masked_lm", "model"]),
    "attack, as similarity_model": (
        "model", [*ATTACK, "--attack", "deepwordbug", "--similarity_model", "model", "--min_similarity", "0.5"],
    ),
    "radius": ("classifier", RADIUS),
    "study": ("model", STUDY),
}  # fmt: skip


def _by_command(command: str) -> Case:
    model, words = ROLES[command]

    def prepare(folder: Path) -> Sequence[str]:
        _index_of_a_pickle(folder / model)
        return words

    return Case("model, weights", f"an index of shards names a pickle; alum {command}", prepare, is_refused=True)


def _compared_without_weights(folder: Path) -> Sequence[str]:
    _index_of_a_pickle(folder / "classifier")
    return COMPARE


def _named_tokenizer(folder: Path) -> Sequence[str]:
    write_pickle(folder / "classifier" / "tokenizer.json")
    return instead([word for word in PRETRAIN if word not in ("--model_name_or_path", "model")],
                   tokenizer_name="classifier", architecture="bert-tiny")  # fmt: skip


_BESIDE = ("pytorch_model.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "scaler.pt", "training_args.bin")

CASES = (
    _case("an index of shards names a pickle", _index_of_a_pickle, True),
    *map(_by_command, ROLES),
    _case("an index names a file outside of the folder", _index_of_a_pickle_elsewhere, True),
    _case("an index names a pickle called .safetensors", _index_of_a_pickle_by_another_name, True),
    _case("config.json names a pickle (transformers_weights)", _named_by_the_configuration, True),
    _case("an adapter of peft with adapter_model.bin", _adapter, True),
    *(
        _case(f"{name} alone", _weights_alone(name), True)
        for name in ("pytorch_model.bin", "weights.pt", "tf_model.h5", "flax_model.msgpack")
    ),
    _case("pytorch_model.bin.index.json and its shard alone", _sharded_pickles_alone, True),
    _case("model.safetensors is a pickle", _pickle_as("model.safetensors"), True),
    _case("model.safetensors is a link to a pickle", _link_to_a_pickle, True),
    _case("pickles of a Trainer beside model.safetensors", _pickles_beside(*_BESIDE), False),
    _case("pickles of TensorFlow, Flax and others beside it",
          _pickles_beside("tf_model.h5", "flax_model.msgpack", "model.ckpt.index", "model.pkl", "model.joblib"), False),
    _case("pickles in sub-folders", _pickles_beside("1_Pooling/pytorch_model.bin", "original/model.pth"), False),
    _case("tokenizer.json is a pickle", _pickle_as("tokenizer.json"), True, "model, tokenizer"),
    _case("tokenizer_config.json is a pickle", _pickle_as("tokenizer_config.json"), True, "model, tokenizer"),
    Case("model, tokenizer", "tokenizer.json is a pickle; alum pretrain --tokenizer_name", _named_tokenizer, True),
    _case("pickled vocabularies beside it", _pickles_beside("vocab.pkl", "vocab.bin", "tokenizer.pkl"), False,
          "model, tokenizer"),
    _case("config.json is a pickle", _pickle_as("config.json"), True, "model, configuration"),
    _case("generation_config.json is a pickle", _pickle_as("generation_config.json"), False, "model, configuration"),
    _case("attention by a kernel of the hub", _kernel, True, "model, configuration"),
    _case("a model's own code (auto_map)", _code, True, "model, code"),
    _case("own code of a type that transformers knows", _code_of_a_known_model, False, "model, code"),
    _case("a tokenizer's own code", _code_of_a_tokenizer, False, "model, code"),
    _case("code to generate with", _code_to_generate, False, "model, code"),
    Case("run", "an index of shards names a pickle; alum compare", _compared_without_weights, False),
)  # fmt: skip
