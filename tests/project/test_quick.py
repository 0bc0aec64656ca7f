"""`pytest -m quick` holds something of every room, the notebook contract whole, and nothing that starts a browser or a kernel."""
import re
import subprocess
import sys
from collections import Counter

import pytest
from notebook_rules import ROOT, RULES, notebook_paths
from test_rooms import FLOORS


@pytest.fixture(scope="module")
def quick() -> list[str]:
    """The names of the quick tests."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "quick", "--color=no", "-p", "no:cacheprovider"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return re.findall(r"(?m)^(\S+::.*)$", run.stdout)


def test_every_room_has_a_share(quick):
    rooms = Counter(name.split("/")[1] for name in quick)
    assert {*FLOORS, "notebooks", "project", "training"} <= set(rooms)
    assert all(rooms[floor] >= 5 for floor in FLOORS)


def test_the_contract_is_whole(quick):
    assert sum("test_notebook_contract.py::test_notebook[" in name for name in quick) == len(RULES) * len(notebook_paths())


def test_no_browser_and_no_kernel(quick):
    files = {name.partition("::")[0] for name in quick}
    assert not [name for name in files if "browser" in name or name.endswith(".ipynb") or "guard" in name]
