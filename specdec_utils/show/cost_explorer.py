"""When does drafting pay? The cost model for one choice of alpha, c, gamma and v: text, curve and a live explorer."""
import html
import math
from collections.abc import Callable
from numbers import Real

import ipywidgets

from ..measure.cost import best_gamma, expected_tokens, predicted_speedup
from .chips import CARD, INK, LINE
from .controls import Html
from .page import exploring, fill
from .style import BAD, DRAFT, GOOD, NEUTRAL, VERIFY, Picture, new_figure, show_figure

MOST = 16  # the longest draft that is shown
START = (0.8, 0.2, 4, 0.05)
LEGEND = "○ the formula at each γ | ● the γ chosen | ★ the best γ | ◆ measured | dashed: the verifier alone"
LOOKS = {"pays": (GOOD, "solid"), "even": (NEUTRAL, "dotted"), "loses": (BAD, "dashed")}  # colour and border of the verdict
FIELDS = (("α", 1.0, 0.05, "3em"), ("c", 5.0, 0.05, "3em"), ("γ", MOST, 1, "3em"), ("slope of v(n)", 2.0, 0.01, "7em"))  # to, step, width
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 600, 270, 46, 12, 14, 40  # of the curve, in pixels


def rising(slope: float) -> Callable[[int], float]:
    """v(n) = 1 + slope (n - 1): verifying costs `slope` of a one-token pass more with every further token."""
    return lambda n: 1 + slope * (n - 1)


def _require(ok: bool, name: str, value: object, wanted: str) -> None:
    if not ok:
        raise ValueError(f"{name}={value!r} is not usable: it must be {wanted}.")


def _is_real(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _x(gamma: float) -> str:
    return f"{LEFT + 10 + gamma * (WIDTH - LEFT - RIGHT - 20) / MOST:.1f}"


def _y(speedup: float, top: float) -> str:
    return f"{HEIGHT - BOTTOM - speedup * (HEIGHT - TOP - BOTTOM) / top:.1f}"


def _svg_text(x: object, y: object, words: str, anchor: str = "middle", size: int = 12, more: str = "") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}" fill="currentColor"{more}>{words}</text>'


def _svg_axes() -> str:
    """Grid lines with their speedups, the numbers of gamma, both names, and the dashed line of the verifier alone."""
    line = f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}"'
    number = _svg_text(LEFT - 6, "{below}", "{speedup}", "end")
    parts = [f'{{#grid}}{line} y1="{{y}}" y2="{{y}}" style="stroke:{LINE}"/>{number}{{/grid}}']
    parts += [_svg_text(_x(gamma), HEIGHT - BOTTOM + 16, str(gamma)) for gamma in range(0, MOST + 1, 2)]
    parts.append(_svg_text(_x(MOST / 2), HEIGHT - 6, "γ, tokens drafted a step"))
    middle = (HEIGHT - BOTTOM) / 2 + TOP / 2
    parts.append(_svg_text(12, middle, "speedup", more=f' transform="rotate(-90 12 {middle})"'))
    parts.append(f'{line} y1="{{one}}" y2="{{one}}" stroke="{NEUTRAL}" stroke-width="2" stroke-dasharray="6 4"/>')
    return "".join(parts)


def _svg() -> str:
    """The template of the curve: axes, a line and a circle for each gamma, the gamma chosen, the best, and what was measured."""
    circle = f'<circle cx="{{x}}" cy="{{y}}" r="3.5" fill="#ffffff" stroke="{VERIFY}" stroke-width="1.5"/>'
    diamond = f'<path d="M {{x}} {{y}} l 7 7 l -7 7 l -7 -7 Z" fill="{BAD}" stroke="currentColor"/>'
    return (f'<svg role="img" aria-label="{{label}}" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" style="max-width:100%" '
            f'font-family="sans-serif">{_svg_axes()}<polyline points="{{#curve}}{{x}},{{y}} {{/curve}}" fill="none" stroke="{VERIFY}" '
            f'stroke-width="2"/>{{#curve}}{circle}{{/curve}}'
            f'<line x1="{{x}}" x2="{{x}}" y1="{{y}}" y2="{{floor}}" stroke="{DRAFT}" stroke-width="2"/>'
            f'<circle cx="{{x}}" cy="{{y}}" r="6" fill="{DRAFT}" stroke="currentColor"/>{_svg_text("{best_x}", "{best_y}", "★", size=16)}'
            f"{{#measured}}{diamond}{{/measured}}</svg>")


TEMPLATE = (f'<div style="{CARD}line-height:1.7"><div><b style="{INK}display:inline-block;background-color:{{color}}22;'
            f'border:2px {{line}} {{color}};border-radius:4px;padding:2px 6px">{{verdict}}</b></div>'
            f"<div>{{sum}}</div>{_svg()}<div>{{rest}}</div>"
            f"<div><small>{html.escape(LEGEND)}</small></div></div>")


def _below(y: str, pixels: int) -> str:
    return f"{float(y) + pixels:.1f}"


