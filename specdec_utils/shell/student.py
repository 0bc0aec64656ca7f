"""`python -m specdec_utils student`: the course for a class, without the solutions of its exercises."""
import argparse
import json
import shutil
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"  # beside the package in the course folder
FOLDED = " Its solution is folded."  # what notebook 00 promises


def without_solutions(text: str, hints: bool = True) -> str:
    """The notebook file `text` without the cells that hold a solution and, if `hints` is False, without those that hold a hint.

    All else but the sentence that promises solutions stays as it is, byte for byte.
    Raises ValueError for a notebook in which a solution stands in another cell.
    """
    notebook = json.loads(text)

    def goes(cell: dict) -> bool:
        return "solution" in cell["metadata"].get("specdec", {}) or (not hints and _summary("Hint") in _source(cell))

    notebook["cells"] = [cell for cell in notebook["cells"] if not goes(cell)]
    left = [i for i, cell in enumerate(notebook["cells"]) if _summary("Solution") in _source(cell)]
    if left:
        raise ValueError(f"cell {left[0]} holds a solution and does not name its exercise in metadata.specdec.solution.")
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True).replace(FOLDED, "") + "\n"


def _source(cell: dict) -> str:
    return "".join(cell["source"])


def _summary(title: str) -> str:
    return f"<details><summary>{title}"


def main(argv: list[str]) -> int:
    """Write the folder. Raises ValueError for one that is not empty and where no notebooks are found."""
    parser = argparse.ArgumentParser(prog="python -m specdec_utils student", description=__doc__.split(": ", 1)[1])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to write it: a new or an empty folder")
    parser.add_argument("--without-hints", action="store_true", help="leave out the hints too")
    parser.add_argument("--notebooks", type=Path, default=NOTEBOOKS, metavar="DIR", help="the course's notebooks (default: this course's)")
    args = parser.parse_args(argv)
    paths = sorted(args.notebooks.glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise ValueError(f"There are no notebooks in {args.notebooks}: name the course's folder `notebooks` with --notebooks.")
    if args.folder.exists() and (not args.folder.is_dir() or any(args.folder.iterdir())):
        raise ValueError(f"{args.folder} is there already: name a new or an empty folder.")
    texts = {}
    for path in paths:
        try:
            texts[path.name] = without_solutions(path.read_text("utf-8"), not args.without_hints)
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from error
    args.folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (args.folder / name).write_text(text, "utf-8", newline="\n")
    if (args.notebooks / "images").is_dir():
        shutil.copytree(args.notebooks / "images", args.folder / "images")
    print(f"{len(texts)} notebooks without solutions in {args.folder}")
    return 0
