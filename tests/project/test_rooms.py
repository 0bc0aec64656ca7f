"""The rooms: a floor of the package knows the floors below it and nothing above, read from the import statements."""
import ast
import graphlib
from pathlib import Path

import pytest

import specdec_utils

PACKAGE = Path(specdec_utils.__file__).parent
FLOORS = ("text", "models", "run", "decode", "measure", "exercises", "show", "shell")  # from the ground up
MODULES = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
           for path in PACKAGE.rglob("*.py")}


def imported_modules(module: str, path: Path) -> set[str]:
    """Modules of the package that `path` imports, wherever in it the statement stands."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            above = parents[:len(parents) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{source}.{alias.name}" if f"{source}.{alias.name}" in MODULES else source for alias in node.names}
    return {name for name in found if name in MODULES}


IMPORTS = {module: imported_modules(module, path) for module, path in MODULES.items()}


def room(module: str) -> str:
    return (module.split(".") + [""])[1]


def test_every_folder_is_a_floor():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    assert folders == set(FLOORS)
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py"}


def test_the_graph_is_really_read():
    assert "specdec_utils.decode.accept" in IMPORTS["specdec_utils.decode.step"]
    assert "specdec_utils.text.config" in IMPORTS["specdec_utils.decode.propose.base"]
    assert sum(map(len, IMPORTS.values())) > 60


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) in FLOORS])
def test_a_floor_knows_only_the_floors_below(module):
    own = FLOORS.index(room(module))
    above = {name for name in IMPORTS[module] if room(name) not in FLOORS[:own + 1]}
    assert not above, f"{module} imports from above: {sorted(above)}"


def test_no_circle_inside_a_room():
    list(graphlib.TopologicalSorter(IMPORTS).static_order())
