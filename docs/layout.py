"""Lay out what Sphinx reads: the pages of docs/pages/, the notebooks as they are stored, and the parts that pages include.

Nothing is written here. Each part is cut out of the file in which it stands: README.md, a notebook, or the package.
"""
import ast
import json
import re
import shutil
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ABOUT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
BRANCH = "main"
TWIN = 'class="specdec-twin"'  # an output that works in the page, without a kernel
LIVE = "application/vnd.jupyter.widget-view+json"  # a widget that needs a kernel: an empty box on a page
FILES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "LICENSE-TEXT.md", "CITATION.cff")
PLACES = {"README.md": "run.md", "LICENSE-TEXT.md": "about.md#text-and-figures", "LICENSE": "about.md#code",  # file -> where it is here
          "CITATION.cff": "about.md#how-to-cite"}
FIRST, STEPPER = "00_start_here.ipynb", "05_prefix_accept_and_scoring.ipynb"


def cut(text: str, begin: str, end: str, where: str) -> str:
    """What stands in `text` between the markers. Raises ValueError, naming `where`, if they are not there in this order."""
    found = re.search(f"{re.escape(begin)}(.*?){re.escape(end)}", text, re.DOTALL)
    if found is None:
        raise ValueError(f"{where}: nothing stands between {begin!r} and {end!r}, where the site takes a part of a page from.")
    return found[1].strip() + "\n"


def markdown(notebook: dict) -> str:
    """All text cells of a notebook."""
    return "\n\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")


def html_of(cell: dict) -> str:
    """The HTML that a cell's stored outputs show."""
    return "".join("".join(output.get("data", {}).get("text/html", "")) for output in cell.get("outputs", []))


def still(notebook: dict) -> dict:
    """The notebook without live widgets. Of each output only its HTML is left where it has HTML, and of a live widget not even
    that where the next code cell shows its twin, which works in the page."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell, following in zip(cells, [*cells[1:], {}]):
        kept = []
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "text/html" in data or LIVE in data:
                output["data"] = {kind: value for kind, value in data.items() if kind == "text/html"}
            if output.get("data") != {} and not (LIVE in data and TWIN in html_of(following)):
                kept.append(output)
        cell["outputs"] = kept
    return notebook


def stepper(notebook: dict) -> str:
    """The stepper of the notebook as its stored HTML: the one that works in the page, or else the picture of a live one.

    Raises ValueError if there is neither.
    """
    shown = {"".join(cell["source"]): html_of(cell) for cell in notebook["cells"] if html_of(cell)}
    twins = [markup for markup in shown.values() if TWIN in markup]
    stills = [markup for source, markup in shown.items() if "BranchStepper(" in source]
    if twins or stills:
        return (twins or stills)[0]
    raise ValueError(f"{STEPPER}: no cell has a stepper as its stored HTML, which the home page shows.")


def public_names(package: Path) -> dict[str, list[str]]:
    """Each room of the package, lowest floor first -> the names that `specdec_utils` exports from it."""
    rooms = {name: [] for name in ("text", "models", "run", "decode", "measure")}
    for line in ast.parse((package / "__init__.py").read_text("utf-8")).body:
        if isinstance(line, ast.ImportFrom) and line.level == 1:
            rooms[line.module.split(".")[0]] += [alias.name for alias in line.names]
    return rooms


def api(package: Path) -> str:
    """The page part that asks Sphinx for the docstrings of all public names, room by room."""
    parts = []
    for room, names in public_names(package).items():
        about = ast.get_docstring(ast.parse((package / room / "__init__.py").read_text("utf-8")))
        title = f"``{room}``"
        parts.append(f"{title}\n{'-' * len(title)}\n\n{about}\n")
        for name in names:
            parts.append(f".. public:: {name}\n")
    return "\n".join(parts)


def lead_to_cells(text: str) -> str:
    """A teacher's page with links to cells and to the sheet as HTML, since Sphinx knows neither, and README.md where it is here."""
    text = text.replace("(../README.md)", f"(../{PLACES['README.md']})")
    text = re.sub(r"\[([^]]+)\]\((\.\./notebooks/\w+)\.ipynb#cell-id=([\w-]+)\)", r'<a href="\2.html#cell-\3">\1</a>', text)
    return re.sub(r"\[([^]]+)\]\((sheet\.html)\)", r'<a href="../\2">\1</a>', text)


def with_anchors(notebook: dict, wanted: set[str]) -> dict:
    """The notebook with an anchor before each cell whose id is one of `wanted`."""
    cells = []
    for cell in notebook["cells"]:
        if cell["id"] in wanted:
            cells.append({"cell_type": "markdown", "id": f"at-{cell['id']}", "metadata": {}, "source": f'<a id="cell-{cell["id"]}"></a>'})
        cells.append(cell)
    return notebook | {"cells": cells}


def place_of(link: str, root: Path) -> str:
    """Where a link of a top-level page leads here: a file that the site does not have is shown by the repository."""
    elsewhere = (root / link).exists() and link not in FILES and link.partition("/")[0] not in ("notebooks", "instructor")
    return PLACES.get(link, f"{ABOUT['urls']['Repository']}/blob/{BRANCH}/{link}" if elsewhere else link)


def lay_out(source: Path, root: Path = ROOT) -> None:
    """Write everything that Sphinx reads into the folder `source`, which is made."""
    shutil.copytree(root / "docs" / "pages", source)
    shutil.copytree(root / "notebooks" / "images", source / "notebooks" / "images")
    for name in FILES:
        shutil.copy(root / name, source)
    for path in source.glob("*.md"):
        path.write_text(re.sub(r"\]\(([\w./-]+)\)", lambda m: f"]({place_of(m[1], root)})", path.read_text("utf-8")), "utf-8")

    notebooks = {path.name: still(json.loads(path.read_text("utf-8"))) for path in (root / "notebooks").glob("[0-9][0-9]_*.ipynb")}
    for cell in notebooks[FIRST]["cells"]:  # the course's index is README.md in the repository and the home page here
        cell["source"] = re.sub(r"\[index\]\(http[^)]*\)", "[index](../index.md)", "".join(cell["source"]))
    (source / "instructor").mkdir()
    wanted = set()
    for path in (root / "instructor").glob("*.md"):
        text = lead_to_cells(path.read_text("utf-8"))
        wanted |= set(re.findall(r"#cell-([\w-]+)", text))
        (source / "instructor" / path.name).write_text(text, "utf-8")
    for name, notebook in notebooks.items():
        notebook = with_anchors(notebook, wanted)
        (source / "notebooks" / name).write_text(json.dumps(notebook), "utf-8")

    parts = source / "parts"
    parts.mkdir()
    readme = (root / "README.md").read_text("utf-8")
    texts = {name: markdown(notebook) for name, notebook in notebooks.items()}
    for name, text in {
        "about.md": cut(readme, "\n", "![", "README.md"),
        "idea.md": cut(texts[FIRST], "and does it run here?\n", "**You will be able to**", FIRST),
        "signs.md": "| sign " + cut(texts[STEPPER], "| sign", "**Predict**", STEPPER),
        "stepper.html": stepper(notebooks[STEPPER]),
        "api.rst": api(root / "specdec_utils"),
    }.items():
        (parts / name).write_text(text, "utf-8")
