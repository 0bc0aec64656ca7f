"""Drafting by price: what acceptance to expect, what a node costs, and which nodes are worth it."""
import math
import operator
from itertools import accumulate, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import invented
from scipy.optimize import isotonic_regression

from specdec_utils import ROOT, TokenTree
from specdec_utils.decode.price import (
    AHEAD,
    CENTRES,
    MEMORY,
    Price,
    StepSeconds,
    Trust,
    best_chain,
    fill_in,
    never_falling,
    pruned,
)
from specdec_utils.decode.records import StepPrice

chances = st.floats(0, 1)


@st.composite
def trees(draw, most=7):
    """A small tree whose nodes hold a drafter's probabilities."""
    tree = TokenTree()
    for node in range(draw(st.integers(0, most))):
        tree.add(draw(st.integers(ROOT, node - 1)), node, draw(chances))
    return tree


# -- what acceptance to expect

@given(st.lists(st.tuples(chances, st.floats(0.1, 50)), min_size=1, max_size=13))
def test_never_falling_is_isotonic_regression(points):
    values, weights = zip(*points)
    assert never_falling(values, weights) == pytest.approx(isotonic_regression(values, weights=weights).x.tolist())


def test_a_drafter_is_believed_until_its_tokens_were_judged():
    trust = Trust()
    assert [trust(prob) for prob in CENTRES] == pytest.approx(CENTRES)
    for prob in CENTRES[:7] * 100:
        trust.add(prob, True, False)
    assert trust(0.55) < 0.02 and trust(0.55, first=False) == pytest.approx(0.55)  # siblings are another matter


@given(st.lists(st.tuples(chances, st.booleans(), st.booleans()), max_size=80))
def test_trust_never_falls_with_the_drafters_probability_and_stays_a_probability(judged):
    trust = Trust()
    for entry in judged:
        trust.add(*entry)
    for first in (True, False):
        table = [trust(prob, first) for prob in CENTRES]
        assert table == sorted(table) and 0 <= table[0] and table[-1] <= 1


def test_trust_comes_to_what_was_seen():
    trust, kept = Trust(), {0.3: 0.5, 0.7: 0.75, 0.99: 0.9}
    for prob, share in kept.items():
        for number in range(400):
            trust.add(prob, True, number < 400 * share)
    assert [trust(prob) for prob in kept] == pytest.approx(list(kept.values()), abs=0.01)
    assert trust.usual == pytest.approx(sum(kept.values()) / 3, abs=0.01)


def test_trust_goes_on_from_counts_without_touching_them_and_a_run_soon_outweighs_them():
    before = Trust()
    for number in range(1000):
        before.add(0.99, True, number % 2)
    later = Trust(before.counts)
    assert before.counts["first"][-1] == [500, 1000] and later.counts["first"][-1] == [MEMORY / 2, MEMORY]
    for _ in range(40):
        later.add(0.99, True, True)
    assert later(0.99) > 0.85 and before(0.99) < 0.51


def test_what_is_usual_before_a_run_is_the_share_of_all_that_was_counted_and_not_the_mean_of_the_bins():
    before = Trust()
    for number in range(1000):
        before.add(0.99, True, number < 900)  # sure and nearly always right, and so it mostly was;
        before.add(0.15, True, False) if number < 20 else None  # now and then it was not
    assert Trust(before.counts).usual == pytest.approx(900 / 1020, abs=0.05)


def test_only_tokens_whose_parent_was_kept_are_judged():
    """The tree: a with children b and c, b with a child d; a and c were kept."""
    tree = TokenTree()
    a = tree.add(ROOT, 1, 0.9)
    b, c = tree.add(a, 2, 0.6), tree.add(a, 3, 0.3)
    tree.add(b, 4, 0.99)
    trust = Trust()
    trust.judge(tree, tree.probs, [a, c])
    seen = {rank: [entry for entry in counts if entry[1]] for rank, counts in trust.counts.items()}
    assert seen == {"first": [[0, 1], [1, 1]], "other": [[1, 1]]}


# -- what a node costs

def seconds_of(way="eagle", most=16, **prices):
    return StepSeconds(invented(**prices), way, most)


