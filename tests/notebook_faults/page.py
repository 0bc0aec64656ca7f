"""Faults in code, pictures and links."""
from nbformat.v4 import new_output
from notebook_rules import code_cells, page

from .sound import code, fault_of, replace


@fault_of(page.short_code_cells)
def long_cell(nb):
    code(nb).source = "x = 1\n" * 41


@fault_of(page.short_code_cells)
def long_median(nb):
    for cell in code_cells(nb):
        cell.source = "x = 1\n" * 9


@fault_of(page.code_parses)
def no_python(nb):
    code(nb).source += "\ndef"


@fault_of(page.imports_are_public)
def private_name_imported(nb):
    code(nb).source += "\nfrom specdec_utils.decode.accept import _scalar"


@fault_of(page.imports_are_public)
def private_module_imported(nb):
    code(nb).source += "\nimport torch._dynamo"


@fault_of(page.pictures_have_alt_text)
def html_without_alt(nb):
    code(nb).outputs = [new_output("display_data", {"text/html": '<p><img src="x" alt=""></p>'})]


@fault_of(page.pictures_have_alt_text)
def bare_picture(nb):
    code(nb).outputs = [new_output("display_data", {"image/png": "AA"})]


@fault_of(page.pictures_have_alt_text)
def markdown_without_alt(nb):
    replace(nb, "## Recap", "![](images/x.png)\n\n## Recap")


@fault_of(page.links_resolve)
def dead_link(nb):
    replace(nb, "## Recap", "[next](98_nowhere.ipynb)\n\n## Recap")


@fault_of(page.links_resolve)
def dead_picture(nb):
    replace(nb, "## Recap", '<img src="images/nowhere.png" alt="x">\n\n## Recap')
