"""What every notebook of the course must be, as rules: each takes a notebook (a node of nbformat) and yields its faults.

No rule runs a kernel. test_notebook_contract.py applies them to the course, test_notebook_tampering.py shows that each one
notices what it is there for.
"""
from . import anatomy, outputs, page
from .reading import NAV, NOTEBOOKS, ROOT, code_cells, course_metadata, is_compared, links, markdown, notebook_paths, python_of, read


def _rules_of(module) -> list:
    return [one for name, one in vars(module).items() if getattr(one, "__module__", "") == module.__name__]


RULES = [rule for module in (outputs, page, anatomy) for rule in _rules_of(module)]

__all__ = ["NAV", "NOTEBOOKS", "ROOT", "RULES", "anatomy", "code_cells", "course_metadata", "is_compared", "links", "markdown",
           "notebook_paths", "outputs", "page", "python_of", "read"]
