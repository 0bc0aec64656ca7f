"""What the checks of notebook 16 stand on: their suspects are what they are said to be, and a drafter that is plugged in goes again."""
import itertools

import oracle
import pytest

from specdec_utils import METHODS
from specdec_utils.decode.methods import DRAFTERS
from specdec_utils.decode.propose.base import Drafter
from specdec_utils.exercises.ex16 import plugged_in
from specdec_utils.exercises.suspects import LINE_UPS, TELLTALE

LAWS = [oracle.fractions(*weights) for weights in ((5, 3, 2, 0), (2, 2, 4, 2), (1, 2, 3, 4), (0, 0, 1, 3), (1, 1, 1, 1))]
RULES = {f"{number}-{name}": rule for number, line_up in enumerate(LINE_UPS) for name, rule in line_up.items()}


@pytest.mark.parametrize("name", RULES)
def test_suspect_is_what_it_is_said_to_be(name):
    rule, convicted = RULES[name], 0
    for p, q in itertools.permutations(LAWS, 2):
        for k in (1, 2, 3):
            try:
                oracle.check_rule(rule, oracle.independent_draws, p * 1, q * 1, k)
            except AssertionError:
                convicted += 1
    assert (convicted > 0) == (rule in TELLTALE)


def test_line_ups_hold_both_kinds():
    assert set(TELLTALE) <= set(RULES.values())
    assert any(not set(line_up.values()) & set(TELLTALE) for line_up in LINE_UPS)


def test_plugged_in_goes_again_even_after_an_error():
    with pytest.raises(KeyError):
        with plugged_in("guest", Drafter):
            assert DRAFTERS["guest"] is Drafter and METHODS["guest"] == Drafter.about
            raise KeyError
    assert "guest" not in DRAFTERS and "guest" not in METHODS
