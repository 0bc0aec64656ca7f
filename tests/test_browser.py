"""The branch stepper in a real JupyterLab, driven by a real browser."""
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import lab
import pytest

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "05_prefix_accept_and_scoring.ipynb"


@pytest.fixture(scope="module")
def lab_address(tmp_path_factory):
    if find_spec("jupyterlab") is None:
        lab.missing("JupyterLab is not installed")
    folder, private = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("lab")
    shutil.copy(NOTEBOOK, folder)
    with lab.running_lab(folder, private) as address:
        yield address


@pytest.fixture
def page(request):
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lab.missing("playwright is not installed")
    chromium = lab.find_chromium()
    request.getfixturevalue("lab_address")  # start the server only where there is a browser for it
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=lab.CHROMIUM_ARGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1200}, device_scale_factor=1.5)
        page.set_default_timeout(30_000)
        yield page
        browser.close()


def test_branch_stepper_in_jupyterlab(page, lab_address, tmp_path):
    from playwright.sync_api import expect

    outside = []
    page.on("request", lambda r: None if r.url.startswith((lab_address, lab_address.replace("http", "ws"), "data:", "blob:"))
            else outside.append(r.url))
    lab.end_sessions(lab_address)
    expect.set_options(timeout=30_000)  # patient: the machine may be busy
    panel = lab.open_and_run(page, lab_address, NOTEBOOK.name)
    stepper = panel.locator(".specdec-stepper")
    stepper.wait_for(timeout=60_000)
    stepper.scroll_into_view_if_needed()
    body = stepper.locator(".specdec-body")
    button = {name: stepper.get_by_role("button", name=name, exact=True) for name in ("Back", "Step", "Play", "Stop", "Reset")}
    field = stepper.get_by_label("Frame")

    expect(body).to_contain_text(re.compile(r"frame 1 of \d+ · step 1 · \d+ branch"))
    expect(body).not_to_contain_text(re.compile("✓ .* accepted ·|✗ .* rejected,"))
    frames = int(re.search(r"frame 1 of (\d+)", body.inner_text()).group(1))
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
    assert "wins with score" not in body.inner_text()
    for frame in range(3, frames + 1):  # on to the end of the first step
        button["Step"].click()
        expect(body).to_contain_text(f"frame {frame} of {frames} · step 1")
        if "wins with score" in body.inner_text():
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
    assert not outside, f"the page asked other hosts: {outside[:3]}"
