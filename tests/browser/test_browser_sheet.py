"""The printable page: two sides, nothing cut off, and numbers that the package computes."""
import importlib.util
import re

import lab
import pytest
from notebook_rules import ROOT

from specdec_utils import expected_tokens, predicted_speedup

SHEET = ROOT / "instructor" / "sheet.html"
_spec = importlib.util.spec_from_file_location("ci_sheet", ROOT / ".ci" / "sheet.py")
sheet = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sheet)
STICKING_OUT = """side => {
    const room = side.getBoundingClientRect(), out = [];
    if (side.scrollHeight > side.clientHeight || side.scrollWidth > side.clientWidth) out.push('the side itself');
    const within = (inner, outer) => inner.left >= outer.left - 1 && inner.right <= outer.right + 1
                                     && inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1;
    for (const svg of side.querySelectorAll('svg')) {
        const boxes = [...svg.querySelectorAll('rect')].map(rect => rect.getBoundingClientRect());
        for (const text of svg.querySelectorAll('text')) {
            const own = text.getBoundingClientRect();
            const holder = boxes.find(box => own.left >= box.left && own.left <= box.right && own.top >= box.top - 2 && own.top < box.bottom);
            if (!within(own, holder || svg.getBoundingClientRect())) out.push(text.textContent);
        }
    }
    for (const part of side.querySelectorAll('pre, table, p, li, h1, h2, footer, math'))
        if (!within(part.getBoundingClientRect(), room) || part.scrollWidth > part.clientWidth + 1 && part.clientWidth) out.push(part.textContent);
    return out;
}"""


@pytest.fixture
def sides():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=lab.find_chromium(), args=lab.CHROMIUM_ARGS)
        page = browser.new_page(viewport={"width": 820, "height": 1200})
        page.emulate_media(media="print")
        page.goto(SHEET.as_uri())
        yield page.query_selector_all(".side")
        browser.close()


def test_the_command_writes_two_sides(tmp_path, capsys):
    lab.find_chromium()
    target = tmp_path / "sheet.pdf"
    assert sheet.main([str(target)]) == 0, capsys.readouterr().err
    data = target.read_bytes()
    assert data.startswith(b"%PDF") and len(re.findall(rb"/Type\s*/Page\b", data)) == 2
    assert re.search(rb"/MediaBox\s*\[\s*0 0 59[45][.\d]* 84[12]", data), "not A4"


def test_nothing_sticks_out_of_its_place(sides):
    assert len(sides) == 2
    assert [side.evaluate(STICKING_OUT) for side in sides] == [[], []]


def test_a_line_too_long_is_noticed(sides):
    sides[1].evaluate("side => { side.querySelectorAll('svg text')[0].textContent += ' and very much more of it than there is room for'; }")
    sides[0].evaluate("side => { side.querySelector('pre').textContent += 'x'.repeat(200); }")
    assert all(side.evaluate(STICKING_OUT) for side in sides)


def test_numbers_are_those_of_the_package():
    found = re.findall(r'data-is="([^"]+)">([\d.]+)<', SHEET.read_text("utf-8"))
    assert len(found) == 3
    for code, printed in found:
        value = eval(code, {"expected_tokens": expected_tokens, "predicted_speedup": predicted_speedup})
        assert f"{value:.2f}" == printed, code


def test_pictures_are_described():
    text = SHEET.read_text("utf-8")
    assert text.count("<svg") == len(re.findall(r'<svg [^>]*role="img" aria-label="[^"]{40,}"', text)) == 2


def test_without_chromium_it_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(sheet.shutil, "which", lambda name: None)
    assert sheet.main(["x.pdf"]) == 1
    assert "no Chromium on this machine" in capsys.readouterr().err
