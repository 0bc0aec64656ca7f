"""Make the printable page: instructor/sheet.html as a PDF of two sides, by Chromium.

    python .ci/sheet.py [FILE]    writes instructor/sheet.pdf, or FILE

It needs the test extra (playwright) and Chromium or Chrome. Without them, open the page in any browser and print it.
"""
import shutil
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "instructor" / "sheet.html"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def find_chromium() -> str:
    """The path of a Chromium or Chrome. Raises RuntimeError where there is none."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        raise RuntimeError(f"no Chromium on this machine: install it, or open {SOURCE} in a browser and print it.")
    return found


def write_pdf(target: Path) -> None:
    """Print the page into `target`."""
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        page = browser.new_page()
        page.goto(SOURCE.as_uri())
        page.pdf(path=str(target), prefer_css_page_size=True, print_background=True)
        browser.close()


def main(arguments: list[str]) -> int:
    if len(arguments) > 1 or any(one.startswith("-") for one in arguments):
        print("usage: python .ci/sheet.py [FILE]", file=sys.stderr)
        return 2
    target = Path(arguments[0]) if arguments else SOURCE.with_suffix(".pdf")
    try:
        write_pdf(target)
    except (ImportError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"written: {target}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
