"""Run notebooks as Colab runs them: with its versions and its Python, in an empty folder, the setup cell really executed.

What is assumed of Colab stands in `.ci/colab.toml`. The setup cell installs the package from an archive of this folder, laid out as
GitHub's, in place of the repository's address; nothing else in a notebook changes. Nothing asks a model hub. Linux; the
environment takes 5 GB, since PyPI's torch brings the CUDA libraries.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import links

ROOT = links.ROOT
ASSUMED = tomllib.loads((ROOT / ".ci" / "colab.toml").read_text("utf-8"))
BOUNDS = {"lowest": "constraints-lowest.txt", "newest": "constraints.txt"}


def requirements(models: str = "colab") -> list[str]:
    """What pip installs: Colab's packages, with torch and transformers as on Colab, or the "lowest" or "newest" that we admit."""
    if models == "colab":
        return ASSUMED["packages"] + ASSUMED["models"]
    return ASSUMED["packages"] + re.findall(r"(?m)^(?:torch|transformers)==\S+", (ROOT / BOUNDS[models]).read_text("utf-8"))


def interpreter() -> str:
    """The first Python on PATH of a version that Colab has, else the one that runs this."""
    return next(filter(None, (shutil.which(f"python{version}") for version in ASSUMED["python"])), sys.executable)


def make_environment(folder: Path, python: str, wanted: list[str]) -> None:
    """An environment of `wanted` in `folder`, with a stand-in for google.colab that its kernel "colab" imports first, as on Colab.
    One that was made before of the same is taken as it is."""
    made = folder / "made.txt"
    lines = "\n".join([python, *wanted])
    if made.exists() and made.read_text("utf-8") == lines:
        return
    subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *(one for one in wanted if one.startswith("pip=="))], check=True)
    subprocess.run([*pip, *wanted], check=True)
    stand_in = next(folder.glob("lib/python*/site-packages")) / "google" / "colab"
    stand_in.mkdir(parents=True, exist_ok=True)
    (stand_in / "__init__.py").write_text("")
    kernel = folder / "share" / "jupyter" / "kernels" / "colab"
    kernel.mkdir(parents=True, exist_ok=True)
    argv = [str(folder / "bin" / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}",
            "--IPKernelApp.exec_lines=import google.colab"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Colab", "language": "python"}))
    made.write_text(lines, "utf-8")


def archive(root: Path, folder: Path) -> Path:
    """A zip of `root` as it would be committed now, in the layout of GitHub's archive/refs/heads/main.zip. Returns its path in `folder`."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}  # a hook's would name the root's own index

    def git(*arguments: str) -> str:
        command = ["git", f"--git-dir={folder / 'archive.git'}", f"--work-tree={root}", *arguments]
        return subprocess.run(command, check=True, cwd=root, env=env, stdout=subprocess.PIPE, text=True).stdout.strip()
    git("init", "--quiet")
    git("add", "--all", ".")
    zipped = folder / f"{links.BRANCH}.zip"
    prefix = f"{links.repository(root).rpartition('/')[2]}-{links.BRANCH}/"
    git("archive", f"--prefix={prefix}", f"--output={zipped}", git("write-tree"))
    return zipped


def with_archive(notebook: dict, address: str) -> dict:
    """A copy of the notebook whose setup cell installs from `address`, and which has no outputs yet."""
    notebook = json.loads(json.dumps(notebook))
    public = f"{links.repository()}/archive/refs/heads/{links.BRANCH}.zip"
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell in code:
        cell["outputs"] = []
    source = "".join(code[0]["source"])
    if not source.startswith("# setup") or source.count(public) != 1:
        raise ValueError(f"the first code cell is not a setup cell that installs {public}")
    code[0]["source"] = source.replace(public, address)
    return notebook


def stop_of(notebook: dict) -> str:
    """The sentence with which a notebook stopped for want of the model that it names in its metadata; "" for all others.
    Raises ValueError where such a notebook did anything else but stop."""
    if "needs" not in notebook["metadata"].get("specdec", {}):
        return ""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in code[1:] for output in cell["outputs"]]
    if [output.get("name") for output in outputs] != ["stdout"]:
        raise ValueError("it did not stop with one sentence and nothing after it")
    return "".join(outputs[0]["text"]).splitlines()[0]


def execute(name: str, environment: Path, address: str, keep: Path | None = None) -> str:
    """Run the notebook `name` from an empty folder in an environment without the package, and write it into `keep` as far as it came.
    Returns what there is to say about it."""
    import nbformat
    from nbclient import NotebookClient

    python = environment / "bin" / "python"
    subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "specdec-utils"], check=True, stderr=subprocess.DEVNULL)
    stored = json.loads((ROOT / "notebooks" / name).read_text("utf-8"))
    notebook = nbformat.reads(json.dumps(with_archive(stored, address)), as_version=4)
    with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryDirectory() as home:
        env = {key: value for key, value in os.environ.items() if not key.startswith(("SPECDEC_", "HF_", "PYTHON", "VIRTUAL_ENV"))}
        env |= {"HF_HOME": home, "HF_HUB_OFFLINE": "1", "IPYTHONDIR": home, "CUDA_VISIBLE_DEVICES": "",
                "PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # else the debugger warns on stderr
        nbformat.write(notebook, Path(empty, name))
        try:
            NotebookClient(notebook, timeout=1200, kernel_name="colab", resources={"metadata": {"path": empty}}).execute(env=env)
        finally:
            if keep:
                nbformat.write(notebook, keep / name)
    code = "from importlib.metadata import distribution; print(distribution('specdec_utils').read_text('direct_url.json'))"
    origin = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout
    if json.loads(origin)["url"] != address:
        raise ValueError(f"the package was not installed from {address} but from {origin}")
    stderr = [output["text"] for cell in notebook.cells for output in cell.get("outputs", []) if output.get("name") == "stderr"]
    if stderr:
        raise ValueError(f"it ran, and wrote to stderr: {' '.join(stderr)}")
    return stop_of(notebook)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", metavar="NN", help="how the names of the notebooks begin (default: all)")
    parser.add_argument("--environment", type=Path, help="its folder, kept for the next time (default: build/colab…)")
    parser.add_argument("--python", default=interpreter(), help=f"the Python to make it with; Colab's are {', '.join(ASSUMED['python'])}")
    parser.add_argument("--keep", type=Path, help="a folder for the executed notebooks")
    models = parser.add_mutually_exclusive_group()
    for which, file in BOUNDS.items():
        models.add_argument(f"--{which}", dest="models", action="store_const", const=which, default="colab",
                            help=f"torch and transformers of {file} in place of Colab's")
    args = parser.parse_args()
    names = [name for name in links.notebook_names() if not args.notebooks or name.startswith(tuple(args.notebooks))]
    if not names:
        parser.error(f"no notebook's name begins with {' or '.join(args.notebooks)}")
    environment = (args.environment or ROOT / "build" / ("colab" if args.models == "colab" else f"colab-{args.models}")).resolve()
    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
    make_environment(environment, args.python, requirements(args.models))
    os.environ["JUPYTER_PATH"] = str(environment / "share" / "jupyter")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        address = archive(ROOT, Path(folder)).as_uri()
        for name in names:
            start = time.perf_counter()
            try:
                said = execute(name, environment, address, args.keep)
                verdict = f"ok, and stopped: {said}" if said else "ok"
            except Exception as error:
                failed += 1
                verdict = f"FAILED: {error}"
            print(f"{name:36} {time.perf_counter() - start:5.0f} s  {verdict}", flush=True)
    return bool(failed)


if __name__ == "__main__":
    raise SystemExit(main())
