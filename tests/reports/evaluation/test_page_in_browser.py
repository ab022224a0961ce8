"""The page of an evaluation in a real browser: the machine's own Chromium, without a window."""

import itertools
import os
import re
import shutil
from pathlib import Path

import pytest

from alum.reports.evaluation.page import write_evaluation_page
from evaluation_results import evaluation_results, example, results_of_many
from places import ROOT

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason=f"no browser here: none of {', '.join(BROWSERS)} is on the path"
)

SIZES = {"phone": {"width": 360, "height": 740}, "desktop": {"width": 1280, "height": 900}}
ATTACK = (
    "\"'><img src=x onerror='window.hacked=1'><!--</script><script>window.hacked=2</script><svg onload=window.hacked=3>"
)
IMAGE = "<img src=x onerror='window.hacked=4'>"
CONTROLS = "\u2028\u202egnp.\u2066\x00\x1b[31m"

# All text that is seen, with its colour and what lies behind it.
COLOURS = """() => {
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest(".unseen, title, script")) continue;
    const style = getComputedStyle(element);
    let behind = element, paper;
    do { paper = getComputedStyle(behind).backgroundColor; behind = behind.parentElement; }
    while (behind && paper === "rgba(0, 0, 0, 0)");
    const ink = element.closest("svg") ? style.fill : style.color;
    found.add(JSON.stringify([ink, paper, element.tagName + "." + (element.getAttribute("class") || "")]));
  }
  return [...found].map(JSON.parse);
}"""


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        # Containers have no user namespaces and little shared memory.
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_evaluation_page(path, evaluation_results())
    return path


