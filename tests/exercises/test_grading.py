"""Thirty spoiled notebooks are graded: each kind of spoiling is a row that says what happened, and the next notebook is graded too."""
import ast
import copy
import csv
import json
import re
import sys

import pytest
from notebook_rules import NOTEBOOKS, course_metadata, notebook_paths, read

from specdec_utils.__main__ import main
from specdec_utils.exercises import exercise_names
from specdec_utils.exercises.grading import needed
from specdec_utils.exercises.submissions import Answer

FIVE = NOTEBOOKS / "05_prefix_accept_and_scoring.ipynb"
ADDED, KEEP, ONLY = "05.tokens_added", "05.keep_with_bonus", "05.only_candidate"
RIGHT = "def tokens_added(accepted, mismatched):\n    return len(accepted) + bool(mismatched)\n"
CHECK = '\nok = check("05.tokens_added", tokens_added)'


@pytest.fixture(scope="module")
def original():
    return json.loads(FIVE.read_text("utf-8"))


def at(notebook, name):
    return next(i for i, cell in enumerate(notebook["cells"]) if cell["metadata"].get("specdec", {}).get("exercise") == name)


def answer(source):
    """A spoiler that writes `source` into the cell of the first exercise."""
    def spoil(notebook):
        notebook["cells"][at(notebook, ADDED)]["source"] = source
    return spoil


def body(*lines):
    """A spoiler: the function runs `lines`, then answers rightly."""
    return answer("def tokens_added(accepted, mismatched):\n" + "".join(f"    {line}\n" for line in lines)
                  + "    return len(accepted) + bool(mismatched)\n" + CHECK)


def delete(notebook):
    del notebook["cells"][at(notebook, ADDED)]


def delete_all(notebook):
    for name in (ADDED, KEEP, ONLY):
        del notebook["cells"][at(notebook, name)]


def into_markdown(notebook):
    notebook["cells"][at(notebook, ADDED)]["cell_type"] = "markdown"


def lose_metadata(notebook):
    answer(RIGHT + CHECK)(notebook)
    notebook["cells"][at(notebook, ADDED)]["metadata"] = None


def duplicate(*sources):
    def spoil(notebook):
        i = at(notebook, ADDED)
        notebook["cells"][i:i + 1] = [dict(notebook["cells"][i], source=source) for source in sources]
    return spoil


def helper_above(notebook):
    cells = notebook["cells"]
    cells.insert(3, {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None,
                     "source": ["raise SystemExit\n"]})
    cells.insert(4, {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None,
                     "source": ["ONE = 1\n", "%matplotlib inline\n", "def helper(flag):\n", "    return ONE if flag else 0\n"]})
    answer("def tokens_added(accepted, mismatched):\n    return len(accepted) + helper(mismatched)" + CHECK)(notebook)


def broken_imports(notebook):
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and "import torch" in "".join(cell["source"]):
            cell["source"] = "import torch\nfrom specdec_utils import )"
    answer(RIGHT + CHECK)(notebook)


