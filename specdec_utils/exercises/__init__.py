"""`check(name, answer)`: does the reader's function do what the exercise asks, and if not, which usual mistake is it?"""
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

CHECKS: dict[str, Callable[[Callable], str | None]] = {}


@dataclass(frozen=True)
class Verdict:
    """What came of an answer: `outcome` is "passed", "failed", "crashed" or "not attempted"; `sentence` says what is wrong, if anything."""
    outcome: str
    sentence: str = ""


def exercise(name: str):
    """Register a check under `name` ("03.nucleus"). It gets the reader's function and returns None if all is right, else one
    sentence that says what is wrong and hints at the usual cause."""

    def register(check_answer: Callable[[Callable], str | None]):
        CHECKS[name] = check_answer
        return check_answer

    return register


def exercise_names(number: str) -> list[str]:
    """The exercises of notebook `number` ("03"), in the order of their checks; none for a number without exercises."""
    if f"ex{number}.py" in {path.name for path in Path(__file__).parent.glob("ex[0-9][0-9].py")}:
        import_module(f"{__name__}.ex{number}")
    return [name for name in CHECKS if name.partition(".")[0] == number]


def judge(name: str, answer: Callable) -> Verdict:
    """What the check of exercise `name` says about `answer`. Raises ValueError for an unknown exercise.

    A stub, whose body returns `...`, is not attempted; an answer that raises has crashed.
    """
    if name not in exercise_names(name.partition(".")[0]):
        raise ValueError(f"There is no exercise {name!r}; names look like '03.nucleus'.")

    def watched(*args, **kwargs):
        out = answer(*args, **kwargs)
        if out is ...:
            raise _NotAttempted
        return out

    try:
        complaint = CHECKS[name](watched)
    except _NotAttempted:
        return Verdict("not attempted")
    except Exception as error:
        return Verdict("crashed", f"your function raised {type(error).__name__}: {error}")
    return Verdict("passed") if complaint is None else Verdict("failed", complaint)


def check(name: str, answer: Callable) -> bool:
    """Check the reader's `answer` to exercise `name`, print the verdict, and say whether it is right.

    A stub, whose body returns `...`, prints "not attempted yet". Raises ValueError for an unknown exercise.
    """
    verdict = judge(name, answer)
    said = {"passed": "correct", "not attempted": "not attempted yet"}.get(verdict.outcome, f"not yet: {verdict.sentence}")
    print(f"{name}: {said}")
    return verdict.outcome == "passed"


class _NotAttempted(Exception):
    """The stub is still a stub."""
