"""Results inside a notebook; in a browser, where there is one, as a notebook puts them into its page."""

import html
import re
import shutil
import sys
from types import SimpleNamespace

import pytest

from alum.reports.evaluation.page import evaluation_page
from alum.reports.pages.notebook import inline_page, inline_table, show
from evaluation_results import evaluation_results

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
OUTSIDE = "() => { try { return parent.document.title } catch (error) { return error.name } }"
HOSTILE = "\"'><script>window.top.hacked=1</script><img src=x onerror='window.top.hacked=2'></iframe>"


def test_the_frame_holds_the_page_as_it_is_and_no_other_element():
    page = evaluation_page(evaluation_results())
    found = inline_page(page, HOSTILE)
    ((source, title, sandbox),) = re.findall(r'<iframe srcdoc="([^"]*)" title="([^"]*)" sandbox="([^"]*)"', found)
    assert html.unescape(source).replace('<base href="about:srcdoc">', "") == page
    assert html.unescape(title) == HOSTILE
    assert sandbox.split() == ["allow-scripts", "allow-popups"]  # never allow-same-origin beside scripts
    assert re.findall(r"</?(\w+)", re.sub(r'"[^"]*"', "", found)) == ["iframe", "iframe"]


def test_text_of_a_table_is_text():
    found = inline_table("<b>", {"<i>": HOSTILE})
    assert re.findall(r"</?(\w+)", found) == [
        "table",
        "caption",
        "caption",
        "tr",
        "th",
        "th",
        "td",
        "td",
        "tr",
        "table",
    ]
    assert html.unescape(re.search("<td>(.*)</td>", found)[1]) == HOSTILE


def shown(monkeypatch, shell):
    """What is displayed, and what printed, where this shell of IPython runs, or none."""
    done = []
    display = SimpleNamespace(display=lambda result: done.append(("display", result)))
    module = None if shell is None else SimpleNamespace(get_ipython=lambda: shell, display=display)
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    show("result", lambda: done.append(("print", None)))
    return done


def test_a_notebook_displays_and_a_terminal_prints(monkeypatch):
    notebook, terminal = SimpleNamespace(kernel=object()), SimpleNamespace()
    assert shown(monkeypatch, notebook) == [("display", "result")]
    assert shown(monkeypatch, terminal) == [("print", None)]
    assert shown(monkeypatch, None) == [("print", None)]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason=f"no browser here: none of {', '.join(BROWSERS)} is on the path")
def test_in_a_browser_the_page_is_seen_and_can_do_nothing_outside_of_its_frame(tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
    results = evaluation_results()
    results["suites"][0]["source"] = HOSTILE
    page = evaluation_page(results).replace("</body>", "<script>window.top.hacked=3</script></body>")
    cell = f"<style>h1 {{ color: rgb(1, 2, 3) }}</style><h1>Notebook</h1>{inline_page(page, 'Evaluation')}"
    (tmp_path / "notebook.html").write_text(f"<!DOCTYPE html><html><body>{cell}</body></html>", encoding="utf-8")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        tab = browser.new_page()
        tab.goto((tmp_path / "notebook.html").as_uri())
        frame = tab.frame_locator("iframe")
        assert frame.locator("#summary table").first.is_visible()
        assert frame.locator("figure svg").count() > 0
        assert frame.locator("body").evaluate(OUTSIDE) == "SecurityError"
        assert tab.evaluate("() => window.hacked") is None
        assert tab.locator("h1").first.evaluate("e => getComputedStyle(e).color") == "rgb(1, 2, 3)"
        assert frame.locator("h1").evaluate("e => getComputedStyle(e).color") != "rgb(1, 2, 3)"
        if frame.locator("button.more").count():  # the page's own script runs
            assert frame.locator(".filters").is_visible()
        frame.locator("nav a").first.click()
        tab.wait_for_timeout(200)
        assert tab.frames[1].url == "about:srcdoc#summary"  # and not a place in the notebook
        tab.screenshot(path=str(tmp_path / "notebook.png"))
        browser.close()
