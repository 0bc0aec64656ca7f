"""Frames: one generation as a static table, a row a step; what a widget shows live, kept where no widget runs."""
import html

from ..decode.records import Generation
from .chips import chips, verdict
from .controls import Html

TAIL = 6  # context tokens shown in front of each step
LEGEND = "✓ accepted | ✗ rejected | · not checked | ★ winner"


def generation_frames(generation: Generation, tokenizer) -> Html:
    """`generation` step by step: context, branches with their verdicts, tokens added, passes so far, greedy's tokens by then.

    One row a step. A star marks the winning branch. The last column says how many tokens greedy decoding has written after
    as many verifier passes: one a pass, until it has written them all. Tokens read `<id>` where `tokenizer` is None.
    """
    def verdicts(branch):
        return [verdict(branch, j, len(branch.tokens)) for j in range(len(branch.tokens))]

    everything = generation.prompt_ids + generation.new_ids
    rows, written, verifier, drafter = [], 0, 0, 0
    for number, step in enumerate(generation.steps, 1):
        written, verifier, drafter = written + len(step.new_ids), verifier + step.verifier_calls, drafter + step.drafter_calls
        tail = everything[max(0, step.context - TAIL):step.context]
        lines = ['<div style="white-space:nowrap">' + ("★ " if i == step.best else "&nbsp;&nbsp; ")
                 + chips(tokenizer, branch.tokens, verdicts(branch)) + "</div>" for i, branch in enumerate(step.branches)]
        cells = [("… " if step.context > TAIL else "") + chips(tokenizer, tail, "context"), "".join(lines) or "none",
                 chips(tokenizer, step.new_ids, "winner"), str(written), f"{verifier} + {drafter}",
                 str(min(verifier, len(generation.new_ids)))]
        rows.append(f'<tr><th scope="row" style="vertical-align:top">{number}</th>'
                    + "".join(f'<td style="text-align:left;vertical-align:top">{cell}</td>' for cell in cells) + "</tr>")
    head = ["step", "context", "branches (★ wins)", "added", "tokens so far", "passes so far (verifier + drafter)",
            "greedy has by then"]
    summary = (f"{generation.method or 'generation'}: {len(generation.steps)} steps, {written} tokens, "
               f"{verifier} verifier passes, {drafter} drafter passes; greedy needs {written} verifier passes")
    markup = (f"<table><caption>{html.escape(summary)}.<br>{LEGEND}</caption><thead><tr>"
              + "".join(f'<th scope="col" style="text-align:left">{cell}</th>' for cell in head)
              + f"</tr></thead><tbody>{''.join(rows)}</tbody></table>")
    return Html(markup, f"Frames of {summary}")
