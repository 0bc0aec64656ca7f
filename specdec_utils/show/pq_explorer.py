"""Accept, reject, residual on four tokens: a table of one choice of p and q, and a live explorer."""
import html
from collections.abc import Callable, Sequence
from numbers import Real
from typing import NamedTuple

import ipywidgets

from ..decode.accept import deterministic, typical_lossy, with_replacement, without_replacement
from ..decode.laws import chosen, distinct, exact_law, independent, output_law, resample_from_p
from .branch_stepper import CELL
from .chips import CARD, HEAD, INK, PAPER, SIGNS
from .page import exploring, fill
from .style import BAD, GOOD, NEUTRAL, VERIFY

WORDS = ("dog", "cat", "bird", "car")
P, Q = (0.5, 0.3, 0.2, 0.0), (0.2, 0.2, 0.4, 0.2)
LEGEND = ("✓ an accepted draft | ✗ drafted and rejected | → drawn after every draft was rejected | "
          "▲ p: where the bar of what is written should end")
BAR = 150  # width in pixels of the largest bar
MOST = 1000.0  # the largest weight that a field takes
LOOKS = {"accepted": (GOOD, "solid"), "rejected": (BAD, "dashed"), "replaced": (VERIFY, "double")}  # colour and border of a block


CHOICES: dict[str, tuple[Callable, Callable]] = {
    "independent draws": (with_replacement, independent),
    "draws without replacement": (without_replacement, distinct),
    "q's most probable, not drawn": (deterministic, chosen),
    "typical acceptance (lossy)": (typical_lossy, independent),
    "mutant: rejected, drawn from p": (resample_from_p, independent),
}


class _Row(NamedTuple):
    """One token: p, q, the mass of the first draft kept and rejected, the mass written as a draft and drawn instead, the bias."""

    word: str
    p: Real
    q: Real
    kept: Real
    rejected: Real
    accepted: Real
    drawn: Real
    bias: Real


