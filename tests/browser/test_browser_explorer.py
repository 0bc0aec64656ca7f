"""The alpha-c-gamma explorer in a real JupyterLab, driven by a real browser."""
import re

import lab
from notebook_rules import NOTEBOOKS, read

NOTEBOOK = "12_cost_model.ipynb"


def test_cost_explorer_in_jupyterlab(page, lab_address, tmp_path):
    from playwright.sync_api import expect

    expect.set_options(timeout=30_000)  # patient: the machine may be busy
    shown = next(i for i, cell in enumerate(read(NOTEBOOKS / NOTEBOOK).cells)
                 if cell.cell_type == "code" and cell.source.startswith("CostExplorer("))
    panel = lab.open_and_run_to(page, lab_address, NOTEBOOK, shown)  # the measurements further down take minutes
    explorer = panel.locator(".specdec-cost").first
    explorer.wait_for(timeout=120_000)
    explorer.scroll_into_view_if_needed()
    body, reset = explorer.locator(".specdec-body"), explorer.get_by_role("button", name="Reset", exact=True)
    alpha, c, gamma, slope = (explorer.get_by_label(name, exact=True) for name in ("α", "c", "γ", "slope of v(n)"))
    picture = body.get_by_role("img")

    def put(field, value):
        field.fill(value)
        field.press("Tab")

    def chosen():
        """Where the large circle stands, in pixels of the page."""
        box = picture.locator("circle").last.bounding_box()
        return box["x"], box["y"]

    expect(body).to_contain_text("✓ pays: 1.68 × the speed of the verifier alone at γ = 4")
    expect(body).to_contain_text("E = 3.36 tokens a step")
    expect(body).to_contain_text("best γ: 3, 1.69 ×")
    assert picture.locator("circle").count() == 18 and picture.get_attribute("aria-label").startswith("Speedup over γ from 0 to 16.")
    first = chosen()
    explorer.screenshot(path=tmp_path / "pays.png")

    put(alpha, "0.1")
    expect(body).to_contain_text(re.compile(r"✗ does not pay: 0\.\d\d × .* at γ = 4"))
    expect(body).to_contain_text("best γ: 0, do not draft with this drafter")
    assert chosen()[1] > first[1] and abs(chosen()[0] - first[0]) < 1
    explorer.screenshot(path=tmp_path / "loses.png")
    put(c, "0")
    put(slope, "0")
    expect(body).to_contain_text("✓ pays: 1.11 ×")  # a free drafter pays even so
    put(gamma, "9")
    expect(body).to_contain_text("at γ = 9")
    assert chosen()[0] > first[0] + 50
    put(alpha, "7")  # beyond its range: the nearest value in it
    expect(alpha).to_have_value("1")
    expect(body).to_contain_text("E = 10.00 tokens a step")
    expect(body).to_contain_text("best γ: 16 (the longest shown), 17.00 ×")

    reset.click()
    expect(body).to_contain_text("✓ pays: 1.68 ×")
    expect(alpha).to_have_value("0.8")
    expect(gamma).to_have_value("4")
    assert chosen() == first
    for name in ("pays", "loses"):
        assert (tmp_path / f"{name}.png").stat().st_size > 5_000
    lab.assert_no_errors(panel)
