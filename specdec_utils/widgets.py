"""Watch a step branch by branch: a live widget and its static twin, drawn by one function from the records alone."""
import html
import threading
from collections.abc import Sequence

import ipywidgets

from .plots import BAD, DRAFT, GOOD, NEUTRAL, VERIFY
from .records import BranchRecord, Generation, Step
from .tokens import decode_token

SIGNS = {"accepted": "✓", "rejected": "✗", "replaced": "→", "unchecked": "·"}
LOOK = {"accepted": (GOOD, "solid"), "rejected": (BAD, "dashed"), "replaced": (VERIFY, "solid"), "unchecked": (NEUTRAL, "dotted"),
        "context": (NEUTRAL, "solid"), "winner": (DRAFT, "double")}
LEGEND = "✓ accepted | ✗ rejected | → the verifier's own token | · not checked | q: drafter's probability | p: verifier's"
CONTEXT_SHOWN = 24  # context tokens drawn; the earlier ones are counted
INK = "color:#1a1a1a;"
CELL = INK + "text-align:left;vertical-align:top;padding:4px 8px;border-top:1px solid #d0d0d0;"


def visible(tokenizer, token: int) -> str:
    """The text of one token with spaces and line ends made visible."""
    return decode_token(tokenizer, token).replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥")


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


def verdict(branch: BranchRecord, position: int, shown: int) -> str:
    if position >= shown or position > branch.accepted or (position == branch.accepted and not branch.mismatched):
        return "unchecked"
    return "accepted" if position < branch.accepted else "rejected"


def _number(values: Sequence[float], position: int, known: bool = True) -> str:
    return f"{values[position]:.2f}" if known and position < len(values) else "–"


def chip(text: str, kind: str) -> str:
    """One token as a chip; its verdict shows as sign, colour and border."""
    color, line = LOOK[kind]
    sign = SIGNS[kind] + " " if kind in SIGNS else ""
    text = html.escape(text)
    if kind == "rejected":
        text = f"<s>{text}</s>"
    return (f'<code style="{INK}background-color:{color}22;border:2px {line} {color};border-radius:4px;padding:0 4px;'
            f'white-space:pre">{sign}{text}</code>')


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
        chips = [f"<small>{step.context} tokens</small>"]
    else:
        ids = list(context_ids)[:step.context]
        earlier = len(ids) - CONTEXT_SHOWN
        chips = [f"<small>{earlier} earlier tokens …</small>"] if earlier > 0 else []
        chips += [chip(visible(tokenizer, token), "context") for token in ids[-CONTEXT_SHOWN:]]
    if decided:
        chips += ["<b>+</b>"] + [chip(visible(tokenizer, token), "winner") for token in step.new_ids]
    return " ".join(chips)


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


def step_html(step: Step, tokenizer, context_ids: Sequence[int] | None = None, revealed: int | None = None,
              headline: str = "") -> str:
    """`step` as HTML with its first `revealed` verdicts; all of them, then score and winner, if `revealed` is None."""
    verdicts = verdict_frames(step)
    revealed = len(verdicts) + 1 if revealed is None else revealed
    decided = revealed > len(verdicts)
    shown = [0] * len(step.branches)  # verdicts visible of each branch
    for i, _ in verdicts[:revealed]:
        shown[i] += 1
    width = max((len(branch.tokens) + _has_bonus(branch) for branch in step.branches), default=0)
    rows = []
    for i, branch in enumerate(step.branches):
        closed = shown[i] == sum(1 for owner, _ in verdicts if owner == i)
        wins = decided and i == step.best
        cells = [f'<th scope="row" style="{CELL}">{"★ " if wins else ""}{i + 1}{" winner" if wins else ""}</th>']
        for j in range(width):
            inner = _cell_html(branch, j, shown[i], tokenizer) if j <= len(branch.tokens) else ""
            cells.append(f'<td style="{CELL}">{inner}</td>')
        cells += [f'<td style="{CELL}">{value if closed else "–"}</td>' for value in (branch.score, _added(step, branch))]
        tint = f"{DRAFT}22" if wins else "#ffffff"
        rows.append(f'<tr style="background-color:{tint}">{"".join(cells)}</tr>')
    heads = "".join(f'<th scope="col" style="{CELL}">{name}</th>'
                    for name in ["branch", *(f"token {j + 1}" for j in range(width)), "score", "adds"])
    table = (f'<table style="border-collapse:collapse;margin:6px 0"><thead><tr style="background-color:#f2f2f2">{heads}</tr></thead>'
             f'<tbody>{"".join(rows)}</tbody></table>') if rows else ""
    event = html.escape(_event(step, revealed, tokenizer))
    return (f'<div style="{INK}background-color:#ffffff;padding:8px;line-height:1.6;overflow-x:auto">'
            f"<div><b>{html.escape(headline)}{' · ' if headline else ''}{event}</b></div>"
            f'<div>context: {_context_html(step, tokenizer, context_ids, decided)}</div>{table}'
            f"<div><small>{html.escape(LEGEND)}</small></div></div>")


