"""The generation player in a real JupyterLab, driven by a real browser."""
import re

import lab

NOTEBOOK = "08_kv_cache.ipynb"


def test_generation_player_in_jupyterlab(page, lab_address, tmp_path):
    from playwright.sync_api import expect

    expect.set_options(timeout=60_000)  # patient: the machine may be busy, and the cells below the player run on
    panel = lab.open_and_run(page, lab_address, NOTEBOOK)
    player = panel.locator(".specdec-player")
    player.wait_for(timeout=60_000)
    player.scroll_into_view_if_needed()
    body = player.locator(".specdec-body")
    button = {name: player.get_by_role("button", name=name, exact=True) for name in ("Back", "Step", "Play", "Stop", "Reset")}
    field = player.get_by_label("Pass")

    def row(title):
        return body.get_by_role("row").filter(has=page.get_by_role("rowheader", name=title, exact=True)).get_by_role("cell")

    expect(body.get_by_role("columnheader")).to_have_text(["greedy", "medusa_lite", "one_pass"])
    expect(body).to_contain_text("after 0 verifier passes")
    expect(row("this pass")).to_have_text(["the prompt"] * 3)
    expect(row("tokens written")).to_have_text([re.compile(r"^0 of \d+$")] * 3)
    expect(button["Back"]).to_be_disabled()
    expect(button["Reset"]).to_be_disabled()

    button["Step"].click()
    expect(body).to_contain_text("after 1 verifier pass")
    expect(field).to_have_value("1")
    expect(row("this pass").nth(0)).to_contain_text("adds 1: →")  # greedy: one token of the verifier's own a pass
    expect(row("this pass").nth(2)).to_contain_text(re.compile(r"adds [1-4]: "))
    expect(row("tokens written").nth(0)).to_have_text(re.compile(r"^1 of \d+$"))
    button["Step"].click()
    expect(body).to_contain_text("after 2 verifier passes")
    expect(row("tokens written").nth(0)).to_have_text(re.compile(r"^2 of \d+$"))
    expect(row("verifier passes")).to_have_text([re.compile(r"^2 \(\d\.\d\d tokens each\)$")] * 3)
    player.screenshot(path=tmp_path / "stepping.png")
    button["Back"].click()
    expect(body).to_contain_text("after 1 verifier pass")
    expect(row("tokens written").nth(0)).to_have_text(re.compile(r"^1 of \d+$"))

    field.fill("999999")
    field.press("Enter")
    expect(button["Step"]).to_be_disabled()
    expect(button["Play"]).to_be_disabled()
    last = int(field.input_value())
    expect(body).to_contain_text(f"after {last} verifier passes")
    expect(row("this pass")).to_have_text([re.compile(r"finished \(\w+\)$")] * 3)
    written = row("tokens written").all_text_contents()
    assert len({re.fullmatch(r"(\d+) of \1", cell.strip())[1] for cell in written}) == 1, written  # all wrote the same text
    passes = [int(cell.split()[0]) for cell in row("verifier passes").all_text_contents()]
    assert passes[2] < passes[0] and passes[1] == last
    player.screenshot(path=tmp_path / "player.png")
    assert (tmp_path / "player.png").stat().st_size > 5_000

    field.fill(str(last - 2))
    field.press("Enter")
    expect(body).to_contain_text(f"after {last - 2} verifier passes")
    button["Play"].click()  # plays to the end and stops there
    expect(body).to_contain_text(f"after {last} verifier passes")
    expect(button["Play"]).to_be_disabled()

    button["Reset"].click()
    expect(body).to_contain_text("after 0 verifier passes")
    button["Play"].click()  # can be stopped on the way
    expect(field).not_to_have_value("0")
    button["Stop"].click()
    expect(button["Play"]).to_be_visible()
    stopped = field.input_value()
    page.wait_for_timeout(2_000)
    expect(field).to_have_value(stopped)
    assert 0 < int(stopped) < last

    lab.assert_no_errors(panel)
