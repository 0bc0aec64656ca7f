"""The site, built once by README's command: every page from its folder in Chromium, and what must hold between pages.

Without the extra `site` these tests are skipped, saying so.
"""
import functools
import http.server
import re
import subprocess
import sys
import threading
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import lab
import pytest
from notebook_rules import ROOT, notebook_paths

import specdec_utils

BeautifulSoup = pytest.importorskip("bs4").BeautifulSoup

NOTEBOOKS = [f"notebooks/{path.stem}.html" for path in notebook_paths()]
TEACHERS = [f"instructor/{path.stem}.html" for path in sorted((ROOT / "instructor").glob("*.md"))]
PAGES = ["index.html", "glossary.html", "run.html", "api.html", "CONTRIBUTING.html", "about.html", "search.html", "genindex.html",
         *NOTEBOOKS, *TEACHERS]
SHEET = "sheet.html"  # made by .ci/sheet.py, with tests of its own
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The folder of the built site."""
    for package in ("sphinx", "myst_nb", "furo"):
        if find_spec(package) is None:
            lab.missing(f"{package} is not installed: pip install -e '.[site]'")
    folder = tmp_path_factory.mktemp("site")
    run = subprocess.run([sys.executable, "-m", "docs", str(folder)], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="session")
def soups(site) -> dict[str, BeautifulSoup]:
    """Name of each page -> what it says."""
    return {path.relative_to(site).as_posix(): BeautifulSoup(path.read_text("utf-8"), "html.parser") for path in site.rglob("*.html")}


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
def visit(browser):
    """visit(address, viewport, scheme): a page that has been opened; fails afterwards if any complained or asked another place."""
    contexts, complaints = [], []

    def opened(address: str, viewport=DESK, scheme="light"):
        context = browser.new_context(viewport=viewport, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}")
                if request.failure != "net::ERR_ABORTED" else None)  # a page that is left gives up what it was still fetching
        page.on("response", lambda answer: complaints.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None)
        home = address.split("/", 3)[:3]
        page.on("request", lambda request: complaints.append(f"asked another place: {request.url}")
                if not request.url.startswith(("/".join(home), "data:")) else None)
        page.goto(address)
        page.wait_for_load_state()
        return page
    yield opened
    for context in contexts:
        context.close()
    assert not complaints, complaints[:5]


def findings(page) -> list[str]:
    """The serious and critical findings of axe-core, each with the element it is about."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"preload": False}).response["violations"]  # preloading asks for files, which a browser forbids
    return [f"{one['impact']} {one['id']}: {node['html'][:200]}" for one in found if one["impact"] in ("serious", "critical")
            for node in one["nodes"]]


def broken_links(soups: dict[str, BeautifulSoup], folder: Path) -> list[str]:
    """Links within the site that lead to no file, or to a place that its page does not have."""
    anchors = {name: {tag["id"] for tag in soup.find_all(id=True)} for name, soup in soups.items()}
    broken = []
    for name, soup in soups.items():
        for link in [tag[key] for key in ("href", "src") for tag in soup.find_all(attrs={key: True})]:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            path = (folder / name).parent / unquote(parts.path) if parts.path else folder / name
            page = path.resolve().relative_to(folder.resolve()).as_posix() if path.exists() else None
            if page is None or parts.fragment and page in anchors and unquote(parts.fragment) not in anchors[page]:
                broken.append(f"{name}: {link}")
    return broken


def test_site_has_these_pages(soups):
    assert sorted(soups) == sorted([*PAGES, SHEET])


@pytest.mark.parametrize("name", PAGES)
def test_page_opens_from_its_folder_and_axe_finds_nothing_serious(site, visit, name):
    for scheme in ("light", "dark"):
        page = visit((site / name).as_uri(), scheme=scheme)
        assert findings(page) == [], scheme


@pytest.mark.parametrize("name", PAGES)
def test_page_fits_a_phone(site, visit, name):
    page = visit((site / name).as_uri(), PHONE)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    for part in ("html", ".content"):  # on a phone the theme lets the text scroll by itself
        assert page.locator(part).evaluate("part => part.scrollWidth") <= PHONE["width"], part


def test_links_and_anchors_hold(soups, site):
    assert broken_links(soups, site) == []


def test_a_dead_anchor_is_found(soups, site):
    spoiled = BeautifulSoup('<a href="glossary.html#no-such-term">x</a><a href="nowhere.html">y</a>', "html.parser")
    assert broken_links(soups | {"index.html": spoiled}, site) == ["index.html: glossary.html#no-such-term", "index.html: nowhere.html"]


def test_pictures_have_alt_text(soups):
    pictures = [(name, picture) for name, soup in soups.items() for picture in soup.find_all("img")]
    assert len(pictures) > 50
    assert [name for name, picture in pictures if not picture.get("alt", "").strip()] == []


