"""What a notebook shows is what the package runs: the same syntax tree, apart from docstrings, annotations and checks."""
import ast
import inspect
import sys

import pytest
from notebook_rules import code_cells, course_metadata, notebook_paths, python_of, read
from shown_code import DEFINITIONS, bare

import specdec_utils

MUST_BE_SHOWN = {
    "softmax_with_temperature", "safe_top_p_filter", "sample_without_replacement", "drafter_sample_first_tokens",
    "drafter_rollout_greedy", "drafter_propose", "last_token_logits", "verifier_next_token", "verifier_choices",
    "accept_until_mismatch", "score_branch", "seed_everything", "append_token", "pretty_token", "CachedModel", "verify_tree",
    "accept_greedy", "accept_sampled", "heads_tree", "lookup_tree", "expected_tokens", "predicted_speedup",
    "best_gamma", "acceptance_rate", "penalize",
}


def package_definition(name: str):
    """The definition of `name` in the package's source, or None if it is no function or class of the package."""
    module = sys.modules.get(getattr(getattr(specdec_utils, name), "__module__", None))
    if module is None or not module.__name__.startswith("specdec_utils"):
        return None
    tree = ast.parse(inspect.getsource(module))
    return next((node for node in tree.body if isinstance(node, DEFINITIONS) and node.name == name), None)


def shown_definitions():
    """(notebook, definition) of every top-level function and class in the notebooks that the package exports."""
    for path in notebook_paths():
        for cell in code_cells(read(path)):
            if course_metadata(cell, "exercise"):
                continue
            for node in ast.parse(python_of(cell.source)).body:
                if isinstance(node, DEFINITIONS) and node.name in specdec_utils.__all__:
                    yield pytest.param(node, id=f"{path.stem}-{node.name}")


@pytest.mark.parametrize("node", list(shown_definitions()))
def test_shown_code_is_the_package_code(node):
    original = package_definition(node.name)
    assert original is not None, f"{node.name} is not defined by the package itself"
    assert bare(node) == bare(original)


def test_everything_that_must_be_shown_is_shown():
    assert MUST_BE_SHOWN <= set(specdec_utils.__all__)
    missing = MUST_BE_SHOWN - {param.values[0].name for param in shown_definitions()}
    assert not missing, f"no notebook shows {sorted(missing)}"


@pytest.mark.parametrize("one, other, same", [
    ("def f(a: int) -> int:\n    'doc'\n    if a < 1:\n        raise ValueError\n    return a", "def f(a):\n    return a", True),
    ("def f(a):\n    b: int = a\n    return b", "def f(a):\n    b = a\n    return b", True),
    ("def f(a):\n    return a", "def f(a):\n    return a + 1", False),
    ("def f(a=1):\n    return a", "def f(a=2):\n    return a", False),
    ("@g\ndef f(a):\n    return a", "def f(a):\n    return a", False),
    ("def f(a):\n    b = a\n    if b:\n        raise ValueError\n    return b", "def f(a):\n    b = a\n    return b", False),
    ("def f(a):\n    if a:\n        return 1\n    return a", "def f(a):\n    return a", False),
])
def test_comparison_itself(one, other, same):
    assert (bare(ast.parse(one).body[0]) == bare(ast.parse(other).body[0])) is same
