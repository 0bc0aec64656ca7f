"""What the site takes out of README.md, the notebooks and the package: the right parts, or one sentence that names what is missing."""
import pytest
from notebook_rules import ROOT

import specdec_utils
from docs import layout


def code_cell(source, **data):
    return {"cell_type": "code", "source": source, "outputs": [{"output_type": "display_data", "data": data}]}


def test_cut_gives_what_stands_between():
    assert layout.cut("a\n## One\ntext\n## Two\n", "## One", "## Two", "README.md") == "text\n"


def test_cut_names_the_file_whose_marker_is_gone():
    with pytest.raises(ValueError, match=r"README\.md: nothing stands between '## One' and '## Two'"):
        layout.cut("a\n## Two\ntext\n## One\n", "## One", "## Two", "README.md")


def test_live_widgets_leave_their_still_twin_and_nothing_else():
    notebook = {"cells": [code_cell("one", **{layout.LIVE: {}, "text/html": "<p>twin</p>", "text/plain": "Stepper(children=())"}),
                          code_cell("two", **{layout.LIVE: {}, "text/plain": "Stepper(children=())"}),
                          code_cell("three", **{"text/plain": "4"})]}
    outputs = [cell["outputs"] for cell in layout.still(notebook)["cells"]]
    assert [[output["data"] for output in one] for one in outputs] == [[{"text/html": "<p>twin</p>"}], [], [{"text/plain": "4"}]]


def test_a_live_widget_gives_way_to_the_twin_that_works_in_the_page():
    twin = f"<div {layout.TWIN}>twin</div>"
    notebook = {"cells": [code_cell("one", **{layout.LIVE: {}, "text/html": "<p>still</p>"}), code_cell("two", **{"text/html": twin})]}
    assert [len(cell["outputs"]) for cell in layout.still(notebook)["cells"]] == [0, 1]
    assert layout.stepper(notebook) == twin


def test_printed_text_stays():
    stream = {"output_type": "stream", "name": "stdout", "text": "hello"}
    assert layout.still({"cells": [{"cell_type": "code", "source": "", "outputs": [stream]}]})["cells"][0]["outputs"] == [stream]


def test_home_page_without_a_stepper_is_one_sentence():
    with pytest.raises(ValueError, match="no cell has a stepper"):
        layout.stepper({"cells": [code_cell("BranchStepper(run)", **{"text/plain": "x"})]})


def test_all_public_names_are_on_the_page_once():
    names = sum(layout.public_names(ROOT / "specdec_utils").values(), [])
    assert sorted(names) == sorted(specdec_utils.__all__)


@pytest.mark.parametrize("link, place", [
    ("LICENSE", "about.md#code"), ("CONTRIBUTING.md", "CONTRIBUTING.md"), ("notebooks/03_drafting.ipynb", "notebooks/03_drafting.ipynb"),
    ("instructor/README.md", "instructor/README.md"), ("training/README.md", f"{layout.ABOUT['urls']['Repository']}/blob/main/training/README.md")])
def test_a_link_leads_to_where_the_file_is_on_the_site_or_else_to_the_repository(link, place):
    assert layout.place_of(link, ROOT) == place
