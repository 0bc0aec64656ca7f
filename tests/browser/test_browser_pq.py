"""The p/q explorer in a real JupyterLab, driven by a real browser."""
import re

import lab

NOTEBOOK = "10_lossless_sampling.ipynb"


def test_pq_explorer_in_jupyterlab(page, lab_address, tmp_path):
    from playwright.sync_api import expect

    expect.set_options(timeout=30_000)  # patient: the machine may be busy
    panel = lab.open_and_run(page, lab_address, NOTEBOOK)
    explorer = panel.locator(".specdec-pq")
    explorer.wait_for(timeout=90_000)
    explorer.scroll_into_view_if_needed()
    body = explorer.locator(".specdec-body")
    field = {name: explorer.get_by_label(name, exact=True)
             for name in [f"{law}({word})" for law in "pq" for word in ("dog", "cat", "bird", "car")] + ["Drafts", "Drafts are"]}

    def enter(name, value):
        field[name].fill(value)
        field[name].press("Enter")

    expect(body).to_contain_text("independent draws, 1 draft: ✓ written = p, exactly")
    expect(body).to_contain_text("acceptance of the first draft 0.600")
    expect(body).to_contain_text("dog 0.750 · cat 0.250")

    enter("q(car)", "0")  # q is now (1, 1, 2, 0) / 4
    expect(body).to_contain_text("acceptance of the first draft 0.700")
    expect(body).to_contain_text("✓ 0.250")
    enter("q(car)", "0.2")
    expect(body).to_contain_text("acceptance of the first draft 0.600")

    enter("Drafts", "2")
    expect(body).to_contain_text("of 2 drafts 0.760")
    field["Drafts are"].select_option("draws without replacement")
    expect(body).to_contain_text("draws without replacement, 2 drafts: ✓ written = p, exactly")
    expect(body).to_contain_text("of 2 drafts 0.817")
    field["Drafts are"].select_option("mutant: rejected, drawn from p")
    expect(body).to_contain_text(re.compile("✗ written differs from p by a total variation of 0.140"))
    explorer.screenshot(path=tmp_path / "mutant.png")

    for name in ("p(dog)", "p(cat)", "p(bird)"):
        enter(name, "0")
    expect(body).to_contain_text("All weights of p are 0: give at least one token a weight above 0.")
    enter("p(cat)", "3")
    expect(body).to_contain_text("written")
    enter("p(dog)", "-2")  # nothing below 0
    expect(field["p(dog)"]).to_have_value("0")

    explorer.get_by_role("button", name="Reset", exact=True).click()
    expect(body).to_contain_text("independent draws, 1 draft: ✓ written = p, exactly")
    expect(field["p(dog)"]).to_have_value("0.5")
    expect(field["Drafts"]).to_have_value("1")
    explorer.screenshot(path=tmp_path / "explorer.png")
    assert (tmp_path / "explorer.png").stat().st_size > 5_000

    lab.assert_no_errors(panel)
