import tarfile
import zipfile

import pytest

import distributions
from alum.version import __version__
from distributions import ReleaseError, check_sdist, check_wheel, run

KNOWN = {
    "src/alum/__init__.py",
    "src/alum/py.typed",
    "src/alum/reports/templates/page.html",
    "tests/test_exports.py",
    "pyproject.toml",
    ".ci/run",
}
METADATA = [
    distributions.INFO + name for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
]
IN_WHEEL = ["alum/__init__.py", "alum/py.typed", "alum/reports/templates/page.html", *METADATA]
IN_SDIST = ["PKG-INFO", *sorted(KNOWN - {".ci/run"})]


def wheel_of(names, folder):
    with zipfile.ZipFile(folder / "alum.whl", "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return folder / "alum.whl"


def sdist_of(names, folder):
    with tarfile.open(folder / "alum.tar.gz", "w:gz") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(f"alum-{__version__}/{name}"))
    return folder / "alum.tar.gz"


@pytest.mark.parametrize(
    ("check", "made", "names"), [(check_wheel, wheel_of, IN_WHEEL), (check_sdist, sdist_of, IN_SDIST)]
)
class TestContents:
    def test_all_that_git_knows_passes(self, tmp_path, check, made, names):
        check(made(names, tmp_path), KNOWN)

    def test_a_file_less_is_named(self, tmp_path, check, made, names):
        lacking = [name for name in names if not name.endswith("page.html")]
        with pytest.raises(ReleaseError, match=r"lacks \['.*page\.html'\]"):
            check(made(lacking, tmp_path), KNOWN)

    def test_a_file_more_is_named(self, tmp_path, check, made, names):
        with pytest.raises(ReleaseError, match=r"holds \['alum/notes\.txt'\]"):
            check(made([*names, "alum/notes.txt"], tmp_path), KNOWN)


def test_commands_do_not_see_the_checkout(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    assert run(["python3", "-c", "import os; print(os.environ.get('PYTHONPATH'))"], tmp_path) == "None\n"


def test_a_command_that_fails_is_told_with_what_it_printed():
    with pytest.raises(ReleaseError, match=r"exit code 3:\nhalf\n"):
        run(["python3", "-c", "print('half'); raise SystemExit(3)"])
