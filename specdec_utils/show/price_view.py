"""Watch method "auto" decide: what each way of drafting offers, what each drafted token costs, and whether it was kept."""
import html
from collections.abc import Sequence

from matplotlib.lines import Line2D

from ..decode.records import Generation, Step
from .chips import CARD, HEAD, INK, LINE, PAPER, SIGNS, chip, visible
from .controls import Frames, FrameStepper, Html
from .page import stepping
from .style import BAD, DRAFT, GOOD, HATCH, NEUTRAL, new_figure
from .tree_view import node_verdicts

WORTH, NOT_WORTH, TAKEN = "▲", "▽", "★"
LEGEND = ("★ taken: most tokens over what its time brings otherwise | ▲ brings at least what its time brings otherwise | "
          "▽ does not, by itself | ✓ accepted | ✗ rejected | · not checked")
CELL = INK + f"text-align:left;vertical-align:middle;padding:3px 8px;border-top:1px solid {LINE};"
COLORS = {"accepted": GOOD, "rejected": BAD, "unchecked": NEUTRAL}
BAR = 120  # pixels of the longest bar in the tables


def _priced(step: Step) -> Step:
    """`step` itself; ValueError if it does not say what it was expected to earn."""
    if step.price is None or step.tree is None:
        raise ValueError("This step has no price: show a run of method 'auto'.")
    return step


def taken(step: Step) -> str:
    """The way of drafting that `step` took, "none" for no draft."""
    offers, rate = step.price.offers, step.price.rate
    return step.drafter or max(offers, key=lambda way: offers[way][0] - rate * offers[way][1])


def worth(step: Step) -> list[bool]:
    """Per node of the draft of `step`: is it expected to bring at least what its time brings otherwise?"""
    return [reach >= seconds * step.price.rate for reach, seconds in zip(step.price.reach, step.price.cost)]


def _text(tokenizer, token: int) -> str:
    return tokenizer[token] if isinstance(tokenizer, (list, tuple)) else visible(tokenizer, token)


def _outcome(step: Step, tokenizer) -> str:
    drafts = f"{len(step.path[:len(step.new_ids)])} of {len(step.tree)} drafted tokens accepted" if len(step.tree) else "no draft"
    added = " ".join(_text(tokenizer, token) for token in step.new_ids)
    seconds, rate = step.price.seconds, step.price.rate
    return (f"{drafts}; the step adds {len(step.new_ids)}, "
            f"its time brings {seconds * rate:.2f} otherwise: {added}")


def describe_price(step: Step, tokenizer, shown: int | None = None) -> str:
    """One line in words: what `step` took, the price of the last of the first `shown` nodes, or how it ended (None).

    `tokenizer` may be a list of words, for toys. Raises ValueError for a step without a price.
    """
    price, tree = _priced(step).price, step.tree
    if shown is None:
        return _outcome(step, tokenizer)
    if shown == 0:
        count = f"{len(tree)} token{'' if len(tree) == 1 else 's'} drafted" if len(tree) else "no draft"
        return f"taken: {taken(step)}, {count}" + (f", {price.dropped} more not worth verifying" if price.dropped else "")
    node = shown - 1
    sign, verb = (WORTH, "is worth") if worth(step)[node] else (NOT_WORTH, "is by itself not worth")
    return (f"{sign} {_text(tokenizer, tree.tokens[node])} {verb} its time: {price.reach[node]:.2f} tokens to be expected, "
            f"{price.cost[node] * price.rate:.2f} otherwise")


def _bar(value: float, mark: float, most: float, color: str) -> str:
    """A bar of `value` with a black mark at `mark`; the numbers stand beside it, so it is hidden from screen readers."""
    width, at = (BAR * min(1.0, number / most) for number in (value, mark))
    return (f'<div aria-hidden="true" style="position:relative;width:{BAR + 4}px;height:14px;{HEAD}">'
            f'<div style="position:absolute;left:0;top:2px;height:10px;width:{width:.0f}px;background-color:{color}"></div>'
            f'<div style="position:absolute;left:{at:.0f}px;top:0;height:14px;width:3px;background-color:currentcolor"></div></div>')


