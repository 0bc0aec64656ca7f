"""Run notebooks the way Colab does: from an empty folder, the setup cell fetching the package, to the last cell.

    python .ci/colab.py              every notebook
    python .ci/colab.py 00 05        these

What Colab is taken to be stands below. torch, transformers and the rest come from the environment of the `python` that runs this;
the pins go into a throwaway environment in front of it, which does not see an installed specdec_utils. A module stands in for
`google.colab`, and this repository's archive lies at an address of this machine in place of GitHub's; apart from that address the
setup cell is what `.ci/links.py` writes, and it is really executed. Stored outputs are not compared: another machine measures
other times. Needs a package index for the pins and for what builds the package.
"""
import functools
import http.server
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import venv
from pathlib import Path

import links

AS_OF = "August 2026"  # Colab's published list of packages: Python 3.13, torch 2.11, transformers 5.15, numpy 2.1, matplotlib 3.10
PINS = ["ipython==7.34.0", "ipykernel==6.17.1", "ipywidgets==7.7.1", "nbclient", "nbformat"]
STAND_IN = "import sys, types\nsys.modules['google.colab'] = types.ModuleType('google.colab')\n"  # Colab's kernel has imported it
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "build", "dist", "runs", "*.egg-info", "__pycache__", ".ipynb_checkpoints", ".*_cache")
VERSIONS = """
import sys, IPython, ipywidgets, torch, transformers
print(f"Python {sys.version.split()[0]}", *(f"{one.__name__} {one.__version__}" for one in (torch, transformers, ipywidgets, IPython)))
"""
RUN = """
import json, sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
found = [out for cell in notebook.cells for out in cell.get("outputs", []) if out.output_type == "error" or out.get("name") == "stderr"]
assert not found, found[0]
print(sum("application/vnd.jupyter.widget-view+json" in out.get("data", {}) for c in notebook.cells for out in c.get("outputs", [])))
"""


def serve(folder: Path) -> http.server.ThreadingHTTPServer:
    """A server for `folder` on a free port of this machine."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def archive(folder: Path) -> None:
    """This repository, zipped in `folder` where GitHub keeps the archive of the branch."""
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(links.ROOT, Path(copy, f"repository-{links.BRANCH}"), ignore=LEFT_OUT)
        shutil.make_archive(str(folder / "archive" / "refs" / "heads" / links.BRANCH), "zip", copy)


def environment(folder: Path) -> tuple[Path, dict[str, str]]:
    """(python, variables) of a new environment in `folder`: the pins, behind them the packages of the running interpreter."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PINS], check=True)
    paths = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    site_packages = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True,
                                   capture_output=True, text=True).stdout.strip()
    Path(site_packages, "zz_behind.pth").write_text("\n".join(paths) + "\n", "utf-8")
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00_colab.py").write_text(STAND_IN, "utf-8")
    return python, {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def main(arguments: list[str]) -> int:
    names = [name for name in links.notebook_names() if not arguments or name[:2] in arguments]
    if len(names) < len(arguments) or not names:
        print(f"error: there is no notebook for {' '.join(arguments)}: give numbers such as 00 05.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        archive(place / "served" / "owner" / "repository")
        server = serve(place / "served")
        address = f"http://127.0.0.1:{server.server_port}/owner/repository"
        python, variables = environment(place / "environment")
        subprocess.run([python, "-c", VERSIONS], check=True, env=variables, cwd=place)
        failed = 0
        for name in names:
            absent = subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "specdec-utils"], env=variables,
                                    capture_output=True, text=True)
            assert absent.returncode == 0, absent.stderr
            empty = Path(tempfile.mkdtemp(dir=place))
            filled = links.filled_notebook((links.ROOT / "notebooks" / name).read_text("utf-8"), address, name, links.notebook_names())
            assert f"{address}/archive" in filled
            (place / name).write_text(filled, "utf-8")
            began = time.monotonic()
            run = subprocess.run([python, "-c", RUN, place / name], env=variables, cwd=empty, capture_output=True, text=True)
            failed += run.returncode != 0
            verdict = f"ran to its end, {run.stdout.strip()} live widgets" if run.returncode == 0 else f"FAILED\n{run.stderr[-3000:]}"
            print(f"{name}: {time.monotonic() - began:.0f} s, {verdict}", flush=True)
        server.shutdown()
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
