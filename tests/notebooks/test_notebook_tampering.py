"""Each rule of the contract notices its fault, and each blind spot of nbval is closed: tamper with a copy, demand a failure."""
import copy
import shutil
import subprocess
import sys

import nbformat
import notebook_rules as rules
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ADDRESS = rules.links.repository(rules.ROOT)


def sound_notebook():
    """The smallest notebook that keeps every rule."""
    nav = f"{rules.NAV}\n[![Open in Colab](badge:x)](https://colab.research.google.com/github/x) [index]({ADDRESS})"
    cells = [
        new_markdown_cell(nav),
        new_markdown_cell("# 99 · Title\n\n**Reading** 1 min · **Running** 1 s · **Device** CPU · **Download** none\n\n"
                          "## The question\n\n" + "word " * 1300
                          + "\n\n**You will be able to**\n\n* pass\n\n**Before this**: 98"),
        new_code_cell(rules.links.setup_source(ADDRESS)),
        *(new_code_cell(f"print({i})", outputs=[new_output("stream", text=f"{i}\n")]) for i in range(8)),
        new_code_cell("clock()", metadata={"tags": ["nbval-ignore-output"], "specdec": {"why_ignored": "a timing"}}),
        new_code_cell("show_figure(figure, 'bars')", outputs=[
            new_output("display_data", {"text/html": '<img alt="bars" src="data:image/png;base64,AA/tmp/AA">'})]),
    ]
    for name in ("99.a", "99.b"):
        cells.append(new_code_cell("def f():\n    return ...", metadata={"specdec": {"exercise": name}},
                                   outputs=[new_output("stream", text=f"{name}: not attempted yet\n")]))
        cells.append(new_markdown_cell("<details><summary>Solution</summary>\n\n```python\n# no title\ndef f(): return 1\n```\n\n"
                                       "</details>", metadata={"specdec": {"solution": name}}))
    cells.append(new_markdown_cell("## Recap\n\n* so\n\n## Common misconceptions\n\n* no\n\n## Quiz\n\n"
                                   + "why? <details><summary>Answer</summary>so</details>\n\n" * 3
                                   + "## References\n\n* Leviathan et al. 2023, arXiv 2211.17192"))
    cells.append(new_markdown_cell(nav))
    nb = new_notebook(cells=cells)
    for count, cell in enumerate(rules.code_cells(nb), 1):
        cell.execution_count = count
    return nb


TAMPERINGS = []


def fault_of(rule):
    """Register a function that spoils a notebook in place so that `rule` must complain."""

    def register(spoil):
        TAMPERINGS.append(pytest.param(rule, spoil, id=f"{rule.__name__}-{spoil.__name__}"))
        return spoil

    return register


def code(nb, i=-1):
    return rules.code_cells(nb)[i]


def printing(nb):
    """A code cell whose printed output is compared."""
    return next(cell for cell in rules.code_cells(nb) if rules._compared(cell) and cell.outputs[0].output_type == "stream"
                and not rules.course_metadata(cell, "exercise"))


def replace(nb, old, new):
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace(old, new)


@fault_of(rules.executed_in_order)
def never_run(nb):
    code(nb).execution_count = None


@fault_of(rules.executed_in_order)
def run_twice(nb):
    code(nb).execution_count += 1


@fault_of(rules.executed_in_order)
def swapped(nb):
    code(nb, 0).execution_count, code(nb, 1).execution_count = 2, 1


@fault_of(rules.no_cell_is_empty)
def source_emptied(nb):
    printing(nb).source = " \n"


@fault_of(rules.no_cell_is_empty)
def notebook_emptied(nb):
    nb.cells = []


@fault_of(rules.enough_is_compared)
def outputs_stripped(nb):
    for cell in rules.code_cells(nb):
        cell.outputs = []


@fault_of(rules.enough_is_compared)
def everything_ignored(nb):
    for cell in rules.code_cells(nb):
        cell.metadata["tags"] = ["nbval-ignore-output"]


@fault_of(rules.enough_is_compared)
def more_ignored_than_compared(nb):
    nb.cells += [new_code_cell("1", metadata={"tags": ["nbval-skip"]}) for _ in range(100)]


@fault_of(rules.ignoring_has_a_reason)
def ignored_without_reason(nb):
    printing(nb).metadata["tags"] = ["nbval-ignore-output"]


@fault_of(rules.only_known_tags)
def misspelt_tag(nb):
    printing(nb).metadata["tags"] = ["nbval_ignore_output"]