def _table(title: str, heads: Sequence[str], rows: Sequence[str]) -> str:
    columns = "".join(f'<th scope="col" style="{CELL}">{head}</th>' for head in heads)
    return (f'<table style="border-collapse:collapse;margin:6px 24px 6px 0"><caption style="{INK}text-align:left;font-weight:bold">{title}'
            f'</caption><thead><tr style="{HEAD}">{columns}</tr></thead><tbody>{"".join(rows)}</tbody></table>')


def _offers_table(step: Step) -> str:
    price, chosen, rows = step.price, taken(step), []
    most = max(max(tokens, seconds * price.rate) for tokens, seconds in price.offers.values())
    for way, (tokens, seconds) in price.offers.items():
        here, otherwise = way == chosen, seconds * price.rate
        cells = (f"{tokens:.2f}", f"{1000 * seconds:.1f}", f"{otherwise:.2f}", f"{tokens - otherwise:+.2f}",
                 _bar(tokens, otherwise, most, DRAFT if here else NEUTRAL))
        body = "".join(f'<td style="{CELL}">{cell}</td>' for cell in cells)
        rows.append(f'<tr style="{f"background-color:{DRAFT}22" if here else PAPER}"><th scope="row" style="{CELL}">'
                    f"{TAKEN + ' ' if here else ''}{html.escape(way)}</th>{body}</tr>")
    return _table("offers", ["way", "tokens", "ms", "its time brings otherwise", "difference", "tokens | otherwise"], rows)


def _nodes_table(step: Step, tokenizer, shown: int, judged: bool) -> str:
    price, tree, rows = step.price, step.tree, []
    kinds = node_verdicts(step) if judged else ["unchecked"] * len(tree)
    for node, pays in list(enumerate(worth(step)))[:shown]:
        otherwise = price.cost[node] * price.rate
        depth = len(tree.path(node))
        cells = (str(depth), chip(_text(tokenizer, tree.tokens[node]), kinds[node]), f"{price.reach[node]:.2f}", f"{otherwise:.2f}",
                 f"{WORTH} yes" if pays else f"{NOT_WORTH} no", _bar(price.reach[node], otherwise, 1.0, COLORS[kinds[node]]))
        body = "".join(f'<td style="{CELL}">{cell}</td>' for cell in cells)
        rows.append(f'<tr><th scope="row" style="{CELL}">{node}</th>{body}</tr>')
    return _table("drafted tokens", ["node", "depth", "token", "reach", "its time brings otherwise", "worth it", "reach | otherwise"], rows)


def price_html(step: Step, tokenizer, shown: int | None = None, headline: str = "") -> str:
    """`step` as HTML: its offers, and the first `shown` nodes of its draft with their prices; all of them with the verifier's
    verdicts if `shown` is None. Raises ValueError for a step without a price."""
    title = describe_price(step, tokenizer, shown)
    count = len(step.tree) if shown is None else shown
    nodes = _nodes_table(step, tokenizer, count, shown is None) if count else ""
    return (f'<div style="{CARD}line-height:1.5">'
            f"<div><b>{html.escape(f'{headline} · {title}' if headline else title)}</b></div>"
            f"<div>rate to be beaten: {step.price.rate:.0f} tokens a second</div>"
            f'<div style="display:flex;flex-wrap:wrap;align-items:flex-start"><div>{_offers_table(step)}</div><div>{nodes}</div></div>'
            f"<div><small>{html.escape(LEGEND)}</small></div></div>")


def _draw(axis, names: Sequence[str], values: Sequence[float], otherwise: Sequence[float], colors: Sequence[str], notes: Sequence[str],
          rows: int) -> None:
    for y, (value, mark, color, note) in enumerate(zip(values, otherwise, colors, notes)):
        axis.barh(y, value, color=color, hatch=HATCH[color], edgecolor="white", height=0.7)
        axis.plot([mark, mark], [y - 0.38, y + 0.38], color="black", linewidth=2.5)
        axis.annotate(note, (max(value, mark), y), (5, 0), textcoords="offset points", va="center", fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=9)
    axis.set(ylim=(max(rows, len(names)) - 0.4, -0.6), xlim=(0, 1.35 * max([*values, *otherwise, 0.1])))
    axis.grid(visible=True, axis="x", alpha=0.25)
    axis.grid(visible=False, axis="y")


