"""Every notebook keeps every rule of notebook_rules.py, and the generated cells are as .ci/links.py writes them."""
import pytest
from notebook_rules import NOTEBOOKS, ROOT, RULES, links, notebook_paths, read


def test_there_are_notebooks_and_no_others():
    names = [path.name for path in notebook_paths()]
    numbers = [int(name[:2]) for name in names]
    assert names and numbers == list(range(len(numbers)))
    assert sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")) == names


@pytest.mark.parametrize("path", notebook_paths(), ids=lambda path: path.stem)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_notebook(path, rule):
    assert list(rule(read(path))) == []


def test_links_are_up_to_date(capsys):
    assert links.main(["--check"], ROOT) == 0, capsys.readouterr().out
