"""Formulas as MathML, which browsers draw by themselves: no script, and nothing to fetch.

The translation from TeX is docutils' own. A formula that it cannot read is a warning, and so an error of the build.
"""
import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)
SAME = {"dots": "ldots"}  # TeX's names that docutils knows under another one


def translated(node: nodes.Element, as_block: bool) -> str:
    """The MathML of a formula's node."""
    tex = re.sub(r"\\([a-zA-Z]+)", lambda name: "\\" + SAME.get(name[1], name[1]), node.astext())
    try:
        return tex2mathml(tex, as_block=as_block)
    except MathError as error:
        logger.warning("a formula that cannot be drawn, %r: %s", tex, error, location=node)
        return ""


def visit_inline(translator, node):
    translator.body.append(translated(node, as_block=False))
    raise nodes.SkipNode


def visit_block(translator, node):
    translator.body.append(f'<div class="formula">{translated(node, as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", inline_renderers=(visit_inline, None), block_renderers=(visit_block, None))
    return {"parallel_read_safe": True}
