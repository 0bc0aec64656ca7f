"""Watch several methods write side by side, one frame a verifier pass: a live widget and its static twin."""
import html
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..decode.records import Generation, Step
from .chips import CARD, HEAD, INK, LINE, PAPER, chip, chips, visible
from .controls import Frames, FrameStepper, Html
from .page import folded, stepping
from .style import VERIFY

LEGEND = "✓ drafted and accepted | → written by the verifier itself"
PROMPT_SHOWN = 12  # prompt tokens drawn; the earlier ones are counted
CELL = INK + f"text-align:left;vertical-align:top;padding:4px 10px;border-top:1px solid {LINE};"


def token_kinds(step: Step) -> list[str]:
    """Per token that `step` added: "accepted" if it was drafted, "replaced" if the verifier wrote it itself."""
    accepted = 0 if step.best is None else step.branches[step.best].accepted
    return ["accepted" if i < accepted else "replaced" for i in range(len(step.new_ids))]


@dataclass(frozen=True)
class Moment:
    """A run after some verifier passes: `done` steps are finished, `inside` passes of the next one made."""

    done: int
    inside: int
    written: int
    verifier: int
    drafter: int


def moments(generation: Generation) -> list[Moment]:
    """Entry n: `generation` after n verifier passes. Drafts count as made by the time their step ends."""
    found, written, drafter = [Moment(0, 0, 0, 0, 0)], 0, 0
    for number, step in enumerate(generation.steps):
        start = found[-1].verifier
        found += [Moment(number, inside, written, start + inside, drafter) for inside in range(1, step.verifier_calls)]
        written, drafter = written + len(step.new_ids), drafter + step.drafter_calls
        found.append(Moment(number + 1, 0, written, start + step.verifier_calls, drafter))
    return found


def _numbered(names: Sequence[str]) -> list[str]:
    """`names`, each that occurs more than once followed by the number of its turn: a, b, a becomes a 1, b, a 2."""
    seen, out = Counter(), []
    for name in names:
        seen[name] += 1
        out.append(f"{name} {seen[name]}" if names.count(name) > 1 else name)
    return out


def _named(generations: Mapping[str, Generation] | Sequence[Generation]) -> dict[str, Generation]:
    """`generations` under distinct names; ValueError, TypeError for what cannot be played side by side."""
    if isinstance(generations, Generation):
        generations = [generations]
    if not isinstance(generations, Mapping):
        names = [getattr(one, "method", "") or "generation" for one in generations]
        generations = dict(zip(_numbered(names), generations))
    if not generations:
        raise ValueError("There is nothing to play: give at least one Generation.")
    for one in generations.values():
        if not isinstance(one, Generation):
            raise TypeError(f"The player shows Generations, not {type(one).__name__}.")
        if not one.steps or any(step.verifier_calls < 1 for step in one.steps):
            raise ValueError("Only a generation with steps, each of at least one verifier pass, can be played.")
    return dict(generations)


def _text_html(generation: Generation, moment: Moment, fresh: bool, tokenizer) -> str:
    """Prompt and what is written so far; the newest step underlined if the newest pass brought it."""
    earlier = len(generation.prompt_ids) - PROMPT_SHOWN
    parts = [f"<small>{earlier} earlier tokens …</small>"] if earlier > 0 else []
    parts.append(chips(tokenizer, generation.prompt_ids[-PROMPT_SHOWN:], "context"))
    for number, step in enumerate(generation.steps[:moment.done], 1):
        newest = fresh and number == moment.done and moment.inside == 0
        block = chips(tokenizer, step.new_ids, token_kinds(step))
        parts.append(f'<span style="border-bottom:4px solid;padding-bottom:3px">{block}</span>' if newest else block)
    return " ".join(parts)


def _event(generation: Generation, moment: Moment, fresh: bool, tokenizer) -> str:
    """What the newest pass brought, in words."""
    if not fresh:
        return f"finished ({generation.finish_reason})"
    if moment.inside:
        step = generation.steps[moment.done]
        return f"pass {moment.inside} of {step.verifier_calls} of this step: still checking"
    if moment.done == 0:
        return "the prompt"
    step, last = generation.steps[moment.done - 1], moment.done == len(generation.steps)
    sign = {"accepted": "✓", "replaced": "→"}
    added = " ".join(f"{sign[kind]} {visible(tokenizer, token)}" for kind, token in zip(token_kinds(step), step.new_ids))
    return f"adds {len(step.new_ids)}: {added}" + (f" · finished ({generation.finish_reason})" if last else "")


def _bar(written: int, total: int) -> str:
    return (f'<div style="width:12em;max-width:100%;box-sizing:border-box;border:1px solid {VERIFY};height:10px">'
            f'<div style="width:{100 * written / total:.0f}%;height:8px;background-color:{VERIFY}"></div></div>')


