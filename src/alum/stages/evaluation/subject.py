"""One model on one suite: the records of its rows clean, with typing errors, under PGD, and under attacks on texts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from datasets import Dataset

from alum.attacks.embedding_pgd import EmbeddingPGD
from alum.attacks.text.base import Resources
from alum.attacks.text.candidates.typing_noise import with_typing_errors
from alum.attacks.text.protocol import AttackResult
from alum.attacks.text.searches.settings import Similarity
from alum.attacks.text.searches.side_by_side import run_searches
from alum.attacks.text.table import text_attack_named
from alum.data.table import Table
from alum.evaluation.attacked.kinds import (
    AttackableRow,
    TextVictim,
    attackable_rows,
    may_abstain_on,
    scores_of,
    victim_for,
)
from alum.evaluation.model_on_task import ModelOnTask
from alum.evaluation.row_records import ROW
from alum.evaluation.set_metrics import set_metric
from alum.evaluation.summary import SetMetrics
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.suite_data import SuiteData
from alum.tasks.base import Outputs
from alum.tasks.kinds.question_answering import QUESTION_ANSWERING
from alum.tasks.kinds.regression import REGRESSION, within_tolerance
from alum.tasks.labels import label_ids

Record = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """A model on a suite: ``data`` has the labels that the model's answers are given in."""

    name: str
    model: ModelOnTask
    data: SuiteData
    max_length_tokens: int
    arguments: EvaluateArguments

    def clean(self, table: Table) -> list[Record]:
        """Predictions and scores of the rows as they are."""
        features = self.features(table)
        return self._records(self.model.outputs(features), features, table)

    def mistyped(self, table: Table) -> list[Record]:
        """The same with typing errors; the contexts of questions, which hold the answers, stay as they are."""
        layout = self.data.layout
        columns = {name: table.column(name) for name in table.rows.column_names}
        for name in layout.text[:1] if self.data.kind is QUESTION_ANSWERING else layout.text:
            columns[name] = [
                with_typing_errors(text, self.arguments.typing_error_rate, self.arguments.seed)
                for text in table.texts(name)
            ]
        mistyped = Dataset.from_dict(columns, features=table.rows.features)
        return self.clean(Table(mistyped, table.where, table.numbers))

    def under_pgd(self, table: Table, epsilons: Sequence[float]) -> list[tuple[float, list[Record]]]:
        """The same under PGD, for each of the rising radii."""
        features = self.features(table)
        by_radius = zip(epsilons, self.model.outputs_by_radius(features, self.pgd, epsilons), strict=True)
        return [(epsilon, self._records(outputs, features, table)) for epsilon, outputs in by_radius]

    def attacked(
        self, table: Table, attack: str, similarity: Similarity | None, resources: Resources
    ) -> Iterator[Record]:
        """The records of an attack on texts, each as soon as it is known."""
        rows = attackable_rows(self.data.kind, table, self.data.layout, self.arguments.tolerance)
        unknown_word = self.model.tokenizer.unk_token
        settings = self.arguments.search_settings(rows[0].attacked_texts, unknown_word, similarity)
        search = text_attack_named(attack).search(settings, resources)
        searches = (search(row.example, row.goal, self.victim.characters_read(row.example)) for row in rows)
        for index, result in run_searches(self.victim, searches):
            yield {ROW: table.numbers[index], **self._of_attack(rows[index], result)}

    @cached_property
    def victim(self) -> TextVictim:
        kind, layout = self.data.kind, self.data.layout
        return victim_for(
            kind,
            self.model.model,
            self.model.tokenizer,
            self.max_length_tokens,
            self.model.batch_size,
            answers=self.model.answers or (),
            num_labels=len(layout.label_names),
            may_abstain=may_abstain_on(kind, self.data.table, layout),
        )

    def right_answers(self) -> dict[int, str]:
        """The right answer of each row in words, by the row's number."""
        table, layout, kind = self.data.table, self.data.layout, self.data.kind
        if layout.label_names:
            words = [layout.label_names[label] for label in label_ids(table, layout)]
        elif kind is REGRESSION:
            words = [f"{value:g}" for value in table.column(layout.label)]
        elif kind is QUESTION_ANSWERING:
            words = [" | ".join(dict.fromkeys(answer["text"])) or "no answer" for answer in table.column(layout.label)]
        else:
            words = [f"choice {int(label) + 1}" for label in table.column(layout.label)]
        return dict(zip(table.numbers, words, strict=True))

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
        """At the radius in the middle of the curve."""
        epsilons = sorted(self.arguments.epsilons)
        return replace(self.pgd, epsilon=epsilons[(len(epsilons) - 1) // 2])

    def features(self, table: Table) -> Dataset:
        return self.data.supervision.encode(table, self.data.layout, self.model.tokenizer, self.max_length_tokens)

    def set_metrics(self, table: Table, records: Sequence[Mapping[str, Any]]) -> SetMetrics | None:
        """Those of the suite's metrics that are no means over rows, of any of the rows; None if there are none."""
        names = [name for name in self.data.metrics or (self.data.main_metric,) if name not in records[0]["scores"]]
        if not names:
            return None
        layout = self.data.layout
        predictions = [record["prediction"] for record in records]
        if layout.label_names:
            found, gold = np.array([layout.label_names.index(name) for name in predictions]), label_ids(table, layout)
        else:
            found, gold = np.array(predictions), table.column(layout.label)
        right = np.array(gold)
        return lambda rows: {name: set_metric(name, right[list(rows)], found[list(rows)]) for name in names}

    def _records(self, outputs: Outputs, features: Dataset, table: Table) -> list[Record]:
        predictions = self.data.supervision.predict(outputs, features, table, self.data.layout)
        scores = self.data.supervision.row_scores(predictions, table, self.data.layout)
        if self.data.kind is REGRESSION:
            errors = scores.pop("squared_error")
            scores["within_tolerance"] = within_tolerance(errors, self.arguments.tolerance)
        return [
            {ROW: number, "prediction": prediction, "scores": {name: values[index] for name, values in scores.items()}}
            for index, (number, prediction) in enumerate(zip(table.numbers, predictions, strict=True))
        ]

    def _of_attack(self, row: AttackableRow, result: AttackResult) -> Record:
        before, after = (self._answer(outputs) for outputs in (result.clean_outputs, result.adversarial_outputs))
        return {
            "scores": scores_of(self.data.kind, result.adversarial_outputs, row.goal),
            "outcome": result.outcome,
            "num_queries": result.num_queries,
            "changed_share": len(result.changes) / max(result.num_words, 1),
            "original": list(result.original),
            "perturbed": list(result.perturbed),
            "changes": [
                {"text": change.place.text, "word": change.place.word, "old": change.old, "new": change.new}
                for change in result.changes
            ],
            "before": before[0],
            "after": after[0],
            "before_probabilities": before[1],
            "after_probabilities": after[1],
        }

    def _answer(self, outputs: Sequence[float]) -> tuple[str, dict[str, float] | None]:
        """The answer in words and, of a classifier, the probabilities of the labels."""
        names = self.data.layout.label_names
        if names:
            return names[max(range(len(outputs)), key=outputs.__getitem__)], dict(zip(names, outputs, strict=True))
        if self.data.kind is REGRESSION:
            return f"{outputs[0]:.3f}", None
        if self.data.kind is QUESTION_ANSWERING:
            return f"an answer of F1 {outputs[2]:.2f}", None
        return f"choice {max(range(len(outputs)), key=outputs.__getitem__) + 1}", None
