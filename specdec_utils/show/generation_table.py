"""Frames: one generation as a static table, a row a step; what a widget shows live, kept where no widget runs."""
import html

from ..decode.records import Generation, Step
from .chips import CARD, HEAD, INK, PAPER, chips, verdict
from .controls import Html

TAIL = 6  # context tokens shown in front of each step
LEGEND = "✓ accepted | ✗ rejected | · not checked | ★ winner"
HEADS = ("step", "context", "branches (★ wins)", "added", "tokens so far", "passes so far (verifier + drafter)", "greedy has by then")


def _branches(step: Step, tokenizer) -> str:
    """The branches of `step`, a line each, the winner with a star."""
    lines = []
    for i, branch in enumerate(step.branches):
        mark = "★ " if i == step.best else "&nbsp;&nbsp; "
        verdicts = [verdict(branch, j, len(branch.tokens)) for j in range(len(branch.tokens))]
        lines.append(f'<div style="white-space:nowrap">{mark}{chips(tokenizer, branch.tokens, verdicts)}</div>')
    return "".join(lines) or "none"


def generation_frames(generation: Generation, tokenizer) -> Html:
    """`generation` step by step: context, branches with their verdicts, tokens added, passes so far, greedy's tokens by then.

    One row a step. A star marks the winning branch. The last column says how many tokens greedy decoding has written after
    as many verifier passes: one a pass, until it has written them all. Tokens read `<id>` where `tokenizer` is None.
    """
    everything = generation.prompt_ids + generation.new_ids
    rows, written, verifier, drafter = [], 0, 0, 0
    for number, step in enumerate(generation.steps, 1):
        written += len(step.new_ids)
        verifier += step.verifier_calls
        drafter += step.drafter_calls
        tail = everything[max(0, step.context - TAIL):step.context]
        earlier = "… " if step.context > TAIL else ""
        cells = [earlier + chips(tokenizer, tail, "context"),
                 _branches(step, tokenizer),
                 chips(tokenizer, step.new_ids, "winner"),
                 written,
                 f"{verifier} + {drafter}",
                 min(verifier, len(generation.new_ids))]
        body = "".join(f'<td style="{INK}text-align:left;vertical-align:top">{cell}</td>' for cell in cells)
        rows.append(f'<tr style="{PAPER}"><th scope="row" style="{INK}vertical-align:top">{number}</th>{body}</tr>')
    heads = "".join(f'<th scope="col" style="{INK}text-align:left">{name}</th>' for name in HEADS)
    summary = (f"{generation.method or 'generation'}: {len(generation.steps)} steps, {written} tokens, "
               f"{verifier} verifier passes, {drafter} drafter passes; greedy needs {written} verifier passes")
    markup = (f'<div tabindex="0" style="{CARD}"><table><caption style="{INK}">{html.escape(summary)}.<br>{LEGEND}</caption>'
              f'<thead><tr style="{HEAD}">{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>')
    return Html(markup, f"Frames of {summary}")
