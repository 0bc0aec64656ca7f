"""Tokens as chips: the drawing that every view of the course shares. A verdict shows as sign, colour and border."""
import html
from collections.abc import Sequence

from ..decode.records import BranchRecord
from ..text.tokens import decode_token
from .style import BAD, DRAFT, GOOD, NEUTRAL, VERIFY

SIGNS = {"accepted": "✓", "rejected": "✗", "replaced": "→", "unchecked": "·"}
LOOK = {"accepted": (GOOD, "solid"), "rejected": (BAD, "dashed"), "replaced": (VERIFY, "solid"), "unchecked": (NEUTRAL, "dotted"),
        "context": (NEUTRAL, "solid"), "winner": (DRAFT, "double")}
# Colours as dark ink on white paper, unless the page around sets the variables (page.js does, so that frames take the page's own).
INK, PAPER = "color:var(--specdec-ink,#1a1a1a);", "background-color:var(--specdec-paper,#ffffff);"
HEAD, LINE = "background-color:var(--specdec-head,#f2f2f2);", "var(--specdec-line,#d0d0d0)"
CARD = INK + PAPER + "padding:8px;overflow-x:auto;"


def visible(tokenizer, token: int) -> str:
    """The text of one token with spaces and line ends made visible."""
    return decode_token(tokenizer, token).replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥")


def verdict(branch: BranchRecord, position: int, shown: int) -> str:
    if position >= shown:
        return "unchecked"
    if position < branch.accepted:
        return "accepted"
    broke_off_here = branch.mismatched and position == branch.accepted
    return "rejected" if broke_off_here else "unchecked"


def chip(text: str, kind: str) -> str:
    """One token as a chip; its verdict shows as sign, colour and border."""
    color, line = LOOK[kind]
    sign = SIGNS[kind] + " " if kind in SIGNS else ""
    text = html.escape(text)
    if kind == "rejected":
        text = f"<s>{text}</s>"
    return (f'<code style="{INK}background-color:{color}22;border:2px {line} {color};border-radius:4px;padding:0 4px;'
            f'white-space:pre">{sign}{text}</code>')


def chips(tokenizer, tokens: Sequence[int], kinds: str | Sequence[str]) -> str:
    """Tokens as chips in a row, all of one kind or each of its own."""
    kinds = [kinds] * len(tokens) if isinstance(kinds, str) else kinds
    return " ".join(chip(visible(tokenizer, token), kind) for token, kind in zip(tokens, kinds))
