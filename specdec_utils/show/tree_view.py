"""See a token tree beside its attention mask: a live widget, its static view, and a picture for places without widgets."""
import html
from collections.abc import Sequence

import ipywidgets
from matplotlib.patches import Rectangle

from ..decode.records import Step
from ..decode.tree import ROOT, TokenTree
from .chips import CARD, HEAD, INK, LINE, LOOK, SIGNS, chip, visible
from .controls import Frames, Html
from .page import stepping
from .style import DRAFT, VERIFY, new_figure

SEES, HIDDEN, LIT = "●", "·", "#FFF1CC"
MASK_LEGEND = "● attends to | · stands before it in the pass, but hidden"
STEP_LEGEND = "✓ accepted | ✗ rejected: the text goes on differently here | · below a rejected node"
CELL = INK + f"text-align:left;vertical-align:middle;padding:3px 6px;border:1px solid {LINE};"
SHADED = f"background-color:var(--specdec-lit,{LIT});outline:3px solid {DRAFT};outline-offset:-3px;"


def _parts(record: Step | TokenTree, node: int | None = None) -> tuple[TokenTree, Step | None]:
    """The tree of `record`, and the record itself if it is a step; TypeError or ValueError if it, or `node`, cannot be shown."""
    if not isinstance(record, (Step, TokenTree)):
        raise TypeError(f"A tree view shows a Step or a TokenTree, not {type(record).__name__}.")
    tree, step = (record, None) if isinstance(record, TokenTree) else (record.tree, record)
    if not tree:
        raise ValueError("This record holds no drafted token: show a step of a cached method that drafted at least one.")
    if node is not None and not 0 <= node < len(tree):
        raise ValueError(f"node={node!r} is not usable: it must be None or a node from 0 to {len(tree) - 1}.")
    return tree, step


def _accepted(step: Step) -> list[int]:
    return step.path[:len(step.new_ids)]  # an EOS inside the draft ends the text before the path does


def node_verdicts(step: Step) -> list[str]:
    """Per node of `step.tree` "accepted", "rejected" (its parent stands in the text and it does not) or "unchecked"."""
    kept = _accepted(step)
    asked = {ROOT, *(kept if step.extra is not None else kept[:-1])}  # nothing is asked after an EOS
    verdicts = []
    for node, parent in enumerate(step.tree.parents):
        if node in kept:
            verdicts.append("accepted")
        else:
            verdicts.append("rejected" if parent in asked else "unchecked")
    return verdicts


def _text(tokenizer, token: int) -> str:
    return tokenizer[token] if isinstance(tokenizer, (list, tuple)) else visible(tokenizer, token)


def _words(tokenizer, tokens: Sequence[int]) -> str:
    return " ".join(_text(tokenizer, token) for token in tokens)


def _rows(tree: TokenTree) -> tuple[list[int], list[list[int]]]:
    """The leaves from top to bottom so that no branches cross, and per node the rows of the leaves at or below it."""
    leaves, stack, covered = [], [ROOT], [[] for _ in tree.tokens]
    while stack:
        node = stack.pop()
        below = list(dict.fromkeys(tree.children.get(node, [])))
        stack += reversed(below)
        if not below:
            for above in tree.path(node):
                covered[above].append(len(leaves))
            leaves.append(node)
    return leaves, covered


def describe_tree(record: Step | TokenTree, tokenizer, node: int | None = None) -> str:
    """One line in words: the whole tree and how its step ended, or what `node` stands for, sees and is followed by.

    `tokenizer` may be a list of words, for toys. Raises TypeError for another record, ValueError for one without drafted
    tokens or for an unknown node.
    """
    tree, step = _parts(record, node)
    if node is None:
        counts = ((len(tree), "node", "nodes"), (len(tree.leaves()), "branch", "branches"), (1 + max(tree.depths()), "level", "levels"))
        out = ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in counts)
        if step is not None:
            kept = [tree.tokens[n] for n in _accepted(step)]
            out += f" | accepted: {_words(tokenizer, kept) or 'nothing'}"
            out += "" if step.extra is None else f", then → {_text(tokenizer, step.extra)}"
        return out
    above = tree.path(node)[:-1]
    nodes = f", {'node' if len(above) == 1 else 'nodes'} {', '.join(map(str, above))}" if above else ""
    out = (f"node {node}: {_words(tokenizer, tree.path_tokens(node))} | "
           f"{f'depth {len(above)}' if step is None else f'position {step.context + len(above)}'} | "
           f"attends to the context{nodes} and itself")
    if step is not None and step.choices:
        out += f" | after it the verifier writes {_text(tokenizer, step.choices[node + 1])} (p {step.choice_probs[node + 1]:.2f})"
    return out


def _table(caption: str, heads: Sequence[object], rows: Sequence[str], cell: str) -> str:
    head = "".join(f'<th scope="col" style="{cell}">{name}</th>' for name in heads)
    return (f'<table style="border-collapse:collapse"><caption style="{INK}">{caption}</caption>'
            f'<thead><tr style="{HEAD}">{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>')


