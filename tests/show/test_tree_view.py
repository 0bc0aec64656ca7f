"""The tree view, its words and its picture, driven without a browser."""
import html
import re

import matplotlib.pyplot as plt
import pytest
import torch
from stepping_pages import frames_of, given_data

from specdec_utils import ROOT, BranchRecord, Cfg, Generation, Step, TokenTree, accept_greedy, generate
from specdec_utils.show.style import BAD, DRAFT, GOOD, NEUTRAL, show_figure
from specdec_utils.show.tree_view import LIT, TreeView, describe_tree, node_verdicts, tree_figure, tree_html, tree_table

WORDS = ["the", "dog", "ran", "home", "<b>", "cat", "slept"]
BRANCHES = [[1, 2, 3], [1, 2, 4], [5, 2, 3]]  # nodes: 0 dog, 1 ran, 2 home, 3 <b>, 4 cat, 5 ran, 6 home
CHOICES = [1, 2, 4, 6, 6, 6, 6, 6]


def toy():
    return TokenTree.from_branches(BRANCHES)


def step_of(tree, choices, **changes):
    path, extra = accept_greedy(tree, choices)
    fields = {"new_ids": [*(tree.tokens[n] for n in path), extra], "extra": extra, **changes}
    return Step(10, [], None, fields["new_ids"], fields["extra"], 1, 3, tree, path, choices, [0.625] * len(choices), [0.375] * len(tree))


def words(source):
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]+>", " ", source)))


def chips(source):
    """(sign, colour) of every chip with a sign."""
    return re.findall(r"border:2px \w+ (#\w+);[^>]*>(✓|✗|·) ", source)


def cells(source, caption):
    """Rows of (attributes, inner HTML) of the cells of the table with this caption."""
    table = source.partition(caption)[2].partition("</table>")[0].partition("<tbody>")[2]
    return [re.findall(r"<t[hd]([^>]*)>(.*?)</t[hd]>", row) for row in re.findall(r"<tr.*?</tr>", table)]


def test_shared_prefixes_are_one_cell_over_the_rows_of_their_branches():
    rows = cells(tree_html(toy(), WORDS), "the tree")
    assert [[words(inner).split()[0] for _, inner in row] for row in rows] == [["context", "0", "1", "2"], ["3"], ["4", "5", "6"]]
    spans = {words(inner).split()[0]: re.search(r'rowspan="(\d+)"', attributes)[1] for row in rows for attributes, inner in row}
    assert spans == {"context": "3", "0": "2", "1": "2", "2": "1", "3": "1", "4": "1", "5": "1", "6": "1"}
    assert "1 ran shared by 2" in words(tree_html(toy(), WORDS))


def test_mask_shows_what_the_tree_says():
    tree = toy()
    rows = cells(tree_html(tree, WORDS), "the mask")
    assert [words(row[0][1]).strip() for row in rows] == [f"{i} {WORDS[token]}" for i, token in enumerate(tree.tokens)]
    assert [[inner == "●" for _, inner in row[1:]] for row in rows] == [[True, *seen] for seen in tree.mask().tolist()]
    hidden = [[inner == "·" for _, inner in row[2:]] for row in rows]
    assert hidden == [[j < i and not seen for j, seen in enumerate(row)] for i, row in enumerate(tree.mask().tolist())]


@pytest.mark.parametrize("node", [0, 3, 6])
def test_a_chosen_node_lights_its_path_and_its_row(node):
    tree = toy()
    source = tree_html(tree, WORDS, node)
    lit = [words(inner).split()[0] for row in cells(source, "the tree") for attributes, inner in row if LIT in attributes]
    assert sorted(map(int, lit)) == tree.path(node)
    rows = re.findall(r"<tr[^>]*>", source.partition("the mask")[2])[1:]
    assert [LIT in row and DRAFT in row for row in rows] == [i == node for i in range(len(tree))]
    assert LIT not in tree_html(tree, WORDS)


def test_verdicts_in_sign_and_colour():
    step = step_of(toy(), CHOICES)
    assert step.path == [0, 1, 3]
    assert node_verdicts(step) == ["accepted", "accepted", "rejected", "accepted", "rejected", "unchecked", "unchecked"]
    found = chips(tree_html(step, WORDS))
    assert sorted(found) == sorted([(GOOD, "✓")] * 3 + [(BAD, "✗")] * 2 + [(NEUTRAL, "·")] * 2)
    assert not chips(tree_html(toy(), WORDS))  # nobody has judged a bare tree


def test_nothing_is_judged_behind_the_end_of_the_text():
    """The path went on behind an EOS (token 2), or ended with it."""
    inside = step_of(toy(), CHOICES, new_ids=[1, 2], extra=None)
    assert node_verdicts(inside) == ["accepted", "accepted", "unchecked", "unchecked", "rejected", "unchecked", "unchecked"]
    assert describe_tree(inside, WORDS).endswith("accepted: dog ran")
    at_end = step_of(TokenTree.from_branches([[1, 2, 3]]), [1, 2, 6, 6], new_ids=[1, 2], extra=None)
    assert at_end.path == [0, 1] and node_verdicts(at_end) == ["accepted", "accepted", "unchecked"]


