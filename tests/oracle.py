"""The exact oracle: what a random procedure does, as a distribution, with every outcome of its random numbers enumerated.

Works on anything that can be added and multiplied: `fractions.Fraction` in numpy object arrays for exact statements, numpy
or torch floats. Nothing here is shared with the package but the token tree.
"""
import itertools
from collections import defaultdict
from fractions import Fraction
from math import ceil, floor
from unittest import mock

import numpy as np
import torch

from specdec_utils import ROOT, TokenTree


def fractions(*weights):
    """Weights (whole numbers) as an exact distribution: an object array of Fractions."""
    return np.array([Fraction(w, sum(weights)) for w in weights], dtype=object)


def distance(a, b):
    """Total variation distance of two distributions given as arrays, lists, or dicts with the same keys."""
    pairs = [(a.get(key, 0), b.get(key, 0)) for key in {*a, *b}] if isinstance(a, dict) else zip(a, b, strict=True)
    return sum(abs(x - y) for x, y in pairs) / 2


# -- one position: laws of drawing, and what comes out of a rule

def independent_draws(q, k):
    """Every (candidates, probability) of k independent draws from q, duplicates kept."""
    support = [x for x in range(len(q)) if q[x] > 0]
    for candidates in itertools.product(support, repeat=k):
        probability = 1
        for x in candidates:
            probability = probability * q[x]
        yield candidates, probability


def one_draw(q, k=1):
    """A single draw, however many were asked for."""
    return independent_draws(q, 1)


def draws_without_replacement(q, k):
    """Every (candidates, probability) of k draws from q without replacement, in the order drawn; fewer if q is exhausted."""
    def extend(candidates, probability, left):
        rest = [x for x in range(len(q)) if x not in candidates and q[x] > 0]
        if not rest or left == 0:
            yield candidates, probability
            return
        mass = sum(q[x] for x in rest)
        for x in rest:
            yield from extend((*candidates, x), probability * q[x] / mass, left - 1)
    return extend((), 1, k)


def best_of_the_drafter(q, k):
    """Nothing drawn: the k tokens that q ranks highest."""
    yield tuple(sorted(range(len(q)), key=lambda x: -q[x])[:k]), 1


LAWS = {"single_draft": one_draw, "with_replacement": independent_draws, "without_replacement": draws_without_replacement,
        "deterministic": best_of_the_drafter}  # the law of drafting that each rule belongs to


def outcome(rule, p, q, drafts):
    """(distribution of the token written, probability that a candidate is accepted), over every draft and every decision."""
    written, accepted = [0] * len(p), 0
    for candidates, left in drafts:
        accept, residuals = rule(p, q, candidates)
        for x, chance in zip(candidates, accept, strict=True):
            written[x] += left * chance
            accepted += left * chance
            left = left * (1 - chance)
        if left > 0:
            final = residuals[-1] if residuals else p
            written = [w + left * r for w, r in zip(written, final.tolist(), strict=True)]
    return written, accepted


def check_rule(rule, law, p, q, k, tolerance=0):
    """Assert that what is written has the distribution p, whatever was drafted."""
    written, _ = outcome(rule, p, q, law(q.tolist(), k))
    worst = max(abs(w - x) for w, x in zip(written, p.tolist(), strict=True))
    assert worst <= tolerance, f"off by {float(distance(written, p.tolist())):.4f} in total variation"


# -- a whole procedure: torch's random numbers, enumerated

class Number:
    """A number drawn uniformly from [0, 1), of which so much is known as comparisons have asked: low <= number < high.

    With `grid` it is one of 0, 1 / grid, 2 / grid, ..., as a computer's random numbers are.
    """

    def __init__(self, choose, grid):
        self.choose, self.grid, self.low, self.high = choose, grid, Fraction(0), Fraction(1)

    def item(self):
        return self

    def __lt__(self, bound):
        return self._below(Fraction(ceil(bound * self.grid), self.grid) if self.grid else bound)

    def __le__(self, bound):
        return self._below(Fraction(floor(bound * self.grid) + 1, self.grid) if self.grid else bound)

    def _below(self, bound):
        bound = min(max(bound, self.low), self.high)
        share = (bound - self.low) / (self.high - self.low)
        if self.choose([share, 1 - share]) == 0:
            self.high = bound
            return True
        self.low = bound
        return False


