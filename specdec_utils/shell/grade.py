"""`python -m specdec_utils grade`: the exercises in students' notebooks, each answer run alone and checked, as a table and as CSV."""
import argparse
import csv
import os
import sys
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

from ..exercises.grading import grade_notebook

EPILOG = """This runs the students' code with all that your user may do: grade on a machine, or as a user, with nothing to lose.
Of a notebook only the exercise cells are run, each after those imports, definitions and plain constants above it that it uses."""
COLUMNS = ("notebook", "exercise", "outcome", "sentence")


def notebook_files(given: list[Path]) -> list[Path]:
    """The files of `given`, each once; of a folder every notebook in it, however deep, checkpoints left out."""
    files = []
    for path in given:
        inside = sorted(path.rglob("*.ipynb")) if path.is_dir() else [path]
        files += [file for file in inside if ".ipynb_checkpoints" not in file.parts]
    return list(dict.fromkeys(files))


def labels(files: list[Path]) -> list[str]:
    """A name for each file that tells it from the others: its path from the innermost folder that holds all of them."""
    full = [file.absolute() for file in files]
    try:
        shared = Path(os.path.commonpath([path.parent for path in full]))
    except ValueError:  # on several drives
        return [path.as_posix() for path in full]
    return [path.relative_to(shared).as_posix() for path in full]


def main(argv: list[str]) -> int:
    """Grade, print, write. Raises ValueError for input that cannot be used; whatever is wrong with a notebook is a row."""
    parser = argparse.ArgumentParser(prog="python -m specdec_utils grade", description=__doc__.split(": ", 1)[1], epilog=EPILOG)
    parser.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK", help="students' notebooks, or folders of them")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table to FILE as well")
    parser.add_argument("--timeout", type=float, default=20.0, metavar="SECONDS", help="time limit for each answer (default 20)")
    args = parser.parse_args(argv)
    if not 0 < args.timeout < 86400:
        raise ValueError(f"--timeout {args.timeout:g} is not usable: it must be above 0 and at most a day.")
    if args.csv is not None and (args.csv.is_dir() or not args.csv.resolve().parent.is_dir()):
        raise ValueError(f"{args.csv} cannot be written: name a file in a folder that exists.")
    files = notebook_files(args.notebooks)
    if not files:
        raise ValueError(f"There is no notebook in {', '.join(map(str, args.notebooks))}.")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal without Greek letters is no reason to stop
    named = dict(zip(labels(files), files))
    wide, counts = max(map(len, named)), Counter()
    with nullcontext() if args.csv is None else args.csv.open("w", newline="", encoding="utf-8", errors="replace") as table:
        writer = csv.writer(table) if table else None
        if writer:
            writer.writerow(COLUMNS)
        for label, file in named.items():
            for exercise, verdict in grade_notebook(file, args.timeout):
                counts[verdict.outcome] += 1
                print(f"{label:{wide}}  {exercise:26}  {verdict.outcome:13}  {verdict.sentence}".rstrip(), flush=True)
                if writer:
                    writer.writerow((label, exercise, verdict.outcome, verdict.sentence))
                    table.flush()
    print(f"\n{len(files)} notebook(s): " + ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()))
    return 0
