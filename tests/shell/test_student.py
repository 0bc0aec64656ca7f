"""The course without its solutions: none of their text is left, and nothing else has changed."""
import json
import re

import pytest
from notebook_rules import NOTEBOOKS, RULES, anatomy, code_cells, notebook_paths, read

from specdec_utils.__main__ import main
from specdec_utils.shell.student import without_solutions


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class") / "student"
    assert main(["student", str(folder)]) == 0
    return folder


def cells_of(path):
    return json.loads(path.read_text("utf-8"))["cells"]


def is_solution(cell):
    return "solution" in cell["metadata"].get("specdec", {})


def lines_of_solutions(path):
    """The lines of each solution's code that stand nowhere else in the notebook as the course has it."""
    cells = cells_of(path)
    elsewhere = {line.strip() for cell in cells if not is_solution(cell) for line in "".join(cell["source"]).splitlines()}
    for cell in filter(is_solution, cells):
        code = "\n".join(re.findall(r"(?s)```python\n(.*?)```", "".join(cell["source"])))
        own = {line.strip() for line in code.splitlines()} - elsewhere - {""}
        assert own, "a solution of which every line stands in the notebook anyway"
        yield from own


def test_every_notebook_and_picture_is_there(made):
    assert {path.relative_to(made) for path in made.rglob("*") if path.is_file()} == {
        path.relative_to(NOTEBOOKS) for path in [*notebook_paths(), *NOTEBOOKS.glob("images/*")]}


@pytest.mark.parametrize("path", notebook_paths(), ids=lambda path: path.stem)
class TestNotebook:
    def test_no_text_of_a_solution_is_left(self, made, path):
        text = "\n".join("".join(cell["source"]) for cell in cells_of(made / path.name))
        assert "solution" not in text.lower()
        left = {line.strip() for line in text.splitlines()} & set(lines_of_solutions(path))
        assert not left

    def test_all_else_is_the_same_byte_for_byte(self, made, path):
        original = json.loads(path.read_text("utf-8"))
        original["cells"] = [cell for cell in original["cells"] if not is_solution(cell)]
        text = json.dumps(original, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        assert text.count(" Its solution is folded.") == (path.stem == "00_start_here"), "the one sentence that promises solutions"
        assert (made / path.name).read_bytes() == text.replace(" Its solution is folded.", "").encode()
        assert without_solutions(path.read_text("utf-8")) == without_solutions((made / path.name).read_text("utf-8"))

    def test_it_keeps_every_rule_but_that_of_solutions(self, made, path):
        nb = read(made / path.name)
        assert [fault for rule in RULES if rule is not anatomy.exercises_are_complete for fault in rule(nb)] == []
        assert "not the same" in " ".join(anatomy.exercises_are_complete(nb))

    def test_stubs_and_hints_stay(self, made, path):
        def count(where):
            return [sum(word in "".join(cell["source"]) for cell in cells_of(where)) for word in ("check(", "<summary>Hint", "Answer</summary>")]
        assert count(made / path.name) == count(path) and min(count(path)) > 0
        assert len(code_cells(read(made / path.name))) == len(code_cells(read(path)))


def test_hints_go_if_asked(tmp_path):
    assert main(["student", str(tmp_path / "bare"), "--without-hints"]) == 0
    text = "".join(path.read_text("utf-8") for path in (tmp_path / "bare").glob("*.ipynb"))
    assert "<summary>Hint" not in text and "<summary>Answer" in text and "not attempted yet" in text


def test_a_solution_without_its_name_is_noticed(tmp_path, capsys):
    notebook = {"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["<details><summary>Solution</summary>\n", "x</details>"]}]}
    (tmp_path / "00_x.ipynb").write_text(json.dumps(notebook))
    assert main(["student", str(tmp_path / "out"), "--notebooks", str(tmp_path)]) == 2
    assert "00_x.ipynb: cell 0 holds a solution" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments, message", [(["."], "is there already"), (["new", "--notebooks", "nowhere"], "There are no notebooks in")])
def test_bad_folder_is_one_sentence(capsys, arguments, message):
    assert main(["student", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1
