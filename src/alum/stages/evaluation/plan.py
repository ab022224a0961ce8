"""Plan of an evaluation: models, suites and attacks, checked against each other before anything is measured."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alum.attacks.text.base import GIVEN_BY, NAMED_BY, TextAttack
from alum.attacks.text.candidates.misspellings import Misspellings
from alum.attacks.text.table import TEXT_ATTACKS, text_attack_named
from alum.core.errors import InputError, unknown_name
from alum.evaluation.kinds.base import AttackedKind
from alum.evaluation.kinds.lookup import ATTACKED_KINDS
from alum.evaluation.measured_model import ModelSource
from alum.evaluation.scores.summary import AttackFamily
from alum.models.text_function import TextFunction
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.suite_data import SuiteData, SuiteSpec, load_suite
from alum.stages.runs.given import NOTHING, ROWS, Given

TYPING, MISSPELLINGS, PGD = "typing", "misspellings", "pgd"
NO_ATTACKS = "none"


@dataclass(frozen=True)
class PlannedAttack:
    """Attack of an evaluation with its settings, for PGD with its radii in rising order."""

    name: str
    family: AttackFamily
    source: str
    differs: str
    settings: dict[str, Any]
    may_change_label: bool = False

    def described(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class Plan:
    """Models, suites and attacks of an evaluation.

    ``models`` are paths by the names that they have in records and reports; the first is the baseline.
    """

    arguments: EvaluateArguments
    models: dict[str, str]
    suites: tuple[SuiteData, ...]
    attacks: tuple[PlannedAttack, ...]
    given: Given = NOTHING
    """Models among them, and rows of the suites, that were given in memory."""

    def sources(self) -> dict[str, ModelSource]:
        """Where the models come from by their names: memory, or else their paths."""
        given = self.given.models
        return {name: given.get(name) or self.arguments.checkpoint(path) for name, path in self.models.items()}

    def attacks_on(self, suite: SuiteData) -> tuple[PlannedAttack, ...]:
        chosen = self.arguments.attacked_suites
        return self.attacks if not chosen or suite.name in chosen else ()

    def digests(self) -> dict[str, str]:
        """Digest of each suite's rows by its name; a stopped evaluation resumes with the same rows only."""
        return {suite.name: _digest(suite) for suite in self.suites}


def plan_of(arguments: EvaluateArguments, given: Given = NOTHING) -> Plan:
    """Makes the plan of an evaluation and loads its suites, but no models.

    Models and rows that were ``given`` in memory stand in for paths of their names. Raises `InputError` for names,
    files and settings that cannot be used, or not together.
    """
    names = _attack_names(arguments)
    attacks = tuple(_attack(name, arguments) for name in names)
    text_attacks = [TEXT_ATTACKS[name] for name in names if name in TEXT_ATTACKS]
    effective = {MISSPELLINGS} & set(names)
    if text_attacks:
        effective.add("masked_lm")  # it says how well changed words fit, whatever attack has changed them
    arguments.check_resources(text_attacks, named=names, measured=effective)
    models = _models(arguments.model_name_or_path)
    specs = _suite_specs(arguments, given)
    columns = arguments.group_column, arguments.cluster_column
    suites = tuple(
        load_suite(spec, _named_columns(spec, specs, arguments), *columns, arguments.asked_answers) for spec in specs
    )
    names = [suite.name for suite in suites]
    if len(set(names)) < len(names):
        raise InputError(f"each suite needs a name of its own, but they are {', '.join(names)}: give NAME=PATH.")
    for name in arguments.attacked_suites:
        if name not in names:
            raise unknown_name("attacked suite", name, names)
    heads = {suite.evaluated.supervision.auto_class.__name__ for suite in suites}
    if len(heads) > 1:
        kinds = ", ".join(f"{suite.name} ({suite.evaluated.name})" for suite in suites)
        raise InputError(f"one model cannot be measured on suites of different kinds: {kinds}. Evaluate them apart.")
    plan = Plan(arguments, models, suites, attacks, given)
    for suite in suites:
        for name, source in given.models.items():
            if isinstance(source, TextFunction):
                _check_function(name, source, suite, plan)
        for attack in plan.attacks_on(suite):
            _check_fit(attack, suite)
        if arguments.adversarial_gain and not _has_losses(suite):
            raise InputError(
                f"the adversarial gain is of the loss of each row, but {suite.name} is {_kind_in_words(suite)}: leave "
                "--adversarial_gain out."
            )
    return plan


