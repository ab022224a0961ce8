"""Each counter on small packages made for it: what it must count, and beside that what it must not."""

import sys
import textwrap

import pytest

import house
import source_counts as counts


@pytest.fixture
def package(tmp_path):
    """Writes files, given as their texts by path, and parses them."""

    def write(files):
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(textwrap.dedent(text), encoding="utf-8")
        return counts.modules_in(tmp_path, tmp_path)

    return write


def test_largest_folder_counts_modules_directly_in_it(package):
    modules = package({f"stages/{name}.py": "" for name in ("__init__", "a", "b")} | {"stages/below/c.py": ""})
    assert counts.largest_folder(modules) == ("stages", 2)
    assert counts.largest_folder([]) == ("none", 0)


def test_kind_comparisons(package):
    counted = """
        kind is REGRESSION
        assert self.data.kind is not REGRESSION
        task_kind == kinds.REGRESSION
        kind in (MASKED_LM, CAUSAL_LM)
        kind not in ATTACKABLE_KINDS
        REGRESSION is kind
        kind.name == "causal_lm"
        self.kind.name in ("causal_lm", "masked_lm")
        match kind.name:
            case "causal_lm":
                pass
    """
    free = """
        kind is None
        kind is other
        kind == "problem type"
        name == REGRESSION
        piece.name == "gap"
        kind.name == name
    """
    modules = package({"training/a.py": counted, "training/b.py": free, "tasks/c.py": counted})
    found = counts.kind_comparisons(modules)
    assert [place.split()[0] for place in found] == [f"training/a.py:{line}" for line in (*range(2, 10), 11)]
    assert found[1] == "training/a.py:3 self.data.kind is not REGRESSION"


def test_kind_name_comparisons(package):
    kinds = """
        TaskKind("regression", compared=all_logits)
        MASKED_LM = base.TaskKind(compared=all_logits, name="masked_lm")
        Other("choice")
    """
    counted = """
        kind == "regression"
        "regression" != anything
        problem_type in ("regression", "choice")
        arguments.kind not in ["choice", "masked_lm"]
        match problem_type:
            case "choice":
                pass
            case "regression" | "choice":
                pass
        attack == "masked_lm"
        a == "choice" != "regression"
    """
    free = """
        kind == "choice"
        "masked_lm" in needs
        objective == "masked_lm"
        self.objective != "masked_lm"
        result["objective"] in ("masked_lm", "choice")
        match objective:
            case "masked_lm":
                pass
        kind = "regression"
    """
    modules = package({"tasks/a.py": kinds, "tasks/b.py": counted, "stages/c.py": counted, "stages/d.py": free})
    found = counts.kind_name_comparisons(modules)
    assert [place.split()[0] for place in found] == [f"stages/c.py:{line}" for line in (2, 3, 4, 5, 9, 11, 12)]
    assert found[0] == "stages/c.py:2 kind == 'regression'"
    assert counts.kind_name_comparisons(package({"tasks/a.py": ""})) == []


def test_lines_with_a_word(package):
    modules = package({"a.py": "x = 1\ntrust_remote_code = trust_remote_code\n", "b.py": "# trust_remote_code\n"})
    assert counts.lines_with(modules, "trust_remote_code") == [
        "a.py:2 trust_remote_code = trust_remote_code",
        "b.py:1 # trust_remote_code",
    ]


def test_carriers_of_a_pair(package):
    modules = package(
        {
            "a.py": """
                from dataclasses import dataclass

                def positional(table, layout): ...

                class Kind:
                    def by_name(self, tokenizer, *, table, layout): ...

                def one(table): ...

                @dataclass(frozen=True)
                class Rows:
                    table: int
                    layout: int

                @dataclass
                class Suite:
                    name: str
                    table: int
                    layout: int

                class NoDataclass:
                    table: int
                    layout: int
            """
        }
    )
    assert counts.carriers(modules, ("table", "layout")) == ["a.py:4 positional", "a.py:7 by_name", "a.py:17 Suite"]
    twice = package({"b.py": "@dataclasses.dataclass\nclass Examples:\n    layout: int\n    table: int\n"})
    assert "b.py:2 Examples" in counts.carriers(twice, ("table", "layout"))


