"""Both ways of calling a model with a cache, `CachedModel` and `LeanGPT2`: rollback, and that the lean pass is the same pass."""
from copy import deepcopy

import pytest
import torch
import transformers
from architectures import PLAIN, WINDOWED, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from specdec_utils import (
    METHODS,
    CachedModel,
    Cfg,
    LeanGPT2,
    ModelPair,
    TokenTree,
    cached_model,
    count_calls,
    generate,
    last_token_logits,
    verify_tree,
)

IDS = [4, 9, 2, 9, 17]
TREE = TokenTree.from_branches([[1, 5, 8], [1, 6], [2, 7, 3]])  # nodes: 1 5 8 6 2 7 3
CLASSES = pytest.mark.parametrize("cached", [CachedModel, LeanGPT2])


def states(runner):
    """Keys and values in the cache: [2, layers, heads, length, width of a head]."""
    if isinstance(runner, LeanGPT2):
        return torch.stack([runner.keys, runner.values])[:, :, :, :runner.length]
    return torch.stack([torch.stack([getattr(layer, name)[0] for layer in runner.cache.layers]) for name in ("keys", "values")])


def assert_holds(runner, model, ids):
    """The cache is what a fresh prefill of `ids` leaves, and what follows them is what an uncached pass says."""
    fresh = type(runner)(model, 64)
    fresh.feed(ids)
    assert runner.length == len(ids) == states(runner).shape[3]
    torch.testing.assert_close(states(runner), states(fresh), atol=1e-10, rtol=0)
    torch.testing.assert_close(runner.feed([3])[0], last_token_logits(model, torch.tensor([[*ids, 3]])), atol=1e-10, rtol=0)


# -- rollback

@pytest.mark.parametrize("leaf", range(-1, len(TREE)))
@CLASSES
def test_after_keeping_a_path_the_cache_equals_a_fresh_prefill(random_model, cached, leaf):
    """Node 2's path is the first slots, node 3's leaves one out, node 6's leaves out four: ROOT's is empty."""
    model = random_model(1).double()
    runner, path = cached(model, 64), TREE.path(leaf)
    verify_tree(runner, IDS, TREE)
    runner.keep(len(IDS), [len(IDS) + node for node in path])
    assert_holds(runner, model, IDS + TREE.path_tokens(leaf))


@CLASSES
def test_keep_with_nothing_to_drop_changes_nothing(random_model, cached):
    model = random_model(1).double()
    runner = cached(model, 64)
    runner.keep(0, [])  # nothing read yet
    assert runner.length == 0
    runner.feed(IDS)
    before = states(runner).clone()
    for prefix in (5, 3, 0):
        runner.keep(prefix, list(range(prefix, 5)))
        assert runner.length == 5 and torch.equal(states(runner), before)
    assert_holds(runner, model, IDS)


@CLASSES
def test_keep_can_drop_the_context_too(random_model, cached):
    model = random_model(1).double()
    runner = cached(model, 64)
    runner.feed(IDS)
    runner.keep(2, [])
    assert_holds(runner, model, IDS[:2])
    runner.keep(0, [])
    assert runner.length == 0
    torch.testing.assert_close(runner.feed(IDS, 5)[4], last_token_logits(model, torch.tensor([IDS])), atol=1e-10, rtol=0)


@CLASSES
@settings(max_examples=15)
@given(steps=st.lists(st.tuples(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=3), max_size=3), st.integers(-1, 8)), max_size=4))
def test_any_run_of_trees_and_rollbacks_leaves_the_kept_text(random_model, cached, steps):
    model, text = random_model(1).double(), list(IDS)
    runner = cached(model, 64)
    for branches, chosen in steps:
        tree = TokenTree.from_branches(branches)
        logits, node = verify_tree(runner, text, tree), min(chosen, len(tree) - 1)
        torch.testing.assert_close(logits[node + 1], last_token_logits(model, torch.tensor([text + tree.path_tokens(node)])),
                                   atol=1e-10, rtol=0)
        base = len(text)
        runner.keep(base, [base + kept for kept in tree.path(node)])
        text += tree.path_tokens(node)
        assert runner.length == len(text)
        text.append(11)  # the verifier's own token, which the next pass reads
    runner.feed(text[runner.length:])
    assert_holds(runner, model, text)


# -- lean equals transformers

VARIANTS = {"plain": {}, "gelu": {"activation_function": "gelu"}, "tanh": {"activation_function": "gelu_pytorch_tanh"},
            "inner": {"n_inner": 24}, "tied": {"tie_word_embeddings": True}, "eps": {"layer_norm_epsilon": 1e-2},
            "heads": {"n_head": 4}, "eager": {"attn_implementation": "eager"}, "small weights": {"initializer_range": 0.02}}


