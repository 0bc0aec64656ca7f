"""Watch a step branch by branch: a live widget and its static twin, with the same frames, drawn from the records alone."""
import html
from collections.abc import Sequence

from ..decode.records import BranchRecord, Generation, Step
from .chips import CARD, HEAD, INK, LINE, PAPER, SIGNS, chip, chips, verdict, visible
from .controls import Frames, FrameStepper, Html
from .page import stepping
from .style import DRAFT

LEGEND = "✓ accepted | ✗ rejected | → the verifier's own token | · not checked | q: drafter's probability | p: verifier's"
CONTEXT_SHOWN = 24  # context tokens drawn; the earlier ones are counted
CELL = INK + f"text-align:left;vertical-align:top;padding:4px 8px;border-top:1px solid {LINE};"


def verdict_frames(step: Step) -> list[tuple[int, int]]:
    """(branch, position) of every verdict of `step` in the order the verifier gave them; a bonus token counts as one."""
    frames = []
    for i, branch in enumerate(step.branches):
        frames += [(i, j) for j in range(branch.accepted + branch.mismatched)]
        if _has_bonus(branch):
            frames.append((i, len(branch.tokens)))
    return frames


def _has_bonus(branch: BranchRecord) -> bool:
    return not branch.mismatched and branch.accepted == len(branch.tokens) and len(branch.choices) > len(branch.tokens)


def _added(step: Step, branch: BranchRecord) -> int:
    """Tokens that `branch` adds if it wins."""
    return branch.accepted + (1 if branch.mismatched or _has_bonus(branch) else 0)


def _columns(step: Step) -> list[str]:
    """The heads of a step's table; as many token columns as its longest branch fills, bonus included."""
    filled = [len(branch.tokens) + _has_bonus(branch) for branch in step.branches]
    return ["branch", *(f"token {j + 1}" for j in range(max(filled, default=0))), "score", "adds"]


def _number(values: Sequence[float], position: int, known: bool = True) -> str:
    return f"{values[position]:.2f}" if known and position < len(values) else "–"


def _cell_html(branch: BranchRecord, position: int, shown: int, tokenizer) -> str:
    """One node: the drafted token with its verdict and both probabilities, the verifier's token under it where it differs."""
    if position == len(branch.tokens):  # behind the draft: the bonus token, if there is one to show
        if not (_has_bonus(branch) and shown > position):
            return ""
        return (chip(visible(tokenizer, branch.choices[position]), "replaced")
                + f"<br><small>p {_number(branch.choice_probs, position)} (bonus)</small>")
    kind = verdict(branch, position, shown)
    known = kind != "unchecked"
    out = (chip(visible(tokenizer, branch.tokens[position]), kind)
           + f"<br><small>q {_number(branch.draft_probs, position)} · p {_number(branch.verifier_probs, position, known)}</small>")
    if kind == "rejected":
        out += ("<br>" + chip(visible(tokenizer, branch.choices[position]), "replaced")
                + f"<br><small>p {_number(branch.choice_probs, position)}</small>")
    return out


def _context_html(step: Step, tokenizer, context_ids: Sequence[int] | None, decided: bool) -> str:
    if context_ids is None:
        parts = [f"<small>{step.context} tokens</small>"]
    else:
        ids = list(context_ids)[:step.context]
        earlier = len(ids) - CONTEXT_SHOWN
        parts = [f"<small>{earlier} earlier tokens …</small>"] if earlier > 0 else []
        parts.append(chips(tokenizer, ids[-CONTEXT_SHOWN:], "context"))
    if decided:
        parts += ["<b>+</b>", chips(tokenizer, step.new_ids, "winner")]
    return " ".join(parts)


def _outcome(step: Step, tokenizer) -> str:
    """One line that says how the step ended."""
    added = " ".join(visible(tokenizer, token) for token in step.new_ids)
    count = f"{len(step.new_ids)} token{'' if len(step.new_ids) == 1 else 's'}"
    if step.best is None:
        return f"the verifier adds {count}: {added}"
    winner = step.branches[step.best]
    cut = ", cut at the end of the text" if len(step.new_ids) < _added(step, winner) else ""
    return f"branch {step.best + 1} wins with score {winner.score} and adds {count}{cut}: {added}"


def _event(step: Step, revealed: int, tokenizer) -> str:
    """What the newest frame shows, in words."""
    verdicts = verdict_frames(step)
    if revealed > len(verdicts):
        return _outcome(step, tokenizer)
    if revealed == 0:
        count = len(step.branches)
        return f"{count} branch{'' if count == 1 else 'es'} proposed, nothing checked yet" if count else "no draft"
    i, j = verdicts[revealed - 1]
    branch = step.branches[i]
    where = f"branch {i + 1}, token {j + 1}"
    if j == len(branch.tokens):
        return f"{where}: → bonus token {visible(tokenizer, branch.choices[j])}"
    drafted = visible(tokenizer, branch.tokens[j])
    if j < branch.accepted:
        return f"{where}: ✓ {drafted} accepted"
    return f"{where}: ✗ {drafted} rejected, → {visible(tokenizer, branch.choices[j])} in its place"


def _row_html(step: Step, number: int, shown: int, columns: int, decided: bool, tokenizer) -> str:
    """Branch `number` of `step` as a row of the table, with its first `shown` verdicts."""
    branch = step.branches[number]
    every = sum(1 for owner, _ in verdict_frames(step) if owner == number)
    label = f"★ {number + 1} winner" if decided and number == step.best else f"{number + 1}"
    tint = f"background-color:{DRAFT}22" if decided and number == step.best else PAPER
    cells = []
    for j in range(columns):
        cells.append(_cell_html(branch, j, shown, tokenizer) if j <= len(branch.tokens) else "")
    for value in (branch.score, _added(step, branch)):
        cells.append(str(value) if shown == every else "–")
    body = "".join(f'<td style="{CELL}">{cell}</td>' for cell in cells)
    return f'<tr style="{tint}"><th scope="row" style="{CELL}">{label}</th>{body}</tr>'


