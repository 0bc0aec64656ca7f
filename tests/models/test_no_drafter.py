"""A pair without a drafter: what it serves, and what it says to the rest."""
import pytest
import torch

from specdec_utils import Cfg, ModelPair, compare, count_calls, generate, medusa_step
from specdec_utils.decode.methods import methods_of
from specdec_utils.measure.peers import peer_generate, peers_of
from specdec_utils.measure.suite import bench_labels

IDS = torch.tensor([[4, 9, 2, 9, 17]])


@pytest.fixture
def alone(random_model, random_heads):
    """alone(heads): a random verifier and nothing that drafts for it, or its heads."""
    return lambda heads=False: ModelPair(None, random_model(1), heads=random_heads() if heads else None)


def test_pair_says_what_it_is(alone):
    pair = alone()
    assert repr(pair) == "ModelPair('custom': drafter none, verifier 0.0 M parameters, 29 tokens, context 64, on cpu)"
    assert (pair.drafter, pair.vocab_size, pair.context, pair.verifier.training) == (None, 29, 64, False)


def test_methods_that_need_no_drafter_equal_transformers(alone, reference):
    pair = alone(heads=True)
    assert methods_of(pair, Cfg()) == ["greedy", "lookup", "heads", "auto"]
    expected = reference(pair.verifier, IDS, 20)
    for method in methods_of(pair, Cfg()):
        assert generate(pair, IDS, Cfg(max_new_tokens=20), method).new_ids == expected, method
    assert generate(pair, IDS, Cfg(max_new_tokens=20)).method == "auto"  # where no method is named


@pytest.mark.parametrize("method", ["tree", "one_pass", "medusa_lite"])
def test_methods_that_need_a_drafter_are_refused_in_one_sentence(alone, real_calls, method):
    with pytest.raises(ValueError, match="^Pair 'custom' has no drafter model: use method 'lookup' or 'greedy'.$"):
        generate(alone(), IDS, Cfg(), method)


def test_a_step_of_branches_is_refused_in_one_sentence(alone):
    with pytest.raises(ValueError, match="^Pair 'custom' has no drafter model to propose branches: use a pair that has one.$"):
        medusa_step(alone(), IDS, Cfg())


def test_peers_that_assist_are_refused_and_left_out_of_the_benchmark(alone, reference):
    pair, cfg = alone(), Cfg(max_new_tokens=6)
    assert peers_of(pair) == ["hf-greedy", "hf-lookup"]
    for peer in peers_of(pair):
        assert peer_generate(pair, IDS, cfg, peer).new_ids == reference(pair.verifier, IDS, 6), peer
    with pytest.raises(ValueError, match=r"^Pair 'custom' has no drafter model to assist: use one of \['hf-greedy', 'hf-lookup'\].$"):
        peer_generate(pair, IDS, cfg, "hf-assisted")
    assert set(bench_labels(pair, cfg).values()) == {"greedy", "lookup", "auto", "hf-greedy", "hf-lookup"}


def test_calls_are_counted_and_methods_compared(alone):
    pair = alone()
    with count_calls(pair) as calls:
        pair.verifier(IDS)
    assert calls == {"drafter": 0, "verifier": 1}
    table = compare(pair, [IDS], Cfg(max_new_tokens=4), repeats=1)
    assert [row.method for row in table.rows] == ["greedy", "lookup", "auto"] and all(row.equal_to_greedy for row in table.rows)
