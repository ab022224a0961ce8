"""Vectors of words for attacks that put in near ones, by an encoder of sentences.

    python -m studies.word_vectors runs/word-vectors.txt

MiniLM-L6 reads each word by itself. The words are those of Brown and of the movie reviews that occur five times or
more. They are not the counter-fitted vectors of the papers (Mrkšić et al. 2016, arXiv:1603.00892), which have to be
downloaded: nothing keeps antonyms apart here, and some are near.
"""

import argparse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from sentence_transformers import SentenceTransformer

from alum.attacks.text.worded import WordedText
from alum.data.writing import write_text
from benchmarks.places import DATA, minilm, needed

CORPORA = ("brown.txt", "movie_reviews.txt")
MIN_COUNT = 5


def words_of(texts: Iterable[str]) -> list[str]:
    """Words of letters that occur `MIN_COUNT` times or more in the texts, in small letters, the commonest first."""
    counts = Counter(word for text in texts for word in WordedText.of(text.casefold()).words if word.isalpha())
    return [word for word, count in counts.most_common() if count >= MIN_COUNT]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    file: Path = parser.parse_args().file
    folder = needed(DATA / "corpora")
    words = words_of((folder / name).read_text(encoding="utf-8") for name in CORPORA)
    encoder = SentenceTransformer(minilm(), device="cpu")
    vectors = encoder.encode(words, batch_size=256, normalize_embeddings=True, show_progress_bar=True)
    lines = (
        f"{word} {' '.join(f'{value:.5f}' for value in vector)}\n" for word, vector in zip(words, vectors, strict=True)
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, "".join(lines))


if __name__ == "__main__":
    main()
