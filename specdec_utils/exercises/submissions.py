"""A student's notebook as it was handed in: which exercises it holds, and the cells that answer them.

Nothing of the student's is run or even parsed as Python here; a notebook is JSON, and whatever is wrong with it is one sentence.
"""
import json
import re
from dataclasses import dataclass
from pathlib import Path

from . import exercise_names

MAX_COPIES = 5
STUB = re.compile(r"""\s*def (\w+)\([^()]*\):\s+return \.\.\.\s+(?:\w+ = )?check\(["'][\w.]+["'], \1\)\s*""")


@dataclass(frozen=True)
class Answer:
    """One code cell that answers an exercise, and the code cells above it."""
    source: str
    above: tuple[str, ...]

    def is_stub(self) -> bool:
        """Is it the stub as the course has it, comments apart? Then nothing has to be run."""
        return STUB.fullmatch(re.sub("#.*", "", self.source)) is not None


class Unreadable(ValueError):
    """The file is no notebook."""


class NotOurs(ValueError):
    """The file is a notebook, but not one of the course."""


def submitted(path: Path) -> dict[str, list[Answer]]:
    """The answers to each exercise of the notebook in `path`, in the order of the exercises; an empty list where the cell is missing.

    A cell answers the exercise that its metadata name or that it passes to `check`; of several copies the last `MAX_COPIES`
    different ones are kept. Raises `Unreadable` or `NotOurs`, each with one sentence.
    """
    cells = _cells(path)
    found: dict[str, list[Answer]] = {}
    for at, (kind, source, named) in enumerate(cells):
        if kind != "code":
            continue
        above = tuple(text for other, text, _ in cells[:at] if other == "code")
        for name in dict.fromkeys([named, *re.findall(r"""\bcheck\(\s*["'](\d\d\.\w+)["']""", source)]):
            if isinstance(name, str) and name in exercise_names(name.partition(".")[0]):
                found.setdefault(name, []).append(Answer(source, above))
    numbers = {name.partition(".")[0] for name in found}
    first = next((source for kind, source, _ in cells if kind == "markdown" and "<!-- nav -->" in source), "")
    numbers |= set(re.findall(r"/notebooks/(\d\d)_\w+\.ipynb", first))
    names = [name for number in sorted(numbers) for name in exercise_names(number)]
    if not names:
        raise NotOurs("This is not a notebook of the course: it holds none of its exercises.")
    return {name: list({one.source: one for one in found.get(name, [])}.values())[-MAX_COPIES:] for name in names}


def _cells(path: Path) -> list[tuple[str, str, object]]:
    """(kind, source, exercise named in its metadata) of each cell."""
    try:
        notebook = json.loads(path.read_bytes())
    except OSError as error:
        raise Unreadable(f"The file cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"The file is no notebook: its JSON is broken ({error}).") from error
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise Unreadable("The file is no notebook: it is JSON without a list of cells.")
    return [_cell(cell) for cell in notebook["cells"] if isinstance(cell, dict)]


def _cell(cell: dict) -> tuple[str, str, object]:
    source = cell.get("source")
    text = source if isinstance(source, str) else "".join(map(str, source)) if isinstance(source, list) else ""
    metadata = cell.get("metadata")
    course = metadata.get("specdec") if isinstance(metadata, dict) else None
    return str(cell.get("cell_type")), text, course.get("exercise") if isinstance(course, dict) else None
