"""Grading: each answer is run in a process of its own, with a limit on its time, and judged by the exercise's own check.

Of the notebook only this is run: the exercise's cell, after those imports, definitions and plain constants of the cells above that it
uses.
The process is fenced in against accidents (endless loops, endless output, memory, `exit`, files left behind), not against malice:
students' code runs with all that your user may do.
"""
import ast
import builtins
import contextlib
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from pathlib import Path

from . import Verdict, judge
from .submissions import Answer, NotOurs, Unreadable, submitted

START_LIMIT = 120.0  # seconds that a process may take to start and import torch; they do not count against the answer
MEMORY, FILE_SIZE, SENTENCE = 4 << 30, 64 << 20, 400  # bytes, bytes, characters
BEST_FIRST = ("passed", "failed", "crashed", "out of time", "not attempted")

_METHOD = "forkserver" if sys.platform == "linux" else "spawn"  # after torch is loaded, a fork is safe on Linux only
_processes = multiprocessing.get_context(_METHOD)
if _METHOD == "forkserver":
    _processes.set_forkserver_preload([__name__])  # torch is imported once, for all answers


def grade_notebook(path: Path, limit: float = 20.0) -> Iterator[tuple[str, Verdict]]:
    """(exercise, verdict) for each exercise of the notebook in `path`; at most `limit` seconds for each answer.

    Beside `judge`'s outcomes there are "out of time", "missing", and, with the exercise "-", "unreadable" and "not ours".
    """
    try:
        answers = submitted(path)
    except (Unreadable, NotOurs) as error:
        yield "-", Verdict("unreadable" if isinstance(error, Unreadable) else "not ours", str(error))
        return
    for name, copies in answers.items():
        yield name, _best(name, copies, limit)


def _best(name: str, copies: list[Answer], limit: float) -> Verdict:
    """The best verdict on several copies of a cell, which says that there were several."""
    if not copies:
        return Verdict("missing", "No code cell holds this exercise.")
    verdicts = []
    for answer in copies:
        verdicts.append(Verdict("not attempted") if answer.is_stub() else run_answer(name, answer, limit))
        if verdicts[-1].outcome == "passed":
            break
    best = min(verdicts, key=lambda verdict: BEST_FIRST.index(verdict.outcome))
    if len(copies) == 1:
        return best
    return Verdict(best.outcome, f"The best of {len(copies)} copies of the cell. {best.sentence}".strip())


def run_answer(name: str, answer: Answer, limit: float) -> Verdict:
    """The verdict on one cell, reached in a process of its own, which is gone afterwards with all that it has started."""
    with tempfile.TemporaryDirectory(prefix="grade-", ignore_cleanup_errors=True) as folder:
        return _run_in(folder, name, answer, limit)


def _run_in(folder: str, name: str, answer: Answer, limit: float) -> Verdict:
    ours, theirs = _processes.Pipe(duplex=False)
    process = _processes.Process(target=_work, args=(theirs, folder, name, answer))
    process.start()
    theirs.close()
    try:
        if not wait([ours, process.sentinel], START_LIMIT):
            return Verdict("crashed", f"The process for this answer did not start within {START_LIMIT:.0f} seconds.")
        ours.recv_bytes()  # it has begun
        if not wait([ours, process.sentinel], limit):
            return Verdict("out of time", f"There was no answer within {limit:g} seconds.")
        return Verdict(*json.loads(ours.recv_bytes(1 << 20))) if ours.poll(0.1) else _died(process)
    except (EOFError, OSError, ValueError, TypeError):  # it ended, or wrote into the pipe itself
        return _died(process)
    finally:
        _end(process)
        ours.close()


def _died(process) -> Verdict:
    process.join(1.0)
    return Verdict("crashed", f"The answer ended its process (exit code {process.exitcode}).")


