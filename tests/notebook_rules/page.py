"""Rules on code, pictures and links."""
import ast
import re
import statistics

from .reading import NOTEBOOKS, Tags, code_cells, html_outputs, markdown, python_of, without_fences


def short_code_cells(nb):
    lengths = [len(cell.source.splitlines()) for cell in code_cells(nb)]
    for i, length in enumerate(lengths):
        if length > 40:
            yield f"code cell {i} has {length} lines; at most 40"
    if lengths and statistics.median(lengths) > 8:
        yield f"code cells have {statistics.median(lengths)} lines in the median; at most 8"


def code_parses(nb):
    for i, cell in enumerate(code_cells(nb)):
        try:
            ast.parse(python_of(cell.source))
        except SyntaxError as error:
            yield f"code cell {i} is no Python: {error}"


def imports_are_public(nb):
    for i, cell in enumerate(code_cells(nb)):
        for node in ast.walk(ast.parse(python_of(cell.source))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [part for alias in node.names for part in alias.name.split(".")]
                names += (getattr(node, "module", None) or "").split(".")
                for name in names:
                    if name.startswith("_") and name != "__future__":
                        yield f"code cell {i} imports {name}, which is private"


def pictures_have_alt_text(nb):
    for text in html_outputs(nb) + [without_fences(source) for source in markdown(nb)]:
        for tag, attributes in Tags(text).found:
            if tag == "img" and not (attributes.get("alt") or "").strip():
                yield "an <img> has no alt text"
    for source in markdown(nb):
        if re.search(r"!\[\s*\]\(", without_fences(source)):
            yield "a Markdown picture has no alt text"
    for i, cell in enumerate(code_cells(nb)):
        if any({"image/png", "image/jpeg"} & set(output.get("data", {})) for output in cell.outputs):
            yield f"code cell {i} stores a bare picture, which cannot carry alt text; use show_figure(figure, alt)"


def links_resolve(nb):
    for source in markdown(nb):
        text = re.sub(r"`[^`\n]*`", "", without_fences(source))
        targets = re.findall(r"\]\(([^)\s]+)\)", text)
        targets += [attributes.get(key) for tag, attributes in Tags(text).found
                    for key in ("href", "src") if attributes.get(key)]
        for target in targets:
            if re.match(r"[a-z]+:", target) or target.startswith("#"):
                continue
            if target.startswith("/") or not (NOTEBOOKS / target.partition("#")[0]).exists():
                yield f"the link {target} leads nowhere"
