"""The price view in a real JupyterLab, driven by a real browser."""
import re

import lab
from notebook_rules import NOTEBOOKS, read

NOTEBOOK = "13_eagle.ipynb"


def test_price_view_in_jupyterlab(page, lab_address, tmp_path):
    from playwright.sync_api import expect

    expect.set_options(timeout=60_000)  # patient: the machine may be busy
    shown = next(i for i, cell in enumerate(read(NOTEBOOKS / NOTEBOOK).cells)
                 if cell.cell_type == "code" and cell.source.startswith("PriceView("))
    panel = lab.open_and_run_to(page, lab_address, NOTEBOOK, shown)
    view = panel.locator(".specdec-price")
    view.wait_for(timeout=400_000)  # two drafters are trained above it
    view.scroll_into_view_if_needed()
    body, field = view.locator(".specdec-body"), view.get_by_label("Frame")
    button = {name: view.get_by_role("button", name=name, exact=True) for name in ("Back", "Step", "Play", "Stop", "Reset")}
    offers, nodes = body.get_by_role("table", name="offers"), body.get_by_role("table", name="drafted tokens")

    expect(body).to_contain_text(re.compile(r"step 1 of \d+ · taken: (none|lookup|drafter|eagle|heads)"))
    expect(body).to_contain_text(re.compile(r"rate to be beaten: \d+ tokens a second"))
    expect(offers.get_by_role("rowheader").filter(has_text="★")).to_have_count(1)
    expect(button["Back"]).to_be_disabled()
    view.screenshot(path=tmp_path / "offers.png")

    frames, steps = map(int, re.search(r"frame 1 of (\d+) · step 1 of (\d+)", body.inner_text()).groups())
    number = 1

    def go_on():
        button["Step"].click()
        expect(body).to_contain_text(f"frame {number + 1} of {frames}")
        expect(field).to_have_value(str(number + 1))
        return number + 1

    while not nodes.count():  # on to the first drafted token
        number = go_on()
    rows = nodes.locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("· ")
    expect(rows.first).to_contain_text(re.compile("▲ yes|▽ no"))
    expect(body).to_contain_text(re.compile(r"tokens to be expected, \d+\.\d\d otherwise"))
    while "drafted tokens accepted" not in body.inner_text():
        number = go_on()
    kept, drafted = map(int, re.search(r"(\d+) of (\d+) drafted tokens accepted", body.inner_text()).groups())
    expect(rows).to_have_count(drafted)
    assert sum("✓" in text for text in rows.all_inner_texts()) == kept
    view.screenshot(path=tmp_path / "verdicts.png")
    button["Back"].click()
    expect(body).to_contain_text(f"frame {number - 1} of {frames}")
    expect(rows).to_have_count(drafted)
    assert not any("✓" in text for text in rows.all_inner_texts())  # not judged yet

    field.fill("999999")
    field.press("Enter")
    expect(button["Step"]).to_be_disabled()
    expect(body).to_contain_text(f"step {steps} of {steps} · ")
    expect(field).to_have_value(str(frames))
    button["Reset"].click()
    expect(field).to_have_value("1")
    button["Play"].click()
    expect(field).not_to_have_value("1")
    button["Stop"].click()
    expect(button["Play"]).to_be_visible()
    for name in ("offers", "verdicts"):
        assert (tmp_path / f"{name}.png").stat().st_size > 5_000
    lab.assert_no_errors(panel)