def _notes(tree: TokenTree, step: Step | None, node: int) -> list[str]:
    """What stands under a node: its probabilities, and how many drafts share it."""
    notes = []
    if min(tree.probs) < 1:
        notes.append(f"q {tree.probs[node]:.2f}")
    if step is not None and step.node_probs:
        notes.append(f"p {step.node_probs[node]:.2f}")
    times = tree.children[tree.parents[node]].count(node)
    if times > 1:
        notes.append(f"shared by {times}")
    return notes


def _mask_sign(seen: bool, column: int, row: int) -> str:
    """The sign of one cell of the mask; empty for a node that does not stand before the row's."""
    if seen:
        return SEES
    return HIDDEN if column <= row else ""


def _tree_table(tree: TokenTree, step: Step | None, tokenizer, node: int | None) -> str:
    """A row a branch; a shared prefix is one cell across the rows of all its branches."""
    kinds = ["context"] * len(tree) if step is None else node_verdicts(step)
    lit = tree.path(node) if node is not None else []
    leaves, covered = _rows(tree)
    rows = []
    for number, leaf in enumerate(leaves):
        cells = [] if rows else [f'<th scope="row" rowspan="{len(leaves)}" style="{CELL}">context</th>']
        for i in tree.path(leaf):
            if covered[i][0] != number:
                continue
            notes = _notes(tree, step, i)
            cells.append(f'<td rowspan="{len(covered[i])}" style="{CELL}{SHADED if i in lit else ""}"><b>{i}</b> '
                         f'{chip(_text(tokenizer, tree.tokens[i]), kinds[i])}'
                         f'{"<br>" * bool(notes)}<small>{" · ".join(notes)}</small></td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return _table("the tree: what branches share, once", ["root", *(f"depth {d}" for d in range(1 + max(tree.depths())))], rows, CELL)


def _mask_table(tree: TokenTree, tokenizer, node: int | None) -> str:
    narrow = CELL + "text-align:center;padding:1px 5px;"
    rows = []
    for i, row in enumerate(tree.mask().tolist()):
        cells = []
        for j, seen in enumerate([True, *row]):
            shade = f"background-color:{VERIFY}33;" if seen else ""
            cells.append(f'<td style="{narrow}{shade}">{_mask_sign(seen, j, i)}</td>')
        rows.append(f'<tr style="{SHADED if i == node else ""}"><th scope="row" style="{CELL}padding:1px 6px;white-space:pre">{i} '
                    f"{html.escape(_text(tokenizer, tree.tokens[i]))}</th>{''.join(cells)}</tr>")
    return _table("the mask: row attends to column", ["node", "context", *range(len(tree))], rows, narrow)


def tree_html(record: Step | TokenTree, tokenizer, node: int | None = None) -> str:
    """Tree and mask of `record` side by side as HTML; the path of `node` is lit in the tree, its row in the mask."""
    tree, step = _parts(record, node)
    legend = MASK_LEGEND if step is None else f"{STEP_LEGEND} | {MASK_LEGEND}"
    return (f'<div style="{CARD}line-height:1.5">'
            f"<div><b>{html.escape(describe_tree(record, tokenizer, node))}</b></div>"
            f'<div style="display:flex;flex-wrap:wrap;align-items:flex-start"><div style="margin:6px 24px 6px 0">'
            f'{_tree_table(tree, step, tokenizer, node)}</div><div style="margin:6px 0">{_mask_table(tree, tokenizer, node)}</div></div>'
            f"<div><small>{legend}</small></div></div>")


def _draw_node(axis, place: tuple[float, float], label: str, kind: str, is_lit: bool) -> None:
    color, line = LOOK[kind]
    box = {"boxstyle": "round,pad=0.25", "facecolor": LIT if is_lit else "white", "linewidth": 1.6, "edgecolor": color, "linestyle": line}
    axis.text(*place, label, ha="center", va="center", fontsize=9, bbox=box)


def _draw_tree(axis, tree: TokenTree, step: Step | None, tokenizer, lit: list[int]) -> None:
    kinds = ["context"] * len(tree) if step is None else node_verdicts(step)
    leaves, covered = _rows(tree)
    depths = [*tree.depths(), -1]  # the last is ROOT's, here and in heights
    heights = [sum(rows) / len(rows) for rows in covered]
    heights.append((len(leaves) - 1) / 2)
    for child, parent in enumerate(tree.parents):
        color, width = (DRAFT, 4) if child in lit else ("#b5b5b5", 1.2)
        axis.plot([depths[parent], depths[child]], [heights[parent], heights[child]], color=color, linewidth=width, zorder=1)
    _draw_node(axis, (depths[ROOT], heights[ROOT]), "context", "context", ROOT in lit)
    for i, (token, kind) in enumerate(zip(tree.tokens, kinds)):
        parts = [str(i), SIGNS.get(kind), _text(tokenizer, token)]
        _draw_node(axis, (depths[i], heights[i]), " ".join(filter(None, parts)), kind, i in lit)
    axis.set(xlim=(-1.5, max(depths) + 0.6), ylim=(len(leaves) - 0.4, -0.6))
    axis.axis("off")
    if step is not None:
        axis.text(0, 0, STEP_LEGEND, transform=axis.transAxes, fontsize=8, va="top")


def _draw_mask(axis, tree: TokenTree, tokenizer, node: int | None) -> None:
    n = len(tree)
    for i, row in enumerate(tree.mask().tolist()):
        for j, seen in enumerate([True, *row]):
            axis.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=VERIFY if seen else "white", edgecolor="#c8c8c8"))
            axis.text(j, i, _mask_sign(seen, j, i), ha="center", va="center", fontsize=8,
                      color="white" if seen else "#333333")
    if node is not None:
        axis.add_patch(Rectangle((-0.5, node - 0.5), n + 1, 1, facecolor="none", edgecolor=DRAFT, linewidth=3.5))
    axis.set(xlim=(-0.6, n + 0.6), ylim=(n - 0.4, -0.6), aspect="equal")
    axis.set_xticks(range(n + 1), ["all", *range(n)], fontsize=8)
    axis.set_yticks(range(n), [f"{i} {_text(tokenizer, token)}" for i, token in enumerate(tree.tokens)], fontsize=8)
    axis.tick_params(length=0)
    axis.grid(False)
    axis.spines[["left", "bottom"]].set_visible(False)
    axis.set_xlabel("attends to: context (all), node", fontsize=9)


