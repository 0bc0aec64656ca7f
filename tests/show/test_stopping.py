"""A notebook that cannot go on: the sentence is shown, and no cell below it runs or fails."""
import pytest
from IPython.core.interactiveshell import InteractiveShell

from specdec_utils.show import stopping


def test_cells_below_do_nothing_and_none_fails(monkeypatch, capsys):
    shell = InteractiveShell()
    monkeypatch.setattr(stopping, "get_ipython", lambda: shell)
    assert shell.run_cell("x = 1").success
    stopping.stop_here(OSError("Install the model first."))
    assert capsys.readouterr().out == f"Install the model first.\n{stopping.AGAIN}\n"
    for cell in ("x = 2", "raise ValueError", "%no_such_magic", "def f(:"):
        assert shell.run_cell(cell).success, cell
    assert shell.user_ns["x"] == 1 and capsys.readouterr() == ("", "")


def test_outside_a_notebook_the_program_ends_with_the_sentence(monkeypatch):
    monkeypatch.setattr(stopping, "get_ipython", lambda: None)
    with pytest.raises(SystemExit, match="^Install the model first.$"):
        stopping.stop_here("Install the model first.")
