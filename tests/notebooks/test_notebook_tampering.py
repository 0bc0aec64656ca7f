"""Each rule of the contract notices its faults, in the smallest notebook that keeps every rule and in all of the course."""
import copy

import notebook_rules as rules
import pytest
from notebook_faults import TAMPERINGS, sound_notebook


@pytest.fixture(scope="module", params=[None, *rules.notebook_paths()], ids=lambda path: path.stem if path else "smallest")
def original(request):
    return rules.read(request.param) if request.param else sound_notebook()


@pytest.mark.parametrize("rule, spoil", [pytest.param(*pair, id="-".join(one.__name__ for one in pair)) for pair in TAMPERINGS])
def test_fault_is_noticed(original, rule, spoil):
    nb = copy.deepcopy(original)
    spoil(nb)
    assert list(rule(nb)), f"{rule.__name__} passes a notebook with the fault {spoil.__name__}"


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_sound_notebook_passes(rule):
    assert list(rule(sound_notebook())) == []


def test_every_rule_has_a_fault():
    assert {rule for rule, _ in TAMPERINGS} == set(rules.RULES)
