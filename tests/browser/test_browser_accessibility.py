"""Whole notebooks in a real JupyterLab under axe-core: no serious or critical finding in what the course puts on the page.

Notebooks with a live widget are run up to it, the others looked at as they are stored. JupyterLab's own parts are not judged.
"""
import lab
import pytest
from notebook_rules import notebook_paths, read

OURS = {"include": [[".jp-OutputArea-output"], [".jp-MarkdownOutput"]], "exclude": [[".jp-InternalAnchorLink"]]}
WIDGET = "application/vnd.jupyter.widget-view+json"


def last_widget(path) -> int | None:
    """The number of the last cell that shows a live widget, or None."""
    shown = [i for i, cell in enumerate(read(path).cells) if any(WIDGET in output.get("data", {}) for output in cell.get("outputs", []))]
    return shown[-1] if shown else None


def findings(page) -> list[str]:
    """The serious and critical findings of axe-core in our parts of the page, each with the element it is about."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, OURS).response["violations"]
    return [f"{one['impact']} {one['id']}: {node['html'][:200]}" for one in found if one["impact"] in ("serious", "critical")
            for node in one["nodes"]]


@pytest.mark.parametrize("path", notebook_paths(), ids=lambda path: path.stem)
def test_notebook_has_no_serious_finding(page, lab_address, path):
    widget = last_widget(path)
    if widget is None:
        panel = lab.open_notebook(page, lab_address, path.name)
    else:
        panel = lab.open_and_run_to(page, lab_address, path.name, widget)
        panel.locator(".jupyter-widgets .specdec-body").last.wait_for(timeout=180_000)
    panel.locator(".jp-MarkdownOutput").last.wait_for(state="attached")
    assert findings(page) == []
    lab.assert_no_errors(panel)


def test_a_picture_without_alt_text_is_found(page, lab_address):
    panel = lab.open_notebook(page, lab_address, notebook_paths()[0].name)
    picture = panel.locator(".jp-OutputArea-output img[alt]").first
    picture.wait_for(state="attached")
    picture.evaluate("picture => picture.removeAttribute('alt')")
    assert any("image-alt" in one for one in findings(page))
