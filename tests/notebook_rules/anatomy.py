"""Rules on a notebook's parts: title, opening, sections, quiz, exercises."""
import re

from .reading import NAV, ROOT, code_cells, course_metadata, links, markdown, sections, unfolded, without_fences

ARXIV = re.compile(r"\b\d{4}\.\d{5}\b")


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
    titles = [title.strip().lower() for title, _ in sections(nb)]
    wanted = ["the question", "recap", "common misconceptions", "quiz", "references"]
    places = [titles.index(title) if title in titles else None for title in wanted]
    for title, place in zip(wanted, places):
        if place is None:
            yield f"the section '## {title.capitalize()}' is missing"
    present = [place for place in places if place is not None]
    if present != sorted(present):
        yield f"the sections {wanted} do not stand in this order"


def quiz_has_three_answers(nb):
    quiz = "".join(text for title, text in sections(nb) if title.strip().lower() == "quiz")
    if (found := quiz.count("<details>")) != 3 or quiz.count("</details>") != 3:
        yield f"the quiz has {found} folded answers; exactly three are needed"


def references_name_papers(nb):
    references = "".join(text for title, text in sections(nb) if title.strip().lower() == "references")
    if "arxiv" not in references.lower() or not ARXIV.search(references):
        yield "the references name no paper by its arXiv id"


def right_number_of_words(nb):
    words = sum(len(unfolded(source).split()) for source in markdown(nb) if not source.startswith(NAV))
    if not 1200 <= words <= 2500:
        yield f"the prose has {words} words; 1,200 to 2,500 are agreed (folded parts not counted)"


def exercises_are_complete(nb):
    stubs = [course_metadata(cell, "exercise") for cell in code_cells(nb) if course_metadata(cell, "exercise")]
    solutions = [course_metadata(cell, "solution") for cell in nb.cells if course_metadata(cell, "solution")]
    least, most = (6, 10) if nb.metadata.get("specdec", {}).get("workshop") else (2, 4)
    if not least <= len(stubs) <= most:
        yield f"there are {len(stubs)} exercises; {least} to {most} are agreed"
    if len(set(stubs)) != len(stubs) or sorted(stubs) != sorted(solutions):
        yield f"exercises {sorted(stubs)} and solutions {sorted(solutions)} are not the same"
    for cell in nb.cells:
        if course_metadata(cell, "solution") and not re.search(r"(?s)<details>.*```python.*</details>", cell.source):
            yield f"the solution of {course_metadata(cell, 'solution')} is not folded Python"
        if course_metadata(cell, "exercise"):
            printed = "".join(output.get("text", "") for output in cell.outputs)
            if "not attempted yet" not in printed:
                yield f"the stub of {course_metadata(cell, 'exercise')} does not print 'not attempted yet'"