def gpt2(**options):
    config = {"vocab_size": 29, "n_positions": 64, "n_layer": 2, "n_head": 2, "n_embd": 16, "initializer_range": 0.5, "bos_token_id": 0,
              "eos_token_id": 0, "tie_word_embeddings": False, **options}
    attention = config.pop("attn_implementation", None)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**config)).eval()
        for name, weight in model.named_parameters():  # biases and norms are 0 and 1 in a new model
            if name.endswith("bias") or ".ln_" in name:
                nn.init.normal_(weight, mean=float(".ln_" in name and name.endswith("weight")), std=0.1)
    if attention is not None:
        model.set_attn_implementation(attention)
    return model


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=str)
@pytest.mark.parametrize("variant", VARIANTS)
def test_lean_pass_equals_transformers(variant, dtype, tolerance):
    model = gpt2(**VARIANTS[variant]).to(dtype)
    assert LeanGPT2.knows(model)
    lean, ordinary = LeanGPT2(model, 64), CachedModel(model, 64)
    for tokens, wanted, layers in ((IDS, 5, (0, 1, 2)), ([3], 1, (-1,)), ([7, 7, 1], 2, (2, -2)), ([0], 1, (1, 0))):
        one, other = lean.feed(tokens, wanted, hidden=layers), ordinary.feed(tokens, wanted, hidden=layers)
        assert one.shape == other.shape == (wanted, 29) and one.dtype == dtype
        torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance)
        assert lean.hidden.shape == (len(tokens), 16 * len(layers))
        torch.testing.assert_close(lean.hidden, ordinary.hidden, atol=tolerance, rtol=tolerance)
    text = [*IDS, 3, 7, 7, 1, 0]
    torch.testing.assert_close(verify_tree(lean, text + [4], TREE), verify_tree(ordinary, text + [4], TREE), atol=tolerance, rtol=tolerance)
    assert (lean.calls, lean.length) == (ordinary.calls, ordinary.length) == (5, 18)
    assert lean.hidden is None and ordinary.hidden is None  # not asked for


