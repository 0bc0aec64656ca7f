""".ci/colab.py, as far as it goes without an environment of its own: what it assumes, what it changes in a notebook, what it packs."""
import datetime
import importlib.util
import json
import subprocess
import sys
import zipfile
from copy import deepcopy

import pytest
from notebook_rules import NOTEBOOKS, ROOT, notebook_paths
from notebook_rules.reading import links
from packaging.requirements import Requirement
from packaging.version import Version
from test_environment import PROJECT, pins

with pytest.MonkeyPatch.context() as patch:
    patch.setitem(sys.modules, "links", links)
    _spec = importlib.util.spec_from_file_location("ci_colab", ROOT / ".ci" / "colab.py")
    colab = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(colab)

ADDRESS = "file:///somewhere/main.zip"


def versions(models):
    wanted = [Requirement(line) for line in colab.requirements(models)]
    found = {one.name: str(one.specifier).removeprefix("==") for one in wanted}
    assert len(found) == len(wanted)
    return found


def load(name):
    return json.loads((NOTEBOOKS / name).read_text("utf-8"))


def test_assumptions_have_a_date_and_a_source():
    assert isinstance(colab.ASSUMED["date"], datetime.date) and "https://" in colab.ASSUMED["source"]
    assert all(Version(one) in Requirement(f"python{PROJECT['requires-python']}").specifier for one in colab.ASSUMED["python"])


@pytest.mark.parametrize("models", ["colab", "lowest", "newest"])
def test_every_dependency_is_there_in_a_version_that_we_admit(models):
    """The setup cell installs none of them."""
    found = versions(models)
    for requirement in map(Requirement, PROJECT["dependencies"]):
        assert requirement.specifier.contains(found[requirement.name]), requirement


@pytest.mark.parametrize("models, file", [("lowest", "constraints-lowest.txt"), ("newest", "constraints.txt")])
def test_other_models_are_those_of_the_constraints_and_nothing_else_differs(models, file):
    found = versions(models)
    assert {name: found.pop(name) for name in ("torch", "transformers")} == {name: pins(file)[name] for name in ("torch", "transformers")}
    assert found.items() <= versions("colab").items()


@pytest.mark.parametrize("path", notebook_paths(), ids=lambda path: path.stem)
def test_only_the_address_in_the_setup_cell_changes(path):
    stored = load(path.name)
    ours = colab.with_archive(stored, ADDRESS)
    changed = [(one["source"], other["source"]) for one, other in zip(stored["cells"], ours["cells"]) if one["source"] != other["source"]]
    assert len(changed) == 1
    public = f"{links.repository()}/archive/refs/heads/{links.BRANCH}.zip"
    assert "".join(changed[0][0]) == changed[0][1].replace(ADDRESS, public) and f"%pip install --quiet --no-deps {ADDRESS}" in changed[0][1]
    assert not any(cell.get("outputs") for cell in ours["cells"])


def test_a_notebook_without_a_setup_cell_is_one_sentence():
    notebook = load("00_start_here.ipynb")
    notebook["cells"] = [cell for cell in notebook["cells"] if not "".join(cell["source"]).startswith("# setup")]
    with pytest.raises(ValueError, match="^the first code cell is not a setup cell that installs https://"):
        colab.with_archive(notebook, ADDRESS)


def test_the_archive_is_laid_out_as_githubs(tmp_path):
    with zipfile.ZipFile(colab.archive(ROOT, tmp_path)) as zipped:
        names = set(zipped.namelist())
    top = f"{links.repository().split('/')[-1]}-main/"
    assert all(name.startswith(top) for name in names)
    inside = {name.removeprefix(top) for name in names}
    assert {"pyproject.toml", "README.md", "specdec_utils/pairs/stories/verifier/model.safetensors", "specdec_utils/show/page.js"} <= inside
    assert not [name for name in inside if "__pycache__" in name or name.startswith((".git/", ".venv", "build/"))]


def stopped(*texts):
    cells = [{"cell_type": "code", "outputs": []} for _ in range(4)]
    for cell, text in zip(cells[1:], texts):
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": text}]
    return {"metadata": {"specdec": {"needs": "smollm2"}}, "cells": cells}


def test_a_notebook_without_its_model_must_stop_with_a_sentence_and_do_nothing_after_it():
    assert colab.stop_of(stopped("It is missing.\nDo that again.\n")) == "It is missing."
    for wrong in (stopped(), stopped("It is missing.\n", "more\n")):
        with pytest.raises(ValueError, match="^it did not stop with one sentence and nothing after it$"):
            colab.stop_of(wrong)
        other = deepcopy(wrong) | {"metadata": {}}
        assert colab.stop_of(other) == ""


def test_command_names_a_notebook_that_does_not_exist_before_it_makes_anything(tmp_path):
    command = [sys.executable, ROOT / ".ci" / "colab.py", "77", "--environment", tmp_path / "environment"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2 and run.stderr.endswith("error: no notebook's name begins with 77\n")
    assert not (tmp_path / "environment").exists()
