"""Figures: one style, one palette safe for colour-blind readers, and pictures that carry their description."""
import base64
import html
import io

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

DRAFT, VERIFY, GOOD, BAD, NEUTRAL = "#E69F00", "#0072B2", "#009E73", "#D55E00", "#8C8C8C"  # Okabe and Ito 2008
HATCH = {DRAFT: "//", VERIFY: "", GOOD: "", BAD: "xx", NEUTRAL: ".."}  # the second cue beside colour
STYLE = {"figure.figsize": (7.0, 3.2), "figure.dpi": 110, "font.size": 10, "axes.spines.top": False,
         "axes.spines.right": False, "axes.grid": True, "axes.grid.axis": "y", "grid.alpha": 0.25, "axes.axisbelow": True,
         "hatch.linewidth": 0.6}


def new_figure(rows: int = 1, columns: int = 1, **options):
    """(figure, axes) in the course's style; `options` go to `plt.subplots`."""
    with plt.rc_context(STYLE):
        return plt.subplots(rows, columns, layout="constrained", **options)


class Picture:
    """A finished figure as an `<img>` with alt text: what a notebook cell ends with.

    Alt text in PNG metadata is lost in JupyterLab, so the picture is HTML.
    """

    def __init__(self, figure: Figure, alt: str):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
        plt.close(figure)
        self.alt, self.png = alt, buffer.getvalue()

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.png).decode("ascii")
        return f'<img alt="{html.escape(self.alt)}" src="data:image/png;base64,{data}" style="max-width:100%">'

    def __repr__(self) -> str:
        return f"Picture: {self.alt}"


def show_figure(figure: Figure, alt: str) -> Picture:
    """Print `alt`, the figure's one-line summary with its key numbers, and return the picture as HTML with that alt text.

    Raises ValueError for an empty description.
    """
    if not alt.strip():
        raise ValueError("alt is empty: describe in one line what the figure shows, with its key numbers.")
    print(alt)
    return Picture(figure, alt)


def bars(axis, labels: list[str], values: list[float], color: str, *, label: str | None = None, offset: float = 0.0,
         width: float = 0.8, value_format: str | None = None):
    """Bars in `color` with that colour's hatching; tick labels `labels`, and the values on top if a format is given."""
    positions = [i + offset for i in range(len(values))]
    drawn = axis.bar(positions, values, width=width, color=color, hatch=HATCH.get(color, ""), edgecolor="white", label=label)
    axis.set_xticks(range(len(labels)), labels)
    if value_format:
        axis.bar_label(drawn, [value_format.format(v) for v in values], padding=2, fontsize=8)
    return drawn


def comparison_figure(table, predicted: dict[str, float] | None = None) -> Picture:
    """The arms of a `benchmark.Comparison` as bars of tokens per second with quartiles; crosses where the cost model expects
    them (`predicted`: label -> speed over greedy)."""
    rows = sorted(table.rows, key=lambda row: row.tokens_per_second[1])
    figure, axis = new_figure(figsize=(7.5, 0.6 + 0.36 * len(rows)))
    for y, row in enumerate(rows):
        low, middle, high = row.tokens_per_second
        kind = NEUTRAL if row.method.startswith("hf-") else VERIFY if row.method == "greedy" else DRAFT
        axis.barh(y, middle, color=kind, hatch=HATCH[kind], edgecolor="white")
        axis.errorbar(middle, y, xerr=[[middle - low], [high - middle]], color="black", capsize=3, linewidth=1)
    base = table.row("greedy").tokens_per_second[1]
    for y, row in enumerate(rows):
        if predicted and row.method in predicted and row.method != "greedy":
            axis.plot(predicted[row.method] * base, y, "x", color="black", markersize=8)
    axis.set_yticks(range(len(rows)), [f"{row.method} ({row.speedup[1]:.2f} x)" for row in rows])
    axis.grid(visible=True, axis="x", alpha=0.25)
    axis.grid(visible=False, axis="y")
    axis.set_xlabel("tokens per second: median and quartiles" + ("; x: predicted by the cost model" if predicted else ""))
    summary = ", ".join(f"{row.method} {row.tokens_per_second[1]:.0f} ({row.speedup[1]:.2f} x greedy)" for row in reversed(rows))
    return Picture(figure, f"Tokens per second by method: {summary}.")
