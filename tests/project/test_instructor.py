"""instructor/: minutes as the notebooks have them, links that lead to a cell, and no number that the cell does not show."""
import importlib.util
import re
import shutil

import pytest
from notebook_rules import NOTEBOOKS, ROOT, notebook_paths, read

FOLDER = ROOT / "instructor"
PAGES = sorted(FOLDER.glob("*.md"))
LINK = re.compile(r"\]\(([^)\s]+)\)")

_spec = importlib.util.spec_from_file_location("ci_routes", ROOT / ".ci" / "routes.py")
routes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(routes)


def cell_text(target):
    """Source and printed outputs of the cell that a link names."""
    file, _, fragment = target.partition("#cell-id=")
    cell = next(cell for cell in read(FOLDER / file).cells if cell.id == fragment)
    parts = [cell.source]
    for output in cell.get("outputs", []):
        parts += [output.get("text", ""), *map(str, output.get("data", {}).values())]
    return "\n".join(parts)


def paragraphs(page):
    """Paragraphs and list items of a page."""
    return re.split(r"\n\s*\n|\n(?=- )", page.read_text("utf-8"))


def test_there_are_pages_for_teachers():
    assert {page.name for page in PAGES} == {"README.md", "routes.md", "notebooks.md", "questions.md", "room.md"}


def test_minutes_are_those_of_the_notebooks(capsys):
    assert routes.main(["--check"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_files_and_cells_that_exist(page):
    targets = LINK.findall(page.read_text("utf-8"))
    assert targets
    for target in targets:
        file, _, fragment = target.partition("#")
        assert (FOLDER / file).exists(), target
        if fragment:
            name, _, cell = fragment.partition("=")
            assert name == "cell-id" and cell in {one.id for one in read(FOLDER / file).cells}, target


def test_quoted_numbers_stand_in_the_linked_cells():
    checked = 0
    for paragraph in paragraphs(FOLDER / "questions.md"):
        quoted = [span for span in re.findall(r"`([^`]+)`", paragraph) if re.match(r"[\d.]", span)]
        shown = "\n".join(cell_text(target) for target in LINK.findall(paragraph) if "#cell-id=" in target) if quoted else ""
        for number in quoted:
            assert re.search(rf"(?<![\d.]){re.escape(number)}(?![\d.])", shown), f"{number} is not in the cells linked in: {paragraph}"
            checked += 1
    assert checked >= 10


@pytest.mark.parametrize("path", notebook_paths(), ids=lambda path: path.stem)
def test_each_notebook_has_its_advice(path):
    text = (FOLDER / "notebooks.md").read_text("utf-8")
    part = re.search(rf"(?ms)^## {path.stem[:2]} · .*?(?=^## |\Z)", text)
    assert part, f"instructor/notebooks.md has no part on {path.stem}"
    assert all(word in part[0] for word in ("**Where people stumble**", "**Discuss.**", "**Skip**"))
    assert part[0].count(f"notebooks/{path.name}#cell-id=") >= 3


def test_every_question_points_at_a_cell():
    parts = re.split(r"(?m)^## ", (FOLDER / "questions.md").read_text("utf-8"))[1:]
    assert len(parts) >= 10
    for part in parts:
        assert "#cell-id=" in part, f"no cell shows the answer to: {part.splitlines()[0]}"


@pytest.fixture
def copy_of_course(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "instructor")
    shutil.copytree(NOTEBOOKS, tmp_path / "notebooks", ignore=shutil.ignore_patterns("images"))
    return tmp_path


@pytest.mark.parametrize("file, old, new, says", [
    ("notebooks/05_prefix_accept_and_scoring.ipynb", "**Reading** 30 min", "**Reading** 20 min", "differs: instructor/routes.md"),
    ("notebooks/05_prefix_accept_and_scoring.ipynb", "Keep with bonus (★★☆, 10 min)", "Keep with bonus (★★☆, 8 min)", "differs"),
    ("notebooks/05_prefix_accept_and_scoring.ipynb", "## 2 · Watch it happen", "## 2 · Look", "no part '05 # 2 · Watch it happen'"),
    ("instructor/routes.toml", "05.keep_with_bonus", "05.keep", "no part '05 ! 05.keep'"),
    ("instructor/routes.toml", "limit = 75", "limit = 60", "more than 60"),
    ("instructor/routes.md", "<!-- /One day -->", "", "exactly one block"),
])
def test_what_no_longer_fits_is_noticed(copy_of_course, capsys, file, old, new, says):
    path = copy_of_course / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    assert routes.main(["--check"], copy_of_course) == 1
    assert says in capsys.readouterr().out


def test_a_second_run_writes_what_differs(copy_of_course, capsys):
    path = copy_of_course / "instructor" / "routes.md"
    wanted = path.read_text("utf-8")
    path.write_text(re.sub(r"\| \d+ \|", "| 0 |", wanted), "utf-8")
    assert routes.main([], copy_of_course) == 0 and path.read_text("utf-8") == wanted
    assert routes.main(["--check"], copy_of_course) == 0