class CostCard:
    """What the cost model says of one choice: HTML with a curve over gamma, and a text elsewhere.

    alpha: acceptance in [0, 1]. c: a draft step's time over a verifier step's, at least 0. gamma: tokens drafted a step, 0 to
    `MOST`. slope: v(n) = 1 + slope (n - 1), at least 0. measured: (gamma, speedup) of a real run, drawn beside the curve.
    tokens: E, expected tokens a step. cost: gamma c + v(gamma + 1), in verifier steps. speedup: tokens / cost. best: the best
    gamma up to `MOST`, 0 for "do not draft". curve: the speedup at each gamma from 0.

    Raises ValueError, one sentence, for values outside these ranges.
    """

    def __init__(self, alpha: float = START[0], c: float = START[1], gamma: int = START[2], slope: float = START[3],
                 measured: tuple[int, float] | None = None):
        _require(_is_real(alpha) and 0 <= alpha <= 1, "alpha", alpha, "a number in [0, 1]")
        for name, value in (("c", c), ("slope", slope)):
            _require(_is_real(value) and value >= 0, name, value, "a number of at least 0")
        if measured is not None:
            _require(len(measured) == 2 and _is_real(measured[1]) and measured[1] > 0, "measured", measured,
                     "(gamma, speedup) with a speedup above 0")
        for value in [gamma] if measured is None else [gamma, measured[0]]:
            _require(_is_real(value) and value == int(value) and 0 <= value <= MOST, "gamma", value, f"a whole number from 0 to {MOST}")
        v = rising(slope)
        self.alpha, self.c, self.gamma, self.slope, self.measured = alpha, c, int(gamma), slope, measured
        self.curve = [predicted_speedup(alpha, n, c, v) for n in range(MOST + 1)]
        self.tokens, self.cost = expected_tokens(alpha, self.gamma), self.gamma * c + v(self.gamma + 1)
        self.speedup, self.best = self.curve[self.gamma], best_gamma(alpha, c, v, MOST)

    @property
    def kind(self) -> str:
        """ "pays", "even" (to two decimals) or "loses"."""
        if abs(self.speedup - 1) < 0.005:
            return "even"
        return "pays" if self.speedup > 1 else "loses"

    @property
    def verdict(self) -> str:
        """Does it pay? Sign and words."""
        words = {"pays": "✓ pays", "even": "= changes nothing", "loses": "✗ does not pay"}[self.kind]
        return f"{words}: {self.speedup:.2f} × the speed of the verifier alone at γ = {self.gamma}"

    @property
    def sum(self) -> str:
        """The arithmetic behind the speedup."""
        v = self.cost - self.gamma * self.c
        return (f"E = {self.tokens:.2f} tokens a step | cost γc + v(γ+1) = {self.gamma} · {self.c:.2f} + {v:.2f} = {self.cost:.2f} "
                f"verifier steps | E / cost = {self.speedup:.2f}")

    @property
    def advice(self) -> str:
        """The best draft length in words."""
        if self.best == 0:
            return "best γ: 0, do not draft with this drafter"
        end = " (the longest shown)" if self.best == MOST else ""
        return f"best γ: {self.best}{end}, {self.curve[self.best]:.2f} ×"

    @property
    def comparison(self) -> str:
        """The measured point against the curve, in words; empty without one."""
        if self.measured is None:
            return ""
        gamma, speedup = self.measured
        off = speedup / self.curve[int(gamma)] - 1
        where = "on the curve" if round(100 * off) == 0 else f"{100 * abs(off):.0f} % {'above' if off > 0 else 'below'} the curve"
        return f"measured: {speedup:.2f} × at γ = {int(gamma)}, {where}"

    def values(self) -> dict:
        """What the card shows, as words and pixels: the entries of its template."""
        highest = max(*self.curve, 1.0, *(self.measured[1:] if self.measured else ()))
        label = f"Speedup over γ from 0 to {MOST}. {self.verdict}; {self.advice}." + (f" {self.comparison}." if self.measured else "")
        top = 1.12 * highest
        step = next(s for s in (0.25, 0.5, 1, 2, 5, 10, 10**9) if top / s <= 7)
        levels = [i * step for i in range(int(top / step) + 1)]
        measured = [self.measured] if self.measured else []
        return {"verdict": self.verdict, "sum": self.sum, "label": label, "rest": " | ".join(filter(None, (self.advice, self.comparison))),
                "color": LOOKS[self.kind][0], "line": LOOKS[self.kind][1],
                "grid": [{"y": _y(level, top), "below": _below(_y(level, top), 4), "speedup": f"{level:g}"} for level in levels],
                "curve": [{"x": _x(gamma), "y": _y(speedup, top)} for gamma, speedup in enumerate(self.curve)],
                "one": _y(1, top), "floor": _y(0, top), "x": _x(self.gamma), "y": _y(self.speedup, top),
                "best_x": _x(self.best), "best_y": _below(_y(self.curve[self.best], top), -9),
                "measured": [{"x": _x(gamma), "y": _below(_y(speedup, top), -7)} for gamma, speedup in measured]}

    def card(self) -> str:
        """The state as HTML, without fields."""
        return fill(TEMPLATE, self.values())

    _repr_html_ = card

    def __repr__(self) -> str:
        given = f"alpha {self.alpha:.2f}, c {self.c:.2f}, gamma {self.gamma}, slope of v {self.slope:.3f}"
        return "\n".join(line for line in (given, self.verdict, self.sum, self.advice, self.comparison) if line)