SPOILED = {  # kind -> (spoiler, outcome of the first exercise, what its sentence holds)
    "right": (answer(RIGHT + CHECK), "passed", ""),
    "wrong": (answer("def tokens_added(accepted, mismatched):\n    return len(accepted)" + CHECK), "failed", "count only the accepted"),
    "untouched": (lambda notebook: None, "not attempted", ""),
    "returns-nothing": (answer("def tokens_added(accepted, mismatched):\n    pass" + CHECK), "failed", "you return None"),
    "raises": (body("raise ValueError('first\\nlast')"), "crashed", "ValueError: first last"),
    "cell-raises": (answer("1 / 0\n" + RIGHT + CHECK), "crashed", "ZeroDivisionError: division by zero"),
    "raises-after-check": (answer(RIGHT + CHECK + "\n1 / 0"), "passed", ""),
    "syntax-error": (answer("def tokens_added(accepted, mismatched)\n    return 1" + CHECK), "crashed", "SyntaxError: expected ':'"),
    "null-byte": (answer("\0" + RIGHT + CHECK), "crashed", "null bytes"),
    "endless-loop": (body("while True: pass"), "out of time", "within 6 seconds"),
    "endless-cell": (answer("while True: pass\n" + RIGHT + CHECK), "out of time", "within 6 seconds"),
    "deaf-endless-loop": (body("while True:", "    try:", "        while True: pass", "    except BaseException: pass"), "out of time", ""),
    "endless-output": (body("while True: print('x' * 1000)"), "out of time", ""),
    "endless-recursion": (body("return tokens_added(accepted, mismatched)"), "crashed", "RecursionError"),
    "sleeps": (body("import time; time.sleep(600)"), "out of time", ""),
    "sys-exit": (body("import sys; sys.exit('bye')"), "crashed", "SystemExit: bye"),
    "exit-cell": (answer("exit()" + CHECK), "crashed", "SystemExit"),
    "os-exit": (body("import os; os._exit(7)"), "crashed", "exit code 7"),
    "input": (body("input('how many? ')"), "crashed", "EOFError"),
    "deleted": (delete, "missing", "No code cell"),
    "all-deleted": (delete_all, "missing", "No code cell"),
    "made-markdown": (into_markdown, "missing", "No code cell"),
    "lost-metadata": (lose_metadata, "passed", ""),
    "duplicated": (duplicate("def tokens_added(accepted, mismatched):\n    return 0" + CHECK, RIGHT + CHECK), "passed", "best of 2 copies"),
    "renamed": (answer(RIGHT.replace("tokens_added", "mine") + CHECK), "crashed", "NameError: name 'tokens_added' is not defined"),
    "renamed-throughout": (answer(RIGHT.replace("tokens_added", "mine") + CHECK.replace(", tokens_added", ", mine")), "passed", ""),
    "no-check": (answer("import math\n" + RIGHT), "passed", ""),
    "nothing-to-check": (answer("x = 3"), "crashed", "neither calls check('05.tokens_added', …) nor"),
    "own-check": (answer("def check(*_): print('correct')\n" + RIGHT.replace("len", "2 * len") + CHECK), "failed", ""),
    "imported-check": (answer("from specdec_utils.exercises import check\n" + RIGHT + CHECK), "passed", ""),
    "helper-inside": (answer("def plus(n):\n    return n + 1\n" + RIGHT.replace("bool(mismatched)", "(plus(0) if mismatched else 0)") + CHECK),
                      "passed", ""),
    "helper-above": (helper_above, "passed", ""),
    "not-a-function": (answer('ok = check("05.tokens_added", 3)'), "crashed", "TypeError"),
    "broken-imports": (broken_imports, "passed", ""),
    "breaks-the-package": (body("import torch, specdec_utils.exercises as e", "e.CHECKS.clear()", "torch.set_num_threads = None"),
                           "passed", ""),
    "uses-pair": (answer("def tokens_added(accepted, mismatched):\n    assert pair.tokenizer\n    return len(accepted) + mismatched" + CHECK),
                  "passed", ""),
    "very-deep": (answer("x = " + "(" * 5000 + ")" * 5000 + "\n" + RIGHT + CHECK), "crashed", ""),
    "writes-files": (body("open('mine.txt', 'w').write('x')"), "passed", ""),
    "magic": (answer("%%time\n!ls\n" + RIGHT + CHECK), "passed", ""),
    "list-of-lines": (answer((RIGHT + CHECK).splitlines(keepends=True)), "passed", ""),
}
LINUX = {
    "segmentation-fault": (body("import ctypes; ctypes.string_at(0)"), "crashed", "ended its process"),
    "fork": (body("import os; os.fork()"), "passed", ""),
    "forked-loop": (body("import os", "if os.fork() == 0:", "    while True: pass"), "passed", ""),
    "all-memory": (body("x = bytearray(1 << 40)"), "crashed", "MemoryError"),
    "endless-file": (body("f = open('big', 'wb')", "while True: f.write(bytes(1 << 20))"), "crashed", "File too large"),
    "kills-its-group": (body("import os; os.killpg(0, 9)"), "crashed", "exit code -9"),
    "closes-everything": (body("import os; os.closerange(3, 200)"), "crashed", "ended its process"),
}
if sys.platform == "linux":
    SPOILED |= LINUX
FILES = {  # whole files: bytes -> outcome, sentence
    "empty": (b"", "unreadable", "JSON is broken"), "half": (FIVE.read_bytes()[:3000], "unreadable", "JSON is broken"),
    "binary": (bytes(range(256)), "unreadable", "no notebook"), "list": (b"[1, 2]", "unreadable", "without a list of cells"),
    "deep": (b"[" * 200_000, "unreadable", "no notebook"),
    "odd-cells": (b'{"cells": [3, {"cell_type": "code"}, {"source": 5, "metadata": []}]}', "not ours", "not a notebook of the course"),
    "foreign": (b'{"cells": [{"cell_type": "code", "metadata": {}, "source": "check(\'99.magic\', f)"}]}', "not ours", "not a notebook of the course"),
}


@pytest.fixture(scope="module")
def table(original, tmp_path_factory):
    """The CSV of one run over all spoiled notebooks, one folder a student, every file named alike: {(student, exercise): row}."""
    folder = tmp_path_factory.mktemp("class")
    for kind, (spoil, *_) in SPOILED.items():
        notebook = copy.deepcopy(original)
        spoil(notebook)
        (folder / kind).mkdir()
        (folder / kind / FIVE.name).write_text(json.dumps(notebook), "utf-8")
    for kind, (content, *_) in FILES.items():
        (folder / kind).mkdir()
        (folder / kind / FIVE.name).write_bytes(content)
    (folder / "gone").mkdir()
    out = folder / "grades.csv"
    files = sorted(str(path) for path in folder.glob("*/*.ipynb")) + [str(folder / "gone" / FIVE.name)]
    assert main(["grade", *files, "--csv", str(out), "--timeout", "6"]) == 0
    with out.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    found = {(row["notebook"].partition("/")[0], row["exercise"]): row for row in rows}
    assert len(found) == len(rows), "a row stands there twice"
    return found