class Enumeration:
    """Stands in for torch's generator and walks through all that it could do, one run after another."""

    def __init__(self, grid):
        self.grid, self.pending = grid, [[]]

    def begin(self):
        self.script, self.made, self.probability = self.pending.pop(), [], 1

    def choose(self, weights):
        """An index: the one that the script of this run says, else the first possible one, the others being left for later."""
        if len(self.made) < len(self.script):
            index = self.script[len(self.made)]
        else:
            index, *others = [i for i, weight in enumerate(weights) if weight > 0]
            self.pending += [[*self.made, other] for other in others]
        self.made.append(index)
        self.probability = self.probability * weights[index]
        return index

    def rand(self, *size, **options):
        return Number(self.choose, self.grid)

    def multinomial(self, input, num_samples, replacement=False, generator=None):
        weights, drawn = input.tolist(), []
        for _ in range(num_samples):
            total = sum(weights)
            drawn.append(self.choose([weight / total for weight in weights]))
            if not replacement:
                weights[drawn[-1]] = 0
        return torch.tensor(drawn)


def outcomes(run, grid=None):
    """{result: probability} of `run()`, over every outcome of the `torch.rand` and `torch.multinomial` in it."""
    found, source = defaultdict(int), Enumeration(grid)
    with mock.patch.multiple(torch, rand=source.rand, multinomial=source.multinomial):
        while source.pending:
            source.begin()
            result = run()
            found[result] += source.probability
    return found


def continued(found, follow, length):
    """`found` {tokens: probability} with each result continued by `follow(tokens)` [V], or cut, to `length` tokens."""
    for n in range(length):
        longer = defaultdict(int)
        for tokens, probability in found.items():
            if len(tokens) > n:
                longer[tokens] += probability
            else:
                for token, chance in enumerate(follow(tokens)):
                    if chance > 0:
                        longer[*tokens, token] += probability * chance
        found = longer
    cut = defaultdict(int)
    for tokens, probability in found.items():
        cut[tokens[:length]] += probability
    return cut


def check_joint(found, follow, length, tolerance=0):
    """Assert that `found`, continued to `length` tokens, has the joint distribution that `follow` alone would give."""
    written, expected = continued(found, follow, length), continued({(): 1}, follow, length)
    worst = max(abs(written.get(key, 0) - expected.get(key, 0)) for key in {*written, *expected})
    assert worst <= tolerance, f"off by {float(distance(written, expected)):.4f} in total variation"


# -- drafts of two levels, in numbers of any kind: q[t] is the drafter's distribution behind token t

def branches(q, first, k, soft=False):
    """The original's branches: first tokens without replacement, each continued greedily (`soft`: judged as if drawn)."""
    tree = TokenTree(drawn_from={ROOT: ("without_replacement", q[first])})
    for token in torch.multinomial(q[first], min(k, int((q[first] > 0).sum()))).tolist():
        node = tree.add(ROOT, token)
        tree.add(node, max(range(len(q)), key=lambda x: q[token][x]))
        if soft:
            tree.drawn_from[node] = "with_replacement", q[token]
    return tree


def paths(q, first, k):
    """k independent samples of the drafter, as one tree."""
    tree = TokenTree(drawn_from={ROOT: ("with_replacement", q[first])})
    for token in torch.multinomial(q[first], k, replacement=True).tolist():
        node = tree.add(ROOT, token)
        tree.drawn_from[node] = "with_replacement", q[token]
        tree.add(node, int(torch.multinomial(q[token], 1)))
    return tree


def best(q, first, k):
    """Nothing drawn: the k most probable first tokens, each with its k most probable continuations."""
    tree = TokenTree()
    for candidates, _ in best_of_the_drafter(q[first], k):
        for token in candidates:
            node = tree.add(ROOT, token)
            for after, _ in best_of_the_drafter(q[token], k):
                for second in after:
                    tree.add(node, second)
    return tree


DRAFTS = {"branches": branches, "paths": paths, "best": best}


def check_walk(walk, draft, p, q, k, tolerance=0, grid=None):
    """Assert that a draft behind token 0, judged by `walk(tree, targets)`, leaves the joint of three tokens as p has it.

    `p` and `q` [V, V]: verifier's and drafter's distribution behind each token.
    """
    def run():
        tree = draft(q, 0, k)
        path, extra = walk(tree, p[[0, *tree.tokens]])
        return *(tree.tokens[node] for node in path), extra
    check_joint(outcomes(run, grid), lambda tokens: p[tokens[-1] if tokens else 0], 3, tolerance)
