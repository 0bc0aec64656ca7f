import pytest
import torch

from specdec_utils import Cfg, generate
from specdec_utils.measure.peers import PEERS, peer_generate

PROMPT = torch.tensor([[5, 17, 3, 9]])


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("kind", ["random", "right"])
def test_peers_write_what_greedy_writes(random_pairs, peer, kind):
    pair, cfg = random_pairs[kind], Cfg(max_new_tokens=12)
    out = peer_generate(pair, PROMPT, cfg, peer)
    assert out.new_ids == generate(pair, PROMPT, cfg, "greedy").new_ids
    assert (out.prompt_ids, out.finish_reason, out.method) == (PROMPT[0].tolist(), "length", peer) and out.seconds > 0


def test_calls_are_counted_and_assistance_saves_verifier_passes(random_pairs):
    pair, cfg = random_pairs["right"], Cfg(max_new_tokens=12, draft_span=3)
    alone, helped = (peer_generate(pair, PROMPT, cfg, peer) for peer in ("hf-greedy", "hf-assisted-fixed"))
    assert (alone.verifier_calls, alone.drafter_calls) == (12, 0)
    assert helped.verifier_calls < 12 and helped.drafter_calls > 0


def test_the_drafters_generation_config_stays_as_it_was(random_pairs):
    pair = random_pairs["random"]
    before = pair.drafter.generation_config.to_dict()
    for peer in PEERS:
        peer_generate(pair, PROMPT, Cfg(max_new_tokens=6), peer)
    assert pair.drafter.generation_config.to_dict() == before


def test_unknown_peer_is_refused(random_pairs):
    with pytest.raises(ValueError, match="There is no peer 'hf-magic'"):
        peer_generate(random_pairs["random"], PROMPT, Cfg(), "hf-magic")