def tree_figure(record: Step | TokenTree, tokenizer, node: int | None = None, title: str = "One tree, and who may see whom"):
    """`tree_html` as a matplotlib figure, to end a cell through `show_figure`: the tree at the left, its mask at the right."""
    tree, step = _parts(record, node)
    rows = max(len(tree), len(tree.leaves()))
    figure, (left, right) = new_figure(1, 2, figsize=(9.5, 1.1 + 0.3 * max(rows, 5)), gridspec_kw={"width_ratios": [1.35, 1]})
    _draw_tree(left, tree, step, tokenizer, tree.path(node) if node is not None else [])
    _draw_mask(right, tree, tokenizer, node)
    left.set_title(title)
    return figure


def tree_frames(record: Step | TokenTree, tokenizer) -> Frames:
    """The frames of a token tree beside its mask: frame 0 the whole tree, frame 1 + n with node n chosen. Raises as `tree_html` does."""
    tree, _ = _parts(record)
    names = ["whole tree", *(f"{i}: {_words(tokenizer, tree.path_tokens(i))}" for i in range(len(tree)))]
    return Frames(lambda number: tree_html(record, tokenizer, number - 1 if number else None), len(tree), "node", first=0, label="Node",
                  names=names)


def tree_table(record: Step | TokenTree, tokenizer) -> Html:
    """The static twin of `TreeView`, in which nodes are chosen in the page itself; where scripts are off, with the path that was
    accepted. Arguments and errors are those of `TreeView`."""
    return stepping(tree_frames(record, tokenizer), "Token tree beside its mask", describe_tree(record, tokenizer),
                    still=_outcome_html(record, tokenizer))


def _outcome_html(record: Step | TokenTree, tokenizer) -> str:
    """The view with the path that was accepted, if one was."""
    kept = _accepted(record) if isinstance(record, Step) else []
    return tree_html(record, tokenizer, kept[-1] if kept else None)


class TreeView(ipywidgets.VBox):
    """A token tree beside its attention mask; the node chosen in `node_field` lights its path in the one, its row in the other.

    `record` is a `Step` of a cached method, which colours its nodes by verdict, or a bare `TokenTree`; `tokenizer` may be a list
    of words. `node_field` holds `ROOT` for the whole tree; by keyboard, Space or Alt+Down opens it, for plain Down belongs to
    JupyterLab. Opened unrun, it shows the path that was accepted.

    Raises TypeError for another record, ValueError for one without drafted tokens.
    """

    def __init__(self, record: Step | TokenTree, tokenizer):
        self._record, self._tokenizer, self._frames = record, tokenizer, tree_frames(record, tokenizer)
        options = [(name, ROOT + number) for number, name in enumerate(self._frames.names)]
        self.node_field = ipywidgets.Dropdown(options=options, value=ROOT, description="Node", layout={"width": "24em"})
        self.body = ipywidgets.HTML()
        self.body.add_class("specdec-body")
        super().__init__([self.node_field, self.body])
        self.add_class("specdec-tree")
        self.node_field.observe(lambda _: self._draw(), names="value")
        self._draw()

    def _draw(self) -> None:
        self.body.value = self._frames.draw(self.node_field.value - ROOT)

    def _repr_html_(self) -> str:
        return _outcome_html(self._record, self._tokenizer)
