"""The branch stepper in a real JupyterLab, driven by a real browser."""
import re

import lab

NOTEBOOK = "05_prefix_accept_and_scoring.ipynb"


def test_branch_stepper_in_jupyterlab(page, lab_address, tmp_path):
    from playwright.sync_api import expect

    expect.set_options(timeout=30_000)  # patient: the machine may be busy
    panel = lab.open_and_run(page, lab_address, NOTEBOOK)
    stepper = panel.locator(".specdec-stepper")
    stepper.wait_for(timeout=60_000)
    stepper.scroll_into_view_if_needed()
    body = stepper.locator(".specdec-body")
    button = {name: stepper.get_by_role("button", name=name, exact=True) for name in ("Back", "Step", "Play", "Stop", "Reset")}
    field = stepper.get_by_label("Frame")

    expect(body).to_contain_text(re.compile(r"frame 1 of \d+ · step 1 · \d+ branch"))
    expect(body).not_to_contain_text(re.compile("✓ .* accepted ·|✗ .* rejected,"))
    frames = int(re.search(r"frame 1 of (\d+)", body.text_content()).group(1))
    assert frames >= 4
    expect(button["Back"]).to_be_disabled()
    expect(button["Reset"]).to_be_disabled()

    button["Step"].click()
    expect(body).to_contain_text(f"frame 2 of {frames} · step 1 · branch 1, token 1: ")
    expect(field).to_have_value("2")
    button["Step"].click()
    expect(body).to_contain_text(f"frame 3 of {frames}")
    stepper.screenshot(path=tmp_path / "stepping.png")
    button["Back"].click()
    expect(body).to_contain_text(f"frame 2 of {frames}")
    assert "wins with score" not in body.text_content()
    for frame in range(3, frames + 1):  # on to the end of the first step
        button["Step"].click()
        expect(body).to_contain_text(f"frame {frame} of {frames} · step 1")
        if "wins with score" in body.text_content():
            break
    expect(body).to_contain_text("★")
    stepper.screenshot(path=tmp_path / "stepper.png")
    assert (tmp_path / "stepper.png").stat().st_size > 5_000

    field.fill(str(frames))
    field.press("Enter")
    expect(body).to_contain_text(f"frame {frames} of {frames}")
    expect(body).to_contain_text(re.compile(r"wins with score -?\d"))
    expect(button["Step"]).to_be_disabled()
    expect(button["Play"]).to_be_disabled()
    field.fill("999999")
    field.press("Enter")
    expect(field).to_have_value(str(frames))
    field.fill(str(frames - 2))
    field.press("Enter")
    expect(body).to_contain_text(f"frame {frames - 2} of {frames}")

    button["Play"].click()  # plays to the end and stops there
    expect(body).to_contain_text(f"frame {frames} of {frames}")
    expect(button["Play"]).to_be_disabled()

    button["Reset"].click()
    expect(body).to_contain_text(f"frame 1 of {frames}")
    button["Play"].click()  # can be stopped on the way
    expect(body).to_contain_text(f"frame 2 of {frames}")
    button["Stop"].click()
    expect(button["Play"]).to_be_visible()
    stopped = field.input_value()
    page.wait_for_timeout(2_000)
    expect(field).to_have_value(stopped)
    assert int(stopped) < frames

    lab.assert_no_errors(panel)


def test_stored_twin_steps_in_a_trusted_notebook_that_was_not_run(page, lab_address):
    from playwright.sync_api import expect

    expect.set_options(timeout=30_000)
    panel = lab.open_notebook(page, lab_address, NOTEBOOK)
    page.evaluate(f"async () => {{{lab.READY} app.commands.execute('notebook:trust').then(() => {{ window.trustedAndSaved = true; }});}}")
    page.locator(".jp-Dialog").get_by_role("button", name="Trust").click()
    page.wait_for_function("window.trustedAndSaved")  # a second save beside it may end in a question that nobody answers
    panel = lab.open_notebook(page, lab_address, NOTEBOOK)
    twin = panel.locator("[data-specdec]").first
    twin.scroll_into_view_if_needed()
    lab.assert_it_steps(page, twin.get_by_role("button", name="Step", exact=True), twin.locator(".specdec-frame"))
    assert "[1]:" in panel.locator(".jp-CodeCell .jp-InputPrompt").first.inner_text()  # as stored: nothing has run
