"""The smallest notebook that keeps every rule, and what the faults are made with."""
import base64
import io

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_rules import NAV, ROOT, code_cells, course_metadata, is_compared, links
from PIL import Image

ADDRESS = links.repository(ROOT)
TAMPERINGS = []  # (rule, function that spoils a notebook so that the rule must complain)


def png(picture: Image.Image) -> str:
    """`picture` as a PNG in base64, with bytes behind its end that read like a path of somebody's machine."""
    buffer = io.BytesIO()
    picture.save(buffer, format="png")
    padding = bytes(-buffer.tell() % 3)
    return base64.b64encode(buffer.getvalue() + padding).decode() + "AA/tmp/A"


def picture_output(picture: Image.Image, alt: str = "bars"):
    return new_output("display_data", {"text/html": f'<img alt="{alt}" src="data:image/png;base64,{png(picture)}">'})


def sound_notebook():
    nav = f"{NAV}\n[![Open in Colab](badge:x)](https://colab.research.google.com/github/x) [index]({ADDRESS})"
    cells = [
        new_markdown_cell(nav),
        new_markdown_cell("# 99 · Title\n\n**Reading** 1 min · **Running** 1 s · **Device** CPU · **Download** none\n\n"
                          "## The question\n\n" + "word " * 1300
                          + "\n\n**You will be able to**\n\n* pass\n\n**Before this**: 98"),
        new_code_cell(links.setup_source(ADDRESS)),
        *(new_code_cell(f"print({i})", outputs=[new_output("stream", text=f"{i}\n")]) for i in range(8)),
        new_code_cell("clock()", metadata={"tags": ["nbval-ignore-output"], "specdec": {"why_ignored": "a timing"}}),
        new_code_cell("show_figure(figure, 'bars')", outputs=[picture_output(Image.linear_gradient("L"))]),
    ]
    for name in ("99.a", "99.b"):
        cells.append(new_code_cell("def f():\n    return ...", metadata={"specdec": {"exercise": name}},
                                   outputs=[new_output("stream", text=f"{name}: not attempted yet\n")]))
        cells.append(new_markdown_cell("<details><summary>Solution</summary>\n\n```python\n# no title\ndef f(): return 1\n```\n\n"
                                       "</details>", metadata={"specdec": {"solution": name}}))
    cells.append(new_markdown_cell("## Recap\n\n* so\n\n## Common misconceptions\n\n* no\n\n## Quiz\n\n"
                                   + "why? <details><summary>Answer</summary>so</details>\n\n" * 3
                                   + "## References\n\n* Leviathan et al. 2023, arXiv 2211.17192"))
    cells.append(new_markdown_cell(nav))
    nb = new_notebook(cells=cells)
    for count, cell in enumerate(code_cells(nb), 1):
        cell.execution_count = count
    return nb


def fault_of(rule):
    """Register a function that spoils a notebook in place so that `rule` must complain."""
    def register(spoil):
        TAMPERINGS.append((rule, spoil))
        return spoil
    return register


def code(nb, i=-1):
    return code_cells(nb)[i]


def printing(nb):
    """A code cell whose printed output is compared."""
    return next(cell for cell in code_cells(nb) if is_compared(cell) and cell.outputs[0].output_type == "stream"
                and not course_metadata(cell, "exercise"))


def replace(nb, old, new):
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace(old, new)
