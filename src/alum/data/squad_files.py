"""SQuAD as it is published: articles of paragraphs of questions, read as one row a question."""

from collections.abc import Iterator
from typing import Any


def is_squad(content: Any) -> bool:
    """Whether a JSON value is a file of SQuAD: an object whose ``data`` is a list of articles with paragraphs."""
    articles = content.get("data") if isinstance(content, dict) else None
    return (
        isinstance(articles, list)
        and bool(articles)
        and all(isinstance(one, dict) and isinstance(one.get("paragraphs"), list) for one in articles)
    )


def squad_rows(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows of a file of SQuAD, in the columns that the hub has: id, title, context, question, answers.

    Unanswerable questions (version 2.0) have no answers; answers that only seem plausible are left out. Raises
    `KeyError` and `TypeError` for what is no such file.
    """
    for article in content["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                answers = [] if question.get("is_impossible") else question.get("answers", [])
                yield {
                    "id": question["id"],
                    "title": article.get("title", ""),
                    "context": paragraph["context"],
                    "question": question["question"],
                    "answers": {
                        "text": [answer["text"] for answer in answers],
                        "answer_start": [answer["answer_start"] for answer in answers],
                    },
                }
