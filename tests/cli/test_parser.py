import pytest

from alum.cli.parser import CommandParser
from alum.core.errors import InputError
from alum.stages.evaluation.arguments import AttackArguments, EvaluateArguments
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.pretraining.arguments import PretrainArguments
from alum.stages.pretraining.config import PretrainConfig


@pytest.fixture
def parse(tmp_path):
    """Settings of ``alum pretrain``, as one dict, from a YAML file's text and flags."""

    def parse(yaml, flags=""):
        argv = flags.split()
        if yaml is not None:
            (tmp_path / "run.yaml").write_text(yaml)
            argv = ["--config", str(tmp_path / "run.yaml"), *argv]
        parsed = CommandParser("pretrain", (PretrainArguments,), PretrainConfig).parse(argv)
        return {name: value for settings in parsed for name, value in vars(settings).items()}

    return parse


@pytest.mark.parametrize(
    ("setting", "yaml", "flags", "expected"),
    [
        ("learning_rate", None, "", 1e-4),
        ("learning_rate", "learning_rate: 3e-4", "", 3e-4),
        ("learning_rate", "learning_rate: 0.0003", "--learning_rate 5e-4", 5e-4),
        ("max_steps", "max_steps: -1", "", -1),
        ("use_cpu", None, "", False),
        ("use_cpu", None, "--use_cpu", True),
        ("use_cpu", "use_cpu: true", "", True),
        ("use_cpu", "use_cpu: true", "--use_cpu false", False),
        ("save_strategy", "save_strategy: no", "", "no"),
        ("logging_strategy", "logging_strategy: no", "", "no"),
        ("adv_dropout", "adv_dropout: off", "", "off"),
        ("train_file", None, "", []),
        ("train_file", "train_file: one.txt", "", ["one.txt"]),
        ("train_file", "train_file: [one.txt, two.txt]", "", ["one.txt", "two.txt"]),
        ("train_file", "train_file: [one.txt, two.txt]", "--train_file three.txt", ["three.txt"]),
        ("validation_file", "validation_file:", "", []),  # no value: the default
        ("adv_method", None, "", "alum_one_pass"),
        ("adv_method", "adv_method: alum", "", "alum"),
        ("adv_method", "adv_method: alum", "--adv_method pgd", "pgd"),
        ("adv_layer", "adv_layer: 1", "", "1"),
        ("adv_epsilon", None, "", None),
        ("adv_epsilon", "adv_epsilon: 0.1", "--adv_epsilon=0.2", 0.2),
        ("output_dir", "output_dir: a folder", "", "a folder"),
        ("lr_scheduler_kwargs", "lr_scheduler_kwargs: {num_cycles: 2}", "", {"num_cycles": 2}),
    ],
)
def test_flags_win_over_the_file_and_the_file_over_the_defaults(parse, setting, yaml, flags, expected):
    assert parse(yaml, flags)[setting] == expected


def test_the_place_of_the_config_flag_does_not_matter(parse, tmp_path):
    (tmp_path / "run.yaml").write_text("seed: 1\nvocab_size: 300")
    settings = parse(None, f"--seed 2 --config={tmp_path / 'run.yaml'}")
    assert (settings["seed"], settings["vocab_size"]) == (2, 300)


@pytest.mark.parametrize(
    ("yaml", "flags", "message"),
    [
        ("learning_rat: 1", "", r"run\.yaml: unknown key learning_rat\. Did you mean learning_rate\?"),
        ("xyzzy: 1", "", r"run\.yaml: unknown key xyzzy\. See alum pretrain --help"),
        (None, "--adv_metod alum", r"unknown flag --adv_metod\. Did you mean --adv_method\?"),
        (None, "--adv_metod=alum", r"unknown flag --adv_metod\. Did you mean --adv_method\?"),
        (None, "--adv_meth alum", r"unknown flag --adv_meth\."),  # no abbreviations
        (None, "--adv_text_changes typing homoglyphs", r"'homoglyphs' is one word too many: .*typing,homoglyphs, and"),
        (None, "--adv_text_changes typing, homoglyphs", r"'homoglyphs' is one word too many: .*typing,homoglyphs, and"),
        (None, "homoglyphs", r"'homoglyphs' belongs to no flag: expected --FLAG VALUE"),
        ("- one\n- two", "", r"run\.yaml: expected lines of the form 'name: value', not list"),
        ("learning_rate: [", "", r"run\.yaml is not YAML: .*line"),
        ("seed: many", "", r"--seed: invalid int value: 'many'"),
        (None, "--config", "--config expects a YAML file"),
        (None, "--config missing.yaml", r"no file at missing\.yaml"),
        (None, "--use_cpu maybe", "--use_cpu.*maybe"),
        (None, "--adv_norm l3", r"invalid choice: 'l3' \(choose from 'l2', 'linf'\)"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_nearest_name(parse, yaml, flags, message):
    with pytest.raises(InputError, match=message) as error:
        parse(yaml, flags)
    assert "\n" not in str(error.value)


def test_what_must_be_given_is_named():
    with pytest.raises(InputError, match=r"required: --model_name_or_path.*See alum evaluate --help"):
        CommandParser("evaluate", (EvaluateArguments,)).parse([])


@pytest.mark.parametrize("words", ["--lerning_rate 3", "--lerning_rate=3", "--seed many --lerning_rate 3"])
def test_an_unknown_flag_is_named_before_a_missing_one(words):
    with pytest.raises(InputError, match=r"unknown flag --lerning_rate\. Did you mean --learning_rate\?"):
        CommandParser("finetune", (FinetuneArguments,), FinetuneConfig).parse(words.split())


def test_a_text_may_begin_with_two_hyphens():
    words = ["--model_name_or_path", "a", "--text", "--no, said he"]
    (arguments,) = CommandParser("attack", (AttackArguments,)).parse(words)
    assert arguments.text == "--no, said he"
