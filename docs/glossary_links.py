"""Link the first use of every glossary term on a page to the glossary, and in the glossary say where the course first uses it.

A term is a word of running text, in any number and case, or a symbol, which is also found as a formula. Titles, code, links,
outputs, names (of buttons and papers: bold or slanted, with a capital) and slanted rows of letters stay as they are. Nothing is
written into the pages: all of this happens to the document trees while the site is built.
"""
import re
import unicodedata
from dataclasses import dataclass

from docutils import nodes
from sphinx import addnodes

GLOSSARY = "glossary"
EVERYDAY = {  # words that are terms of the course only where they stand like this
    "position": r"(?<!a )positions?\b", "price": r"\bby price\b|^price$", "reach": r"\b(?:its|the) reach\b", "score": r"\bscore\b",
    "walk": r"\bwalk the tree\b|^walk$",
}
UNTOUCHED = (nodes.title, nodes.literal, nodes.FixedTextElement, nodes.reference, nodes.raw, nodes.caption, addnodes.desc)


@dataclass
class Entry:
    """One entry of the glossary: its anchor, the names it goes by, and its definition as plain text."""

    anchor: str
    names: list[str]
    meaning: str


def tex_name(name: str) -> str:
    r"""How a formula writes a symbol: α as \alpha, anything else as it stands."""
    greek = re.fullmatch(r"GREEK SMALL LETTER (\w+)", unicodedata.name(name, "")) if len(name) == 1 else None
    return "\\" + greek[1].lower() if greek else name


def is_symbol(name: str) -> bool:
    return re.fullmatch(r"\w|\w_\w|\w\(n\)", name) is not None


def pattern(name: str) -> str:
    """What `name` looks like in running text: a symbol exactly, a word in any case and number."""
    if name in EVERYDAY:
        return f"(?:{EVERYDAY[name]})"
    if is_symbol(name):
        return rf"(?<![\w'’.]){re.escape(name)}(?![\w'’(]|\.\w|\. [A-Z])"
    words = r"\s+".join(map(re.escape, name.split()))
    return rf"(?i:(?<![\w-]){words}(?:es|s)?(?![\w-]))"


class Terms:
    """All entries, and one expression that finds any of them; longer names come first."""

    def __init__(self, glossary: nodes.document):
        self.entries = []
        for item in glossary.findall(nodes.definition_list_item):
            terms = [part for part in item.children if isinstance(part, nodes.term)]
            meaning = " ".join(item.children[-1].astext().split())
            self.entries.append(Entry(terms[0]["ids"][0], [term.astext() for term in terms], meaning))
        named = sorted(((name, entry) for entry in self.entries for name in entry.names), key=lambda one: -len(one[0]))
        self.owners = [entry for _, entry in named]
        self.finder = re.compile("|".join(f"({pattern(name)})" for name, _ in named))
        self.formulas = {tex_name(name): entry for name, entry in named if is_symbol(name)}

    def first_uses(self, page: nodes.document):
        """Each entry that the page uses, once, in reading order: (entry, node, span in the node's text or None for a formula)."""
        seen = set()
        for node in page.findall(lambda node: isinstance(node, (nodes.Text, nodes.math))):
            slanted, text = isinstance(node.parent, nodes.emphasis), node.astext()
            a_name = (slanted or isinstance(node.parent, nodes.strong)) and text[:1].isupper()
            if a_name or isinstance(node.parent, nodes.math) or inside(node, UNTOUCHED):
                continue
            if isinstance(node, nodes.math):
                found = [(self.formulas[text], None)] if text in self.formulas else []
            else:
                found = [(self.owners[match.lastindex - 1], match.span()) for match in self.finder.finditer(text)
                         if not (slanted and len(match[0]) == 1 < len(text))]
            for entry, span in found:
                if entry.anchor not in seen:
                    seen.add(entry.anchor)
                    yield entry, node, span


def inside(node: nodes.Node | None, kinds: tuple) -> bool:
    while node is not None and not isinstance(node, kinds):
        node = node.parent
    return node is not None


def link_first_uses(page: nodes.document, terms: Terms, to_glossary: str) -> None:
    def link(entry: Entry, shown: nodes.Node) -> nodes.reference:
        return nodes.reference("", "", shown, refuri=f"{to_glossary}#{entry.anchor}", reftitle=entry.meaning, internal=True,
                               classes=["term"], ids=[f"use-{entry.anchor}"])

    by_node: dict[nodes.Node, list] = {}
    for entry, node, span in terms.first_uses(page):
        by_node.setdefault(node, []).append((entry, span))
    for node, uses in by_node.items():
        text, at, new = node.astext(), 0, []
        for entry, span in uses:
            if span is None:
                new.append(link(entry, node.deepcopy()))
                at = len(text)
            else:
                new += [nodes.Text(text[at:span[0]]), link(entry, nodes.Text(text[slice(*span)]))]
                at = span[1]
        node.parent.replace(node, [*new, nodes.Text(text[at:])])


def say_first_uses(app, glossary: nodes.document, terms: Terms) -> None:
    """Under each definition: the first notebook that uses the term, as a link to that very place."""
    first = {}
    for page in sorted(name for name in app.env.found_docs if name.startswith("notebooks/")):
        for entry, _, _ in terms.first_uses(app.env.get_doctree(page)):
            first.setdefault(entry.anchor, page)
    for item in glossary.findall(nodes.definition_list_item):
        anchor = item.children[0]["ids"][0]
        if anchor in first:
            target = f"{app.builder.get_relative_uri(GLOSSARY, first[anchor])}#use-{anchor}"
            title = nodes.reference("", app.env.titles[first[anchor]].astext(), refuri=target, internal=True)
            item.children[-1] += nodes.paragraph("", "First used in ", title, classes=["first-use"])


def resolved(app, page: nodes.document, name: str) -> None:
    if name == GLOSSARY or name == "index" or name.startswith("notebooks/"):
        terms = Terms(app.env.get_doctree(GLOSSARY))
        if name == GLOSSARY:
            say_first_uses(app, page, terms)
        else:
            link_first_uses(page, terms, app.builder.get_relative_uri(name, GLOSSARY))


def setup(app):
    app.connect("doctree-resolved", resolved)
    return {"parallel_read_safe": True}
