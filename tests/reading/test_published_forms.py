"""Rows in the columns and files that people have them in, without a word about what these mean."""

import json

from reading_cases import Case, Read, check, parametrized

UNNAMED = {"text_columns": None, "label_column": None}
COMPLETION = {**UNNAMED, "kind": "causal_lm"}
MESSAGES = [
    [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}],
    [{"role": "system", "content": "be brief"}, {"role": "assistant", "content": "ok"}],
]


def jsonl(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def squad(*, indent=None):
    """Two paragraphs of an article, with a question that has two right answers, and one that has none."""
    first = {
        "context": "It stands in Paris, in France.",
        "qas": [
            {
                "id": "5733a",
                "question": "Where?",
                "answers": [{"text": "Paris", "answer_start": 13}, {"text": "in Paris", "answer_start": 10}],
                "is_impossible": False,
            }
        ],
    }
    second = {
        "context": "It is tall.",
        "qas": [
            {
                "id": "5ad1b",
                "question": "Since when?",
                "answers": [],
                "plausible_answers": [{"text": "tall", "answer_start": 6}],
                "is_impossible": True,
            }
        ],
    }
    article = {"title": "Tower", "paragraphs": [first, second]}
    return json.dumps({"version": "v2.0", "data": [article]}, indent=indent)


READ_SQUAD = Read(
    kind="question_answering",
    texts={"train": [["Where?", "Since when?"], ["It stands in Paris, in France.", "It is tall."]]},
    labels={"train": [["Paris", "in Paris"], []]},
    ids={"train": ["5733a", "5ad1b"]},
)
SQUAD_FILES = {"data_dir": None, "train_file": "train.json", "validation_file": "validation.json"}

FORMS = [
    Case(
        "prompts and completions",
        {"rows.jsonl": jsonl({"prompt": "1 + 1 =", "completion": "2"}, {"prompt": "2 + 1 =", "completion": "3"})},
        Read(kind="causal_lm", texts={"train": [["1 + 1 =", "2 + 1 ="]]}, labels={"train": ["2", "3"]}),
        settings=COMPLETION,
    ),
    Case(
        "prompts and completions that are numbers, in CSV",
        {"rows.csv": "prompt,completion\n1 + 1 =,2\n2 + 1 =,3\n"},
        Read(kind="causal_lm", labels={"train": ["2", "3"]}),
        settings=COMPLETION,
    ),
    Case(
        "instructions with inputs",
        {"rows.jsonl": jsonl({"instruction": "Add.", "input": "1, 1", "output": "2", "id": 1})},
        Read(texts={"train": [["Add."], ["1, 1"]]}, labels={"train": ["2"]}),
        settings=COMPLETION,
    ),
    Case(
        "instructions alone",
        {"rows.jsonl": jsonl({"instruction": "Say hi.", "output": "hi"})},
        Read(texts={"train": [["Say hi."]]}, labels={"train": ["hi"]}),
        settings=COMPLETION,
    ),
    Case(
        "messages",
        {"rows.jsonl": jsonl(*({"messages": messages} for messages in MESSAGES))},
        Read(kind="causal_lm", labels={"train": MESSAGES}),
        settings=COMPLETION,
    ),
    Case(
        "columns that nobody knows",
        {"rows.jsonl": jsonl({"question": "a", "reply": "b"})},
        refused="known by themselves are messages; prompt, completion; .* but the columns are question, reply",
        settings=COMPLETION,
    ),
    Case(
        "SQuAD as published",
        {"rows.json": squad()},
        READ_SQUAD,
        settings={**UNNAMED, **SQUAD_FILES, "task": "squad_v2"},
    ),
    Case(
        "SQuAD over several lines, by its kind",
        {"rows.json": squad(indent=1)},
        READ_SQUAD,
        settings={**UNNAMED, **SQUAD_FILES, "kind": "question_answering"},
    ),
    Case(
        "SQuAD without its contexts",
        {"rows.json": squad().replace('"context"', '"text"')},
        refused=r"train\.json: expected the articles of SQuAD, .* KeyError\('context'\)",
        settings={**UNNAMED, **SQUAD_FILES, "task": "squad"},
    ),
    Case(
        "one row in a file of its own",
        {"rows.json": '{\n "text": "a",\n "label": 0.5\n}\n'},
        Read(texts={"train": [["a"]]}),
        settings=SQUAD_FILES,
    ),
]


@parametrized(FORMS)
def test_what_people_have_is_read(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check(case, tmp_path)