def _table_html(step: Step, shown: Sequence[int], decided: bool, tokenizer) -> str:
    """The branches of `step` as a table, with the first `shown[i]` verdicts of branch i; empty without branches."""
    if not step.branches:
        return ""
    columns = _columns(step)
    heads = "".join(f'<th scope="col" style="{CELL}">{name}</th>' for name in columns)
    rows = [_row_html(step, i, shown[i], len(columns) - 3, decided, tokenizer) for i in range(len(step.branches))]
    return (f'<table style="border-collapse:collapse;margin:6px 0"><thead><tr style="{HEAD}">{heads}</tr></thead>'
            f'<tbody>{"".join(rows)}</tbody></table>')


def step_html(step: Step, tokenizer, context_ids: Sequence[int] | None = None, revealed: int | None = None,
              headline: str = "") -> str:
    """`step` as HTML with its first `revealed` verdicts; all of them, then score and winner, if `revealed` is None."""
    verdicts = verdict_frames(step)
    revealed = len(verdicts) + 1 if revealed is None else revealed
    decided = revealed > len(verdicts)
    shown = [0] * len(step.branches)  # verdicts visible of each branch
    for i, _ in verdicts[:revealed]:
        shown[i] += 1
    title = html.escape(_event(step, revealed, tokenizer))
    if headline:
        title = f"{html.escape(headline)} · {title}"
    return (f'<div style="{CARD}line-height:1.6">'
            f"<div><b>{title}</b></div>"
            f'<div>context: {_context_html(step, tokenizer, context_ids, decided)}</div>'
            f'{_table_html(step, shown, decided, tokenizer)}'
            f"<div><small>{html.escape(LEGEND)}</small></div></div>")


def _choice_text(branch: BranchRecord, position: int, tokenizer) -> str:
    return f"→ {visible(tokenizer, branch.choices[position])} (p {_number(branch.choice_probs, position)})"


def _cells_text(branch: BranchRecord, tokenizer) -> list[str]:
    """The tokens of `branch` with their verdicts, and its bonus token if there is one."""
    cells = []
    for j, token in enumerate(branch.tokens):
        kind = verdict(branch, j, len(branch.tokens))
        p = _number(branch.verifier_probs, j, kind != "unchecked")
        cell = f"{SIGNS[kind]} {visible(tokenizer, token)} (q {_number(branch.draft_probs, j)}, p {p})"
        if kind == "rejected":
            cell += f" {_choice_text(branch, j, tokenizer)}"
        cells.append(cell)
    if _has_bonus(branch):
        cells.append(_choice_text(branch, len(branch.tokens), tokenizer))
    return cells


def step_text(step: Step, tokenizer) -> str:
    """The final state of `step` as a plain text table."""
    outcome = f"after {step.context} tokens: {_outcome(step, tokenizer)}"
    if not step.branches:
        return outcome
    table = [_columns(step)]
    for i, branch in enumerate(step.branches):
        star = "★" if i == step.best else " "
        cells = [f"{star} {i + 1}", *_cells_text(branch, tokenizer)]
        empty = [""] * (len(table[0]) - 2 - len(cells))
        table.append([*cells, *empty, str(branch.score), str(_added(step, branch))])
    widths = [max(map(len, column)) for column in zip(*table)]
    lines = [outcome]
    for row in table:
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    return "\n".join(lines)


def branch_frames(record: Generation | Step, tokenizer, context_ids: Sequence[int] | None = None) -> Frames:
    """The frames of a `Generation`, or of one `Step`, verdict by verdict.

    The first frame of a step shows the branches as proposed, each further frame one more verdict of the verifier, the last
    one score and winner. `context_ids` gives the tokens before a single `Step`, else they are counted; a `Generation` knows them.

    Raises TypeError for any other record, ValueError for a generation without steps.
    """
    if isinstance(record, Generation):
        steps, context_ids = record.steps, [*record.prompt_ids, *record.new_ids]
    elif isinstance(record, Step):
        steps = [record]
    else:
        raise TypeError(f"BranchStepper shows a Generation or a Step, not {type(record).__name__}.")
    if not steps:
        raise ValueError("This generation has no steps to show.")
    places = [(index, revealed) for index, step in enumerate(steps) for revealed in range(len(verdict_frames(step)) + 2)]

    def draw(number: int) -> str:
        index, revealed = places[number - 1]
        return step_html(steps[index], tokenizer, context_ids, revealed, f"frame {number} of {len(places)} · step {index + 1}")

    return Frames(draw, len(places), "verdict")


def branch_table(record: Generation | Step, tokenizer, context_ids: Sequence[int] | None = None) -> Html:
    """The static twin of `BranchStepper`, which steps in the page itself; as text, the final state of each step. Arguments and
    errors are those of `branch_frames`."""
    frames = branch_frames(record, tokenizer, context_ids)
    steps = record.steps if isinstance(record, Generation) else [record]
    return stepping(frames, "Branch stepper", "\n".join(step_text(step, tokenizer) for step in steps))


class BranchStepper(FrameStepper):
    """Go through a `Generation`, or one `Step`, verdict by verdict: the frames of `branch_frames`, with its arguments and errors.

    Controls and `seconds` are those of `FrameStepper`.
    """

    def __init__(self, record: Generation | Step, tokenizer, context_ids: Sequence[int] | None = None, seconds: float = 0.8):
        super().__init__(branch_frames(record, tokenizer, context_ids), seconds)
        self.add_class("specdec-stepper")
