"""`.. public:: NAME`: the docstring of a name that `specdec_utils` exports, and for a constant what its keys mean."""
import re
from inspect import isclass, isroutine

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

import specdec_utils


class Public(SphinxDirective):
    """Hands a function or class to autodoc; shows a table of names as what it is."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        value = getattr(specdec_utils, name)
        if isclass(value):
            lines = [f".. autoclass:: specdec_utils.{name}", "   :members:", "   :member-order: bysource"]
        elif isroutine(value):
            lines = [f".. autofunction:: specdec_utils.{name}"]
        else:
            lines = [f".. py:data:: specdec_utils.{name}", ""]
            entries = value.items() if isinstance(value, dict) else []
            lines += [f"   * ``{key!r}``: {self.meaning(one)}" for key, one in entries] or [f"   {value!r}"]
        holder = nodes.Element()
        self.state.nested_parse(StringList(lines, source=name), self.content_offset, holder)
        return holder.children

    @staticmethod
    def meaning(value) -> str:
        """One line about an entry of a table: a text itself, a source of models by its description, a rule by its docstring."""
        return value if isinstance(value, str) else getattr(value, "about", None) or first_sentence(value.__doc__)


def first_sentence(docstring: str) -> str:
    return re.split(r"(?<=[.:]) |\n\n", " ".join(docstring.split()), maxsplit=1)[0]


def as_text(app, what, name, value, options, lines):
    """The docstrings are plain text with `code`: what reStructuredText would read as markup stays what it is."""
    lines[:] = [re.sub(r"(`[^`]*`)|([*|\\]|\b_|_\b)", lambda m: m[1] or "\\" + m[2], line) for line in lines]


def setup(app):
    app.add_directive("public", Public)
    app.connect("autodoc-process-docstring", as_text)
    return {"parallel_read_safe": True}