def _models(specs: Sequence[str]) -> dict[str, str]:
    """Paths or hub ids by name: the one given (``NAME=PATH``), or as much of the path's end as tells them apart."""
    named: dict[str, str] = {}
    for spec in specs:
        name, _, path = spec.partition("=")
        if not path or Path(spec).exists() or "/" in name:
            name, path = _short_name(spec, specs), spec
        if not name.strip():
            raise InputError(f"expected a model as a folder, an id or NAME=PATH, not {spec!r}: give it a name.")
        if name in named:
            raise InputError(f"two models are called {name}: name them apart, as NAME=PATH.")
        named[name] = path
    if not named:
        raise InputError("no model: give --model_name_or_path, one or more folders or hub ids.")
    return named


def _short_name(path: str, specs: Sequence[str]) -> str:
    parts = Path(path).parts[::-1]
    others = [Path(spec).parts[::-1] for spec in specs if spec != path]
    for count in range(1, len(parts) + 1):
        if all(other[:count] != parts[:count] for other in others):
            return "-".join(reversed(parts[:count])).strip("/-.") or path
    return path


def _suite_specs(arguments: EvaluateArguments, given: Given) -> list[SuiteSpec]:
    """Suites that are asked for, with their paths where known; the rows of ``--validation_file`` are one too."""
    specs = [SuiteSpec(name, table=table, is_named=name != ROWS) for name, table in given.tables.items()]
    for spec in map(SuiteSpec.parse, arguments.suites):
        if arguments.data_dir and spec.path is None:
            inside = [p for p in sorted(Path(arguments.data_dir).glob(f"{spec.name}*")) if p.stem == spec.name]
            if not inside and len(arguments.suites) > 1:
                raise InputError(
                    f"{arguments.data_dir} holds nothing called {spec.name}: expected a folder or file of each suite's "
                    "name, or give NAME=PATH."
                )
            spec = SuiteSpec(spec.name, str(inside[0] if inside else arguments.data_dir))
        specs.append(spec)
    if arguments.validation_file:
        specs.append(SuiteSpec.of_file(arguments.validation_file))
    if not specs:
        raise InputError("nothing to measure on: give --suites (alum suites lists them) or --validation_file.")
    return specs


def _named_columns(spec: SuiteSpec, specs: Sequence[SuiteSpec], arguments: EvaluateArguments) -> EvaluateArguments:
    """Arguments as they are for one of the suites: columns that they name are of the only one, or of the user's own."""
    named = [name for name in ("text_columns", "label_column", "choice_columns") if getattr(arguments, name)]
    if not named or len(specs) == 1 or spec.suite is None:
        return arguments
    if all(other.suite for other in specs):
        flags = " and ".join(f"--{name}" for name in named)
        raise InputError(
            f"{flags} would be of {', '.join(other.name for other in specs)} alike, whose columns are known: leave "
            "that out, or evaluate the suite with other columns alone."
        )
    none: dict[str, Any] = dict.fromkeys(named)
    return dataclasses.replace(arguments, **none)


def _attack_names(arguments: EvaluateArguments) -> list[str]:
    names = [name for word in arguments.attacks for name in word.split(",") if name]
    if NO_ATTACKS in names and set(names) != {NO_ATTACKS}:
        raise InputError(f"attacks {NO_ATTACKS} stands alone, not with others: leave it out of {', '.join(names)}.")
    return [name for name in dict.fromkeys(names) if name != NO_ATTACKS]


