"""One model on one suite, measured row by row: clean, mistyped, misspelled, under PGD, under attacks on texts."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from datasets import Dataset

from alum.attacks.embedding_pgd import EmbeddingPGD
from alum.attacks.text.base import Resources
from alum.attacks.text.protocol import AttackResult
from alum.attacks.text.random_changes import RandomChanges
from alum.attacks.text.searches.gradients import Gradients
from alum.attacks.text.searches.side_by_side import run_searches
from alum.attacks.text.table import text_attack_named
from alum.attacks.text.typing_noise import with_typing_errors
from alum.evaluation.function_on_task import FunctionOnTask
from alum.evaluation.kinds.base import AttackableRow, AttackedKind, TextVictim
from alum.evaluation.kinds.lookup import attacked_kind
from alum.evaluation.model_on_task import ModelOnTask
from alum.evaluation.scores.measured_calibration import with_logits
from alum.evaluation.scores.row_records import ROW
from alum.evaluation.validity.kept_meaning import KeptMeaning
from alum.reports.exports import entries_of
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.suite_data import SuiteData
from alum.tasks.base import GatheredOutputs, first_output
from alum.tasks.rows import TaskRows

Record = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """Model to be measured on a suite; ``data`` is the suite, in the labels that the model's answers are given in."""

    name: str
    model: ModelOnTask | FunctionOnTask
    data: SuiteData
    arguments: EvaluateArguments

    def clean(self, rows: TaskRows) -> list[Record]:
        """Predicts and scores rows as they are, without an attack."""
        features = self.model.features(rows)
        return self._records(self.model.outputs(features), features, rows)

    def mistyped(self, rows: TaskRows) -> list[Record]:
        """Predicts and scores rows with random typing errors in the texts that a user would type."""
        rate, seed = self.arguments.typing_error_rate, self.arguments.seed
        return self._noisy(rows, lambda text: with_typing_errors(text, rate, seed))

    def misspelled(self, rows: TaskRows, resources: Resources) -> list[Record]:
        """Predicts and scores rows with misspellings from a list, drawn at random, in the texts of a user."""
        changes = RandomChanges(["misspellings"], self.arguments.misspelled_word_share, resources)
        seed = self.arguments.seed
        return self._noisy(rows, lambda text: changes((text,), random.Random(f"{seed}:{text}"))[0])

    def under_pgd(self, rows: TaskRows, epsilons: Sequence[float]) -> list[tuple[float, list[Record]]]:
        """Predicts and scores rows under PGD on their embeddings at each radius; ``epsilons`` must rise."""
        model = self.with_gradients
        features = model.features(rows)
        by_radius = zip(epsilons, model.outputs_by_radius(features, self.pgd, epsilons), strict=True)
        return [(epsilon, self._records(outputs, features, rows)) for epsilon, outputs in by_radius]

    def attacked(self, rows: TaskRows, attack: str, meaning: KeptMeaning, resources: Resources) -> Iterator[Record]:
        """Attacks the texts of rows, and yields the record of each as soon as its search ends.

        The similarity that ``meaning`` is measured by bounds the attack, too.

        Outputs are kept for these rows alone, so that what was measured before them, or was not, changes no digit.
        """
        attackable = self.attacked_kind.attackable_rows(rows, self.arguments.tolerance)
        settings = self.arguments.search_settings(
            attackable[0].attacked_texts, self.model.unknown_word, meaning.similarity
        )
        search = text_attack_named(attack).search(settings, resources)
        victim = self.model.victim(self.data.rows)
        searches = (search(row.example, row.goal, victim.characters_read(row.example)) for row in attackable)
        labels = self.attacked_kind.right_labels(rows) if self.attacked_kind.chooses_label else None
        for index, result in run_searches(victim, searches):
            row = attackable[index]
            record = {
                ROW: rows.numbers[index],
                **self._of_attack(row, result),
                **meaning.of(result, row.attacked_texts),
            }
            if labels is not None:
                record = with_logits(record, self.logits_victim([result.perturbed])[0], labels[index])
            yield record

    @property
    def with_gradients(self) -> ModelOnTask:
        """Model for measures that follow its gradients; the plan has refused them for functions."""
        assert isinstance(self.model, ModelOnTask)
        return self.model

    @cached_property
    def attacked_kind(self) -> AttackedKind:
        """Kind of the suite's task, for attacks on texts; raises `InputError` for kinds whose texts none can change."""
        return attacked_kind(self.data.evaluated.supervision)

    @cached_property
    def logits_victim(self) -> TextVictim:
        """Victim with logits as its outputs, for kinds that choose one label."""
        return self.model.logits_victim()

    def gradients(self) -> Gradients:
        """Gradients that attacks on texts follow."""
        model = self.with_gradients
        return self.attacked_kind.gradients(model.text_model, model.mapping)

    def right_answers(self) -> dict[int, str]:
        """Right answer of each row in words, by the row's number."""
        rows = self.data.rows
        return dict(zip(rows.numbers, self.attacked_kind.right_answers(rows), strict=True))

    @property
    def pgd(self) -> EmbeddingPGD:
        arguments = self.arguments
        return EmbeddingPGD(
            epsilon=max(arguments.epsilons),
            num_steps=arguments.num_steps,
            num_restarts=arguments.num_restarts,
            seed=arguments.seed,
        )

    @property
    def middle_pgd(self) -> EmbeddingPGD:
        """PGD at the middle one of the radii that are measured."""
        epsilons = sorted(self.arguments.epsilons)
        return replace(self.pgd, epsilon=epsilons[(len(epsilons) - 1) // 2])

    def _noisy(self, rows: TaskRows, noise: Callable[[str], str]) -> list[Record]:
        """Predicts and scores rows after noise in the texts that a user would type."""
        columns = {
            name: [noise(text) for text in rows.table.texts(name)]
            for name in self.data.evaluated.noisy_columns(rows.layout)
        }
        return self.clean(rows.with_columns(columns))

    def _records(self, outputs: GatheredOutputs, features: Dataset, rows: TaskRows) -> list[Record]:
        evaluated = self.data.evaluated
        predictions = evaluated.supervision.predict(outputs, features, rows)
        scores = evaluated.row_scores(predictions, rows, self.arguments.tolerance)
        records: list[Record] = [
            {ROW: number, "prediction": prediction, "scores": {name: values[index] for name, values in scores.items()}}
            for index, (number, prediction) in enumerate(zip(rows.numbers, predictions, strict=True))
        ]
        if not evaluated.chooses_label:
            return records
        of_rows = zip(records, first_output(outputs), evaluated.right_labels(rows), strict=True)
        return [with_logits(record, logits, label) for record, logits, label in of_rows]

    def _of_attack(self, row: AttackableRow, result: AttackResult) -> Record:
        kind, names = self.attacked_kind, self.data.rows.label_names
        before, after = (kind.answer(outputs, names) for outputs in (result.clean_outputs, result.adversarial_outputs))
        return {
            "scores": kind.attack_scores(result.adversarial_outputs, row.goal),
            "outcome": result.outcome,
            "num_queries": result.num_queries,
            "changed_share": len(result.changes) / max(result.num_words, 1),
            "original": list(result.original),
            "perturbed": list(result.perturbed),
            "changes": entries_of(result.changes),
            "before": before[0],
            "after": after[0],
            "before_probabilities": before[1],
            "after_probabilities": after[1],
        }