def test_words():
    step = step_of(toy(), CHOICES)
    assert describe_tree(toy(), WORDS) == "7 nodes, 3 branches, 3 levels"
    assert describe_tree(TokenTree.from_branches([[1]]), WORDS) == "1 node, 1 branch, 1 level"
    assert describe_tree(step, WORDS) == "7 nodes, 3 branches, 3 levels | accepted: dog ran <b>, then → slept"
    assert describe_tree(toy(), WORDS, 0) == "node 0: dog | depth 0 | attends to the context and itself"
    assert describe_tree(step, WORDS, 5) == ("node 5: cat ran | position 11 | attends to the context, node 4 and itself"
                                             " | after it the verifier writes slept (p 0.62)")
    assert "nodes 0, 1 and itself" in describe_tree(toy(), WORDS, 3)
    assert "accepted: nothing, then → the" in describe_tree(step_of(toy(), [0] * 8), WORDS)
    assert "q 0.50" in words(tree_html(TokenTree([1], [-1], [0.5], {-1: [0]}), WORDS)) and "q 1.00" not in tree_html(toy(), WORDS)


def test_token_text_is_escaped():
    source = tree_html(step_of(toy(), CHOICES), WORDS, 3)
    assert "&lt;b&gt;" in source and "<b>cat" not in source and " <b> " not in source
    assert describe_tree(toy(), None, 0).startswith("node 0: <1>")


def test_view_follows_its_field():
    step = step_of(toy(), CHOICES)
    view = TreeView(step, WORDS)
    assert "specdec-tree" in view._dom_classes and "specdec-body" in view.body._dom_classes
    assert [label for label, _ in view.node_field.options][:3] == ["whole tree", "0: dog", "1: dog ran"]
    assert view.node_field.index == 0 and view.body.value == tree_html(step, WORDS)
    for node in (0, 6, ROOT):
        view.node_field.value = node
        assert view.node_field.index == node + 1
        assert view.body.value == tree_html(step, WORDS, None if node == ROOT else node)
    assert view._repr_html_() == tree_html(step, WORDS, 3)  # opened unrun: the accepted path
    assert TreeView(toy(), WORDS)._repr_html_() == tree_html(toy(), WORDS)


def test_static_twin_has_the_frames_of_the_view():
    for record, outcome in ((step_of(toy(), CHOICES), 3), (toy(), None)):
        page = tree_table(record, WORDS)
        data = given_data(page)
        assert frames_of(data) == [tree_html(record, WORDS, node) for node in (None, *range(7))]
        assert data["names"] == [name for name, _ in TreeView(record, WORDS).node_field.options]
        assert tree_html(record, WORDS, outcome) in page.markup.partition("<script>")[0]
        assert repr(page) == describe_tree(record, WORDS)


def test_picture_holds_every_node_and_every_cell():
    step = step_of(toy(), CHOICES)
    figure = tree_figure(step, WORDS, 3)
    left, right = figure.axes
    texts = [text.get_text() for text in left.texts]
    assert {"context", "0 ✓ dog", "1 ✓ ran", "2 ✗ home", "3 ✓ <b>", "4 ✗ cat", "5 · ran", "6 · home"} <= set(texts)
    assert [text.get_text() for text in right.texts].count("●") == 7 + int(toy().mask().sum())
    assert sum(line.get_color() == DRAFT for line in left.lines) == 3 and len(left.lines) == 7
    assert [label.get_text() for label in right.get_yticklabels()][4] == "4 cat"
    assert show_figure(figure, "a tree").png[:4] == b"\x89PNG"
    bare = tree_figure(toy(), WORDS)
    assert "0 dog" in {text.get_text() for text in bare.axes[0].texts}
    plt.close(bare)


@pytest.mark.parametrize("draft", ["top", "paths", "branches"])
def test_steps_of_the_package(random_pairs, draft):
    run = generate(random_pairs["random"], torch.tensor([[3, 4, 5]]), Cfg(max_new_tokens=12, draft=draft), "tree")
    shown = [step for step in run.steps if step.tree]
    assert shown
    for step in shown[:3]:
        for node in [None, *range(len(step.tree))]:
            source = tree_html(step, None, node)
        assert source.count("rowspan=") == 1 + len(step.tree)
        assert node_verdicts(step).count("accepted") == len(step.path)
        plt.close(tree_figure(step, None))


def test_unusable_records():
    with pytest.raises(TypeError, match="Step or a TokenTree, not Generation"):
        TreeView(Generation("", [0], [], [], 0, 0, 0.0, "length"), WORDS)
    greedy = Step(2, [], None, [4], 4, 1)
    original = Step(2, [BranchRecord([4], [0.5], [4], [0.5], [0.5], 1, False, 1)], 0, [4], None)
    for empty in (TokenTree(), greedy, original, Step(2, [], None, [4], 4, 1, tree=TokenTree())):
        for show in (TreeView, tree_html, tree_figure, describe_tree, tree_table):
            with pytest.raises(ValueError, match="no drafted token"):
                show(empty, WORDS)
    for node in (-1, 7):
        with pytest.raises(ValueError, match="from 0 to 6"):
            tree_html(toy(), WORDS, node)
