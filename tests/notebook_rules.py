"""What every notebook of the course must be, as rules: each takes a notebook (a node of nbformat) and yields its faults.

No rule runs a kernel. test_notebook_contract.py applies them to the course, test_notebook_tampering.py shows that each one
notices what it is there for.
"""
import ast
import importlib.util
import re
import statistics
from html.parser import HTMLParser
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
NAV = "<!-- nav -->"
IGNORING = {"nbval-ignore-output", "nbval-skip"}
UNCOMPARED = {"image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json"}
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|root|home|tmp|opt|usr/lib|usr/local|Users|var/folders)/|[A-Z]:\\\\?Users\\")
DATA_URI = re.compile(r"data:image/\w+;base64,[A-Za-z0-9+/=\s]+")
ARXIV = re.compile(r"\b\d{4}\.\d{5}\b")

_spec = importlib.util.spec_from_file_location("ci_links", ROOT / ".ci" / "links.py")
links = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(links)


def notebook_paths() -> list[Path]:
    """The notebooks of the course, in its order."""
    return [NOTEBOOKS / name for name in links.notebook_names(ROOT)]


def read(path: Path):
    return nbformat.read(path, as_version=4)


def code_cells(nb) -> list:
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def markdown(nb) -> list[str]:
    return [cell.source for cell in nb.cells if cell.cell_type == "markdown"]


def course_metadata(cell, key: str):
    """`metadata.specdec[key]` of a cell, or None."""
    return cell.metadata.get("specdec", {}).get(key)


def python_of(source: str) -> str:
    """Source without IPython's magics, so that `ast` can read it."""
    return re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", source)


def without_fences(text: str) -> str:
    return re.sub(r"(?ms)^\s*(```|~~~).*?^\s*\1\s*$", "", text)


def unfolded(text: str) -> str:
    return re.sub(r"(?s)<details.*?</details>", "", text)


def _sections(nb) -> list[tuple[str, str]]:
    """(title, text) of every `##` section, in order."""
    text = "\n\n".join(without_fences(source) for source in markdown(nb))
    parts = re.split(r"(?m)^## +(.+?)\s*$", text)
    return list(zip(parts[1::2], parts[2::2]))


def _ignored(cell) -> bool:
    return bool(IGNORING & set(cell.metadata.get("tags", [])))


def _compared(cell) -> bool:
    """Would nbval compare anything of this cell?"""
    return not _ignored(cell) and any(
        output.output_type == "stream" or set(output.get("data", {})) - UNCOMPARED for output in cell.outputs)


