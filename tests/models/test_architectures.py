"""Models of many architectures: each method writes what `transformers` writes greedily, or the pair is refused in one sentence."""
import pytest
import torch
from architectures import PLAIN, RECURRENT, ROBERTA, UNFOLDED, WINDOWED, tiny_model, with_noise

from specdec_utils import METHODS, Cfg, ModelPair, cached_model, generate

PROMPT = torch.tensor([[5, 17, 3, 9, 21, 8, 14, 2, 26, 11]])
ATTENTION = PLAIN | WINDOWED | UNFOLDED
WAYS = [*((method, "auto") for method in METHODS), *((method, draft) for method in ("tree", "eagle") for draft in ("branches", "paths"))]


@pytest.mark.parametrize("name", ATTENTION)
def test_every_method_equals_transformers(name, random_heads, random_eagle, reference):
    """12 tokens behind 10, so that windows of 8 have long begun to slide; drafts that branch, and some of them accepted."""
    verifier = tiny_model(ATTENTION[name])
    pair = ModelPair(with_noise(verifier), verifier, heads=random_heads(), eagle=random_eagle())
    expected, accepted, branching = reference(verifier, PROMPT, 12), 0, 0
    assert len(set(expected)) > 1
    for method, draft in WAYS:
        cfg = Cfg(max_new_tokens=12, draft=draft, topk_branch=3, draft_span=3, temperature=2.0, top_p=1.0)
        out = generate(pair, PROMPT, cfg, method)
        assert out.new_ids == expected, (method, draft)
        if method in ("one_pass", "tree"):
            accepted += sum(len(step.path) for step in out.steps)
            branching += sum(not step.tree.is_chain() for step in out.steps)
    assert accepted > 4 and branching > 4


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_models_are_refused_by_the_pair_in_one_sentence(name, random_model):
    model, other = tiny_model(RECURRENT[name]), random_model(1)
    for drafter, verifier in ((model, other), (other, model), (None, model)):
        with pytest.raises(ValueError, match=f"^{type(model).__name__} keeps a recurrent state, from which rejected tokens cannot be "
                                             "removed again: use a model whose layers all have attention.$"):
            ModelPair(drafter, verifier)


def test_models_that_generate_calls_with_other_positions_are_refused(random_model, reference):
    model = tiny_model(ROBERTA)
    with torch.inference_mode():
        assert int(model(PROMPT).logits[0, -1].argmax()) != reference(model, PROMPT, 1)[0]
    with pytest.raises(ValueError, match="^RobertaForCausalLM numbers positions in one way by itself and in another under `generate`"):
        ModelPair(random_model(1), model)


def test_models_without_a_limit_are_bound_by_their_partner_only(random_model):
    bloom, mpt = tiny_model(UNFOLDED["Bloom"]), tiny_model(UNFOLDED["MPT"], max_seq_len=48)
    assert ModelPair(bloom, bloom).context == 2**20
    assert ModelPair(bloom, random_model(1, context=64)).context == ModelPair(random_model(1, context=64), bloom).context == 64
    assert ModelPair(bloom, mpt).context == 48


def test_mpt_writes_up_to_its_last_position(random_eagle, reference):
    mpt = tiny_model(UNFOLDED["MPT"], max_seq_len=16)
    pair = ModelPair(with_noise(mpt), mpt, eagle=random_eagle())
    for method, draft in WAYS:
        if method != "heads":
            out = generate(pair, PROMPT, Cfg(max_new_tokens=12, draft=draft, topk_branch=3, draft_span=8), method)
            assert (out.new_ids, out.finish_reason) == (reference(mpt, PROMPT, 6), "context"), (method, draft)


def test_layers_that_see_chunks_are_refused_in_one_sentence():
    """Chunks are kept in the same kind of cache as windows, but are no windows."""
    model = tiny_model(("Llama4ForCausalLM", "Llama4TextConfig", {"num_key_value_heads": 1, "head_dim": 8, "intermediate_size_mlp": 32,
                                                                   "num_local_experts": 2, "attention_chunk_size": 8}))
    with pytest.raises(ValueError, match="^Llama4ForCausalLM keeps .* such a cache cannot be rolled back: use method 'medusa_lite'"):
        cached_model(model, 8)
