"""What the rules read a notebook with: its cells, its outputs, its sections."""
import importlib.util
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
NAV = "<!-- nav -->"
IGNORING = {"nbval-ignore-output", "nbval-skip"}
UNCOMPARED = {"image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json"}

_spec = importlib.util.spec_from_file_location("ci_links", ROOT / ".ci" / "links.py")
links = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(links)


def notebook_paths() -> list[Path]:
    """The notebooks of the course, in its order."""
    return [NOTEBOOKS / name for name in links.notebook_names(ROOT)]


def read(path: Path):
    return nbformat.read(path, as_version=4)


def code_cells(nb) -> list:
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def markdown(nb) -> list[str]:
    return [cell.source for cell in nb.cells if cell.cell_type == "markdown"]


def course_metadata(cell, key: str):
    """`metadata.specdec[key]` of a cell, or None."""
    return cell.metadata.get("specdec", {}).get(key)


def python_of(source: str) -> str:
    """Source without IPython's magics, so that `ast` can read it."""
    return re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", source)


def without_fences(text: str) -> str:
    return re.sub(r"(?ms)^\s*(```|~~~).*?^\s*\1\s*$", "", text)


def unfolded(text: str) -> str:
    return re.sub(r"(?s)<details.*?</details>", "", text)


def sections(nb) -> list[tuple[str, str]]:
    """(title, text) of every `##` section, in order."""
    text = "\n\n".join(without_fences(source) for source in markdown(nb))
    parts = re.split(r"(?m)^## +(.+?)\s*$", text)
    return list(zip(parts[1::2], parts[2::2]))


def is_ignored(cell) -> bool:
    return bool(IGNORING & set(cell.metadata.get("tags", [])))


def is_compared(cell) -> bool:
    """Would nbval compare anything of this cell?"""
    return not is_ignored(cell) and any(
        output.output_type == "stream" or set(output.get("data", {})) - UNCOMPARED for output in cell.outputs)


class Tags(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def html_outputs(nb) -> list[str]:
    return [output["data"]["text/html"] for cell in code_cells(nb) for output in cell.outputs
            if "text/html" in output.get("data", {})]
