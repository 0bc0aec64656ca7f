"""The price view, its words and its picture, driven without a browser."""
import html
import re

import machines
import matplotlib.pyplot as plt
import pytest
import torch
from stepping_pages import frames_of, given_data

from specdec_utils import ROOT, Cfg, Generation, Step, TokenTree, generate
from specdec_utils.decode.records import StepPrice
from specdec_utils.show.price_view import PriceView, describe_price, price_figure, price_html, price_table, taken, worth
from specdec_utils.show.style import BAD, DRAFT, GOOD, NEUTRAL, show_figure

WORDS = ["the", "dog", "ran", "home", "<b>", "cat", "slept"]
OFFERS = {"none": (1.0, 0.002), "lookup": (1.5, 0.0025), "eagle": (3.0, 0.004)}


def chain_step(**changes) -> Step:
    """Three drafted tokens at a rate of 500 tokens a second; the first is accepted, the second rejected, the third never checked."""
    tree = TokenTree()
    tree.add(tree.add(tree.add(ROOT, 1, 0.95), 2, 0.9), 4, 0.3)
    price = StepPrice(500.0, OFFERS, 0.004, reach=[0.9, 0.5, 0.125], cost=[0.001, 0.001, 0.0005], reads=[1, 1], dropped=2)
    fields = {"new_ids": [1, 3], "extra": 3, "path": [0], "drafter": "eagle", "price": price, "tree": tree, **changes}
    return Step(10, [], None, fields["new_ids"], fields["extra"], 1, 3, fields["tree"], fields["path"], [1, 3, 6, 6], [0.5] * 4, [0.5] * 3,
                [0.5] * 2, fields["drafter"], fields["price"])


def plain_step() -> Step:
    """A step that was not worth a draft."""
    price = StepPrice(500.0, {"none": (1.0, 0.002), "eagle": (1.2, 0.004)}, 0.002)
    return Step(12, [], None, [6], 6, 1, 0, TokenTree(), [], [6], [0.5], [], [0.5], None, price)


def run_of(*steps) -> Generation:
    return Generation("", [0] * 10, [token for step in steps for token in step.new_ids], list(steps), 2, 3, 0.0, "length", "auto")


def words(source):
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]+>", " ", source))).strip()


def table(source, caption):
    """Row title -> the text of its cells, of the table with this caption."""
    body = source.partition(f">{caption}</caption>")[2].partition("</table>")[0].partition("<tbody>")[2]
    rows = re.findall(r'(?s)<tr[^>]*><th scope="row"[^>]*>(.*?)</th>(.*?)</tr>', body)
    return {words(title): [words(cell) for cell in re.findall(r"(?s)<td[^>]*>(.*?)</td>", cells)] for title, cells in rows}


def chips(source):
    """(colour, sign, text) of every chip."""
    return [(color, sign, words(text)) for color, sign, text in re.findall(r"border:2px \w+ (#\w+);[^>]*>(✓|✗|·) (.*?)</code>", source)]


def test_offers_say_what_was_taken_and_what_its_time_brings_otherwise():
    offers = table(price_html(chain_step(), WORDS, 0), "offers")
    assert {way: cells[:4] for way, cells in offers.items()} == {
        "none": ["1.00", "2.0", "1.00", "+0.00"], "lookup": ["1.50", "2.5", "1.25", "+0.25"], "★ eagle": ["3.00", "4.0", "2.00", "+1.00"]}
    assert "rate to be beaten: 500 tokens a second" in words(price_html(chain_step(), WORDS))


def test_without_a_draft_none_was_taken():
    assert taken(chain_step()) == "eagle" and taken(plain_step()) == "none"
    assert "★ none" in table(price_html(plain_step(), WORDS), "offers")
    assert price_html(plain_step(), WORDS).count("<table") == 1


def test_a_node_is_worth_its_time_from_the_price_itself_on():
    assert worth(chain_step()) == [True, True, False]  # 0.9 and 0.5 against 0.5, 0.125 against 0.25
    nodes = table(price_html(chain_step(), WORDS), "drafted tokens")
    assert {node: cells[2:5] for node, cells in nodes.items()} == {
        "0": ["0.90", "0.50", "▲ yes"], "1": ["0.50", "0.50", "▲ yes"], "2": ["0.12", "0.25", "▽ no"]}
    assert [cells[0] for cells in nodes.values()] == ["1", "2", "3"]


def test_verdicts_come_last_in_sign_and_colour():
    before = price_html(chain_step(), WORDS, 3)
    assert chips(before) == [(NEUTRAL, "·", "dog"), (NEUTRAL, "·", "ran"), (NEUTRAL, "·", "<b>")]
    assert GOOD not in before and BAD not in before
    after = price_html(chain_step(), WORDS)
    assert chips(after) == [(GOOD, "✓", "dog"), (BAD, "✗", "ran"), (NEUTRAL, "·", "<b>")]


def test_bars_are_as_long_as_the_numbers_beside_them():
    source = price_html(chain_step(), WORDS).partition(">drafted tokens<")[2]
    assert re.findall(r"height:10px;width:(\d+)px;", source) == ["108", "60", "15"]
    assert re.findall(r"left:(\d+)px;top:0;", source) == ["60", "60", "30"]
    assert source.count('aria-hidden="true"') == 3


