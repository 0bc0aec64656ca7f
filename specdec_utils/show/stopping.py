"""A notebook that cannot go on says why, and the rest of it stays quiet: no cell below fails."""
from IPython import get_ipython

AGAIN = "The cells below do nothing until you have done that, restarted the kernel and run all cells again."


def stop_here(reason: object) -> None:
    """Print `reason`, a sentence that says what is missing and how to get it; from now on every cell of this notebook that is run does
    nothing. Outside a notebook it ends the program with that sentence: raises SystemExit."""
    shell = get_ipython()
    if shell is None:
        raise SystemExit(str(reason))
    print(reason, AGAIN, sep="\n")
    shell.input_transformers_cleanup.append(lambda lines: [])
