"""Which words of a page the site links to its glossary: the first use of each term, and nothing that only looks like one."""
import pytest

pytest.importorskip("sphinx", reason="Sphinx is not installed: pip install -e '.[site]'")
from docutils import nodes  # noqa: E402
from docutils.frontend import get_default_settings  # noqa: E402
from docutils.utils import new_document  # noqa: E402

from docs.glossary_links import Terms, link_first_uses  # noqa: E402


def document(*children: nodes.Node) -> nodes.document:
    page = new_document("page", get_default_settings())
    page += children
    return page


def glossary(*entries: str) -> Terms:
    """Terms named `entries`; names of one entry are separated by commas."""
    items = []
    for number, entry in enumerate(entries):
        item = nodes.definition_list_item()
        item += [nodes.term("", name, ids=[f"term-{number}"]) for name in entry.split(", ")]
        item += nodes.definition("", nodes.paragraph("", "What it means."))
        items.append(item)
    return Terms(document(nodes.definition_list("", *items)))


def linked(terms: Terms, *children: nodes.Node) -> list[str]:
    """What becomes a link on a page of one paragraph."""
    page = document(nodes.paragraph("", "", *children))
    before = page.astext()
    link_first_uses(page, terms, "glossary.html")
    assert page.astext() == before
    return [link.astext() for link in page.findall(nodes.reference) if "term" in link["classes"]]


TERMS = glossary("drafter, draft model", "branch", "bonus token", "token", "α", "T", "v(n)", "reach")


@pytest.mark.parametrize("text, found", [
    ("A drafter, another drafter.", ["drafter"]),
    ("Draft models are drafters.", ["Draft models"]),
    ("two branches", ["branches"]),
    ("the bonus\ntoken and a token", ["bonus\ntoken", "token"]),
    ("tokenizers, draft-model, rebranch", []),
    ("α is small, so α^2 is smaller", ["α"]),
    ("context T, by T. Cai", ["T"]),
    ("by T. Cai", []),
    ("the verifier's time v(n) grows", ["v(n)"]),
    ("Can it reach 30?", []),
    ("at least its reach", ["its reach"]),
])
def test_text_links_the_first_use_of_each_term(text, found):
    assert linked(TERMS, nodes.Text(text)) == found


def test_a_formula_counts_as_its_symbol():
    assert linked(TERMS, nodes.Text("rate "), nodes.math("", r"\alpha"), nodes.Text(", again α")) == [r"\alpha"]


@pytest.mark.parametrize("node", [
    nodes.literal("", "token"), nodes.reference("", "token", refuri="x"), nodes.strong("", "Token"), nodes.emphasis("", "Token Trees"),
    nodes.emphasis("", "S T U"), nodes.raw("", "token", format="html"), nodes.math("", r"\text{token}")])
def test_code_links_names_and_outputs_stay_as_they_are(node):
    assert linked(TERMS, node) == []


def test_slanted_and_bold_words_are_linked():
    assert linked(TERMS, nodes.strong("", "token"), nodes.emphasis("", "drafter")) == ["token", "drafter"]