def test_thirty_spoiled_notebooks_have_their_rows(table):
    assert len(SPOILED) >= 30
    assert {student for student, _ in table} == {*SPOILED, *FILES, "gone"}
    assert all("\n" not in row["sentence"] and len(row["sentence"]) <= 400 for row in table.values())


@pytest.mark.parametrize("kind", SPOILED)
def test_each_spoiling_is_told_apart(table, kind):
    _, outcome, sentence = SPOILED[kind]
    row = table[kind, ADDED]
    assert row["outcome"] == outcome, row["sentence"]
    assert sentence in row["sentence"] and (outcome == "passed" or outcome == "not attempted" or row["sentence"])
    others = "missing" if kind == "all-deleted" else "not attempted"
    assert [table[kind, name]["outcome"] for name in (KEEP, ONLY)] == [others, others], "the rest of the notebook is graded as well"


@pytest.mark.parametrize("kind", FILES)
def test_what_is_no_notebook_of_ours_is_one_sentence(table, kind):
    _, outcome, sentence = FILES[kind]
    row = table[kind, "-"]
    assert row["outcome"] == outcome and sentence in row["sentence"] and row["sentence"].endswith(".")
    assert len([key for key in table if key[0] == kind]) == 1


def test_a_file_that_is_not_there_is_a_row(table):
    assert table["gone", "-"]["outcome"] == "unreadable" and "No such file" in table["gone", "-"]["sentence"]


def test_stubs_are_known_and_nothing_else_is_taken_for_one():
    cells = [cell for path in notebook_paths() for cell in read(path).cells if course_metadata(cell, "exercise")]
    assert [cell.source for cell in cells if not Answer(cell.source, ()).is_stub()] == []
    for changed in ("return 1", "return ... if accepted else 0", "print(1)\n    return ..."):
        assert not Answer(f"def f(accepted):\n    # hint\n    {changed}\n\nok = check('05.x', f)", ()).is_stub()
    assert not Answer("def f():\n    return ...\n\nok = check('05.x', g)", ()).is_stub()


def test_the_solutions_of_every_notebook_pass(tmp_path):
    for path in notebook_paths():
        notebook = json.loads(path.read_text("utf-8"))
        solutions = {cell["metadata"].get("specdec", {}).get("solution"): "".join(cell["source"]) for cell in notebook["cells"]}
        for cell in notebook["cells"]:
            name = cell["metadata"].get("specdec", {}).get("exercise")
            if name:
                line = next(line for line in cell["source"] if "check(" in line)
                cell["source"] = "\n".join([*re.findall(r"(?s)```python\n(.*?)```", solutions[name]), line])
        (tmp_path / path.name).write_text(json.dumps(notebook), "utf-8")
    assert main(["grade", str(tmp_path), "--csv", str(tmp_path / "grades.csv")]) == 0
    with (tmp_path / "grades.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) >= 40 and [row for row in rows if row["outcome"] != "passed"] == []


def test_every_exercise_of_the_course_is_known_by_its_number():
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        stubs = {course_metadata(cell, "exercise") for cell in read(path).cells} - {None}
        assert set(exercise_names(path.name[:2])) == stubs
    assert exercise_names("99") == [] and exercise_names("../x") == []


def test_folders_are_searched_and_a_single_notebook_keeps_its_name(original, tmp_path, capsys):
    (tmp_path / "a" / ".ipynb_checkpoints").mkdir(parents=True)
    for folder in ("a", "a/.ipynb_checkpoints"):
        (tmp_path / folder / "x.ipynb").write_text('{"cells": []}')
    assert main(["grade", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[0].startswith("x.ipynb  -") and lines[-1] == "1 notebook(s): 1 not ours"


@pytest.mark.parametrize("arguments, message", [
    (["--timeout", "0"], "--timeout 0 is not usable"), (["--timeout", "nan"], "--timeout nan is not usable"),
    (["--csv", "/no/such/folder/x.csv"], "cannot be written"), (["--csv", "."], "cannot be written")])
def test_bad_option_is_one_sentence(tmp_path, capsys, arguments, message):
    assert main(["grade", str(tmp_path / "x.ipynb"), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1


def test_an_empty_folder_is_one_sentence(tmp_path, capsys):
    assert main(["grade", str(tmp_path)]) == 2
    assert "There is no notebook in" in capsys.readouterr().err


def test_of_the_cells_above_only_what_is_used_is_run():
    above = ("import torch\nimport os.path as where\nfrom math import floor, ceil",
             "def one():\n    return two()\nx = load()\nprint(x)", "def two():\n    return N + floor(1.5)\nN, M = 1, 2\nUNUSED = 3")
    found = [ast.unparse(one).splitlines()[0] for one in needed(Answer("def f():\n    return one()", above))]
    assert found == ["from math import floor, ceil", "def one():", "def two():", "N, M = (1, 2)"]
