"""Faults in a notebook's parts."""
import copy

from nbformat.v4 import new_output
from notebook_rules import NAV, anatomy, course_metadata

from .sound import code, fault_of, replace


@fault_of(anatomy.navigation_is_there)
def first_navigation_gone(nb):
    nb.cells.pop(0)


@fault_of(anatomy.navigation_is_there)
def last_navigation_gone(nb):
    nb.cells.pop()


@fault_of(anatomy.navigation_is_there)
def navigation_not_filled(nb):
    nb.cells[0].source = NAV


@fault_of(anatomy.setup_cell_is_there)
def setup_edited(nb):
    code(nb, 0).source += "\n%pip install torch"


@fault_of(anatomy.setup_cell_is_there)
def setup_gone(nb):
    nb.cells.remove(code(nb, 0))


@fault_of(anatomy.one_title)
def second_title(nb):
    replace(nb, "## Recap", "# Recap")


@fault_of(anatomy.opens_as_agreed)
def no_objectives(nb):
    replace(nb, "**You will be able to**", "")


@fault_of(anatomy.sections_are_there)
def no_recap(nb):
    replace(nb, "## Recap", "## Summary")


@fault_of(anatomy.sections_are_there)
def no_question(nb):
    replace(nb, "## The question", "")


@fault_of(anatomy.quiz_has_three_answers)
def no_quiz_answers(nb):
    replace(nb, "## Quiz", "## Quiz\n\nNone.\n\n## More")


@fault_of(anatomy.references_name_papers)
def no_paper(nb):
    replace(nb, "arXiv", "")
    replace(nb, "arxiv", "")


@fault_of(anatomy.right_number_of_words)
def too_many_words(nb):
    nb.cells[1].source += " word" * 2500


@fault_of(anatomy.right_number_of_words)
def words_only_when_unfolded(nb):
    for cell in nb.cells[1:-1]:
        if cell.cell_type == "markdown":
            cell.source = f"<details>{cell.source.replace('details>', '')}</details>"


@fault_of(anatomy.exercises_are_complete)
def exercise_gone(nb):
    next(cell for cell in nb.cells if course_metadata(cell, "exercise")).metadata = {}


@fault_of(anatomy.exercises_are_complete)
def solution_gone(nb):
    nb.cells.remove(next(cell for cell in nb.cells if course_metadata(cell, "solution")))


@fault_of(anatomy.exercises_are_complete)
def too_many_exercises(nb):
    stub = next(cell for cell in nb.cells if course_metadata(cell, "exercise"))
    solution = next(cell for cell in nb.cells if course_metadata(cell, "solution") == course_metadata(stub, "exercise"))
    for i in range(10):
        for cell, kind in ((stub, "exercise"), (solution, "solution")):
            nb.cells.append(copy.deepcopy(cell))
            nb.cells[-1].metadata["specdec"] = {kind: f"99.further_{i}"}


@fault_of(anatomy.exercises_are_complete)
def stub_solved(nb):
    stub = next(cell for cell in nb.cells if course_metadata(cell, "exercise"))
    stub.outputs = [new_output("stream", text="correct\n")]