class PQTable:
    """What one choice of p, q, way of drafting and number of drafts does: HTML with fields that compute in the page itself, and a text
    table elsewhere.

    p, q: the weights, normalised. draw: a key of `CHOICES`. drafts: candidates a step. first, first_accepted: per token the
    probability to be the first draft, and to be accepted as such. accepted, drawn: as `output_law` gives them.

    Raises ValueError for weights that are no distribution (see `exact_law`), different numbers of tokens, an unknown `draw`
    or drafts < 1.
    """

    def __init__(self, p: Sequence[Real] = P, q: Sequence[Real] = Q, draw: str = "independent draws", drafts: int = 1,
                 words: Sequence[str] = WORDS):
        if draw not in CHOICES:
            raise ValueError(f"There is no way of drafting {draw!r}: use one of {list(CHOICES)}.")
        if drafts < 1:
            raise ValueError(f"drafts={drafts!r} is not usable: there must be at least 1.")
        if not len(p) == len(q) == len(words):
            raise ValueError(f"p, q and words must have one entry a token; they have {len(p)}, {len(q)} and {len(words)}.")
        self.given = list(p), list(q)
        self.p, self.q, self.draw, self.drafts, self.words = exact_law(p, "p"), exact_law(q, "q"), draw, drafts, list(words)
        rule, law = CHOICES[draw]
        self.accepted, self.drawn = output_law(rule, self.p, self.q, law(self.q, drafts))
        self.first, self.first_accepted = 0 * self.p, 0 * self.p
        for candidates, chance in law(self.q, 1):
            self.first[candidates[0]] += chance
            self.first_accepted[candidates[0]] += chance * rule(self.p, self.q, candidates)[0][0]
        self.bias = self.accepted + self.drawn - self.p

    @property
    def title(self) -> str:
        """How was drafted, and the verdict."""
        support = sum(weight > 0 for weight in self.q)
        few = f" (q has only {support} to draw)" if CHOICES[self.draw][1] is distinct and support < self.drafts else ""
        return f"{self.draw}, {self.drafts} draft{'' if self.drafts == 1 else 's'}{few}: {self.verdict}"

    @property
    def verdict(self) -> str:
        """Is what is written p? In words."""
        distance = sum(abs(d) for d in self.bias) / 2
        if distance < 1e-12:
            return "✓ written = p" + (" for these numbers, though the rule is not lossless" if _is_lossy(self.draw) else ", exactly")
        return f"✗ written differs from p by a total variation of {_three(distance)}"

    @property
    def summary(self) -> str:
        """Acceptance in one line."""
        overlap = sum(min(a, b) for a, b in zip(self.p, self.q))
        several = f", of {self.drafts} drafts {_three(self.accepted.sum())}" if self.drafts > 1 else ""
        return (f"acceptance of the first draft {_three(self.first_accepted.sum())}{several} | "
                f"Σ min(p, q) = 1 − TV(p, q) = {_three(overlap)}")

    @property
    def residual(self) -> str:
        """What is drawn from after all drafts were rejected, in words."""
        total = self.drawn.sum()
        if total < 1e-12:
            return "no step ends without an accepted draft"
        shares = " · ".join(f"{word} {_three(mass / total)}" for word, mass in zip(self.words, self.drawn))
        return f"after {'the rejection' if self.drafts == 1 else 'the last rejection'} ({_three(total)} of all cases) drawn from: {shares}"

    def _rows(self) -> list[_Row]:
        rejected = self.first - self.first_accepted
        return [_Row(word, self.p[i], self.q[i], self.first_accepted[i], rejected[i], self.accepted[i], self.drawn[i], self.bias[i])
                for i, word in enumerate(self.words)]

    def values(self) -> dict:
        """What the card shows, as words and pixels: the entries of its template."""
        scale = max(*self.p, *self.first, *(self.accepted + self.drawn))
        rows = []
        for row in self._rows():
            masses = {name: _three(getattr(row, name)) for name in ("p", "q", "kept", "rejected", "accepted", "drawn")}
            rows.append({"word": row.word, **masses, "bias": _signed(row.bias),
                         "first": _blocks([("accepted", row.kept), ("rejected", row.rejected)], scale),
                         "written": _blocks([("accepted", row.accepted), ("replaced", row.drawn)], scale),
                         "mark": max(0, _pixels(row.p, scale) - 5)})
        return {"error": [], "table": [{"title": self.title, "summary": self.summary, "rows": rows, "residual": self.residual}]}

    def card(self) -> str:
        """The state as HTML, without fields."""
        return fill(TEMPLATE, self.values())

    def _repr_html_(self) -> str:
        numbers = [{"label": f"{name}({word})", "value": float(value), "min": 0, "max": MOST, "step": 0.05, "row": word == self.words[0]}
                   for name, weights in (("p", self.given[0]), ("q", self.given[1])) for word, value in zip(self.words, weights)]
        choice = {"label": "Drafts are", "value": self.draw, "options": list(CHOICES), "row": True}
        drafts = {"label": "Drafts", "value": self.drafts, "min": 1, "max": 3, "step": 1}
        rules = {name: (rule.__name__, law.__name__, _is_lossy(name)) for name, (rule, law) in CHOICES.items()}
        given = {"words": self.words, "choices": rules, "bar": BAR, "signs": SIGNS, "looks": LOOKS}
        return exploring("pq", [*numbers, choice, drafts], TEMPLATE, given, "p/q explorer", repr(self), self.card()).markup

    def __repr__(self) -> str:
        lines = [self.title, self.summary,
                 f"{'token':8}{'p':>7}{'q':>7}  first draft        written            written − p"]
        for row in self._rows():
            lines.append(f"{row.word:8}{_three(row.p):>7}{_three(row.q):>7}  ✓ {_three(row.kept)}  ✗ {_three(row.rejected)}   "
                         f"✓ {_three(row.accepted)}  → {_three(row.drawn)}   {_signed(row.bias)}")
        return "\n".join([*lines, self.residual])


def _three(mass: Real) -> str:
    return f"{float(mass):.3f}"  # fractions know no format before Python 3.12


def _signed(bias: Real) -> str:
    return "0" if abs(bias) < 1e-12 else f"{float(bias):+.3f}"


def _is_lossy(draw: str) -> bool:
    return CHOICES[draw][0] in (typical_lossy, resample_from_p)


def _pixels(mass: Real, scale: Real) -> int:
    return round(BAR * float(mass / scale))


def _blocks(parts: list[tuple[str, Real]], scale: Real) -> list[dict]:
    """Masses as the blocks of a bar, those of no width left out."""
    wide = [(kind, _pixels(mass, scale)) for kind, mass in parts]
    return [{"width": width, "color": LOOKS[kind][0], "line": LOOKS[kind][1], "sign": SIGNS[kind] if width >= 14 else ""}
            for kind, width in wide if width]


def _bar(name: str, mark: str, numbers: str) -> str:
    """The template of the bar `name`: masses side by side, each with its sign, colour and border, `mark` and `numbers` below."""
    block = ('<span style="display:inline-block;box-sizing:border-box;overflow:hidden;vertical-align:top;height:18px;width:{width}px;'
             'border:2px {line} {color};background-color:{color}44;text-align:center;line-height:14px;font-size:12px">{sign}</span>')
    return (f'<div style="width:{BAR + 12}px;height:18px;white-space:nowrap;border-left:1px solid {NEUTRAL}">'
            f"{{#{name}}}{block}{{/{name}}}</div>"
            f'<div style="height:10px;line-height:10px;font-size:10px;{INK}padding-left:{mark}</div>'
            f'<small style="white-space:nowrap">{numbers}</small>')