def test_lean_pass_equals_transformers_on_the_bundled_pair(stories):
    ids = stories.tokenizer("One day, a small dog saw a big red ball in the park.")["input_ids"]
    for model in (stories.drafter, stories.verifier):
        assert LeanGPT2.knows(model)
        lean, ordinary = LeanGPT2(model, 64).feed(ids, len(ids)), CachedModel(model, 64).feed(ids, len(ids))
        torch.testing.assert_close(lean, ordinary, atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(torch.softmax(lean, -1), torch.softmax(ordinary, -1), atol=1e-5, rtol=0)


def test_weights_changed_in_place_are_seen_by_the_next_lean_run(random_model):
    drafter, verifier = random_model(2), random_model(1)
    pair, cfg, prompt = ModelPair(drafter, verifier), Cfg(max_new_tokens=12), torch.tensor([IDS])
    before = generate(pair, prompt, cfg).new_ids
    with torch.no_grad():
        verifier.lm_head.weight.neg_()
        verifier.transformer.h[0].mlp.c_fc.bias += 1
    assert LeanGPT2.knows(verifier)
    after = generate(pair, prompt, cfg).new_ids
    assert before != after == generate(pair, prompt, Cfg(max_new_tokens=12, lean=False), "greedy").new_ids


# -- which models the lean pass takes

def _changed(change):
    def make():
        model = gpt2()
        change(model)
        return model
    return make


def _parametrized(model):
    nn.utils.parametrizations.weight_norm(model.lm_head)


UNKNOWN = {
    "training mode": _changed(lambda m: m.train()),
    "one part in training mode": _changed(lambda m: m.transformer.h[0].attn.train()),
    "float16": _changed(lambda m: m.half()), "bfloat16": _changed(lambda m: m.to(torch.bfloat16)),
    "another device": _changed(lambda m: m.to("meta")),
    "forward hook": _changed(lambda m: m.transformer.h[1].register_forward_hook(lambda *args: None)),
    "forward pre-hook": _changed(lambda m: m.transformer.h[1].mlp.act.register_forward_pre_hook(lambda *args: None)),
    "patched forward": _changed(lambda m: setattr(m, "forward", lambda *args, **kwargs: None)),
    "patched forward of a part": _changed(lambda m: setattr(m.transformer.h[0].attn, "forward", lambda *args, **kwargs: None)),
    "part replaced": _changed(lambda m: setattr(m.transformer.h[0], "mlp", nn.Identity())),
    "activation replaced": _changed(lambda m: setattr(m.transformer.h[0].mlp, "act", nn.ReLU())),
    "output layer replaced": _changed(lambda m: setattr(m, "lm_head", nn.Sequential(m.lm_head))),
    "weights parametrized": _changed(_parametrized),
    "relu": lambda: gpt2(activation_function="relu"), "silu": lambda: gpt2(activation_function="silu"),
    "scaled by layer": lambda: gpt2(scale_attn_by_inverse_layer_idx=True), "unscaled attention": lambda: gpt2(scale_attn_weights=False),
    "upcast attention": lambda: gpt2(reorder_and_upcast_attn=True), "cross attention": lambda: gpt2(add_cross_attention=True),
    "subclass": lambda: type("MyGPT2", (transformers.GPT2LMHeadModel,), {})(gpt2().config).eval(),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_lean_pass_refuses_what_it_does_not_know(name):
    model = UNKNOWN[name]()
    assert not LeanGPT2.knows(model)
    if model.device.type != "meta":
        assert type(cached_model(model, 8)) is CachedModel


def test_known_model_is_lean_unless_asked_otherwise():
    model = gpt2()
    assert type(cached_model(model, 8)) is LeanGPT2 and type(cached_model(model, 8, lean=False)) is CachedModel


def test_hooks_that_are_gone_and_hooks_of_transformers_do_not_matter(random_model, monkeypatch):
    """Asking for hidden states leaves hooks of `transformers` in a model for good; they do nothing in other passes."""
    model = random_model(1)
    model(torch.tensor([IDS]), output_hidden_states=True, output_attentions=False)
    assert LeanGPT2.knows(model)
    pair = ModelPair(random_model(2), model)
    with count_calls(pair):
        assert not LeanGPT2.knows(model)
    assert LeanGPT2.knows(model)
    with monkeypatch.context() as patch:  # puts the model's own forward back as an attribute of it
        patch.setattr(model, "forward", lambda *args: None)
        assert not LeanGPT2.knows(model)
    assert LeanGPT2.knows(model)


# -- other architectures

def llama(seed=0, **options):
    config = transformers.LlamaConfig(vocab_size=29, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
                                      num_key_value_heads=1, max_position_embeddings=64, initializer_range=0.5, bos_token_id=0,
                                      eos_token_id=0, pad_token_id=0, **options)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = transformers.LlamaForCausalLM(config).eval()
    model.generation_config.eos_token_id = None
    return model


@pytest.fixture(scope="module")
def llamas(random_heads, random_eagle):
    verifier = llama(1)
    drafter = deepcopy(verifier)
    with torch.no_grad():
        drafter.lm_head.weight += 0.3 * torch.randn(drafter.lm_head.weight.shape, generator=torch.Generator().manual_seed(0))
    return ModelPair(drafter, verifier, heads=random_heads(), eagle=random_eagle())


@pytest.mark.parametrize("penalty, ngram", [(1.0, 0), (1.3, 2)])
def test_all_methods_of_a_llama_pair_equal_transformers(llamas, reference, penalty, ngram):
    prompt = torch.tensor([IDS])
    expected = reference(llamas.verifier, prompt, 20, repetition_penalty=penalty, no_repeat_ngram_size=ngram)
    for method in METHODS:
        for draft in ("branches", "paths", "top") if method in ("tree", "eagle") else ("auto",):
            cfg = Cfg(max_new_tokens=20, draft=draft, repetition_penalty=penalty, no_repeat_ngram_size=ngram)
            out = generate(llamas, prompt, cfg, method)
            assert out.new_ids == expected, (method, draft)
            if method in ("one_pass", "tree"):
                assert out.verifier_calls < 20  # something was accepted


def test_tree_logits_of_a_llama_equal_each_path_alone():
    """Rotary positions with shared keys: what holds for GPT-2's learnt positions holds for these."""
    model = llama(1).double()
    logits = verify_tree(CachedModel(model, 64), IDS, TREE)
    for node in range(-1, len(TREE)):
        alone = last_token_logits(model, torch.tensor([IDS + TREE.path_tokens(node)]))
        torch.testing.assert_close(logits[node + 1], alone, atol=1e-10, rtol=0)


def test_a_cache_that_drops_positions_is_refused_in_one_sentence():
    sliding = tiny_model(WINDOWED["Mistral"])
    with pytest.raises(ValueError, match="^MistralForCausalLM keeps a sliding window or a recurrent state, and such a cache cannot be "
                                         "rolled back: use method 'medusa_lite' or a model with full attention.$"):
        CachedModel(sliding, 8)
    CachedModel(tiny_model(PLAIN["Llama"]), 8)


@pytest.mark.parametrize("lean", [True, False])
def test_mask_without_positions_is_refused(random_model, lean):
    model = cached_model(random_model(1), 16, lean)
    with pytest.raises(ValueError, match="A mask needs positions"):
        model.feed([1, 2], 2, mask=torch.ones(2, 2, dtype=torch.bool))
    assert (model.length, model.calls) == (0, 0)
