"""The stored twins in a real browser without a kernel: opened from a file, as a static site would show them, with scripts and without.

The explorers' own scripts compute on a grid of states, and every card must equal Python's, tag for tag.
"""
import html
import itertools
import random
import re

import lab
import pytest
from notebook_rules import notebook_paths, read
from notebook_rules.reading import html_outputs
from stepping_pages import frames_of, given_data

from specdec_utils.show.cost_explorer import CostCard
from specdec_utils.show.page import fill
from specdec_utils.show.pq_explorer import CHOICES, TEMPLATE, PQTable

STORED = [pytest.param(markup, id=f"{path.stem}-{number}") for path in notebook_paths()
          for number, markup in enumerate(one for one in html_outputs(read(path)) if "data-specdec=" in one)]
STEPPERS = [param for param in STORED if '"edits":' in param.values[0]]
LIGHT, DARK = "background:#ffffff;color:#1a1a1a", "background:#111111;color:#e6e6e6"
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>An output</title><style>body{{{look}}}</style></head><body><main><h1>An output</h1>{parts}</main></body></html>"""
SET = """states => { const fields = [...document.querySelectorAll('.specdec-bar input, .specdec-bar select')];
    return states.map(state => { state.forEach((value, i) => { const options = [...(fields[i].options ?? [])];
        fields[i].value = options.length ? options.findIndex(one => one.textContent === value) : value; });
        fields[0].dispatchEvent(new Event('change')); return document.querySelector('.specdec-frame').innerHTML; }); }"""
AS_PARSED = "all => all.map(one => { const holder = document.createElement('div'); holder.innerHTML = one; return holder.innerHTML; })"


@pytest.fixture(scope="module")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lab.missing("playwright is not installed")
    chromium = lab.find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=lab.CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def show(browser, tmp_path):
    """show(*outputs, ...): a page with these outputs, opened from a file; fails if a script failed or anything else was asked for."""
    contexts, asked, faults = [], [], []

    def open_page(*outputs, look=LIGHT, width=1200, scripts=True):
        path = tmp_path / f"page{len(contexts)}.html"
        path.write_text(PAGE.format(look=look, parts="<h2>Next</h2>".join(outputs)), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=scripts)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)  # patient: the machine may be busy
        page.on("request", lambda request: None if request.url == path.as_uri() or request.url.startswith("data:") else asked.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not asked and not faults


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def words_of(page, markup: str) -> str:
    """The text of `markup`, as the browser reads it."""
    return words(page.evaluate("one => { const holder = document.createElement('div'); holder.innerHTML = one; return holder.textContent; }",
                               markup))


def test_the_notebooks_hold_all_of_them():
    found = {param.id.partition("_")[0] for param in STORED}
    assert {"00", "05", "06", "08", "09", "10", "12"} <= found
    assert all(given_data(param.values[0])["parts"] for param in STEPPERS) and len(STORED) - len(STEPPERS) >= 3


@pytest.mark.parametrize("markup", STEPPERS)
def test_buttons_field_and_keys_step(show, markup):
    page, data = show(markup), given_data(markup)
    drawn = [words_of(page, frame) for frame in frames_of(data)]
    first, last = data["first"], data["first"] + len(drawn) - 1
    frame, said = page.locator(".specdec-frame"), page.get_by_role("status")
    back, step, play, reset = (page.get_by_role("button", name=name, exact=True) for name in ("Back", "Step", "Play", "Reset"))
    field = page.get_by_role("combobox" if data["names"] else "spinbutton", name=data["label"], exact=True)

    def at() -> int:
        """The number of the frame that is shown; the field and what is told to screen readers must agree with it."""
        here = first + field.evaluate("field => field.selectedIndex") if data["names"] else int(field.input_value())
        assert words(frame.text_content()) == drawn[here - first]
        assert words(said.text_content()) and drawn[here - first].startswith(words(said.text_content()))
        return here

    assert at() == first and back.get_attribute("aria-disabled") == reset.get_attribute("aria-disabled") == "true"
    back.click(force=True)
    assert at() == first
    step.click()
    assert at() == first + 1
    page.keyboard.press("ArrowRight")
    assert at() == first + 2
    page.keyboard.press("ArrowLeft")
    assert at() == first + 1
    page.keyboard.press("End")
    assert at() == last and step.get_attribute("aria-disabled") == play.get_attribute("aria-disabled") == "true"
    assert step.evaluate("button => button === document.activeElement")  # the keys go on working at the end
    back.click()
    assert at() == last - 1
    if data["names"]:
        field.select_option(label=data["names"][1])
        assert at() == first + 1
        reset.click()
    else:
        for typed, shown in ((str(first + 1), first + 1), ("999999", last), ("-5", first), ("", first)):
            field.fill(typed)
            field.press("Tab")
            assert at() == shown
    step.click()
    reset.click()
    assert at() == first


def test_play_goes_to_the_end_and_can_be_stopped(show):
    markup = min((param.values[0] for param in STEPPERS), key=lambda one: len(given_data(one)["edits"]))
    page, last = show(markup), given_data(markup)["first"] + len(given_data(markup)["edits"]) - 1
    field = page.get_by_label(given_data(markup)["label"], exact=True)
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("start => document.querySelector('.specdec-bar input').value > start", arg=field.input_value())
    page.get_by_role("button", name="Stop").click()
    stopped = field.input_value()
    page.wait_for_timeout(1_200)
    assert field.input_value() == stopped and page.get_by_role("button", name="Stop").count() == 0
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("last => Number(document.querySelector('.specdec-bar input').value) === last", arg=last)
    assert page.get_by_role("button", name="Stop").count() == 0


@pytest.mark.parametrize("markup", STORED)
def test_without_scripts_one_frame_reads_well(show, markup):
    page, data = show(markup, scripts=False), given_data(markup)
    assert page.locator("button, input, select").count() == 0
    shown = page.locator(".specdec-twin > div").first
    assert page.locator(".specdec-twin > div").count() == 1 and shown.is_visible()
    pictures = shown.locator("img").all()
    assert all(picture.get_attribute("alt") for picture in pictures)
    if "edits" in data:
        frames = [words(html.unescape(re.sub("<[^>]+>", "", frame))) for frame in frames_of(data)]
        assert words(shown.text_content()) in (frames if data["names"] else frames[-1:])  # a tree: its accepted path
    else:
        assert pictures or "✓" in shown.text_content()


@pytest.mark.parametrize("markup", STORED)
def test_no_serious_finding_in_light_and_dark_and_on_a_phone(show, markup):
    from axe_playwright_python.sync_playwright import Axe

    for look, width in ((LIGHT, 1200), (DARK, 1200), (DARK, 390)):
        page = show(markup, look=look, width=width)
        if page.get_by_role("button", name="Step").count():
            page.get_by_role("button", name="Step").click()
            page.keyboard.press("End")
        found = Axe().run(page).response["violations"]
        assert [f"{one['id']}: {node['html'][:200]}" for one in found if one["impact"] in ("serious", "critical") for node in one["nodes"]] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width  # what is wider scrolls inside its frame


def test_several_on_one_page_do_not_disturb_one_another(show):
    first, other = (param.values[0] for param in STEPPERS[:2])
    page = show(first, other, first)
    fields = page.locator(".specdec-bar input[type=number]")
    assert fields.count() == 3 and page.locator(".specdec-twin").count() == 3
    page.get_by_role("button", name="Step").nth(2).click()
    starts = [given_data(one)["first"] for one in (first, other, first)]
    assert [int(field.input_value()) for field in fields.all()] == [starts[0], starts[1], starts[2] + 1]
    page.get_by_role("button", name="Step").nth(0).click()
    assert [int(field.input_value()) for field in fields.all()] == [starts[0] + 1, starts[1], starts[2] + 1]


def explorer_of(script: str) -> str:
    return next(param.values[0] for param in STORED if f", {script}_values);" in param.values[0])


def equal_cards(page, states, card) -> None:
    shown, wanted = page.evaluate(SET, states), page.evaluate(AS_PARSED, [card(state) for state in states])
    wrong = [(state, one, other) for state, one, other in zip(states, shown, wanted) if one != other]
    assert not wrong, f"{len(wrong)} of {len(states)} states differ, the first: {wrong[0]}"


def test_pq_explorer_computes_what_python_computes(show):
    def card(state) -> str:
        try:
            return PQTable(state[:4], state[4:8], state[8], state[9]).card()
        except ValueError as error:
            return fill(TEMPLATE, {"error": [{"sentence": error}], "table": []})

    chance = random.Random(0)
    laws = [[0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 2], [0.5, 0.3, 0.2, 0.0], [0.2, 0.2, 0.4, 0.2], [0.0625, 0.1875, 0.5, 0.25], [3, 1, 0, 0],
            [0.125, 0.125, 0.25, 0.5], [1000, 0.001, 5, 0]] + [[chance.randint(0, 20) / 20 for _ in range(4)] for _ in range(3)]
    states = [[*p, *q, draw, 1 + (i + j) % 3] for (i, p), (j, q) in itertools.product(enumerate(laws), repeat=2) for draw in CHOICES]
    equal_cards(show(explorer_of("pq")), states, card)


def test_cost_explorer_computes_what_python_computes(show):
    markup = explorer_of("cost")
    measured = given_data(markup)["given"]["measured"]
    states = [list(state) for state in itertools.product((0, 0.05, 0.25, 0.5, 0.8, 0.95, 1), (0, 0.05, 0.2, 0.5, 1, 5), (0, 1, 4, 9, 16),
                                                         (0, 0.01, 0.05, 0.25, 2))]
    equal_cards(show(markup), states, lambda state: CostCard(*state, measured and tuple(measured)).card())


def test_explorers_keep_their_ranges_and_go_back(show):
    page = show(explorer_of("cost"))
    frame, alpha, gamma = page.locator(".specdec-frame"), page.get_by_label("α", exact=True), page.get_by_label("γ", exact=True)
    opened = [alpha.input_value(), gamma.input_value(), frame.inner_html()]
    for field, typed, kept in ((alpha, "7", "1"), (alpha, "", "1"), (gamma, "2.6", "3"), (gamma, "99", "16"), (alpha, "-1", "0")):
        field.fill(typed)
        field.press("Tab")
        assert field.input_value() == kept
    assert "γ = 16" in frame.text_content() and "γ = 16" in page.get_by_role("status").text_content()
    page.get_by_role("button", name="Reset").click()
    assert [alpha.input_value(), gamma.input_value(), frame.inner_html()] == opened
    page = show(explorer_of("pq"))
    for word in ("dog", "cat", "bird", "car"):
        page.get_by_label(f"p({word})", exact=True).fill("0")
        page.get_by_label(f"p({word})", exact=True).press("Tab")
    assert "All weights of p are 0" in page.get_by_role("status").text_content()
