from alum.attacks.text.candidates.word_vectors import WordVectors
from studies import word_vectors


def test_words_are_those_that_occur_often_enough():
    texts = ["The film, the FILM.", "the plot 42 don't"] * word_vectors.MIN_COUNT + ["a film"]
    assert word_vectors.words_of(texts) == ["the", "film", "plot"]


def test_the_file_is_one_of_word_vectors(tmp_path, monkeypatch):
    class Encoder:
        def __init__(self, name, device):
            pass

        def encode(self, words, **settings):
            return [[float(len(word)), 1.0] for word in words]

    (tmp_path / "corpora").mkdir()
    for name in word_vectors.CORPORA:
        (tmp_path / "corpora" / name).write_text("film plot a\n" * word_vectors.MIN_COUNT)
    monkeypatch.setattr(word_vectors, "DATA", tmp_path)
    monkeypatch.setattr(word_vectors, "minilm", lambda: "")
    monkeypatch.setattr(word_vectors, "SentenceTransformer", Encoder)
    monkeypatch.setattr("sys.argv", ["word_vectors", str(tmp_path / "made" / "vectors.txt")])
    word_vectors.main()
    vectors = WordVectors(tmp_path / "made" / "vectors.txt")
    assert vectors.near("film", 2, 0.9) == ("plot",)
