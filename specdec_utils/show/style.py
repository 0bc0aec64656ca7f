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


def comparison_figure(table, predicted: dict[str, tuple[float, float, float]] | None = None, machine: str = "") -> Picture:
    """The arms of a `benchmark.Comparison` as bars of tokens per second with quartiles, behind each the speed over greedy, in
    words where it loses; crosses where the cost model expects them, and the machine underneath.

    predicted: label -> (low, median, high) speed over greedy.
    """
    rows = sorted(table.rows, key=lambda row: row.tokens_per_second[1])
    figure, axis = new_figure(figsize=(8.2, 1.0 + 0.36 * len(rows)))
    base = table.row("greedy").tokens_per_second[1]
    verdicts = {}
    for y, row in enumerate(rows):
        low, middle, high = row.tokens_per_second
        speed, kind = row.speedup[1], NEUTRAL if row.method.startswith(("hf-", "vllm-")) else VERIFY if row.method == "greedy" else DRAFT
        verdicts[row.method] = f"{speed:.2f} x greedy" + (", slower" if speed < 1 else "")
        axis.barh(y, middle, color=kind, hatch=HATCH[kind], edgecolor="white")
        axis.errorbar(middle, y, xerr=[[middle - low], [high - middle]], color="black", capsize=3, linewidth=1)
        ends = [high]
        if predicted and row.method in predicted and row.method != "greedy":
            ends.append(predicted[row.method][1] * base)
            axis.plot(ends[1], y, "x", color="black", markersize=8)
        axis.annotate(verdicts[row.method], (max(ends), y), (7, 0), textcoords="offset points", va="center", fontsize=8,
                      fontweight="bold" if speed < 1 else "normal")
    axis.set_yticks(range(len(rows)), [row.method for row in rows])
    axis.set_xlim(0, 1.3 * max(row.tokens_per_second[2] for row in rows))
    axis.grid(visible=True, axis="x", alpha=0.25)
    axis.grid(visible=False, axis="y")
    axis.set_xlabel("tokens per second: median and quartiles" + ("; x: predicted by the cost model" if predicted else ""))
    figure.supxlabel(machine, fontsize=8)
    summary = ", ".join(f"{row.method} {row.tokens_per_second[1]:.0f} ({verdicts[row.method]})" for row in reversed(rows))
    return Picture(figure, f"Tokens per second by method: {summary}." + (f" Measured on {machine}." if machine else ""))