def test_no_page_shows_a_dead_widget_or_an_error(soups):
    for name in NOTEBOOKS:
        text = soups[name].get_text()
        assert "children=(" not in text and "widget-view" not in str(soups[name]) and "Traceback" not in text, name


def test_notebook_page_leads_to_its_neighbours_and_to_colab(soups):
    for i, name in enumerate(NOTEBOOKS):
        links = [link["href"] for link in soups[name].find("article").find_all("a", href=True)]
        assert sum(link.endswith(f"/notebooks/{Path(name).stem}.ipynb") and "colab" in link for link in links) == 1
        assert not [link for link in links if link.endswith(".ipynb") and "colab" not in link]
        assert {Path(near).name for near in NOTEBOOKS[max(i - 1, 0):i + 2] if near != name} <= set(links)


def test_formulas_are_drawn_by_the_browser(soups, site, visit):
    assert not [name for name, soup in soups.items() if "$$" in soup.get_text() or soup.find("script", src=re.compile("(?i)mathjax"))]
    formula = visit((site / NOTEBOOKS[0]).as_uri()).locator(".formula math").first
    assert formula.bounding_box()["height"] > 30  # a fraction is two lines high


def test_under_a_longer_address_nothing_is_missing(site, tmp_path, visit):
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "course").symlink_to(site, target_is_directory=True)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page = visit(f"http://127.0.0.1:{server.server_port}/some/course/index.html")
        page.get_by_role("link", name="Start reading").click()
        page.wait_for_url("**/some/course/notebooks/00_start_here.html")  # until the page is whole, as a person would
        page.get_by_role("link", name="next: 01 →").first.click()
        page.wait_for_url("**/some/course/notebooks/01_device_and_seeding.html")
        page.goto(f"http://127.0.0.1:{server.server_port}/some/course/search.html?q=residual")
        page.locator("#search-results li a").first.wait_for()
    finally:
        server.shutdown()
        server.server_close()


def test_search_finds_a_notebook_without_a_server(site, visit):
    page = visit((site / "index.html").as_uri())
    page.get_by_role("searchbox").or_(page.get_by_placeholder("Search")).first.fill("residual")
    page.keyboard.press("Enter")
    page.locator("#search-results li a", has_text="10").first.wait_for()
    page.locator("#search-results li a").first.click()
    page.wait_for_url(lambda url: "search.html" not in url)
    assert page.locator("h1").count() == 1


def test_stepper_of_the_home_page_steps(site, visit):
    page = visit((site / "index.html").as_uri())
    button = page.get_by_role("button", name="Step", exact=True)
    lab.assert_it_steps(page, button, button.locator("xpath=ancestor::*[@data-specdec]").locator("b").first)


def test_solutions_are_folded_and_open_by_keyboard(site, visit):
    page = visit((site / NOTEBOOKS[3]).as_uri())
    fold = page.locator("article details", has_text="Solution").first
    code = fold.locator("pre").first
    assert not code.is_visible()
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    assert code.is_visible()


def test_dark_is_dark_and_can_be_switched(site, visit):
    brightness = "Math.max(...getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number))"
    light, dark = (visit((site / "index.html").as_uri(), scheme=scheme) for scheme in ("light", "dark"))
    assert light.evaluate(brightness) > 200 and dark.evaluate(brightness) < 60
    for _ in range(3):
        light.locator(".theme-toggle:visible").first.click()
        if light.evaluate(brightness) < 60:
            return
    pytest.fail("the button does not lead to the dark page")


def test_every_word_of_the_glossary_is_linked_from_its_first_use_on_a_page(soups):
    glossary = soups["glossary.html"]
    entries = [definition.find_previous_sibling("dt") for definition in glossary.select("dl.glossary > dd")]
    assert len(entries) > 70
    assert [entry.get_text() for entry in entries if entry.find_next("dd").select_one(".first-use a") is None] == []
    for name in NOTEBOOKS:
        links = Counter(link["href"] for link in soups[name].select("a.term"))
        assert len(links) > 10 and set(links.values()) == {1}, name


def test_every_symbol_of_the_course_is_in_the_glossary(soups):
    table = next(one for one in soups[NOTEBOOKS[0]].find_all("table") if "symbol" in one.find("tr").get_text())
    symbols = {row.find("td").get_text().strip() for row in table.find_all("tr")[1:]}
    assert symbols == {"p", "q", "α", "γ", "c"}
    assert symbols <= {term.get_text().strip("¶# \n") for term in soups["glossary.html"].select("dl.glossary dt")}


def test_every_public_name_has_its_docstring(soups):
    for name in specdec_utils.__all__:
        place = soups["api.html"].find(id=f"specdec_utils.{name}")
        assert place is not None, name
        assert place.find_next("dd").get_text(strip=True), name