@fault_of(rules.only_known_tags)
def expected_exception(nb):
    printing(nb).metadata["tags"] = ["raises-exception"]


@fault_of(rules.only_known_tags)
def comment_for_a_tag(nb):
    printing(nb).source += "\n# NBVAL_IGNORE_OUTPUT"


@fault_of(rules.no_errors_or_warnings_stored)
def stored_error(nb):
    code(nb).outputs = [new_output("error", ename="ValueError", evalue="no", traceback=[])]


@fault_of(rules.no_errors_or_warnings_stored)
def stored_stderr(nb):
    code(nb).outputs = [new_output("stream", name="stderr", text="a warning")]


@fault_of(rules.outputs_are_comparable)
def cleared_output(nb):
    printing(nb).source += "\nclear_output()"


@fault_of(rules.outputs_are_comparable)
def memory_address(nb):
    printing(nb).outputs = [new_output("stream", text="<object at 0x7f00>")]


@fault_of(rules.no_widget_metadata)
def widget_state(nb):
    nb.metadata["widgets"] = {}


@fault_of(rules.small_enough)
def too_large(nb):
    code(nb).outputs = [new_output("stream", text="x" * 1_000_000)]


@fault_of(rules.no_machine_paths)
def path_in_output(nb):
    code(nb).outputs = [new_output("stream", text="loaded /home/ada/model")]


@fault_of(rules.no_machine_paths)
def path_in_source(nb):
    code(nb).source += "\nopen('/tmp/x')"


@fault_of(rules.no_machine_paths)
def path_on_windows(nb):
    code(nb).source += "\nopen(r'C:\\Users\\ada')"


@fault_of(rules.short_code_cells)
def long_cell(nb):
    code(nb).source = "x = 1\n" * 41


@fault_of(rules.short_code_cells)
def long_median(nb):
    for cell in rules.code_cells(nb):
        cell.source = "x = 1\n" * 9


@fault_of(rules.code_parses)
def no_python(nb):
    code(nb).source += "\ndef"


@fault_of(rules.pictures_have_alt_text)
def html_without_alt(nb):
    code(nb).outputs = [new_output("display_data", {"text/html": '<p><img src="x" alt=""></p>'})]


@fault_of(rules.pictures_have_alt_text)
def bare_picture(nb):
    code(nb).outputs = [new_output("display_data", {"image/png": "AA"})]


@fault_of(rules.pictures_have_alt_text)
def markdown_without_alt(nb):
    replace(nb, "## Recap", "![](images/x.png)\n\n## Recap")


@fault_of(rules.links_resolve)
def dead_link(nb):
    replace(nb, "## Recap", "[next](98_nowhere.ipynb)\n\n## Recap")


@fault_of(rules.links_resolve)
def dead_picture(nb):
    replace(nb, "## Recap", '<img src="images/nowhere.png" alt="x">\n\n## Recap')


@fault_of(rules.navigation_is_there)
def first_navigation_gone(nb):
    nb.cells.pop(0)


@fault_of(rules.navigation_is_there)
def last_navigation_gone(nb):
    nb.cells.pop()


@fault_of(rules.navigation_is_there)
def navigation_not_filled(nb):
    nb.cells[0].source = rules.NAV


@fault_of(rules.setup_cell_is_there)
def setup_edited(nb):
    code(nb, 0).source += "\n%pip install torch"


@fault_of(rules.setup_cell_is_there)
def setup_gone(nb):
    nb.cells.remove(code(nb, 0))


@fault_of(rules.one_title)
def second_title(nb):
    replace(nb, "## Recap", "# Recap")


@fault_of(rules.opens_as_agreed)
def no_objectives(nb):
    replace(nb, "**You will be able to**", "")


@fault_of(rules.sections_are_there)
def no_recap(nb):
    replace(nb, "## Recap", "## Summary")


@fault_of(rules.sections_are_there)
def no_question(nb):
    replace(nb, "## The question", "")


@fault_of(rules.quiz_has_three_answers)
def no_quiz_answers(nb):
    replace(nb, "## Quiz", "## Quiz\n\nNone.\n\n## More")


@fault_of(rules.references_name_papers)
def no_paper(nb):
    replace(nb, "arXiv", "")
    replace(nb, "arxiv", "")


@fault_of(rules.right_number_of_words)
def too_many_words(nb):
    nb.cells[1].source += " word" * 2500


