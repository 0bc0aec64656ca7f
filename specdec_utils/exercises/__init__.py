"""`check(name, answer)`: does the reader's function do what the exercise asks, and if not, which usual mistake is it?"""
from collections.abc import Callable
from importlib import import_module

CHECKS: dict[str, Callable[[Callable], str | None]] = {}


def exercise(name: str):
    """Register a check under `name` ("03.nucleus"). It gets the reader's function and returns None if all is right, else one
    sentence that says what is wrong and hints at the usual cause."""

    def register(check_answer: Callable[[Callable], str | None]):
        CHECKS[name] = check_answer
        return check_answer

    return register


def check(name: str, answer: Callable) -> bool:
    """Check the reader's `answer` to exercise `name`, print the verdict, and say whether it is right.

    A stub, whose body returns `...`, prints "not attempted yet". Raises ValueError for an unknown exercise.
    """
    number, _, title = name.partition(".")
    if name not in CHECKS and number.isdigit():
        try:
            import_module(f"{__name__}.ex{number}")
        except ModuleNotFoundError:
            pass
    if name not in CHECKS:
        raise ValueError(f"There is no exercise {name!r}; names look like '03.nucleus'.")
    attempted = False

    def watched(*args, **kwargs):
        nonlocal attempted
        out = answer(*args, **kwargs)
        if out is ...:
            raise _NotAttempted
        attempted = True
        return out

    try:
        complaint = CHECKS[name](watched)
    except _NotAttempted:
        print(f"{name}: not attempted yet")
        return False
    except Exception as error:
        complaint = f"your function raised {type(error).__name__}: {error}"
    print(f"{name}: {'correct' if complaint is None else f'not yet: {complaint}'}")
    return complaint is None and attempted


class _NotAttempted(Exception):
    """The stub is still a stub."""