class Explored(Picture):
    """A picture that gives way to `page` where scripts run."""

    def __init__(self, picture: Picture, page: Html):
        self.alt, self.png, self._page = picture.alt, picture.png, page

    def _repr_html_(self) -> str:
        return self._page.markup


def cost_figure(alpha: float = START[0], c: float = START[1], gamma: int = START[2], slope: float = START[3],
                measured: tuple[int, float] | None = None) -> Picture:
    """The static twin of `CostExplorer`, opened with one state: a picture, which gives way to fields that compute in the page itself where
    scripts run. Prints its summary. Arguments as for `CostCard`."""
    card = CostCard(alpha, c, gamma, slope, measured)
    figure, axis = new_figure()
    axis.axhline(1, color=NEUTRAL, linestyle="--", label="the verifier alone")
    axis.plot(range(MOST + 1), card.curve, "o-", color=VERIFY, markerfacecolor="white", label="the formula")
    axis.vlines(card.gamma, 0, card.speedup, color=DRAFT, linewidth=2)
    axis.plot(card.gamma, card.speedup, "o", color=DRAFT, markeredgecolor="black", markersize=10, label=f"γ = {card.gamma}")
    axis.plot(card.best, card.curve[card.best], "*", color="black", markersize=9, label=f"best γ = {card.best}")
    if measured is not None:
        axis.plot(*measured, "D", color=BAD, markeredgecolor="black", markersize=8, label="measured")
    top = max(*card.curve, 1.0, *(measured[1:] if measured is not None else ()))
    axis.set(xlabel="γ, tokens drafted a step", ylabel="speedup", ylim=(0, 1.35 * top))
    axis.set_title(f"α = {alpha:.2f}, c = {c:.2f}, v(n) = 1 + {slope:.2f} (n − 1)")
    axis.legend(loc="upper right", ncols=3, fontsize=8)
    picture = show_figure(figure, " | ".join(line for line in (card.verdict, card.advice, card.comparison) if line))
    fields = [{"label": label, "value": value, "min": 0, "max": max(most, value), "step": step}
              for (label, most, step, _), value in zip(FIELDS, (float(alpha), float(c), card.gamma, float(slope)))]
    given = {"measured": measured and [int(measured[0]), float(measured[1])], "most": MOST, "looks": LOOKS,
             "box": (WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM)}
    return Explored(picture, exploring("cost", fields, TEMPLATE, given, "α–c–γ explorer", repr(card), picture._repr_html_()))


class CostExplorer(ipywidgets.VBox):
    """Move alpha, c, gamma and the slope of v(n), and see whether drafting pays and which gamma is best.

    `alpha_field`, `c_field`, `slope_field` and `gamma_field` are number fields with the ranges of `CostCard`, `reset_button`
    goes back to the first state. `body` shows the state as a `CostCard`; `measured`, if given, stays on the curve. Opened
    unrun, it shows the state it was left in.

    Raises ValueError as `CostCard` does for the state it is opened with.
    """

    def __init__(self, alpha: float = START[0], c: float = START[1], gamma: int = START[2], slope: float = START[3],
                 measured: tuple[int, float] | None = None):
        CostCard(alpha, c, gamma, slope, measured)
        self._measured = measured

        def number(name: str, most: float, step: float, wide: str, value: float):
            kind, real = (ipywidgets.BoundedIntText, int) if step == 1 else (ipywidgets.BoundedFloatText, float)
            return kind(value=real(value), min=0, max=max(most, real(value)), step=step, description=name,
                        style={"description_width": wide}, layout={"width": f"calc({wide} + 8em)"})

        self.alpha_field, self.c_field, self.gamma_field, self.slope_field = (
            number(*field, value) for field, value in zip(FIELDS, (alpha, c, gamma, slope)))
        self.reset_button = ipywidgets.Button(description="Reset", tooltip="Back to the first state", layout={"width": "6em"})
        self._fields = (self.alpha_field, self.c_field, self.gamma_field, self.slope_field)
        self._first, self._quiet = [field.value for field in self._fields], False
        self.body = ipywidgets.HTML()
        self.body.add_class("specdec-body")
        super().__init__([ipywidgets.HBox([*self._fields, self.reset_button], layout={"flex_flow": "row wrap"}), self.body])
        self.add_class("specdec-cost")
        for field in self._fields:
            field.observe(lambda _: self._draw(), names="value")
        self.reset_button.on_click(lambda _: self._reset())
        self._draw()

    def _state_html(self) -> str:
        return CostCard(*(field.value for field in self._fields), self._measured).card()

    def _draw(self) -> None:
        if not self._quiet:
            self.body.value = self._state_html()

    def _reset(self) -> None:
        self._quiet = True  # one drawing for four changes
        try:
            for field, value in zip(self._fields, self._first):
                field.value = value
        finally:
            self._quiet = False
        self._draw()

    def _repr_html_(self) -> str:
        return self._state_html()