class _Tags(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def _html_outputs(nb) -> list[str]:
    return [output["data"]["text/html"] for cell in code_cells(nb) for output in cell.outputs
            if "text/html" in output.get("data", {})]


# --- outputs that can be trusted -------------------------------------------------------------------------------------

def executed_in_order(nb):
    counts = [cell.execution_count for cell in code_cells(nb)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"code cells must have been run once each, from top to bottom; their numbers are {counts}"


def no_cell_is_empty(nb):
    for i, cell in enumerate(nb.cells):
        if not cell.source.strip():
            yield f"cell {i} is empty"
    if not code_cells(nb):
        yield "there is no code cell at all"


def enough_is_compared(nb):
    compared = sum(_compared(cell) for cell in code_cells(nb))
    ignored = sum(_ignored(cell) for cell in code_cells(nb))
    if compared < 8:
        yield f"only {compared} cells have an output that is compared; at least 8 are needed"
    if compared <= ignored:
        yield f"{ignored} cells are ignored and only {compared} compared"


def ignoring_has_a_reason(nb):
    for i, cell in enumerate(nb.cells):
        if _ignored(cell) and not str(course_metadata(cell, "why_ignored") or "").strip():
            yield f"cell {i} is ignored and metadata.specdec.why_ignored does not say why"


def only_known_tags(nb):
    """A misspelt tag, or a comment in place of one, is silently not recognised."""
    for i, cell in enumerate(nb.cells):
        unknown = set(cell.metadata.get("tags", [])) - IGNORING
        if unknown:
            yield f"cell {i} has the tags {sorted(unknown)}; known are {sorted(IGNORING)}"
        if cell.cell_type == "code" and re.search(r"(?im)^\s*#.*(nbval|pytest_validate)", cell.source):
            yield f"cell {i} steers nbval by a comment; use a tag"


def no_errors_or_warnings_stored(nb):
    for i, cell in enumerate(nb.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                yield f"cell {i} stores the error {output.ename}"
            if output.get("name") == "stderr":
                yield f"cell {i} stores text on stderr"


def outputs_are_comparable(nb):
    """No output that changes in place or differs from run to run."""
    for i, cell in enumerate(code_cells(nb)):
        if re.search(r"\bclear_output\b|\bdisplay_id\b|\bupdate_display\b|^\s*%%?time", cell.source, re.MULTILINE):
            yield f"code cell {i} updates its output or times itself; nbval cannot compare that"
        stored = "".join(output.get("text", "") + str(output.get("data", {}).get("text/plain", "")) for output in cell.outputs)
        if not _ignored(cell) and re.search(r"\bat 0x[0-9a-f]+", stored):
            yield f"code cell {i} shows a memory address"


def no_widget_metadata(nb):
    if "widgets" in nb.metadata:
        yield "metadata.widgets is stored; GitHub refuses to show such a notebook"


def small_enough(nb):
    size = len(nbformat.writes(nb).encode())
    if size >= 1_000_000:
        yield f"the notebook has {size} bytes; it must stay under 1,000,000"


def no_machine_paths(nb):
    for i, cell in enumerate(nb.cells):
        found = MACHINE_PATHS.search(DATA_URI.sub("", nbformat.v4.nbjson.writes(nbformat.v4.new_notebook(cells=[cell]))))
        if found:
            yield f"cell {i} holds a path of somebody's machine: {found[0]}"


# --- shape of the code -----------------------------------------------------------------------------------------------

def short_code_cells(nb):
    lengths = [len(cell.source.splitlines()) for cell in code_cells(nb)]
    for i, length in enumerate(lengths):
        if length > 40:
            yield f"code cell {i} has {length} lines; at most 40"
    if lengths and statistics.median(lengths) > 8:
        yield f"code cells have {statistics.median(lengths)} lines in the median; at most 8"


def code_parses(nb):
    for i, cell in enumerate(code_cells(nb)):
        try:
            ast.parse(python_of(cell.source))
        except SyntaxError as error:
            yield f"code cell {i} is no Python: {error}"


# --- pictures and links ----------------------------------------------------------------------------------------------

def pictures_have_alt_text(nb):
    for text in _html_outputs(nb) + [without_fences(source) for source in markdown(nb)]:
        for tag, attributes in _Tags(text).found:
            if tag == "img" and not (attributes.get("alt") or "").strip():
                yield "an <img> has no alt text"
    for source in markdown(nb):
        if re.search(r"!\[\s*\]\(", without_fences(source)):
            yield "a Markdown picture has no alt text"
    for i, cell in enumerate(code_cells(nb)):
        if any({"image/png", "image/jpeg"} & set(output.get("data", {})) for output in cell.outputs):
            yield f"code cell {i} stores a bare picture, which cannot carry alt text; use show_figure(figure, alt)"


def links_resolve(nb):
    for source in markdown(nb):
        text = re.sub(r"`[^`\n]*`", "", without_fences(source))
        targets = re.findall(r"\]\(([^)\s]+)\)", text)
        targets += [attributes.get(key) for tag, attributes in _Tags(text).found
                    for key in ("href", "src") if attributes.get(key)]
        for target in targets:
            if re.match(r"[a-z]+:", target) or target.startswith("#"):
                continue
            if target.startswith("/") or not (NOTEBOOKS / target.partition("#")[0]).exists():
                yield f"the link {target} leads nowhere"


# --- anatomy ---------------------------------------------------------------------------------------------------------

def navigation_is_there(nb):
    for i in (0, -1):
        if not nb.cells or nb.cells[i].cell_type != "markdown" or not nb.cells[i].source.startswith(NAV):
            yield f"the {'last' if i else 'first'} cell is not the navigation, which starts with {NAV}"
        elif "](" not in nb.cells[i].source:
            yield f"the {'last' if i else 'first'} cell has no links: run python .ci/links.py"
    if nb.cells and "colab.research.google.com" not in nb.cells[0].source:
        yield "the first cell has no Colab badge"


def setup_cell_is_there(nb):
    setups = [cell.source for cell in code_cells(nb) if cell.source.startswith("# setup")]
    if setups != [links.setup_source(links.repository(ROOT))]:
        yield "there is not exactly one setup cell as .ci/links.py writes it"
    elif not code_cells(nb)[0].source.startswith("# setup"):
        yield "the setup cell is not the first code cell"


def one_title(nb):
    titles = [line for source in markdown(nb) for line in re.findall(r"(?m)^# .+$|<h1", without_fences(source))]
    if len(titles) != 1:
        yield f"there are {len(titles)} first-level headings; exactly one is needed"


def opens_as_agreed(nb):
    opening = "\n\n".join(markdown(nb)[:4])
    for part in ("**Reading**", "**Running**", "**Device**", "**Download**", "**You will be able to**", "**Before this**"):
        if part not in opening:
            yield f"the opening lacks {part}"


def sections_are_there(nb):
    titles = [title.strip().lower() for title, _ in _sections(nb)]
    wanted = ["the question", "recap", "common misconceptions", "quiz", "references"]
    places = [titles.index(title) if title in titles else None for title in wanted]
    for title, place in zip(wanted, places):
        if place is None:
            yield f"the section '## {title.capitalize()}' is missing"
    present = [place for place in places if place is not None]
    if present != sorted(present):
        yield f"the sections {wanted} do not stand in this order"


def quiz_has_three_answers(nb):
    quiz = "".join(text for title, text in _sections(nb) if title.strip().lower() == "quiz")
    if (found := quiz.count("<details>")) != 3 or quiz.count("</details>") != 3:
        yield f"the quiz has {found} folded answers; exactly three are needed"


def references_name_papers(nb):
    references = "".join(text for title, text in _sections(nb) if title.strip().lower() == "references")
    if "arxiv" not in references.lower() or not ARXIV.search(references):
        yield "the references name no paper by its arXiv id"


def right_number_of_words(nb):
    words = sum(len(unfolded(source).split()) for source in markdown(nb) if not source.startswith(NAV))
    if not 1200 <= words <= 2500:
        yield f"the prose has {words} words; 1,200 to 2,500 are agreed (folded parts not counted)"


def exercises_are_complete(nb):
    stubs = [course_metadata(cell, "exercise") for cell in code_cells(nb) if course_metadata(cell, "exercise")]
    solutions = [course_metadata(cell, "solution") for cell in nb.cells if course_metadata(cell, "solution")]
    if not 2 <= len(stubs) <= 4:
        yield f"there are {len(stubs)} exercises; two to four are agreed"
    if len(set(stubs)) != len(stubs) or sorted(stubs) != sorted(solutions):
        yield f"exercises {sorted(stubs)} and solutions {sorted(solutions)} are not the same"
    for cell in nb.cells:
        if course_metadata(cell, "solution") and not re.search(r"(?s)<details>.*```python.*</details>", cell.source):
            yield f"the solution of {course_metadata(cell, 'solution')} is not folded Python"
        if course_metadata(cell, "exercise"):
            printed = "".join(output.get("text", "") for output in cell.outputs)
            if "not attempted yet" not in printed:
                yield f"the stub of {course_metadata(cell, 'exercise')} does not print 'not attempted yet'"


RULES = [executed_in_order, no_cell_is_empty, enough_is_compared, ignoring_has_a_reason, only_known_tags,
         no_errors_or_warnings_stored, outputs_are_comparable, no_widget_metadata, small_enough, no_machine_paths,
         short_code_cells, code_parses, pictures_have_alt_text, links_resolve, navigation_is_there, setup_cell_is_there,
         one_title, opens_as_agreed, sections_are_there, quiz_has_three_answers, references_name_papers,
         right_number_of_words, exercises_are_complete]