def test_words():
    step = chain_step()
    assert describe_price(step, WORDS, 0) == "taken: eagle, 3 tokens drafted, 2 more not worth verifying"
    assert describe_price(step, WORDS, 1) == "▲ dog is worth its time: 0.90 tokens to be expected, 0.50 otherwise"
    assert describe_price(step, WORDS, 3) == "▽ <b> is by itself not worth its time: 0.12 tokens to be expected, 0.25 otherwise"
    assert describe_price(step, WORDS) == "1 of 3 drafted tokens accepted; the step adds 2, its time brings 2.00 otherwise: dog home"
    assert describe_price(plain_step(), WORDS, 0) == "taken: none, no draft"
    assert describe_price(plain_step(), WORDS) == "no draft; the step adds 1, its time brings 1.00 otherwise: slept"


def test_token_text_is_escaped():
    for shown in (3, None):
        source = price_html(chain_step(), WORDS, shown)
        assert "&lt;b&gt;" in source and "<b><b>" not in source and " <b> " not in source


def test_view_goes_through_every_decision():
    first, second = chain_step(), plain_step()
    view = PriceView(run_of(first, second), WORDS)
    frames = [(1, first, shown) for shown in (0, 1, 2, 3, None)] + [(2, second, shown) for shown in (0, None)]
    expected = [price_html(step, WORDS, shown, f"frame {number} of 7 · step {index} of 2")
                for number, (index, step, shown) in enumerate(frames, 1)]
    assert (view.frame_field.min, view.frame_field.max, view.frame_field.value) == (1, 7, 1)
    for number, frame in enumerate(expected, 1):
        assert view.frame_field.value == number and view.body.value == frame
        view.step_button.click()
    assert view.step_button.disabled and view._repr_html_() == expected[-1]  # opened unrun: the last frame
    view.back_button.click()
    assert view.body.value == expected[-2]
    assert "specdec-price" in view._dom_classes and view.step_button.tooltip == "Show the next decision"
    assert PriceView(first, WORDS).frame_field.max == 5
    page = price_table(run_of(first, second), WORDS)
    assert frames_of(given_data(page)) == expected and expected[-1] in page.markup.partition("<script>")[0]
    assert repr(page).splitlines() == [describe_price(step, WORDS) for step in (first, second)]


def test_picture_holds_every_offer_and_every_node_and_has_one_size():
    figure = price_figure(chain_step(), WORDS)
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["none", "lookup", "★ eagle"]
    assert [label.get_text() for label in right.get_yticklabels()] == ["1 ✓ dog", "2 ✗ ran", "3 · <b>"]
    assert [patch.get_width() for patch in left.patches] == [1.0, 1.5, 3.0] and left.patches[2].get_facecolor()[:3] == rgb(DRAFT)
    assert [patch.get_width() for patch in right.patches] == [0.9, 0.5, 0.125]
    assert [patch.get_facecolor()[:3] for patch in right.patches] == [rgb(GOOD), rgb(BAD), rgb(NEUTRAL)]
    assert [list(line.get_xdata()) for line in right.lines] == [[0.5, 0.5], [0.5, 0.5], [0.25, 0.25]]
    assert [text.get_text() for text in right.texts] == ["▲ 0.90", "▲ 0.50", "▽ 0.12"]
    long, bare = TokenTree.from_branches([list(range(1, 7)) * 2]), price_figure(plain_step(), WORDS)
    price = StepPrice(500.0, OFFERS, 0.004, reach=[0.5] * 12, cost=[0.0] * 12)
    other = price_figure(chain_step(tree=long, price=price, path=[]), WORDS)
    assert len({tuple(one.get_size_inches()) for one in (figure, bare, other)}) == 1
    assert len(other.axes[1].patches) == 12 and not bare.axes[1].patches
    for one in (bare, other):
        plt.close(one)
    assert show_figure(figure, "prices").png[:4] == b"\x89PNG"


def rgb(color: str) -> tuple[float, ...]:
    return tuple(int(color[i:i + 2], 16) / 255 for i in (1, 3, 5))


@pytest.mark.parametrize("do_sample", [False, True])
def test_runs_of_the_package(random_pairs, do_sample):
    pair, cfg = random_pairs["random"], Cfg(max_new_tokens=16, do_sample=do_sample)
    machines.run_on(pair, cfg, "all")
    run = generate(pair, torch.tensor([[3, 4, 5]]), cfg, "auto")
    view = PriceView(run, None)
    assert view.frame_field.max == sum(len(step.tree) + 2 for step in run.steps)
    for number, step in enumerate(run.steps, 1):
        assert taken(step) in step.price.offers and len(worth(step)) == len(step.tree)
        source = price_html(step, None)
        assert len(table(source, "offers")) == len(step.price.offers)
        assert len(chips(source)) == len(step.tree) and source.count("✓ ") == len(step.path) + 1  # the legend has one
        if number < 3:
            plt.close(price_figure(step, None))


def test_unusable_records():
    for show in (PriceView, price_table):
        with pytest.raises(TypeError, match="Generation or a Step, not TokenTree"):
            show(TokenTree(), WORDS)
        with pytest.raises(ValueError, match="no steps"):
            show(run_of(), WORDS)
    for show in (PriceView, price_html, price_figure, describe_price, price_table):
        with pytest.raises(ValueError, match="method 'auto'"):
            show(chain_step(price=None), WORDS)
