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
         "axes.titleweight": "bold", "axes.titlelocation": "left", "legend.frameon": False, "hatch.linewidth": 0.6}


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
