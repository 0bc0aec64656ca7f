"""The lean pass for Llama: the same pass as `transformers`', for trees and after rollback, packed or not; and what it leaves alone."""
import inspect

import pytest
import torch
import transformers
from torch import nn

from specdec_utils import (
    CachedModel,
    Cfg,
    LeanGPT2,
    LeanLlama,
    ModelPair,
    TokenTree,
    cached_model,
    generate,
    last_token_logits,
    pack,
    verify_tree,
)
from specdec_utils.run import lean, lean_llama
from specdec_utils.run.lean import LeanPass

IDS = [4, 9, 2, 9, 17]
TREE = TokenTree.from_branches([[1, 5, 8], [1, 6], [2, 7, 3]])  # nodes: 1 5 8 6 2 7 3
CLOSE = {"atol": 2e-4, "rtol": 0}


def llama(seed=7, **options):
    """A Llama of random weights, norms and biases included, with three queries to a head of keys and values."""
    sizes = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 2}
    config = transformers.LlamaConfig(vocab_size=29, max_position_embeddings=64, initializer_range=0.3, bos_token_id=0, eos_token_id=0,
                                      pad_token_id=0, **sizes | options)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = transformers.LlamaForCausalLM(config).eval()
        for name, weight in model.named_parameters():  # biases and norms are 0 and 1 in a new model
            if name.endswith("bias") or "norm" in name:
                nn.init.normal_(weight, mean=float("norm" in name), std=0.2)
    model.generation_config.eos_token_id = None
    return model


VARIANTS = {
    "grouped queries": {}, "a head each": {"num_key_value_heads": 6}, "one head for all": {"num_key_value_heads": 1},
    "tied output": {"tie_word_embeddings": True}, "wider heads": {"head_dim": 10}, "narrow heads": {"head_dim": 2},
    "other turns": {"rope_parameters": {"rope_type": "default", "rope_theta": 50.0}}, "large eps": {"rms_norm_eps": 0.3},
    "biases": {"attention_bias": True, "mlp_bias": True}, "eager": {"attn_implementation": "eager"},
}