def test_the_seconds_of_a_step_are_those_of_its_passes():
    seconds = seconds_of(verifier=(4.0, 0.2), eagle=(0.5, 0.1))
    beside, drafting, node, level = 0.02, 0.01, 0.001, 0.001  # of machines.invented
    assert seconds.start(3) == pytest.approx(drafting + 0.5 + 2 * 0.1 + level)
    assert (seconds.level, seconds.node) == pytest.approx((0.5 + level, 0.1))
    assert seconds.verify[0] == pytest.approx(beside + 4.0) and seconds.verify[5] == pytest.approx(beside + 4.0 + 5 * (0.2 + node))
    assert StepSeconds(invented(), "lookup", 4).level == 0 and StepSeconds(invented(heads=0.7), "heads", 4).start() == pytest.approx(0.7)


@given(st.lists(chances, min_size=1, max_size=10), st.floats(0.05, 2))
def test_best_chain_is_the_best_of_all(kept, rate):
    seconds = seconds_of()
    reach = list(accumulate(kept, operator.mul))
    worth = [1 + sum(reach[:n]) - rate * (seconds.start() + (n - 1) * seconds.level + seconds.verify[n]) for n in range(1, len(kept) + 1)]
    tokens, taken, length = best_chain(kept, seconds, seconds.start(), rate)
    assert tokens - rate * taken == pytest.approx(max(worth)) and tokens == pytest.approx(1 + sum(reach[:length]))


def price_of(tree, rate=0.3, **prices):
    price = Price(rate, seconds_of(**prices), Trust())
    price.note(tree)
    return price


@given(trees(), st.floats(0.01, 0.99))
def test_reach_is_the_product_of_what_is_trusted_along_the_path(tree, kept):
    trust = Trust()
    trust.add(kept, True, True)
    price = Price(0.3, seconds_of(), trust)
    price.note(tree)
    for node in range(len(tree)):
        trusted = [trust(tree.probs[n], tree.children[tree.parents[n]][0] == n) for n in tree.path(node)]
        assert price.reach[node] == pytest.approx(math.prod(trusted))


@given(trees(), st.floats(0.02, 2), st.sampled_from([(4.0, 0.05), (4.0, 0.4), (1.0, 1.0)]))
def test_no_other_choice_of_nodes_would_bring_more_for_its_time(tree, rate, verifier):
    """Among all sets of nodes that hold each node's parent with it."""
    price = price_of(tree, rate, verifier=verifier)

    def worth(nodes):
        return sum(price.reach[n] for n in nodes) - rate * (price.seconds.verify[len(nodes)] - price.seconds.verify[0])
    whole = [nodes for size in range(len(tree) + 1) for nodes in combinations(range(len(tree)), size)
             if all(tree.parents[n] == ROOT or tree.parents[n] in nodes for n in nodes)]
    chosen = price.best()
    assert worth(chosen) == pytest.approx(max(map(worth, whole))) and chosen == sorted(chosen)
    small = pruned(tree, chosen)
    assert [small.path_tokens(i) for i in range(len(small))] == [tree.path_tokens(n) for n in chosen]


@given(st.integers(1, 12), chances, st.floats(0.02, 2))
def test_a_draft_goes_on_while_a_few_more_levels_would_pay(length, prob, rate):
    chain = TokenTree()
    for depth in range(length):
        chain.add(depth - 1, depth, prob)
    price, gains = price_of(chain, rate), []
    for more in range(1, min(AHEAD, 16 - length) + 1):
        gain = sum(price.reach[-1] * price.usual ** i for i in range(1, more + 1))
        verify = price.seconds.verify[length + more] - price.seconds.verify[length]
        gains.append(gain - rate * (more * price.seconds.level + verify))
    assert price.deeper(chain, [length - 1]) == any(gain > 0 for gain in gains)


def test_a_sibling_is_drafted_where_it_is_likely_and_verifying_is_cheap():
    tree = TokenTree()
    tree.add(ROOT, 1, 0.45)
    assert price_of(tree, verifier=(4.0, 0.01)).wider(tree, ROOT, 0.4)
    assert not price_of(tree, verifier=(4.0, 3.0)).wider(tree, ROOT, 0.4)
    assert not price_of(tree, verifier=(4.0, 0.2)).wider(tree, ROOT, 0.001)


@given(trees().filter(len))
def test_the_costs_of_its_nodes_make_up_a_steps_seconds(tree):
    price, record = price_of(tree), StepPrice(0.3, {})
    passes = 1 + max(tree.depths())
    fill_in(record, tree, range(len(tree)), price, price.seconds.start(), passes)
    assert record.seconds == pytest.approx(price.seconds.verify[0] + sum(record.cost))
    assert record.reads == [tree.depths().count(level) for level in range(passes - 1)]
    assert (record.dropped, len(record.reach)) == (0, len(tree))