def step_text(step: Step, tokenizer) -> str:
    """The final state of `step` as a plain text table."""
    width = max((len(branch.tokens) + _has_bonus(branch) for branch in step.branches), default=0)
    lines = [["branch", *(f"token {j + 1}" for j in range(width)), "score", "adds"]]
    for i, branch in enumerate(step.branches):
        cells = [f"{'★' if i == step.best else ' '} {i + 1}"]
        for j, token in enumerate(branch.tokens):
            kind = verdict(branch, j, len(branch.tokens))
            p = _number(branch.verifier_probs, j, kind != "unchecked")
            cell = f"{SIGNS[kind]} {visible(tokenizer, token)} (q {_number(branch.draft_probs, j)}, p {p})"
            if kind == "rejected":
                cell += f" → {visible(tokenizer, branch.choices[j])} (p {_number(branch.choice_probs, j)})"
            cells.append(cell)
        if _has_bonus(branch):
            j = len(branch.tokens)
            cells.append(f"→ {visible(tokenizer, branch.choices[j])} (p {_number(branch.choice_probs, j)})")
        cells += [""] * (width + 1 - len(cells)) + [str(branch.score), str(_added(step, branch))]
        lines.append(cells)
    widths = [max(len(line[c]) for line in lines) for c in range(len(lines[0]))]
    table = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip() for line in lines] if step.branches else []
    return "\n".join([f"after {step.context} tokens: {_outcome(step, tokenizer)}", *table])


class BranchTable:
    """The final state of one step: an HTML table where HTML is shown, a text table elsewhere."""

    def __init__(self, step: Step, tokenizer, context_ids: Sequence[int] | None = None):
        self.html, self.text = step_html(step, tokenizer, context_ids), step_text(step, tokenizer)

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def branch_table(step: Step, tokenizer, context_ids: Sequence[int] | None = None) -> BranchTable:
    """The static twin of `BranchStepper` for one step; with `context_ids` the tokens before it are drawn, else counted."""
    return BranchTable(step, tokenizer, context_ids)


class BranchStepper(ipywidgets.VBox):
    """Go through a `Generation`, or one `Step`, verdict by verdict.

    The first frame of a step shows the branches as proposed, each further frame one more verdict of the verifier, the last
    one score and winner. `step_button`, `back_button`, `play_button` (which turns into Stop) and `reset_button` are
    buttons, `frame_field` is a number field. `context_ids` gives the tokens before a single `Step`; a `Generation` knows
    them. `seconds` is the pace of Play. Opened unrun, it shows its last frame.

    Raises TypeError for any other record, ValueError for a generation without steps.
    """

    def __init__(self, record: Generation | Step, tokenizer, context_ids: Sequence[int] | None = None, seconds: float = 0.8):
        if isinstance(record, Generation):
            steps, context_ids = record.steps, [*record.prompt_ids, *record.new_ids]
        elif isinstance(record, Step):
            steps = [record]
        else:
            raise TypeError(f"BranchStepper shows a Generation or a Step, not {type(record).__name__}.")
        if not steps:
            raise ValueError("This generation has no steps to show.")
        self._records, self._tokenizer, self._context_ids, self._seconds = steps, tokenizer, context_ids, seconds
        self._frames = [(number, revealed) for number, step in enumerate(steps)
                        for revealed in range(len(verdict_frames(step)) + 2)]
        self._turn, self._stop_event = threading.RLock(), None
        narrow = {"width": "6em"}
        self.back_button = ipywidgets.Button(description="Back", tooltip="One verdict back", layout=narrow)
        self.step_button = ipywidgets.Button(description="Step", tooltip="Show the next verdict", layout=narrow)
        self.play_button = ipywidgets.Button(description="Play", tooltip="Go on by itself, or stop", layout=narrow)
        self.reset_button = ipywidgets.Button(description="Reset", tooltip="Back to the first frame", layout=narrow)
        self.frame_field = ipywidgets.BoundedIntText(value=1, min=1, max=len(self._frames), description="Frame",
                                                     layout={"width": "12em"})
        self.body = ipywidgets.HTML()
        self.body.add_class("specdec-body")
        controls = ipywidgets.HBox([self.back_button, self.step_button, self.play_button, self.reset_button, self.frame_field])
        super().__init__([controls, self.body])
        self.add_class("specdec-stepper")
        self.step_button.on_click(lambda _: self._move(+1))
        self.back_button.on_click(lambda _: self._move(-1))
        self.reset_button.on_click(lambda _: self._move(-len(self._frames)))
        self.play_button.on_click(lambda _: self._toggle())
        self.frame_field.observe(lambda _: self._draw(), names="value")
        self._draw()

    def _frame_html(self, index: int) -> str:
        number, revealed = self._frames[index]
        return step_html(self._records[number], self._tokenizer, self._context_ids, revealed,
                         f"frame {index + 1} of {len(self._frames)} · step {number + 1}")

    def _draw(self) -> None:
        with self._turn:
            index = self.frame_field.value - 1
            self.body.value = self._frame_html(index)
            first, last = index == 0, index == len(self._frames) - 1
            if last and self._stop_event is not None:
                self._stop_event.set()
                self._stop_event = None
            self.back_button.disabled = self.reset_button.disabled = first
            self.step_button.disabled = self.play_button.disabled = last
            self.play_button.description = "Play" if self._stop_event is None else "Stop"

    def _move(self, by: int) -> None:
        with self._turn:
            self.stop()
            self.frame_field.value = min(max(self.frame_field.value + by, 1), len(self._frames))

    def _toggle(self) -> None:
        with self._turn:
            if self._stop_event is not None:
                self.stop()
            elif self.frame_field.value < len(self._frames):
                self._stop_event = threading.Event()
                threading.Thread(target=self._advance, args=(self._stop_event,), daemon=True).start()
                self._draw()

    def _advance(self, stop: threading.Event) -> None:
        while not stop.wait(self._seconds):
            with self._turn:
                if not stop.is_set():
                    self.frame_field.value += 1

    def stop(self) -> None:
        """Stop playing, if it plays."""
        with self._turn:
            if self._stop_event is not None:
                self._stop_event.set()
                self._stop_event = None
                self._draw()

    def _repr_html_(self) -> str:
        return self._frame_html(len(self._frames) - 1)
