"""Faults in stored outputs."""
from nbformat.v4 import new_code_cell, new_output
from notebook_rules import code_cells, outputs
from pictures import EMBEDDED, encoded_pictures
from PIL import Image

from .sound import code, fault_of, png, printing


@fault_of(outputs.executed_in_order)
def never_run(nb):
    code(nb).execution_count = None


@fault_of(outputs.executed_in_order)
def run_twice(nb):
    code(nb).execution_count += 1


@fault_of(outputs.executed_in_order)
def swapped(nb):
    code(nb, 0).execution_count, code(nb, 1).execution_count = 2, 1


@fault_of(outputs.no_cell_is_empty)
def source_emptied(nb):
    printing(nb).source = " \n"


@fault_of(outputs.no_cell_is_empty)
def notebook_emptied(nb):
    nb.cells = []


@fault_of(outputs.enough_is_compared)
def outputs_stripped(nb):
    for cell in code_cells(nb):
        cell.outputs = []


@fault_of(outputs.enough_is_compared)
def everything_ignored(nb):
    for cell in code_cells(nb):
        cell.metadata["tags"] = ["nbval-ignore-output"]


@fault_of(outputs.enough_is_compared)
def more_ignored_than_compared(nb):
    nb.cells += [new_code_cell("1", metadata={"tags": ["nbval-skip"]}) for _ in range(100)]


@fault_of(outputs.ignoring_has_a_reason)
def ignored_without_reason(nb):
    printing(nb).metadata["tags"] = ["nbval-ignore-output"]


@fault_of(outputs.only_known_tags)
def misspelt_tag(nb):
    printing(nb).metadata["tags"] = ["nbval_ignore_output"]


@fault_of(outputs.only_known_tags)
def expected_exception(nb):
    printing(nb).metadata["tags"] = ["raises-exception"]


@fault_of(outputs.only_known_tags)
def comment_for_a_tag(nb):
    printing(nb).source += "\n# NBVAL_IGNORE_OUTPUT"


@fault_of(outputs.no_errors_or_warnings_stored)
def stored_error(nb):
    code(nb).outputs = [new_output("error", ename="ValueError", evalue="no", traceback=[])]


@fault_of(outputs.no_errors_or_warnings_stored)
def stored_stderr(nb):
    code(nb).outputs = [new_output("stream", name="stderr", text="a warning")]


@fault_of(outputs.outputs_are_comparable)
def cleared_output(nb):
    printing(nb).source += "\nclear_output()"


@fault_of(outputs.outputs_are_comparable)
def memory_address(nb):
    printing(nb).outputs = [new_output("stream", text="<object at 0x7f00>")]


def swap_picture(nb, encoded):
    """Put `encoded` in the place of the first stored picture, and leave the rest of the cell as it is."""
    output = next(output for cell in code_cells(nb) for output in cell.outputs if encoded_pictures([output]))
    output["data"]["text/html"] = EMBEDDED.sub(f"data:image/png;base64,{encoded}", output["data"]["text/html"])


@fault_of(outputs.stored_pictures_are_real)
def picture_of_no_bytes(nb):
    swap_picture(nb, "")


@fault_of(outputs.stored_pictures_are_real)
def picture_that_does_not_decode(nb):
    swap_picture(nb, "c3R1Yg==")


@fault_of(outputs.stored_pictures_are_real)
def picture_cut_short(nb):
    swap_picture(nb, png(Image.linear_gradient("L"))[:200])


@fault_of(outputs.stored_pictures_are_real)
def picture_of_one_pixel(nb):
    swap_picture(nb, png(Image.new("L", (1, 1))))


@fault_of(outputs.stored_pictures_are_real)
def picture_of_one_colour(nb):
    swap_picture(nb, png(Image.new("RGB", (770, 352), "white")))


@fault_of(outputs.no_widget_metadata)
def widget_state(nb):
    nb.metadata["widgets"] = {}


@fault_of(outputs.small_enough)
def too_large(nb):
    code(nb).outputs = [new_output("stream", text="x" * 1_000_000)]


@fault_of(outputs.no_machine_paths)
def path_in_output(nb):
    code(nb).outputs = [new_output("stream", text="loaded /home/ada/model")]


@fault_of(outputs.no_machine_paths)
def path_in_source(nb):
    code(nb).source += "\nopen('/tmp/x')"


@fault_of(outputs.no_machine_paths)
def path_on_windows(nb):
    code(nb).source += "\nopen(r'C:\\Users\\ada')"
