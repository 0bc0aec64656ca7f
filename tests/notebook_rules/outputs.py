"""Rules on stored outputs: they can be trusted, compared and shown anywhere."""
import re

import nbformat
from pictures import decode, encoded_pictures, require_real

from .reading import IGNORING, code_cells, course_metadata, is_compared, is_ignored

MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|root|home|tmp|opt|usr/lib|usr/local|Users|var/folders)/|[A-Z]:\\\\?Users\\")
DATA_URI = re.compile(r"data:image/\w+;base64,[A-Za-z0-9+/=\s]+")


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
    compared = sum(is_compared(cell) for cell in code_cells(nb))
    ignored = sum(is_ignored(cell) for cell in code_cells(nb))
    if compared < 8:
        yield f"only {compared} cells have an output that is compared; at least 8 are needed"
    if compared <= ignored:
        yield f"{ignored} cells are ignored and only {compared} compared"


def ignoring_has_a_reason(nb):
    for i, cell in enumerate(nb.cells):
        if is_ignored(cell) and not str(course_metadata(cell, "why_ignored") or "").strip():
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
        if not is_ignored(cell) and re.search(r"\bat 0x[0-9a-f]+", stored):
            yield f"code cell {i} shows a memory address"


def stored_pictures_are_real(nb):
    for i, cell in enumerate(code_cells(nb)):
        for encoded in encoded_pictures(cell.outputs):
            try:
                require_real(decode(encoded))
            except ValueError as error:
                yield f"code cell {i}: {error}"


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
