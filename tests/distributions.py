"""Distributions to try the sampling rules on, in fractions."""
import numpy as np
from hypothesis import strategies as st
from oracle import fractions

EQUAL = fractions(1, 2, 3, 4, 6), fractions(1, 2, 3, 4, 6)
REVERSED = fractions(1, 2, 3, 4, 6), fractions(6, 4, 3, 2, 1)
DISJOINT = fractions(1, 2, 0, 0, 0, 4), fractions(0, 0, 3, 1, 1, 0)
ONE_HOT = fractions(0, 0, 1, 0, 0), fractions(0, 1, 0, 0, 0)
SURE = fractions(0, 0, 1, 0, 0), fractions(1, 1, 1, 1, 1)


def distributions(size):
    """Random ones over `size` tokens, for hypothesis."""
    return st.lists(st.integers(0, 9), min_size=size, max_size=size).filter(any).map(lambda w: fractions(*w))


def rolled(weights, by):
    """A distribution behind each token: `weights`, moved by `by` places from one token to the next."""
    return np.array([fractions(*np.roll(weights, by * token).tolist()) for token in range(len(weights))])


TABLES = {  # verifier's and drafter's distribution behind each token
    "apart": (rolled([1, 2, 3, 4, 6], 1), rolled([6, 4, 3, 2, 1], 2)),
    "equal": (rolled([1, 2, 3, 4, 6], 1), rolled([1, 2, 3, 4, 6], 1)),
    "with zeros": (rolled([0, 8, 4, 2, 2], 1), rolled([4, 0, 8, 0, 4], 2)),
    "disjoint": (rolled([8, 0, 0, 4, 4], 0), rolled([0, 8, 8, 0, 0], 0))}