@pytest.fixture(scope="module")
def report_of_many(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_evaluation_page(path, results_of_many(20))
    return path


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Texts of a user's that hold HTML, marks of direction and too many words, in every part of the record."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    words = ["word"] * 10_000
    long = example(
        original=[" ".join(words) + ATTACK],
        perturbed=[" ".join(words[1:]) + ATTACK],
        changes=[{"text": 0, "word": 5000, "old": "word", "new": IMAGE}],
    )
    unbroken = example(original=["x" * 10_000], perturbed=["y" * 10_000], changes=[])
    results = spoiled({**evaluation_results(), "examples": [long, unbroken, *evaluation_results()["examples"]]})
    for name in ("models", "suites", "attacks"):
        for entry in results[name]:
            assert ATTACK in entry["name"]
    write_evaluation_page(path, results)
    return path


def spoiled(value, key=""):
    """Every text but the words that the format fixes, and but the texts with changes, which would fit no more."""
    if isinstance(value, str):
        fixed = {"metric", "main_metric", "family", "test", "outcome", "original", "perturbed", "old", "new", "created"}
        return value if key in fixed else value + ATTACK + CONTROLS
    if isinstance(value, list):
        return [spoiled(part, key) for part in value]
    if isinstance(value, dict):
        return {name: spoiled(part, name) for name, part in value.items()}
    return value


class Visit:
    """A page in a context of its own, and all that it asks for or complains of."""

    def __init__(self, browser, path, size="desktop", **settings):
        self.context = browser.new_context(viewport=SIZES[size], **settings)
        self.page = self.context.new_page()
        self.requests, self.refused, self.complaints = [], [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", lambda request: self.refused.append((request.url, request.failure)))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        self.page.goto(path.as_uri())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.context.close()

    def click_everything(self):
        """All that folds, chooses or leads within the page; links that lead out are told by their address."""
        for select in self.page.locator("select").all():
            for option in select.locator("option").all():
                select.select_option(option.get_attribute("value"))
            select.select_option("")
        for kind in ("summary", "button", "a[href^='#']"):
            for thing in self.page.locator(kind).all():
                if thing.is_visible() and "skip" not in (thing.get_attribute("class") or ""):
                    thing.click()
        while self.page.locator(".more").is_visible():
            self.page.locator(".more").click()
        for link in self.page.locator("a:not([href^='#'])").all():
            assert link.get_attribute("href").startswith("https://")

    def does_not_scroll_sideways(self):
        return self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    def is_quiet(self):
        return not self.complaints and all(url.startswith(("file:", "data:")) for url in self.requests)


def artifacts():
    folder = Path(os.environ.get("ALUM_ARTIFACTS") or ROOT / "build/report-screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def luminance(colour):
    """Relative luminance as WCAG 2 has it."""
    parts = [float(part) / 255 for part in re.findall(r"[\d.]+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second):
    dark, light = sorted(map(luminance, (first, second)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_everything_can_be_clicked_in_any_light_and_on_any_screen(browser, report, size, scheme):
    with Visit(browser, report, size, color_scheme=scheme) as visit:
        visit.page.screenshot(path=artifacts() / f"report-{size}-{scheme}.png", full_page=True)
        assert visit.does_not_scroll_sideways()
        visit.click_everything()
        assert visit.does_not_scroll_sideways()  # with all that was folded
        assert visit.is_quiet(), (visit.complaints, visit.requests)
        found = visit.page.evaluate(COLOURS)
        assert len(found) > 20
        assert [(where, ink, paper) for ink, paper, where in found if contrast(ink, paper) < 4.5] == []


@pytest.mark.slow
def test_the_dark_page_is_dark_and_its_charts_are_light(browser, report):
    seen = {}
    for scheme in ("light", "dark"):
        with Visit(browser, report, color_scheme=scheme) as visit:
            seen[scheme] = visit.page.evaluate(
                """() => [getComputedStyle(document.body).backgroundColor,
                ...["stroke-m0", "stroke-m1", "stroke-m2"].map(
                  (name) => getComputedStyle(document.querySelector(`svg path.${name}`)).stroke)]"""
            )
    assert luminance(seen["light"][0]) > 0.8
    assert luminance(seen["dark"][0]) < 0.05
    for paper, *lines in seen.values():
        assert all(contrast(paper, line) >= 3 for line in lines)


def test_all_can_be_reached_and_used_by_keyboard(browser, report):
    with Visit(browser, report) as visit:
        page = visit.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        assert page.locator(".skip").bounding_box()["y"] >= 0
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('main') !== null")
        reached = set()
        for _ in range(400):
            focused = page.evaluate(
                """() => { const style = getComputedStyle(document.activeElement);
                return [document.activeElement.tagName, style.outlineStyle, parseFloat(style.outlineWidth)]; }"""
            )
            if focused[0] == "BODY":
                break
            assert focused[1] != "none", focused
            assert focused[2] >= 2, focused
            reached.add(focused[0])
            page.keyboard.press("Tab")
        assert {"A", "SUMMARY", "SELECT", "BUTTON", "DIV"} <= reached
        page.locator("#choose-model").focus()
        page.keyboard.press("ArrowDown")
        expected = sum(entry["model"] == "standard" for entry in evaluation_results()["examples"])
        assert page.locator(".count").inner_text() == f"Showing {expected} of {expected} examples."
        page.locator("summary").first.focus()
        page.keyboard.press("Enter")
        assert page.locator("details").first.get_attribute("open") is not None


def test_examples_are_chosen_by_several_things_at_once(browser, report):
    with Visit(browser, report) as visit:
        page = visit.page
        assert page.locator(".example:visible").count() == 12
        page.select_option("#choose-model", label="alum")
        page.select_option("#choose-attack", label="hotflip")
        entries = evaluation_results()["examples"]
        rows = {entry["row"] for entry in entries if (entry["model"], entry["attack"]) == ("alum", "hotflip")}
        seen = page.locator(".example:visible .where").all_inner_texts()
        assert {int(text.rsplit(" ", 1)[1]) for text in seen} == rows
        page.select_option("#choose-outcome", label="failed")
        assert page.locator(".count").inner_text() == "No example fits this choice."
        page.get_by_role("button", name="Show all again").click()
        assert page.locator(".count").inner_text() == f"Showing 12 of {len(entries)} examples."


@pytest.mark.parametrize("has_policy", [pytest.param(True, marks=pytest.mark.slow), False])
def test_hostile_texts_are_shown_and_never_run(browser, hostile, has_policy):
    """Also where nothing but the escaping stands against them."""
    with Visit(browser, hostile, "phone", bypass_csp=not has_policy) as visit:
        visit.click_everything()
        assert visit.does_not_scroll_sideways()
        assert visit.is_quiet(), (visit.complaints, visit.requests)
        assert visit.page.evaluate("window.hacked") is None
        assert visit.page.locator("script").count() == 1
        assert visit.page.locator("img").count() == 0
        assert IMAGE in visit.page.locator("ins").nth(1).inner_text()
        assert r"\u202egnp" in visit.page.locator(".answers dt").first.inner_text()
        text = visit.page.locator("body").inner_text()
        assert not set("\u202e\u2066\u2028\x1b") & set(text)
        assert re.search(r"Shortened: the text has 10,00\d words\.", text)
        if has_policy:
            visit.page.screenshot(path=artifacts() / "report-hostile.png", full_page=True)


def test_the_policy_lets_nothing_in(browser, report):
    """What a page must not do even if something of it were run."""
    with Visit(browser, report) as visit:
        visit.page.evaluate(
            """() => { const script = document.createElement("script");
            script.textContent = "window.hacked = 1"; document.body.append(script);
            document.body.insertAdjacentHTML("beforeend", "<img src='https://example.org/x.png'>");
            return fetch("https://example.org/").catch(() => null); }"""
        )
        assert visit.page.evaluate("window.hacked") is None
        assert any("Content Security Policy" in complaint for complaint in visit.complaints)
        asked = [url for url in visit.requests if not url.startswith("file:")]
        assert visit.refused == [(url, "csp") for url in asked]  # by the policy, and not for want of a network


def test_without_scripts_all_examples_are_there(browser, report):
    with Visit(browser, report, java_script_enabled=False) as visit:
        assert visit.page.locator(".example:visible").count() == len(evaluation_results()["examples"])
        assert not visit.page.locator(".filters").is_visible()
        assert not visit.page.locator(".more").is_visible()


@pytest.mark.slow
def test_on_paper_nothing_is_folded_and_the_paper_is_white(browser, report):
    with Visit(browser, report, color_scheme="dark") as visit:
        page = visit.page
        page.evaluate("window.addEventListener('beforeprint', () => "
                      "{ window.folded = document.querySelectorAll('details:not([open])').length; })")  # fmt: skip
        before = page.locator("details:not([open])").count()
        assert len(page.pdf(path=artifacts() / "report.pdf", format="A4")) > 10_000
        assert page.evaluate("window.folded") == 0
        assert page.locator("details:not([open])").count() == before > 0
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator("nav").is_visible()


PAPER_WIDTH = 718  # CSS pixels that A4 leaves between margins of a centimetre
CUT = """(width) => [...document.querySelectorAll("table, svg, h1, h2, h3, p, dl, ul")]
  .filter((element) => element.getBoundingClientRect().right > width + 1 && !element.closest(".unseen"))
  .map((element) => element.textContent.slice(0, 60))"""


@pytest.mark.slow
def test_on_paper_nothing_is_cut_and_tables_stand_below_each_other(browser, report, report_of_many):
    for path in (report, report_of_many):
        with Visit(browser, path) as visit:
            visit.page.set_viewport_size({"width": PAPER_WIDTH, "height": 1000})
            visit.page.emulate_media(media="print")
            visit.page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
            assert visit.page.evaluate(CUT, PAPER_WIDTH) == []
            boxes = [table.bounding_box() for table in visit.page.locator("table").all()]
            assert all(one["y"] + one["height"] <= other["y"] for one, other in itertools.pairwise(boxes))


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_many_models_fit_and_are_sorted_by_any_column(browser, report_of_many, size):
    with Visit(browser, report_of_many, size) as visit:
        assert visit.does_not_scroll_sideways()
        table = visit.page.locator("table").first

        def column(number):
            cells = table.locator(f"tbody tr > :nth-child({number + 1})").all()
            return [float(cell.get_attribute("data-number") or "nan") for cell in cells]

        def names():
            return table.locator("tbody th bdi").all_text_contents()

        ranked, heading = names(), table.locator("thead th").nth(1)
        heading.locator("button").click()
        assert column(1) == sorted(column(1), reverse=True)
        assert heading.get_attribute("aria-sort") == "descending"
        assert names() != ranked
        heading.locator("button").press("Enter")
        assert column(1) == sorted(column(1))
        assert heading.get_attribute("aria-sort") == "ascending"
        table.locator("thead th").first.locator("button").click()
        assert names() == ranked
        assert visit.is_quiet()


@pytest.mark.slow
def test_motion_is_left_to_the_reader(browser, report):
    for motion, behaviour in (("reduce", "auto"), ("no-preference", "smooth")):
        with Visit(browser, report, reduced_motion=motion) as visit:
            style = "getComputedStyle(document.documentElement).scrollBehavior"
            assert visit.page.evaluate(style) == behaviour


def test_each_text_keeps_its_direction(browser, report):
    with Visit(browser, report) as visit:
        hebrew = visit.page.locator(".text", has_text="שלום").first
        assert hebrew.evaluate("element => getComputedStyle(element).direction") == "rtl"
        assert visit.page.locator(".text").first.evaluate("element => getComputedStyle(element).direction") == "ltr"
