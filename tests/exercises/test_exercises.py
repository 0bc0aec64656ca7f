"""The exercises of the notebooks: the stub is not attempted, the folded solution passes, the usual wrong answers do not."""
import ast
import functools
import re
import runpy
from pathlib import Path

import pytest
import torch
from notebook_rules import course_metadata, notebook_paths, python_of, read

import specdec_utils
from specdec_utils.exercises import check

WRONG_ANSWERS = Path(__file__).parent / "wrong_answers"


@functools.cache
def default_pair():
    return specdec_utils.load_pair("stories", device="cpu")


def imports_of(nb) -> str:
    """The import statements of a notebook's code cells: what a reader's answer may rely on."""
    statements = [node for cell in nb.cells if cell.cell_type == "code" and not cell.source.startswith("# setup")
                  for node in ast.parse(python_of(cell.source)).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return "\n".join(ast.unparse(node) for node in statements)


class Exercise:
    def __init__(self, nb, cell, solutions: dict[str, str]):
        self.name, self.stub = course_metadata(cell, "exercise"), cell.source
        self.solution, self.imports = solutions.get(self.name), imports_of(nb)
        calls = [node for node in ast.walk(ast.parse(python_of(self.stub)))
                 if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "check"]
        assert len(calls) == 1 and ast.literal_eval(calls[0].args[0]) == self.name, f"{self.name}: one check(...) in its stub"
        self.function = calls[0].args[1].id

    def namespace(self, source: str) -> dict:
        """The names after running `source` as a cell of the notebook."""
        torch.manual_seed(0)
        names = {"torch": torch, "check": check}
        exec("from specdec_utils import *\n" + self.imports, names)
        if re.search(r"\bpair\b", source):
            names["pair"] = default_pair()
        exec(compile(source, f"<{self.name}>", "exec"), names)
        return names

    def verdict(self, source: str) -> bool:
        names = self.namespace(source)
        assert self.function in names, f"{self.name}: the code does not define {self.function}"
        torch.manual_seed(0)
        return check(self.name, names[self.function])


def all_exercises() -> list[Exercise]:
    found = []
    for path in notebook_paths():
        nb = read(path)
        solutions = {}
        for cell in nb.cells:
            if course_metadata(cell, "solution"):
                solutions[course_metadata(cell, "solution")] = "\n".join(re.findall(r"(?s)```python\n(.*?)```", cell.source))
        found += [Exercise(nb, cell, solutions) for cell in nb.cells if course_metadata(cell, "exercise")]
    return found


def wrong_answers(name: str) -> list[str]:
    path = WRONG_ANSWERS / f"ex{name.partition('.')[0]}.py"
    return runpy.run_path(str(path))["WRONG"].get(name, []) if path.exists() else []


EXERCISES = all_exercises()
WRONG = [pytest.param(one, source, id=f"{one.name}-{i}") for one in EXERCISES for i, source in enumerate(wrong_answers(one.name))]


def test_there_are_exercises():
    assert len(EXERCISES) >= 2 and len({one.name for one in EXERCISES}) == len(EXERCISES)


@pytest.mark.parametrize("one", EXERCISES, ids=lambda one: one.name)
class TestExercise:
    def test_untouched_stub_is_not_attempted(self, one, capsys):
        one.namespace(one.stub)
        assert capsys.readouterr().out.strip() == f"{one.name}: not attempted yet"

    def test_solution_passes(self, one, capsys):
        assert one.solution, f"{one.name} has no solution"
        assert one.verdict(one.solution) is True, capsys.readouterr().out
        assert capsys.readouterr().out.strip() == f"{one.name}: correct"

    def test_has_a_wrong_answer(self, one):
        assert wrong_answers(one.name), f"{one.name}: tests/wrong_answers has no wrong answer"


@pytest.mark.parametrize("one, source", WRONG)
def test_wrong_answer_is_refused(one, source, capsys):
    assert one.verdict(source) is False
    printed = capsys.readouterr().out
    assert printed.startswith(f"{one.name}: not yet: "), printed
    assert not re.search(r"raised (NameError|ImportError|SyntaxError)", printed), f"refused for a slip of the test: {printed}"


def test_wrong_answers_belong_to_exercises():
    names = {name for path in WRONG_ANSWERS.glob("ex*.py") for name in runpy.run_path(str(path))["WRONG"]}
    assert names <= {one.name for one in EXERCISES}
