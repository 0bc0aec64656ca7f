"""CONTRIBUTING.md: its drawing shows the rooms that exist, from the top floor down, and what it names is there."""
import re

from notebook_rules import ROOT
from test_rooms import FLOORS

TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
DRAWING = re.search(r"(?s)```text\n(.*?)```", TEXT)[1]


def test_the_drawing_names_every_room_from_the_top_down():
    rooms = re.findall(r"(?m)^│ (\d) │ (\w+)", DRAWING)
    assert rooms == [(str(number), room) for number, room in reversed(list(enumerate(FLOORS, 1)))]


def test_the_drawing_fits_a_plain_terminal():
    lines = DRAWING.splitlines()
    assert max(map(len, lines)) <= 100 and "\t" not in DRAWING
    assert len({len(line) for line in lines if line.rstrip().endswith(("│", "┐", "┤", "┘"))}) == 1, "the frame is not straight"


def test_named_files_and_folders_exist():
    """Except those that stand for one still to be made, written with NN or NAME."""
    paths = re.findall(r"`([\w./-]+/[\w./-]*|[\w-]+\.(?:py|md|txt|yml|yaml|toml))`", TEXT)
    assert len(paths) > 15
    missing = [path for path in paths if not re.search(r"NN|NAME", path) and not (ROOT / path).exists()]
    assert missing == []


def test_every_kind_of_contribution_has_its_place():
    rows = re.findall(r"(?m)^\| a new ([\w ]+) \|", TEXT)
    assert set(rows) >= {"drafter", "forward pass", "acceptance rule", "widget", "exercise", "notebook"}