def test_asserted_supervision(package):
    modules = package(
        {
            "a.py": """
                assert kind.supervision is not None
                assert count and supervision is not None, "why"
                assert kind is not None
                if kind.supervision is not None:
                    pass
                assert kind.supervision is None
            """
        }
    )
    assert [place.split()[0] for place in counts.asserted_supervision(modules)] == ["a.py:2", "a.py:3"]


LIMITS = """
    from dataclasses import dataclass

    @dataclass
    class {name}:
        max_queries: int
        seed: int
        max_changed_words: float
        similarity_model: str

    @dataclass
    class Three{name}:
        max_queries: int
        seed: int
        max_changed_words: float

    @dataclass
    class Heir{name}(Three{name}):
        similarity_model: str
"""


def test_dataclasses_of_the_limits_of_an_attack(package):
    modules = package(
        {
            "attacks/text/base.py": LIMITS.format(name="Settings"),
            "stages/arguments.py": LIMITS.format(name="Arguments"),
            "stages/other.py": LIMITS.format(name="Settings"),
        }
    )
    names = "(max_changed_words, max_queries, seed, similarity_model)"
    assert counts.limits_of_attacks(modules, are_arguments=False) == [f"attacks/text/base.py:5 Settings {names}"]
    assert counts.limits_of_attacks(modules, are_arguments=True) == [f"stages/arguments.py:5 Arguments {names}"]


def test_dataclasses_alike(package):
    def declared(name, fields):
        return "@dataclass\n" + f"class {name}:\n" + "".join(f"    {field}: int\n" for field in fields)

    modules = package(
        {
            "tasks/named.py": declared("Task", "abcdef"),
            "evaluation/suites.py": declared("Suite", "abcdexyz") + declared("Few", "abcdxy"),
            "reports/record.py": declared("Record", "abcdef"),
        }
    )
    assert counts.dataclasses_alike(modules) == [
        "evaluation/suites.py:2 Suite and evaluation/suites.py:12 Few: a, b, c, d, x, y",
        "evaluation/suites.py:2 Suite and tasks/named.py:2 Task: a, b, c, d, e",
    ]


def test_public_names_defined_twice(package):
    first = """
        Inputs = dict[str, int]
        SCHEMA: int = 1
        _HIDDEN = 1
        lowercase = 1

        def scores_of(): ...
        def _private(): ...

        class Subject:
            def method(self): ...
    """
    second = """
        from a import Subject
        Inputs = dict[str, str]
        SCHEMA = 2
        _HIDDEN = 2
        lowercase = 2

        async def scores_of(): ...
        def _private(): ...
        def method(): ...
    """
    assert counts.names_defined_twice(package({"a.py": first, "b/c.py": second})) == [
        "Inputs: a.py, b/c.py",
        "SCHEMA: a.py, b/c.py",
        "scores_of: a.py, b/c.py",
    ]


def test_neighbours_that_differ_by_a_final_s(package):
    modules = package({"a/table.py": "", "a/tables.py": "", "a/step.py": "", "a/steps/passes.py": "", "b/step.py": ""})
    assert counts.plural_neighbours(modules) == ["a/step beside steps", "a/table beside tables"]


def test_modules_of_one_name_in_a_layer(package):
    modules = package(
        {
            "stages/a/run.py": "",
            "stages/b/run.py": "",
            "stages/a/__init__.py": "",
            "stages/b/__init__.py": "",
            "cli/run.py": "",
        }
    )
    assert counts.same_module_names(modules) == ["stages/a/run.py, stages/b/run.py"]


def test_functions_of_many_parameters(package):
    modules = package(
        {
            "a.py": """
                def seven(a, b, /, c, d, *, e, f, g): ...
                def six(a, b, c, d, e, f, *args, **kwargs): ...

                class Some:
                    def six(self, a, b, c, d, e, f): ...

                    @classmethod
                    async def seven(cls, a, b, c, d, e, f, g): ...
            """
        }
    )
    assert counts.functions_of_many_parameters(modules) == [
        "a.py:2 seven (7 parameters)",
        "a.py:9 seven (7 parameters)",
    ]


