"""Build the site of the course.

    python -m docs            into build/site; open build/site/index.html
    python -m docs FOLDER     into FOLDER

The pages are laid out first (docs/layout.py), then Sphinx makes them into HTML. A warning of Sphinx is an error here.
"""
import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

from .layout import ROOT, lay_out


def main(arguments: list[str]) -> int:
    if len(arguments) > 1 or arguments and arguments[0].startswith("-"):
        print("usage: python -m docs [FOLDER]", file=sys.stderr)
        return 2
    site = Path(arguments[0] if arguments else ROOT / "build" / "site").resolve()
    if site.exists() and any(site.iterdir()) and not (site / "searchindex.js").exists():
        print(f"error: {site} is neither empty nor a site built before: name another folder.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "source"), Path(folder, "site")
        lay_out(source)
        options = ["-c", str(ROOT / "docs"), "-d", str(Path(folder, "doctrees")), "--fail-on-warning", "--keep-going", "--quiet"]
        failed = build_main([*options, str(source), str(made)])
        if failed:
            return failed
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(made, site, ignore=shutil.ignore_patterns(".buildinfo", "objects.inv", "_sources"))
    print(f"The site is built: {site / 'index.html'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
