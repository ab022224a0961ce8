"""An example row of each published data set of `alum.tasks.sources.SOURCES`, made up here and in none of them."""

from collections.abc import Mapping
from typing import Any

_OPINION = "The pianist plays as if the piece had been written this morning."
_INFERENCE = ("Two cooks are arguing beside a stove.", "Somebody is in a kitchen.")
_PASSAGE = "The lighthouse was built in 1874 and rebuilt of stone after the storm of 1902."
_QUESTION = "When was the lighthouse rebuilt?"


def _row(names: str, *values: Any) -> Mapping[str, Any]:
    return dict(zip(names.split(), values, strict=True))


def _answered(question: str, *answers: str) -> Mapping[str, Any]:
    found = {"text": list(answers), "answer_start": [_PASSAGE.index(answer) for answer in answers]}
    return _row("id context question answers", "1", _PASSAGE, question, found)


_ENTAILED = _row("premise hypothesis label", *_INFERENCE, 0)
_DUPLICATES = _row(
    "question1 question2 label", "How do I keep basil alive?", "What does basil need so that it does not die?", 1
)
_ANSWERING = _row("question sentence label", _QUESTION, _PASSAGE, 0)
_ENTAILED_SENTENCES = _row("sentence1 sentence2 label", *_INFERENCE, 0)
_OPINION_OF_A_FILM = _row("text label", "The plot is thin, but the two leads make every scene of it worth while.", 1)
_ENDINGS = ("boils over.", "is a holiday.", "reads a map.", "is painted blue.")

EXAMPLE_ROWS: Mapping[str, Mapping[str, Any]] = {
    "cola": _row("sentence label", "The gardener watered the roses before she left.", 1),
    "sst2": _row("sentence label", _OPINION, 1),
    "mrpc": _row(
        "sentence1 sentence2 label", "The ferry leaves at nine.", "At nine o'clock the ferry departs from the pier.", 1
    ),
    "stsb": _row("sentence1 sentence2 label", "A dog runs on a beach.", "A dog is running along the shore.", 4.6),
    "qqp": _DUPLICATES,
    "mnli": _ENTAILED,
    "qnli": _ANSWERING,
    "rte": _ENTAILED_SENTENCES,
    "wnli": _row(
        "sentence1 sentence2 label", "The jar did not fit into the box as it was too small.", "The box was small.", 1
    ),
    "snli": _ENTAILED,
    "scitail": _row(
        "premise hypothesis label", "Salt lowers the temperature at which water freezes.",
        "Salted water freezes at a lower temperature.", "entails",
    ),
    "anli": _ENTAILED,
    "sick": _row("sentence_A sentence_B label", *_INFERENCE, 0),
    "imdb": _OPINION_OF_A_FILM,
    "squad": _answered(_QUESTION, "after the storm of 1902"),
    "squad_v2": _answered("Who painted the lighthouse?"),
    "swag": _row(
        "sent1 sent2 ending0 ending1 ending2 ending3 label",
        "Someone forgets a pot of milk on the stove.", "The milk", *_ENDINGS, 0,
    ),
    "hellaswag": _row(
        "ctx_a ctx_b endings label", "Someone forgets a pot of milk on the stove.", "the milk", list(_ENDINGS), "0"
    ),
    "codah": _row(
        "question_propmt candidate_answers correct_answer_idx",
        "The carpenter measured the board twice. She", ["sawed it once.", "ate it.", "flew away.", "sang to it."], 0,
    ),
    "copa": _row(
        "premise choice1 choice2 question label",
        "The pavement was wet.", "It had rained.", "The shop had closed.", "cause", 0,
    ),
    "conll2003": _row("tokens ner_tags", ["Amina", "Okoro", "flew", "to", "Lisbon", "."], [1, 2, 0, 0, 5, 0]),
    "wnut_17": _row("tokens ner_tags", ["back", "in", "Lisbon", "with", "amina"], [0, 0, 7, 0, 9]),
    "hans": _row(
        "premise hypothesis label", "The judge was thanked by the baker.", "The baker thanked the judge.", 0
    ),
    "breaking_nli": _row(
        "sentence1 sentence2 label", "A man holds a violin.", "A man holds a trumpet.", "contradiction"
    ),
    "cad_nli": _row("premise hypothesis label", *_INFERENCE, "entailment"),
    "adv_sst2": _row("sentence label", "The pianist pIays as if the piece had been writen this morning.", 1),
    "adv_qqp": _DUPLICATES,
    "adv_mnli": _ENTAILED,
    "adv_mnli_mismatched": _ENTAILED,
    "adv_qnli": _ANSWERING,
    "adv_rte": _ENTAILED_SENTENCES,
    "paws": _row(
        "sentence1 sentence2 label",
        "The train from Porto to Lisbon is late.", "The train from Lisbon to Porto is late.", 0,
    ),
    "cad_imdb": _OPINION_OF_A_FILM,
    "imdb_contrast": _OPINION_OF_A_FILM,
    "customer_reviews": _row("text label", "The battery lasts two days and charges in an hour.", 1),
    "squad_addsent": _answered(_QUESTION, "after the storm of 1902"),
    "squad_addonesent": _answered(_QUESTION, "after the storm of 1902"),
}  # fmt: skip