def test_long_functions_leave_decorators_signature_and_docstring_out(package):
    def function(lines):
        body = "    x = 1\n" * (lines - 2) + "    # a comment\n" + "    return x\n"
        return '@decorator\ndef f(\n    x,\n):\n    """One.\n\n    Two.\n    """\n' + body

    modules = package({"a.py": function(60), "b.py": function(61)})
    assert counts.long_functions(modules) == ["b.py:2 f (61 lines)"]
    assert counts.long_functions(package({"a.py": 'def f():\n    """Only this."""\n'}), limit=0)[0].startswith("b.py")


def test_docstrings_that_begin_with_the_or_what(package):
    modules = package(
        {
            "a.py": '''
                """The module."""

                class Public:
                    """What it is."""

                    def method(self):
                        """The
                        answer."""
                        def inside():
                            """The inner."""

                    def _private(self):
                        """The private."""

                class _Private:
                    """The private."""

                    def method(self):
                        """The method."""

                def theirs():
                    """Theirs, which begins with other words."""
            ''',
            "b.py": '"""Whatever."""\n',
        }
    )
    assert counts.docstrings_that_begin(modules) == ["a.py:1 The module.", "a.py:4 What it is.", "a.py:7 The"]


def test_prose_is_strings_of_three_lines_but_docstrings(package):
    modules = package(
        {
            "a.py": '''
                """A module
                docstring of
                three lines."""
                PAGE = """a
                b
                c
                d"""
                JOINED = (
                    f"{PAGE} in "
                    "three "
                    "parts"
                )
                TWO = """a
                b"""
                CALLED = call("a",
                              "b",
                              "c")
            '''
        }
    )
    assert counts.prose(modules) == [("a.py:5 (4 lines)", 4), ("a.py:10 (3 lines)", 3)]


def test_mentions_of_sys_path(package):
    modules = package(
        {"a.py": 'import sys\nfrom sys import path\nsys.path.append("a")\nsys.argv\nos.path\n"sys.path"\n'}
    )
    assert [place.split()[0] for place in counts.mentions_of_sys_path(modules)] == ["a.py:2", "a.py:3"]


def test_processor_seconds_are_those_of_the_command_alone(tmp_path):
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    assert 0.3 <= house.processor_seconds([sys.executable, "-c", busy], tmp_path, runs=1) < 3
    assert house.processor_seconds([sys.executable, "-c", "import time; time.sleep(1)"], tmp_path, runs=1) < 0.9
    assert house.processor_seconds([sys.executable, "-c", "raise SystemExit(2)"], tmp_path, runs=1) == float("inf")


def test_processor_seconds_are_measured_on_the_source_given(tmp_path):
    (tmp_path / "there.py").touch()
    assert house.processor_seconds([sys.executable, "-m", "there"], tmp_path, runs=1) < float("inf")


def test_table_shows_what_exceeds_and_where(capsys):
    house.show([house.Row("things", 2, 1, ["a.py:1 one", "a.py:2 two"]), house.Row("seconds", 0.5, None, ["b.py:1"])])
    assert capsys.readouterr().out.splitlines() == [
        "things:",
        "    a.py:1 one",
        "    a.py:2 two",
        "",
        "counted   count   limit",
        "things        2       1   exceeded",
        "seconds    0.50",
    ]


def test_limits_of_folders_differ(package):
    files = {f"reports/page/m{number}.py": "" for number in range(10)} | {
        f"core/m{number}.py": "" for number in range(11)
    }
    roomy, other = house.source_rows(package(files))[:2]
    assert (roomy.count, roomy.is_exceeded) == (10, True)
    assert roomy.what.endswith("reports/page")
    assert (other.count, other.is_exceeded) == (11, False)


@pytest.mark.parametrize(("text", "code"), [("x = 1\n", 0), ("def f(table, layout): ...\n", 1)])
def test_exit_status_says_whether_a_limit_is_exceeded(package, tmp_path, monkeypatch, text, code):
    package({"src/alum/a.py": text, "benchmarks/b.py": "", "studies/c.py": ""})
    monkeypatch.setattr(house, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["house.py"])
    assert house.main() == code