def _column(generation: Generation, passes: int, total: int, tokenizer) -> dict[str, str]:
    """Name of each row -> its cell for `generation` after `passes` verifier passes; the bar is full at `total` tokens."""
    known = moments(generation)
    fresh = passes < len(known)
    now = known[passes] if fresh else known[-1]
    per_pass = f" ({now.written / now.verifier:.2f} tokens each)" if now.verifier else ""
    return {"this pass": html.escape(_event(generation, now, fresh, tokenizer)),
            "tokens written": f"{now.written} of {len(generation.new_ids)}{_bar(now.written, total)}",
            "verifier passes": f"{now.verifier}{per_pass}",
            "drafter passes": str(now.drafter),
            "text so far": _text_html(generation, now, fresh, tokenizer)}


def players_html(generations: Mapping[str, Generation], tokenizer, passes: int) -> str:
    """One column a generation, as it stands after `passes` verifier passes (a finished one stays as it is)."""
    total = max(len(one.new_ids) for one in generations.values())
    columns = [_column(one, passes, total, tokenizer) for one in generations.values()]
    heads = "".join(f'<th scope="col" style="{CELL}">{html.escape(name)}</th>' for name in generations)
    rows = ""
    for name in columns[0]:
        cells = "".join(f'<td style="{CELL}">{column[name]}</td>' for column in columns)
        rows += f'<tr style="{PAPER}"><th scope="row" style="{CELL}">{name}</th>{cells}</tr>'
    return (f'<div style="{CARD}line-height:2">'
            f"<div><b>after {passes} verifier pass{'' if passes == 1 else 'es'}</b></div>"
            f'<table style="border-collapse:collapse;margin:6px 0;width:100%;min-width:{9 + 13 * len(columns)}em;table-layout:fixed">'
            '<colgroup><col style="width:9em">'
            f'</colgroup><thead><tr style="{HEAD}"><td style="{CELL}"></td>{heads}</tr></thead>'
            f"<tbody>{rows}</tbody></table>"
            f"<div><small>{html.escape(LEGEND)}</small></div></div>")


def _passes_table(named: Mapping[str, Generation], tokenizer) -> str:
    """A row a verifier pass, a column a generation with what the pass added; passes in a row after which nobody had a new token
    share a row."""
    known = {name: moments(one) for name, one in named.items()}
    rows, quiet = [], []
    for passes in range(1, max(len(line) for line in known.values())):
        cells = []
        for name, line in known.items():
            if passes >= len(line) or line[passes].inside:
                cells.append("…" if passes < len(line) else "")
                continue
            step = named[name].steps[line[passes].done - 1]
            cells.append(f"{chips(tokenizer, step.new_ids, token_kinds(step))} <small>{line[passes].written}</small>")
        if set(cells) <= {"…", ""}:
            quiet.append(passes)
            continue
        label = f"{quiet[0]} to {passes}" if quiet else str(passes)
        quiet = []
        rows.append(f'<tr style="{PAPER}"><th scope="row" style="{CELL}">{label}</th>'
                    + "".join(f'<td style="{CELL}">{cell}</td>' for cell in cells) + "</tr>")
    heads = "".join(f'<th scope="col" style="{CELL}">{html.escape(name)}</th>' for name in ["verifier pass", *named])
    example = f"{chip('a', 'accepted')} drafted and accepted, {chip('b', 'replaced')} written by the verifier itself"
    return (f'<div tabindex="0" style="{CARD}"><table style="border-collapse:collapse"><caption style="{INK}">'
            f"{html.escape(_summary(named))}.<br>{example}; the small number counts the tokens so far; … still checking</caption>"
            f'<thead><tr style="{HEAD}">{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>')


def _summary(named: Mapping[str, Generation]) -> str:
    return "; ".join(f"{name}: {len(one.new_ids)} tokens in {one.verifier_calls} verifier and {one.drafter_calls} drafter passes"
                     for name, one in named.items())


def play_frames(generations: Mapping[str, Generation] | Sequence[Generation], tokenizer) -> Frames:
    """The frames of `generations` side by side: frame n shows what each has written after n verifier passes, and at which cost.

    `generations`: name -> Generation, or a list of them, named by their methods. Tokens are chips, drafted and accepted (✓) or
    written by the verifier itself (→), those of the newest step underlined.

    Raises TypeError for other records, ValueError for none, or for a generation without steps or with steps without a verifier pass.
    """
    named = _named(generations)
    longest = max(one.verifier_calls for one in named.values())
    return Frames(lambda passes: players_html(named, tokenizer, passes), longest, "verifier pass", first=0, label="Pass")


def player_frames(generations: Mapping[str, Generation] | Sequence[Generation], tokenizer) -> Html:
    """The static twin of `GenerationPlayer`, which steps in the page itself; under the frame, all passes in one table. Arguments and
    errors are those of `play_frames`."""
    named = _named(generations)
    return stepping(play_frames(named, tokenizer), "Generation player", f"Played side by side: {_summary(named)}",
                    below=folded("All passes in one table", _passes_table(named, tokenizer)))


class GenerationPlayer(FrameStepper):
    """Play generations side by side, one frame a verifier pass: the frames of `play_frames`, with its arguments and errors.

    Controls and `seconds` are those of `FrameStepper`; `frame_field` holds the number of passes.
    """

    def __init__(self, generations: Mapping[str, Generation] | Sequence[Generation], tokenizer, seconds: float = 0.8):
        super().__init__(play_frames(generations, tokenizer), seconds)
        self.add_class("specdec-player")