@fault_of(rules.right_number_of_words)
def words_only_when_unfolded(nb):
    for cell in nb.cells[1:-1]:
        if cell.cell_type == "markdown":
            cell.source = f"<details>{cell.source.replace('details>', '')}</details>"


@fault_of(rules.exercises_are_complete)
def exercise_gone(nb):
    next(cell for cell in nb.cells if rules.course_metadata(cell, "exercise")).metadata = {}


@fault_of(rules.exercises_are_complete)
def solution_gone(nb):
    nb.cells.remove(next(cell for cell in nb.cells if rules.course_metadata(cell, "solution")))


@fault_of(rules.exercises_are_complete)
def stub_solved(nb):
    stub = next(cell for cell in nb.cells if rules.course_metadata(cell, "exercise"))
    stub.outputs = [new_output("stream", text="correct\n")]


@pytest.fixture(scope="module", params=[None, *rules.notebook_paths()], ids=lambda path: path.stem if path else "smallest")
def original(request):
    return rules.read(request.param) if request.param else sound_notebook()


@pytest.mark.parametrize("rule, spoil", TAMPERINGS)
def test_fault_is_noticed(original, rule, spoil):
    nb = copy.deepcopy(original)
    spoil(nb)
    assert list(rule(nb)), f"{rule.__name__} passes a notebook with the fault {spoil.__name__}"


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_sound_notebook_passes(rule):
    assert list(rule(sound_notebook())) == []


def test_every_rule_has_a_fault():
    assert {param.values[0] for param in TAMPERINGS} == set(rules.RULES)


def _run(nb, tag=None):
    cell = nb.cells[0]
    cell.execution_count = 1
    if tag:
        cell.metadata["tags"] = [tag]
    return nb


def test_guard_closes_blind_spots_of_nbval(tmp_path):
    """Real kernels: a sound notebook passes, and each of these faults, which nbval alone lets pass, fails."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(rules.ROOT / "conftest.py", tmp_path)
    shutil.copy(rules.ROOT / "pyproject.toml", tmp_path)
    patterns = (rules.ROOT / ".ci" / "sanitize.cfg").read_text("utf-8")
    (tmp_path / ".ci" / "sanitize.cfg").write_text(patterns + "\n[too greedy]\nregex: secret.*\nreplace: secret\n", "utf-8")
    picture = ("from IPython.display import HTML\n"
               "HTML('<img src=\"data:image/png;base64,{}\" alt=\"{}\">')")
    png = ("import base64\nfrom IPython.display import Image, display\n"
           "display(Image(base64.b64decode('iVBORw0KGgo='), format='png'))")

    def notebook(source, *outputs, tag=None):
        return _run(new_notebook(cells=[new_code_cell(source, outputs=list(outputs))]), tag)

    def html(data, alt):
        return new_output("execute_result", {"text/html": f'<img src="data:image/png;base64,{data}" alt="{alt}">',
                                             "text/plain": "<IPython.core.display.HTML object>"}, execution_count=1)

    plain = {"text/plain": "<IPython.core.display.Image object>"}
    notebooks = {
        "good_print": notebook("print(1)", new_output("stream", text="1\n")),
        "good_other_pixels": notebook(picture.format("AAAA", "bars"), html("BBBB", "bars")),
        "good_device": notebook("import os\nprint(os.environ['SPECDEC_DEVICE'], os.environ['SPECDEC_PAIR'])",
                                new_output("stream", text="cpu stories\n")),
        "bad_print": notebook("print(1)", new_output("stream", text="2\n")),
        "bad_alt": notebook(picture.format("AAAA", "bars"), html("AAAA", "lines")),
        "bad_eaten": notebook("print('secret 1', end='')", new_output("stream", text="secret 1")),
        "bad_picture_gone": notebook(png, new_output("display_data", plain)),
        "bad_no_exception": notebook("x = 1", tag="raises-exception"),
    }
    for name, nb in notebooks.items():
        nbformat.write(nb, tmp_path / f"{name}.ipynb")
    run = subprocess.run([sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "--color=no", "."], cwd=tmp_path,
                         capture_output=True, text=True, timeout=300)
    passed = {name for name in notebooks if f"PASSED {name}.ipynb::" in run.stdout}
    failed = {name for name in notebooks if f"FAILED {name}.ipynb::" in run.stdout}
    assert failed == {name for name in notebooks if name.startswith("bad_")}, run.stdout
    assert passed == {name for name in notebooks if name.startswith("good_")}, run.stdout
