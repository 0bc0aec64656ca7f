"""Frames: one generation as a static table, a row a step; what a widget shows live, kept where no widget runs."""
import html

from .decoding import BranchRecord, Generation
from .tokens import decode_token

TAIL = 6  # context tokens shown in front of each step
LOOK = {  # mark -> (what it means, text colour, background): sign and colour both tell
    "+": ("accepted", "#00573f", "#d7f2e8"),
    "×": ("refused", "#8a2f00", "#fde3d3"),
    "·": ("not checked", "#4a4a4a", "#ececec"),
    ">": ("added", "#00426b", "#dcecf7"),
}


def branch_marks(branch: BranchRecord) -> list[str]:
    """One mark for each token of `branch`: "+" accepted, "×" refused, "·" not checked."""
    marks = ["+"] * branch.accepted + ["×"] * branch.mismatched
    return marks + ["·"] * (len(branch.tokens) - len(marks))


class Html:
    """A finished piece of HTML: shown by `_repr_html_`, summed up in one line by `repr`."""

    def __init__(self, markup: str, summary: str):
        self.markup, self.summary = markup, summary

    def _repr_html_(self) -> str:
        return self.markup

    def __repr__(self) -> str:
        return self.summary


def _chip(text: str, mark: str = "") -> str:
    """One token as a chip; spaces show as ␣, and a mark brings its sign, colour and meaning."""
    shown = html.escape(text.replace(" ", "␣").replace("\n", "⏎"))
    if not mark:
        return f"<code>{shown}</code>"
    meaning, ink, ground = LOOK[mark]
    return (f'<code title="{meaning}" style="color:{ink};background:{ground};padding:0 3px;border-radius:3px;'
            f'white-space:nowrap">{html.escape(mark)}&nbsp;{shown}</code>')


def generation_frames(generation: Generation, tokenizer) -> Html:
    """`generation` step by step: context, branches with their verdicts, tokens added, passes so far, greedy's tokens by then.

    One row a step. A star marks the winning branch. The last column says how many tokens greedy decoding has written after
    as many verifier passes: one a pass, until it has written them all. Tokens read `<id>` where `tokenizer` is None.
    """
    def chips(tokens, marks):
        return " ".join(_chip(decode_token(tokenizer, token), mark) for token, mark in zip(tokens, marks))

    everything = generation.prompt_ids + generation.new_ids
    rows, written, verifier, drafter = [], 0, 0, 0
    for number, step in enumerate(generation.steps, 1):
        written, verifier, drafter = written + len(step.new_ids), verifier + step.verifier_calls, drafter + step.drafter_calls
        tail = everything[max(0, step.context - TAIL):step.context]
        lines = ['<div style="white-space:nowrap">' + ("★ " if i == step.best else "&nbsp;&nbsp; ")
                 + chips(branch.tokens, branch_marks(branch)) + "</div>" for i, branch in enumerate(step.branches)]
        cells = [("… " if step.context > TAIL else "") + chips(tail, [""] * len(tail)), "".join(lines) or "none",
                 chips(step.new_ids, [">"] * len(step.new_ids)), str(written), f"{verifier} + {drafter}",
                 str(min(verifier, len(generation.new_ids)))]
        rows.append(f'<tr><th scope="row" style="vertical-align:top">{number}</th>'
                    + "".join(f'<td style="text-align:left;vertical-align:top">{cell}</td>' for cell in cells) + "</tr>")
    legend = " ".join(_chip(meaning.replace(" ", "\u00a0"), mark) for mark, (meaning, _, _) in LOOK.items())
    head = ["step", "context", "branches (★ wins)", "added", "tokens so far", "passes so far (verifier + drafter)",
            "greedy has by then"]
    summary = (f"{generation.method or 'generation'}: {len(generation.steps)} steps, {written} tokens, "
               f"{verifier} verifier passes, {drafter} drafter passes; greedy needs {written} verifier passes")
    markup = (f"<table><caption>{html.escape(summary)}. {legend}</caption><thead><tr>"
              + "".join(f'<th scope="col" style="text-align:left">{cell}</th>' for cell in head)
              + f"</tr></thead><tbody>{''.join(rows)}</tbody></table>")
    return Html(markup, f"Frames of {summary}")