def _end(process) -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def _work(pipe, folder: str, name: str, answer: Answer) -> None:
    """The process's whole life: fence itself in, say that it has begun, judge, send the verdict as JSON."""
    own = os.getpid()
    names = {"__name__": "__main__", "__builtins__": builtins, "display": lambda *things, **options: None}
    exec("import torch\nfrom specdec_utils import *\ntorch.set_num_threads(1)", names)
    statements = needed(answer)
    if "pair" in _used([*_statements(answer.source), *statements]):
        exec('pair = load_pair("stories", device="cpu")', names)
    _fence_in(folder)
    pipe.send_bytes(b"begun")
    try:
        verdict = _judged(name, answer.source, statements, names)
    except BaseException as error:  # SystemExit and KeyboardInterrupt too
        verdict = Verdict("crashed", _last_line(error))
    if os.getpid() == own:  # and no fork of the answer's: only one may speak
        pipe.send_bytes(json.dumps([verdict.outcome, _one_line(verdict.sentence)]).encode())
    os._exit(0)  # threads and exit handlers of the answer's are not waited for


def _fence_in(folder: str) -> None:
    """Away from the terminal and into `folder`; limits on memory and files where the system has them."""
    os.chdir(folder)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    sys.stdin, (sys.stdout, sys.stderr) = open(0), (open(number, "w", encoding="utf-8", errors="replace") for number in (1, 2))
    if hasattr(os, "setsid"):
        with contextlib.suppress(OSError):
            os.setsid()
    if sys.platform == "linux":
        import resource
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        for what, most in ((resource.RLIMIT_AS, used + MEMORY), (resource.RLIMIT_FSIZE, FILE_SIZE), (resource.RLIMIT_CORE, 0)):
            _, hard = resource.getrlimit(what)
            resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _judged(name: str, source: str, statements: list[ast.stmt], names: dict) -> Verdict:
    """Run `statements`, then the cell, and judge what it passes to `check`, or, where that line is gone, its last function.

    `names` holds what an answer may rely on besides: torch, the package's public names, the bundled `pair` where it is used.
    """
    handed_in: dict[str, Callable] = {}

    def check(asked: str, function: Callable) -> bool:
        handed_in[asked] = function
        return False

    sys.modules[__package__].check = check  # what an import in the notebook finds as well
    for statement in statements:
        with contextlib.suppress(Exception):
            exec(compile(ast.Module([statement], []), "<above>", "exec"), names)
    names["check"] = check
    source, error = _python_of(source), None
    try:
        exec("torch.manual_seed(0)", names)
        exec(compile(source, f"<{name}>", "exec"), names)
    except BaseException as caught:
        error = caught
    if name not in handed_in and error is not None:
        return Verdict("crashed", _last_line(error))
    if name not in handed_in:
        functions = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
        if not functions:
            return Verdict("crashed", f"The cell neither calls check({name!r}, …) nor defines a function.")
        handed_in[name] = names[functions[-1]]
    exec("import torch\ntorch.manual_seed(0)", names)
    return judge(name, handed_in[name])


def needed(answer: Answer) -> list[ast.stmt]:
    """The imports, definitions and plain constants of the cells above whose names the answer uses, directly or through them."""
    statements = [one for source in answer.above for one in _statements(source) if _bound(one)]
    wanted, chosen = _used(_statements(answer.source)), set()
    while more := {i for i, one in enumerate(statements) if (_bound(one) & wanted or "*" in _bound(one)) and i not in chosen}:
        chosen |= more
        wanted |= _used([statements[i] for i in more])
    return [statements[i] for i in sorted(chosen)]


def _statements(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(_python_of(source)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _used(statements: list[ast.stmt]) -> set[str]:
    return {node.id for one in statements for node in ast.walk(one) if isinstance(node, ast.Name)}


def _bound(statement: ast.stmt) -> set[str]:
    """The names that an import, a definition or a plain constant binds; of other statements none."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Assign) and _is_plain(statement.value):
        return _used([ast.Expr(target) for target in statement.targets])
    return set()


def _is_plain(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError):
        return False
    return True


def _python_of(source: str) -> str:
    """Source without IPython's magics and shell lines."""
    return re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", source)


def _last_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _one_line(text: str) -> str:
    """As one printable line of at most `SENTENCE` characters."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text[:4 * SENTENCE]).split())
    return line if len(line) <= SENTENCE else line[:SENTENCE - 1] + "…"