def _attack(name: str, arguments: EvaluateArguments) -> PlannedAttack:
    if name == TYPING:
        return PlannedAttack(
            name,
            "noise",
            "random typing errors: neighbouring keys, letters left out, doubled or swapped",
            "",
            {"error_rate": arguments.typing_error_rate, "seed": arguments.seed},
        )
    if name == MISSPELLINGS:
        if arguments.misspellings is None:
            raise InputError(f"the attack {name} needs {GIVEN_BY['misspellings']}.")
        listed = Misspellings(Path(arguments.misspellings))
        return PlannedAttack(
            name,
            "noise",
            "Belinkov & Bisk 2018, arXiv:1711.02173, natural noise: what people have written, from a list",
            "the paper misspells every word that its list has; here words of one letter, negations and numbers in "
            "figures stay",
            {
                "word_share": arguments.misspelled_word_share,
                "misspellings": arguments.misspellings,
                "digest": listed.digest,
                "seed": arguments.seed,
            },
        )
    if name == PGD:
        settings = {
            "epsilons": sorted(set(arguments.epsilons)),
            "num_steps": arguments.num_steps,
            "num_restarts": arguments.num_restarts,
            "seed": arguments.seed,
        }
        return PlannedAttack(
            name,
            "embedding",
            "Madry et al. 2018, arXiv:1706.06083, on word embeddings",
            "each token's vector moves in a ball of its own, relative to the mean length of the vectors of its text; "
            "raises log odds, and of three or more labels also the difference-of-logits ratio (Croce and Hein 2020, "
            "arXiv:2003.01690)",
            settings,
        )
    if name not in TEXT_ATTACKS:
        raise unknown_name("attack", name, [TYPING, MISSPELLINGS, PGD, *TEXT_ATTACKS, NO_ATTACKS])
    attack = text_attack_named(name)
    settings = {
        "max_changed_words": arguments.max_changed_words,
        "max_queries": arguments.max_queries,
        "min_similarity": arguments.least_similarity if arguments.similarity_model else None,
        "seed": arguments.seed,
    }
    settings |= {setting: getattr(arguments, setting) for setting in _settings_used(attack)}
    may_change_label = attack.may_change_label(arguments.bounds)
    return PlannedAttack(name, "text", attack.source, attack.differs, settings, may_change_label)


def _settings_used(attack: TextAttack) -> list[str]:
    """Settings that name what an attack does without but is bounded by where they are given."""
    return sorted(setting for need in attack.uses if (setting := NAMED_BY[need]) is not None)


def _check_fit(attack: PlannedAttack, suite: SuiteData) -> None:
    if whom := _attacked_by(attack, suite):
        raise InputError(
            f"{attack.name} attacks {whom}, but {suite.name} is {_kind_in_words(suite)}: leave it out, or name the "
            f"suites that it fits with --attacked_suites. For clean scores alone say --attacks {NO_ATTACKS}."
        )


def _attacked_by(attack: PlannedAttack, suite: SuiteData) -> str | None:
    """Words for what an attack attacks, where that is not what a suite has; else None."""
    if attack.family == "embedding":
        return None if _has_losses(suite) else "the loss of each row"
    if attack.family == "noise":
        return None if _has_typed_texts(suite) else "columns of text"
    if not isinstance(suite.evaluated, AttackedKind):
        return f"texts of {', '.join(ATTACKED_KINDS)}"
    if _needs_gradients(attack) and not suite.evaluated.has_gradients:
        return "classifiers"
    return None


def _check_function(name: str, function: TextFunction, suite: SuiteData, plan: Plan) -> None:
    """Checks what can be asked of a function from texts to probabilities; raises `InputError`."""
    if not suite.evaluated.takes_functions:
        raise InputError(
            f"{name} is a function from texts to probabilities of labels, but {suite.name} is {_kind_in_words(suite)}: "
            "give the model itself."
        )
    needing = [attack.name for attack in plan.attacks_on(suite) if _needs_gradients(attack)]
    needing += ["the adversarial gain"] if plan.arguments.adversarial_gain else []
    if needing:
        raise InputError(
            f"{', '.join(needing)}: expected a model, whose gradients are followed there, but {name} is a function "
            "from texts to probabilities, which gives none. Leave that out, or give the model itself."
        )
    if function.label_names is None and not suite.has_ordered_labels:
        raise InputError(
            f"the labels of {suite.name} are {', '.join(suite.rows.label_names)}, in no order that the columns of "
            f"{name} would follow: give the name of each column as label_names."
        )


def _needs_gradients(attack: PlannedAttack) -> bool:
    if attack.family == "text":
        return "gradients" in text_attack_named(attack.name).needs
    return attack.family == "embedding"


def _has_losses(suite: SuiteData) -> bool:
    return suite.evaluated.supervision.kind.example_losses is not None


def _has_typed_texts(suite: SuiteData) -> bool:
    columns, features = suite.evaluated.noisy_columns(suite.rows.layout), suite.rows.table.rows.features
    types = [getattr(features[column], "dtype", "") for column in columns]
    return bool(types) and all(one in ("string", "large_string") for one in types)


def _kind_in_words(suite: SuiteData) -> str:
    return suite.evaluated.name.replace("_", " ")


def _digest(suite: SuiteData) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for row in suite.rows.table.rows:
        digest.update(json.dumps(row, sort_keys=True, default=str).encode("utf-8", errors="surrogatepass"))
    return digest.hexdigest()
