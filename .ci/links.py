"""Write the repository's address into the notebooks, README.md and CITATION.cff, or check that it stands there.

    python .ci/links.py            write
    python .ci/links.py --check    change nothing; exit 1 and name the files that differ

The address stands in one place: [project.urls] Repository in pyproject.toml. From it come, in each notebook, the two cells
that start with `<!-- nav -->` and the code cell that starts with `# setup`; stored outputs stay as they are.
"""
import json
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BRANCH = "main"
NAV = "<!-- nav -->"
INSTALL = 'pip install -e ".[lab]"'
BADGE = "images/open-in-colab.svg"  # ours, so that a notebook opened offline asks no other host
BINDER_BADGE = "images/launch-binder.svg"


def repository(root: Path = ROOT) -> str:
    """The public address of the repository, without a slash at its end."""
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Repository"].rstrip("/")


def notebook_names(root: Path = ROOT) -> list[str]:
    """File names of the course's notebooks in the order of the course."""
    return sorted(path.name for path in (root / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def colab(address: str, name: str) -> str:
    """Where Colab opens the notebook `name`."""
    owner_and_repository = address.removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{owner_and_repository}/blob/{BRANCH}/notebooks/{name}"


def binder(address: str, name: str) -> str:
    """Where Binder opens the notebook `name` in JupyterLab, with the environment of environment.yml."""
    return f"https://mybinder.org/v2/gh/{address.removeprefix('https://github.com/')}/{BRANCH}?urlpath=lab/tree/notebooks/{name}"


def navigation(address: str, name: str, names: list[str]) -> str:
    """The line `previous · index · next` of notebook `name`; only notebooks that exist are linked."""
    at = names.index(name)
    parts = []
    if at > 0:
        parts.append(f"[← previous: {names[at - 1][:2]}]({names[at - 1]})")
    parts.append(f"[index]({names[0]})" if at > 0 else f"[index]({address}#readme)")
    if at + 1 < len(names):
        parts.append(f"[next: {names[at + 1][:2]} →]({names[at + 1]})")
    return " · ".join(parts)


def setup_source(address: str) -> str:
    """The setup cell: nothing where the package is installed, an installation on Colab, a clear error elsewhere."""
    return "\n".join([
        "# setup",
        "import importlib.util",
        "import sys",
        "",
        'if importlib.util.find_spec("specdec_utils") is None:',
        '    if "google.colab" not in sys.modules:',
        f"        raise ModuleNotFoundError('specdec_utils is not installed: run  {INSTALL}  in the course folder.')",
        f"    %pip install --quiet --no-deps {address}/archive/refs/heads/{BRANCH}.zip",
    ])


def wanted_sources(notebook: dict, address: str, name: str, names: list[str]) -> dict[int, str]:
    """Index of each generated cell -> the source it must have. Raises ValueError if the markers are not all there."""
    sources = ["".join(cell["source"]) for cell in notebook["cells"]]
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    navs = [i for i, source in enumerate(sources) if kinds[i] == "markdown" and source.lstrip().startswith(NAV)]
    setups = [i for i, source in enumerate(sources) if kinds[i] == "code" and source.lstrip().startswith("# setup")]
    if navs != [0, len(sources) - 1] or len(sources) < 2:
        raise ValueError(f"{name}: the first and the last cell, and no other, must start with {NAV}")
    if len(setups) != 1:
        raise ValueError(f"{name}: exactly one code cell must start with `# setup`, found {len(setups)}")
    line = navigation(address, name, names)
    badge = f"[![Open in Colab]({BADGE})]({colab(address, name)})"
    return {navs[0]: f"{NAV}\n{badge}\n\n{line}", setups[0]: setup_source(address), navs[1]: f"{NAV}\n{line}"}


def filled_notebook(text: str, address: str, name: str, names: list[str]) -> str:
    """The notebook file `text` with its generated cells filled in; the same text where nothing has to change."""
    notebook = json.loads(text)
    changed = False
    for i, source in wanted_sources(notebook, address, name, names).items():
        if "".join(notebook["cells"][i]["source"]) != source:
            notebook["cells"][i]["source"] = source.splitlines(keepends=True)
            changed = True
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n" if changed else text


def filled_readme(text: str, address: str, names: list[str]) -> str:
    """README with the block between `<!-- colab -->` and `<!-- /colab -->` filled in."""
    links = " · ".join(f"[{name[:2]}]({colab(address, name)})" for name in names)
    badges = f"[![Open in Colab](notebooks/{BADGE})]({colab(address, names[0])})\n" \
             f"[![Launch in Binder](notebooks/{BINDER_BADGE})]({binder(address, names[0])})\n\n" \
             f"Each notebook in Colab: {links}" if names else ""
    block = f"<!-- colab -->\n{badges}\n<!-- /colab -->"
    filled, count = re.subn(r"<!-- colab -->.*?<!-- /colab -->", lambda _: block, text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"README.md: exactly one block <!-- colab -->…<!-- /colab --> is needed, found {count}")
    return filled


def filled_citation(text: str, address: str) -> str:
    """CITATION.cff with the repository's address."""
    return re.sub(r"(?m)^repository-code:.*$", lambda _: f'repository-code: "{address}"', text)


def main(arguments: list[str], root: Path = ROOT) -> int:
    if arguments not in ([], ["--check"]):
        print("usage: python .ci/links.py [--check]", file=sys.stderr)
        return 2
    address, names = repository(root), notebook_names(root)
    jobs = [(root / "notebooks" / name, lambda text, name=name: filled_notebook(text, address, name, names)) for name in names]
    jobs.append((root / "README.md", lambda text: filled_readme(text, address, names)))
    jobs.append((root / "CITATION.cff", lambda text: filled_citation(text, address)))
    bad = 0
    for path, fill in jobs:
        text = path.read_text("utf-8")
        try:
            filled = fill(text)
        except ValueError as error:
            print(f"error: {error}")
            bad = 1
            continue
        if filled == text:
            continue
        print(f"{'differs' if arguments else 'written'}: {path.relative_to(root).as_posix()}")
        if arguments:
            bad = 1
        else:
            path.write_text(filled, "utf-8", newline="\n")
    return bad


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