def price_figure(step: Step, tokenizer):
    """The last frame of `PriceView` for one step as a matplotlib figure of always one size, to end a cell through `show_figure`: at the
    left what each way of drafting offers, at the right each drafted token's reach, both against what the time brings otherwise."""
    price, tree = _priced(step).price, step.tree
    figure, (left, right) = new_figure(1, 2, figsize=(9.5, 4.2), gridspec_kw={"width_ratios": [1, 1.2]})
    chosen = taken(step)
    offers = [(way, tokens, seconds * price.rate) for way, (tokens, seconds) in price.offers.items()]
    _draw(left, [f"{TAKEN} {way}" if way == chosen else way for way, *_ in offers], [tokens for _, tokens, _ in offers],
          [otherwise for *_, otherwise in offers], [DRAFT if way == chosen else NEUTRAL for way, *_ in offers],
          [f"{tokens - otherwise:+.2f}" for _, tokens, otherwise in offers], 5)
    left.set(title="offers for this step", xlabel="tokens to be expected of the step")
    kinds, otherwise = node_verdicts(step), [seconds * price.rate for seconds in price.cost]
    names = [f"{depth + 1} {SIGNS[kind]} {_text(tokenizer, token)}" for depth, kind, token in zip(tree.depths(), kinds, tree.tokens)]
    _draw(right, names, price.reach, otherwise, [COLORS[kind] for kind in kinds],
          [f"{WORTH if pays else NOT_WORTH} {reach:.2f}" for pays, reach in zip(worth(step), price.reach)], 8)
    right.set(title=f"drafted with: {chosen}", xlabel="reach: chance that the token is kept", ylabel="depth, token")
    mark = Line2D([], [], color="black", linewidth=2.5, label="what its time brings otherwise")
    right.legend(handles=[mark], fontsize=8, loc="lower right")
    figure.supxlabel("★ taken | ▲ at least what its time brings otherwise, ▽ less | ✓ accepted, ✗ rejected, · not checked", fontsize=8)
    return figure


def price_frames(record: Generation | Step, tokenizer) -> Frames:
    """The frames of a run of method "auto", or of one of its steps, a decision a frame.

    The first frame of a step shows what every way of drafting offered and which was taken, each further frame one drafted token with
    its price, the last one the verifier's verdicts. `tokenizer` may be a list of words.

    Raises TypeError for another record, ValueError for a generation without steps, and for steps without a price.
    """
    if not isinstance(record, (Generation, Step)):
        raise TypeError(f"PriceView shows a Generation or a Step, not {type(record).__name__}.")
    steps = [_priced(step) for step in (record.steps if isinstance(record, Generation) else [record])]
    if not steps:
        raise ValueError("This generation has no steps to show.")
    places = [(index, shown) for index, step in enumerate(steps) for shown in [*range(len(step.tree) + 1), None]]

    def draw(number: int) -> str:
        index, shown = places[number - 1]
        return price_html(steps[index], tokenizer, shown, f"frame {number} of {len(places)} · step {index + 1} of {len(steps)}")

    return Frames(draw, len(places), "decision")


def price_table(record: Generation | Step, tokenizer) -> Html:
    """The static twin of `PriceView`, which steps in the page itself; as text, how each step ended. Arguments and errors are those of
    `price_frames`."""
    frames = price_frames(record, tokenizer)
    steps = record.steps if isinstance(record, Generation) else [record]
    return stepping(frames, "Price view", "\n".join(describe_price(step, tokenizer) for step in steps))


class PriceView(FrameStepper):
    """Go through the steps of a run of method "auto", a decision a frame: the frames of `price_frames`, with its arguments and errors.

    Controls and `seconds` are those of `FrameStepper`.
    """

    def __init__(self, record: Generation | Step, tokenizer, seconds: float = 0.8):
        super().__init__(price_frames(record, tokenizer), seconds)
        self.add_class("specdec-price")