def _template() -> str:
    cells = ("{p}", "{q}", _bar("first", '0px">', f"{SIGNS['accepted']} {{kept}} {SIGNS['rejected']} {{rejected}}"),
             _bar("written", '{mark}px">▲', f"{SIGNS['accepted']} {{accepted}} {SIGNS['replaced']} {{drawn}}"), "<b>{bias}</b>")
    heads = "".join(f'<th scope="col" style="{CELL}">{name}</th>' for name in ("token", "p", "q", "first draft", "written", "written − p"))
    row = (f'<tr style="{PAPER}"><th scope="row" style="{CELL}">{{word}}</th>'
           + "".join(f'<td style="{CELL}">{cell}</td>' for cell in cells) + "</tr>")
    return (f'{{#error}}<div style="{CARD}"><b>{SIGNS["rejected"]} {{sentence}}</b></div>{{/error}}'
            f'{{#table}}<div style="{CARD}line-height:1.5"><div><b>{{title}}</b></div><div>{{summary}}</div>'
            f'<table style="border-collapse:collapse;margin:6px 0"><thead><tr style="{HEAD}">{heads}</tr></thead>'
            f"<tbody>{{#rows}}{row}{{/rows}}</tbody></table>"
            f"<div>{{residual}}</div><div><small>{html.escape(LEGEND)}</small></div></div>{{/table}}")


TEMPLATE = _template()


def pq_table(p: Sequence[Real] = P, q: Sequence[Real] = Q, draw: str = "independent draws", drafts: int = 1,
             words: Sequence[str] = WORDS) -> PQTable:
    """The static twin of `PQExplorer`, which computes in the page itself, opened with one state. Raises as `PQTable` does."""
    return PQTable(p, q, draw, drafts, words)


class PQExplorer(ipywidgets.VBox):
    """Move p and q over four tokens and see what is accepted, what is rejected, what is drawn instead, and what comes out.

    `p_fields` and `q_fields` are number fields for weights of at least 0, normalised automatically; `draw_field` chooses a
    key of `CHOICES`, `drafts_field` the candidates a step (1 to 3), `reset_button` goes back to the first state. `body` shows
    the state as HTML, or one sentence where the weights are no distribution. Opened unrun, it shows the state it was left in.

    Raises ValueError as `PQTable` does for the state it is opened with.
    """

    def __init__(self, p: Sequence[Real] = P, q: Sequence[Real] = Q, draw: str = "independent draws", drafts: int = 1,
                 words: Sequence[str] = WORDS):
        self._words, self._start = list(words), (tuple(map(float, p)), tuple(map(float, q)), draw, drafts)
        PQTable(p, q, draw, drafts, words)
        self.p_fields, self.q_fields = ([
            ipywidgets.BoundedFloatText(value=value, min=0.0, max=MOST, step=0.05, description=f"{name}({word})",
                                        layout={"width": "11em"}, style={"description_width": "5em"})
            for word, value in zip(words, values)] for name, values in (("p", p), ("q", q)))
        self.draw_field = ipywidgets.Dropdown(options=list(CHOICES), value=draw, description="Drafts are",
                                              style={"description_width": "5em"}, layout={"width": "24em"})
        self.drafts_field = ipywidgets.BoundedIntText(value=drafts, min=1, max=3, description="Drafts", layout={"width": "11em"},
                                                      style={"description_width": "5em"})
        self.reset_button = ipywidgets.Button(description="Reset", tooltip="Back to the first state", layout={"width": "6em"})
        self.body = ipywidgets.HTML()
        self.body.add_class("specdec-body")
        last = ipywidgets.HBox([self.draw_field, self.drafts_field, self.reset_button])
        super().__init__([ipywidgets.HBox(self.p_fields), ipywidgets.HBox(self.q_fields), last, self.body])
        self.add_class("specdec-pq")
        self._quiet = False
        for field in (*self.p_fields, *self.q_fields, self.draw_field, self.drafts_field):
            field.observe(lambda _: self._draw(), names="value")
        self.reset_button.on_click(lambda _: self._reset())
        self._draw()

    def _state_html(self) -> str:
        try:
            table = PQTable([field.value for field in self.p_fields], [field.value for field in self.q_fields],
                            self.draw_field.value, self.drafts_field.value, self._words)
        except ValueError as error:
            return fill(TEMPLATE, {"error": [{"sentence": error}], "table": []})
        return table.card()

    def _draw(self) -> None:
        if not self._quiet:
            self.body.value = self._state_html()

    def _reset(self) -> None:
        p, q, draw, drafts = self._start
        self._quiet = True  # one drawing for ten changes
        try:
            for field, value in zip((*self.p_fields, *self.q_fields), (*p, *q)):
                field.value = value
            self.draw_field.value, self.drafts_field.value = draw, drafts
        finally:
            self._quiet = False
        self._draw()

    def _repr_html_(self) -> str:
        return self._state_html()
