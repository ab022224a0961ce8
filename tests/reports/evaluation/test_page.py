import base64
import hashlib
import json
import re
import stat
from html.parser import HTMLParser

import pytest

from alum.core.errors import InputError
from alum.reports.evaluation import figures
from alum.reports.evaluation.page import evaluation_page, write_evaluation_page
from evaluation_results import MODELS, evaluation_results, example, results_of_many
from small_files import fill_disk, umask

HOSTILE = """"'><img src=x onerror="window.hacked=1"><!-- </script><script>window.hacked=2</script>\u2028{{ 7*7 }}"""
VOID = {"meta", "img", "br", "link", "input", "hr"}


@pytest.fixture(autouse=True, scope="module")
def charts_drawn_once():
    """Most tests have the same charts on their pages, and a tenth of a second of each goes into drawing."""

    def once(draw):
        drawn = {}

        def drawn_once(*data, **settings):
            key = repr((data, settings))
            return drawn[key] if key in drawn else drawn.setdefault(key, draw(*data, **settings))

        return drawn_once

    with pytest.MonkeyPatch.context() as patch:
        for name in ("curves_chart", "dots_chart", "ranking_chart", "reliability_chart"):
            patch.setattr(figures, name, once(getattr(figures, name)))
        yield


class Elements(HTMLParser):
    """Elements with their attributes and text, and whether each that is opened is closed."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs), []))
        if tag not in VOID:
            self.open.append(len(self.found) - 1)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs), []))

    def handle_endtag(self, tag):
        assert self.found[self.open.pop()][0] == tag

    def handle_data(self, data):
        for index in self.open:
            self.found[index][2].append(data)

    def texts(self, tag, **attrs):
        return [
            " ".join("".join(text).split())
            for name, found, text in self.found
            if name == tag and all(found.get(key) == value for key, value in attrs.items())
        ]

    def attributes(self, tag):
        return [found for name, found, _ in self.found if name == tag]


def page(**changes):
    return Elements(evaluation_page({**evaluation_results(), **changes}))


def spoiled(value):
    """Every text of a record followed by what a page must not obey, but for the words that a format fixes."""
    fixed = {"noise", "embedding", "text", "mcnemar", "paired_bootstrap", "gradient_masking", "succeeded", "failed"}
    fixed |= {"accuracy", "robust_accuracy", "attack_success_rate", "changed_word_share", "mean_queries"}
    if isinstance(value, str):
        return value if value in fixed else value + HOSTILE
    if isinstance(value, list):
        return list(map(spoiled, value))
    if isinstance(value, dict):
        return {key: spoiled(part) for key, part in value.items()}
    return value


def test_the_page_says_what_the_record_holds():
    found = page()
    assert found.texts("h1") == ["standard, alum and alum_one_pass under attack"]
    assert found.texts("dd")[0].startswith("Accuracy is 76.0 % (73–79) without an attack and")
    assert found.open == []
    tables = found.texts("table")
    assert "clean 200 rows 90.5 %86.4–94.6 91.2 %87.3–95.1 ★highest: 91.8 %88.0–95.6" in tables[0]
    assert any("hans" in table and "better +4.5" in table and "+1.0 to +8.0p = 0.035" in table for table in tables)
    assert "✗ failed alum_one_pass on hans" in found.texts("summary")
    text = " ".join(found.texts("main"))
    for source in ("arXiv:1801.04354", "Apache 2.0", "McCoy et al. 2019", "torch", "2.13.0", "max_eval_samples"):
        assert source in text


def test_gains_are_a_section_if_there_are_any():
    (table,) = [table for table in page().texts("table") if "alum_released" in table and "perturbation of" in table]
    assert "alum_released3.0e-060.94" in table
    assert "alum_paper8.0e-10below rounding" in table
    assert "Adversarial gain" not in page(gains=[]).texts("h2")


def test_calibration_is_a_table_and_charts_of_the_clean_and_the_strongest_condition():
    found = page()
    tables = [table for table in found.texts("table") if "Brier score" in table]
    assert len(tables) == 3
    # Wrong are 9.5 %: 3 · .095 + .12, and 3 · .095 + .06 after the temperature.
    assert "standard 1.6 0.4050.190–0.500 0.3450.190–0.440 0.1900.095–0.200" in tables[0]
    assert tables[0].count("standard") == 1 + 1 + 6 + 2  # clean, typing, radii and attacks on texts
    section = [title for title in found.texts("h3") if title.startswith("hans, ")][-2:]
    assert section == ["hans, clean", "hans, hotflip"]
    assert "Calibration" not in page(calibration=[]).texts("h2")


def test_a_model_without_a_temperature_has_no_scores_after_it():
    entry = {**evaluation_results()["calibration"][0], "temperature": None, "after_temperature": None}
    (table,) = [table for table in page(calibration=[entry]).texts("table") if "Brier score" in table]
    assert "standard – 0.4050.190–0.500 – 0.1900.095–0.200 –" in table


def test_log_likelihoods_are_said_to_be_adjusted_apart():
    entry = next(entry for entry in evaluation_results()["comparisons"] if entry["attack"] is None)
    assert "by themselves" not in " ".join(page().texts("p"))
    text = " ".join(page(comparisons=[entry, {**entry, "metric": "log_likelihood"}]).texts("p"))
    assert "for all 1 comparisons, the radii of a curve as one; those of log likelihoods, in nats" in text


def test_metrics_of_a_comparison_are_rows_of_their_own():
    entry = next(entry for entry in evaluation_results()["comparisons"] if entry["attack"] is None)
    found = page(comparisons=[entry, {**entry, "metric": "exact_match", "difference": 0.25}])
    (table,) = [table for table in found.texts("table") if "p = " in table]
    assert "clean, exact match" in table
    assert "+25.0" in table


def test_rows_of_an_attack_on_few_have_their_clean_score_above():
    scores = evaluation_results()["scores"]
    clean = {"value": 0.75, "low": 0.6, "high": 0.85}
    part = [
        {**score, "num_rows": 60, "clean": clean} if score["attack"] == "hotflip" and score["clean"] else score
        for score in scores
    ]
    table = page(scores=part).texts("table")[0]
    assert table.index("same rows, clean 60 rows 75.0 %60.0–85.0") < table.index("hotflip 60 rows 13.6 %")
    assert "deepwordbug 200 rows" in table
    assert "same rows" not in page().texts("table")[0]


def test_many_models_are_rows_and_the_title_is_short():
    results = results_of_many(20)
    found = Elements(evaluation_page(results))
    assert found.texts("h1") == ["20 models under attack"]
    assert found.texts("dd")[0].startswith("alum-seed-1 ranks first: accuracy is 90.7 %")
    table = found.texts("table")[0]
    by_name = {
        score["model"]: score["value"]
        for score in results["scores"]
        if (score["suite"], score["attack"], score["metric"], score["group"])
        == ("sst2", "hotflip", "robust_accuracy", None)
    }
    places = [table.index(f"{name} ") for name in sorted(by_name, key=by_name.get, reverse=True)]
    assert places == sorted(places)
    assert page(models=results_of_many(3)["models"]).texts("h1") == [
        "standard-seed-0, alum-seed-1 and alum_one_pass-seed-2 under attack"
    ]
    names = [{"name": "x" * 60, "path": "x", "num_parameters": 1}, {"name": "y", "path": "y", "num_parameters": 1}]
    assert page(models=names).texts("h1") == [f"{'x' * 60} and y under attack"]
    assert page(models=[{**entry, "name": entry["name"] * 9} for entry in names]).texts("h1") == [
        "2 models under attack"
    ]


def test_of_many_models_the_highest_are_drawn_and_all_are_in_charts_of_their_ranks():
    text = evaluation_page(results_of_many(20))
    found = Elements(text)
    legends = [legend for legend in found.texts("ul") if legend.startswith(("●", "■", "▲", "◆", "▼", "✚"))]
    assert legends[0].split()[1::2] == [f"alum-seed-{number}" for number in (1, 4, 7, 10, 13, 16)]
    (chart,) = [
        figure for figure in found.texts("figure") if figure.startswith("sst2, hotflip ") and "bin" not in figure
    ]
    assert sum(f"seed-{number}" in chart for number in range(20)) == 20


def test_changed_words_are_marked():
    found = page(examples=[example()])
    assert found.texts("del")[1:] == ["[was: gentle", "[was: compassionate"]
    assert found.texts("ins")[1:] == ["now: getnle", "now: compasionate"]
    (shown,) = found.texts("p", **{"class": "text", "dir": "auto"})
    assert shown.startswith("a [was: gentle→ now: getnle], [was: compassionate")


def test_changes_that_do_not_fit_give_way_to_both_texts():
    found = page(examples=[example(changes=[{"text": 0, "word": 99, "old": "x", "new": "y"}])])
    assert found.texts("p", **{"class": "text"}) == [*example()["original"], *example()["perturbed"]]


def test_long_examples_are_shortened_and_say_so():
    long = "word " * 9999 + "gentle"
    change = {"text": 0, "word": 9999, "old": "gentle", "new": "gentel"}
    text = evaluation_page({**evaluation_results(), "examples": [example(original=[long], changes=[change])] * 50})
    assert text.count("Shortened: the text has 10,000 words.") == 50
    assert len(text) < 500_000
    assert "Shortened" not in evaluation_page(evaluation_results())


def test_nothing_that_a_record_holds_is_obeyed():
    plain, found = page(), Elements(evaluation_page(spoiled(evaluation_results())))
    for tag in ("script", "img", "style", "meta", "iframe", "svg", "article", "section"):
        assert len(found.attributes(tag)) == len(plain.attributes(tag))
    assert not [name for _, attributes, _ in found.found for name in attributes if name.startswith("on")]
    assert found.open == []
    assert "{{ 7*7 }}" in " ".join(found.texts("main"))
    assert "\u2028" not in "".join(found.texts("body"))


def test_links_lead_to_web_addresses_alone():
    attack = {
        **evaluation_results()["attacks"][0],
        "source": "javascript:alert(1) data:text/html,x arXiv:1902.01007, HTTP",
    }
    found = page(attacks=[attack])
    outward = [link["href"] for link in found.attributes("a") if not link["href"].startswith("#")]
    assert "https://arxiv.org/abs/1902.01007" in outward
    assert all(address.startswith("https://") for address in outward)


def test_links_within_the_page_have_somewhere_to_go():
    found = page()
    ids = [attributes["id"] for _, attributes, _ in found.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    inward = {link["href"].removeprefix("#") for link in found.attributes("a") if link["href"].startswith("#")}
    named = {attributes.get("aria-labelledby") for _, attributes, _ in found.found} - {None}
    assert inward | named | {label["for"] for label in found.attributes("label")} <= set(ids)


def test_only_our_own_style_and_script_are_allowed():
    text = evaluation_page(evaluation_results())
    (policy,) = (meta["content"] for meta in Elements(text).attributes("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        (source,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert not [attributes for _, attributes, _ in Elements(text).found if "style" in attributes]


def test_nothing_is_loaded():
    found = page()
    assert not [attributes for tag, attributes, _ in found.found if "src" in attributes or tag == "link"]


@pytest.mark.parametrize("left", ["scores", "comparisons", "calibration", "checks", "examples", "attacks"])
def test_a_record_without_a_part_has_a_page(left):
    assert page(**{left: []}).texts("h1") == ["standard, alum and alum_one_pass under attack"]


def test_an_empty_record_has_a_page():
    empty = {name: [] for name, part in evaluation_results().items() if isinstance(part, list)}
    assert page(**empty).open == []


def test_a_single_model_is_not_compared():
    results = evaluation_results()
    kept = {
        part: [entry for entry in results[part] if entry["model"] == "alum"]
        for part in ("scores", "checks", "examples")
    }
    found = page(models=results["models"][1:2], comparisons=[], **kept)
    assert found.texts("h1") == ["alum under attack"]
    assert "★highest" not in " ".join(found.texts("table"))
    assert [select["data-key"] for select in found.attributes("select")] == ["suite", "attack", "outcome"]


def test_the_file_is_made_from_json_alone_and_whole(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("the page before", encoding="utf-8")
    write_evaluation_page(path, json.loads(json.dumps(evaluation_results())))
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert text.rstrip().endswith("</html>")
    assert [found.name for found in tmp_path.iterdir()] == ["report.html"]


def test_a_page_that_cannot_be_made_leaves_the_one_before(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("the page before", encoding="utf-8")
    with pytest.raises(KeyError):
        write_evaluation_page(path, {**evaluation_results(), "scores": [{"model": MODELS[0]}]})
    assert path.read_text(encoding="utf-8") == "the page before"
    assert [found.name for found in tmp_path.iterdir()] == ["report.html"]


def test_texts_that_no_file_can_hold_are_spelled_out(tmp_path):
    path = tmp_path / "report.html"
    write_evaluation_page(path, {**evaluation_results(), "examples": [example(label="\udcff\x00")]})
    assert r"\udcff\x00" in path.read_text(encoding="utf-8")


def test_the_page_shows_texts_to_nobody_to_whom_the_users_files_are_closed(tmp_path):
    for mask, mode in ((0o077, 0o600), (0o022, 0o644)):
        page = tmp_path / f"{mode:o}.html"
        with umask(mask):
            write_evaluation_page(page, evaluation_results())
        assert stat.S_IMODE(page.stat().st_mode) == mode


def test_a_full_disk_leaves_the_page_before(tmp_path, monkeypatch):
    (tmp_path / "report.html").write_text("the page before", encoding="utf-8")
    fill_disk(monkeypatch)
    with pytest.raises(InputError, match=r"report\.html could not be written: No space left .* Free space"):
        write_evaluation_page(tmp_path / "report.html", evaluation_results())
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"report.html": "the page before"}
