"""Settings of Sphinx for the site; `python -m docs` starts it."""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from docs.layout import ABOUT as about  # noqa: E402
from docs.layout import BRANCH  # noqa: E402

project = "Speculative decoding, step by step"
author = about["authors"][0]["name"]
copyright = f"{author}; text and figures CC BY 4.0, code MIT"
version = release = about["version"]
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "docs.mathml", "docs.public_names", "docs.glossary_links"]
exclude_patterns = ["README.md", "LICENSE-TEXT.md", "CHANGELOG.md", "parts/*"]
suppress_warnings = ["myst.header"]  # exercises are one level down wherever they stand
default_role = "literal"
smartquotes = False  # quotation marks as they are stored
html_math_renderer = "mathml"

nb_execution_mode = "off"  # the notebooks are shown as they are stored
nb_render_markdown_format = "myst"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = project
html_favicon = "static/favicon.svg"
html_static_path = ["static"]
html_extra_path = ["../instructor/sheet.html"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_show_sourcelink = False
html_copy_source = False
html_show_search_summary = False  # it would fetch pages, which a browser forbids for files
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"
html_theme_options = {
    "source_repository": about["urls"]["Repository"] + "/",
    "source_branch": BRANCH,
    "top_of_page_buttons": [],
    "footer_icons": [],
}


def name_heading_levels(app, page, template, context, doctree):
    """Furo's captions in the list of pages are headings without a level, which screen readers need."""
    context["furo_navigation_tree"] = context.get("furo_navigation_tree", "").replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app):
    app.connect("html-page-context", name_heading_levels, priority=900)  # after Furo's own