@pytest.mark.parametrize("packed", [False, True], ids=["stock", "packed"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_lean_pass_equals_transformers(variant, packed):
    model, ordinary = llama(**VARIANTS[variant]), CachedModel(llama(**VARIANTS[variant]), 64)
    if packed:
        assert pack(model).layers == 3 * 7 + 1
    assert LeanLlama.knows(model)
    lean = LeanLlama(model, 64)
    for tokens, wanted in ((IDS, 5), ([3], 1), ([7, 7, 1], 2), ([0], 1)):
        one, other = lean.feed(tokens, wanted, hidden=(0, 2, -1)), ordinary.feed(tokens, wanted, hidden=(0, 2, -1))
        assert one.shape == other.shape == (wanted, 29) and lean.hidden.shape == (len(tokens), 3 * 24)
        torch.testing.assert_close(one, other, **CLOSE)
        torch.testing.assert_close(lean.hidden, ordinary.hidden, **CLOSE)
    text = [*IDS, 3, 7, 7, 1, 0]
    torch.testing.assert_close(verify_tree(lean, text + [4], TREE), verify_tree(ordinary, text + [4], TREE), **CLOSE)
    assert (lean.calls, lean.length) == (ordinary.calls, ordinary.length) == (5, 18)
    assert lean.hidden is None  # not asked for


@pytest.mark.parametrize("node", range(-1, len(TREE)))
def test_tree_logits_equal_each_path_alone(node):
    model = llama()
    logits = verify_tree(LeanLlama(model, 64), IDS, TREE)
    torch.testing.assert_close(logits[node + 1], last_token_logits(model, torch.tensor([IDS + TREE.path_tokens(node)])), **CLOSE)


@pytest.mark.parametrize("leaf", range(-1, len(TREE)))
def test_after_keeping_a_path_the_cache_equals_a_fresh_prefill(leaf):
    model = llama()
    runner, fresh, path = LeanLlama(model, 64), LeanLlama(model, 64), TREE.path(leaf)
    verify_tree(runner, IDS, TREE)
    runner.keep(len(IDS), [len(IDS) + node for node in path])
    text = IDS + TREE.path_tokens(leaf)
    fresh.feed(text)
    assert runner.length == fresh.length == len(text)
    for cache in ("keys", "values"):
        torch.testing.assert_close(getattr(runner, cache)[:, :, :len(text)], getattr(fresh, cache)[:, :, :len(text)], atol=1e-5, rtol=0)
    torch.testing.assert_close(runner.feed([3])[0], last_token_logits(model, torch.tensor([[*text, 3]])), **CLOSE)


def test_keep_can_drop_the_context_too():
    model = llama()
    runner = LeanLlama(model, 64)
    runner.feed(IDS)
    runner.keep(0, [])
    assert runner.length == 0
    torch.testing.assert_close(runner.feed(IDS)[0], last_token_logits(model, torch.tensor([IDS])), **CLOSE)


def test_mask_without_positions_is_refused():
    with pytest.raises(ValueError, match="A mask needs positions"):
        LeanLlama(llama(), 64).feed(IDS, mask=torch.ones(5, 5, dtype=torch.bool))


@pytest.mark.parametrize("packed", [False, True], ids=["stock", "packed"])
def test_greedy_output_of_each_method_equals_transformers(random_eagle, reference, packed):
    drafter, verifier, prompt = llama(8), llama(), torch.tensor([IDS])
    expected = reference(verifier, prompt, 24)
    if packed:
        pack(verifier)
    pair = ModelPair(drafter, verifier, eagle=random_eagle(width=24))
    assert type(cached_model(verifier, 8)) is LeanLlama
    for method in ("greedy", "one_pass", "tree", "lookup", "eagle"):
        assert generate(pair, prompt, Cfg(max_new_tokens=24), method).new_ids == expected, method


def test_weights_changed_in_place_are_seen_by_the_next_lean_run():
    model = llama()
    with torch.no_grad():
        model.lm_head.weight.neg_()
        model.model.layers[1].mlp.up_proj.weight.mul_(2)
    torch.testing.assert_close(LeanLlama(model, 8).feed(IDS)[0], last_token_logits(model, torch.tensor([IDS])), **CLOSE)


# -- would these tests notice a wrong pass? Its source with one fault each

FAULTS = {
    "turned the other way": ("torch.cat([-angles, angles]", "torch.cat([angles, -angles]"),
    "pairs of a turn mixed up": ("qk.roll(half, -1)", "qk.roll(1, -1)"),
    "eps forgotten": ("norm.variance_epsilon", "1e-6"),
    "no gate": ("F.silu(gate) * up", "F.silu(up)"),
    "no residual": ("x = x + to_out(", "x = to_out("),
    "last norm forgotten": ("return self._normed(x, self.norm)", "return x"),
}
SHARED = {  # in what the lean passes of all architectures share
    "positions count from 0 in every pass": ("slice(start, end) if", "slice(0, n) if"),
    "positions of a tree are those of its slots": ("if positions is None else positions)", "if True else positions)"),
    "queries grouped across heads": ("reshape(n, self.shared, self.groups, self.size).permute(1, 2, 0, 3)",
                                     "reshape(n, self.groups, self.shared, self.size).permute(2, 1, 0, 3)"),
    "siblings see each other": ("bias_of(mask, ", "bias_of(None, "),
}


@pytest.mark.parametrize("fault", [*FAULTS, *SHARED])
def test_a_fault_in_the_pass_is_noticed(fault):
    (right, wrong), sources = (FAULTS | SHARED)[fault], [inspect.getsource(part) for part in (LeanPass, LeanLlama)]
    at = int(fault in FAULTS)
    assert sources[at].count(right) == 1
    sources[at] = sources[at].replace(right, wrong)
    scope = dict(vars(lean)) | dict(vars(lean_llama))
    for source in sources:
        exec(source, scope)
    model = llama(rms_norm_eps=0.3)
    def says(runner):
        return torch.cat([runner.feed(IDS[:3], 3), runner.feed(IDS[3:], 2), verify_tree(runner, [*IDS, 3], TREE)])

    assert not torch.allclose(says(scope["LeanLlama"](model, 64)), says(CachedModel(model, 64)), **CLOSE)
    torch.testing.assert_close(says(LeanLlama(model, 64)), says(CachedModel(model, 64)), **CLOSE)


# -- which models it takes

def _changed(change, **options):
    def make():
        model = llama(**options)
        change(model)
        return model
    return make


def _rope(**parameters):
    return lambda: llama(rope_parameters={"rope_theta": 10_000.0, **parameters})


UNKNOWN = {
    "another architecture": lambda: transformers.MistralForCausalLM(transformers.MistralConfig(
        vocab_size=29, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1)).eval(),
    "subclass": lambda: type("MyLlama", (transformers.LlamaForCausalLM,), {})(llama().config).eval(),
    "linear rope": _rope(rope_type="linear", factor=2.0), "dynamic rope": _rope(rope_type="dynamic", factor=2.0),
    "llama3 rope": _rope(rope_type="llama3", factor=2.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32),
    "yarn rope": _rope(rope_type="yarn", factor=2.0, original_max_position_embeddings=32),
    "sliding window": _changed(lambda m: setattr(m.config, "sliding_window", 4)),
    "relu": lambda: llama(hidden_act="relu"), "training mode": _changed(lambda m: m.train()),
    "one part in training mode": _changed(lambda m: m.model.layers[0].mlp.train()),
    "float16": _changed(lambda m: m.half()), "bfloat16": _changed(lambda m: m.to(torch.bfloat16)), "float64": _changed(lambda m: m.double()),
    "another device": _changed(lambda m: m.to("meta")),
    "forward hook": _changed(lambda m: m.model.layers[1].register_forward_hook(lambda *args: None)),
    "forward pre-hook": _changed(lambda m: m.model.layers[1].mlp.act_fn.register_forward_pre_hook(lambda *args: None)),
    "patched forward": _changed(lambda m: setattr(m.model.norm, "forward", lambda x: x)),
    "part replaced": _changed(lambda m: setattr(m.model.layers[0], "mlp", nn.Identity())),
    "activation replaced": _changed(lambda m: setattr(m.model.layers[0].mlp, "act_fn", nn.ReLU())),
    "weights parametrized": _changed(lambda m: nn.utils.parametrizations.weight_norm(m.lm_head)),
    "attention of one's own": _changed(lambda m: setattr(m.config, "_attn_implementation_internal", "mine")),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_lean_pass_refuses_what_it_does_not_know(name):
    assert not LeanLlama.knows(UNKNOWN[name]())


def test_known_model_is_lean_unless_asked_otherwise(random_model):
    model = llama()
    assert type(cached_model(model, 8)) is LeanLlama and type(cached_model(model, 8, lean=False)) is CachedModel
    assert not LeanGPT2.knows(model) and not LeanLlama.knows(random_model(1))
    model(torch.tensor([IDS]), output_hidden_states=True)  # leaves hooks of `transformers` behind, which do nothing
    assert LeanLlama.knows(model)
