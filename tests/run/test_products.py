"""Products with weights in half precision: the same numbers, only where that is exact, and only where it is faster."""
import pytest
import torch
import torch.nn.functional as F
import transformers
from hypothesis import given
from hypothesis import strategies as st

from specdec_utils import CachedEagle, CachedModel, Cfg, LeanEagle, LeanGPT2, LeanLlama, ModelPair, generate
from specdec_utils.run import products as module
from specdec_utils.run.products import FEW, Products, is_half, kind

needs_half = pytest.mark.skipif(module.why_not_half() is not None, reason=str(module.why_not_half()))
IDS = [4, 9, 2, 9, 17]


def weights_in_half(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).half().float()


def products_of(*weights, small=0):
    """`Products` of `weights` without biases, however few numbers they hold."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SMALL", small)
        return Products([lambda x, w=weight: F.linear(x, w) for weight in weights], [(weight, None) for weight in weights])


@pytest.fixture
def halves_win(monkeypatch):
    """A machine on which half precision is always faster, in models of any size."""
    monkeypatch.setattr(module, "SMALL", 0)
    monkeypatch.setattr(module, "seconds", lambda products, ins, widths: "_in_half" not in str(products[0]))


# -- the same numbers, where that is exact

@needs_half
@given(n=st.integers(1, 40), ins=st.integers(1, 70), outs=st.integers(1, 70), seed=st.integers(0, 99))
def test_half_precision_weights_give_the_product_of_float32(n, ins, outs, seed):
    weight, x = weights_in_half(outs, ins, seed=seed), torch.randn(n, ins, generator=torch.Generator().manual_seed(seed))
    [product] = products_of(weight).halved
    exact = F.linear(x.double(), weight.double())
    bound = 1e-6 * F.linear(x.double().abs(), weight.double().abs()) + 1e-12
    assert ((product(x).double() - exact).abs() <= bound).all()


@needs_half
@pytest.mark.parametrize("change", [1 + 2**-12, 2**-20, 3e5], ids=["more digits", "too small for half", "too large for half"])
def test_one_number_that_half_precision_cannot_hold_leaves_all_as_they_are(change):
    weight, other = torch.ones(3, 4), torch.ones(4, 3)
    assert len(products_of(weight, other).halved) == 2
    weight[2, 1] *= change
    assert is_half(weight) == (change == 2**-20) and is_half(other)
    assert len(products_of(weight, other).halved) == (2 if change == 2**-20 else 0)


@needs_half
def test_double_precision_and_small_models_are_left_alone():
    assert not products_of(torch.ones(3, 4, dtype=torch.float64)).halved
    assert not products_of(torch.ones(3, 4), small=13).halved and products_of(torch.ones(3, 4), small=12).halved


def test_without_the_operation_products_are_made_as_stored(monkeypatch):
    def missing(*args):
        raise RuntimeError("Didn't find engine for operation quantized::linear_prepack_fp16")
    module.why_not_half.cache_clear()
    monkeypatch.setattr(torch.ops.quantized, "linear_prepack_fp16", missing)
    try:
        assert "cannot multiply half-precision weights" in module.why_not_half()
        made = products_of(torch.ones(3, 4))
        assert made.by_width() == [made.stored] * 3
    finally:
        module.why_not_half.cache_clear()


# -- only where it is faster

@pytest.mark.parametrize("n, which", [(1, 0), (2, 1), (FEW, 1), (FEW + 1, 2), (500, 2)])
def test_passes_are_of_three_kinds(n, which):
    assert kind(n) == which


@needs_half
@pytest.mark.parametrize("one, few", [(True, True), (True, False), (False, True), (False, False)])
def test_each_kind_of_pass_takes_what_was_faster(monkeypatch, one, few):
    made = products_of(torch.ones(3, 4))
    monkeypatch.setattr(module, "seconds", lambda products, ins, widths: (products is made.halved) != (one if widths == (1,) else few))
    assert made.by_width() == [made.halved if one else made.stored, made.halved if few else made.stored, made.stored]


@needs_half
def test_speed_is_measured_once_for_every_number_of_threads(monkeypatch):
    made, asked = products_of(torch.ones(3, 4)), []
    monkeypatch.setattr(module, "seconds", lambda *of: asked.append(torch.get_num_threads()) or 0.0)
    for threads in (1, 1, 2, 1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        made.by_width()
    assert asked == [1] * 4 + [2] * 4


def test_seconds_are_the_best_of_the_tries_of_all_products_in_turn(monkeypatch):
    clock, calls = [0.0], []
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])

    def product(x):
        calls.append(tuple(x.shape))
        clock[0] += 5.0 if len(calls) == 1 else 1.0  # something else happened in the very first call
    assert module.seconds([product, product], [3, 4], (2, 7)) == 4.0
    assert calls == [(2, 3), (2, 4)] * module.TRIES + [(7, 3), (7, 4)] * module.TRIES


# -- in the lean passes

def gpt2():
    config = transformers.GPT2Config(vocab_size=29, n_positions=64, n_layer=2, n_head=2, n_embd=16, initializer_range=0.5, bos_token_id=0,
                                     eos_token_id=0)
    return transformers.GPT2LMHeadModel(config)


def llama(**options):
    config = transformers.LlamaConfig(vocab_size=29, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=6,
                                      num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.3, **options)
    return transformers.LlamaForCausalLM(config)


LEAN = {"GPT-2": (gpt2, LeanGPT2), "Llama": (llama, LeanLlama),
        "Llama with biases": (lambda: llama(attention_bias=True, mlp_bias=True), LeanLlama)}


@pytest.fixture(params=LEAN)
def model_and_pass(request):
    make, lean = LEAN[request.param]
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = make().half().float().eval()
    model.generation_config.eos_token_id = None
    return model, lean


@needs_half
def test_lean_pass_in_half_precision_equals_transformers(halves_win, model_and_pass):
    model, lean = model_and_pass
    runner, ordinary = lean(model, 64), CachedModel(model, 64)
    assert "_in_half" in str(runner.products[1][-1]) and "_in_half" not in str(runner.products[2][-1])
    for tokens, wanted in ((IDS, 5), ([3], 1), ([7, 7, 1], 2), (IDS * 7, 3)):
        one, other = runner.feed(tokens, wanted, hidden=(0, -1)), ordinary.feed(tokens, wanted, hidden=(0, -1))
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-5)
        torch.testing.assert_close(runner.hidden, ordinary.hidden, atol=2e-5, rtol=1e-5)


@needs_half
def test_weights_changed_in_place_are_seen_by_the_next_run_in_half_precision(halves_win, model_and_pass):
    model, lean = model_and_pass
    before = lean(model, 64).feed(IDS)
    with torch.no_grad():
        model.lm_head.weight.neg_()
    after = lean(model, 64).feed(IDS)
    torch.testing.assert_close(after, CachedModel(model, 64).feed(IDS), atol=2e-5, rtol=1e-5)
    assert not torch.allclose(before, after)


@needs_half
def test_eagle_drafter_in_half_precision_equals_the_plain_one(halves_win, random_eagle):
    drafter = random_eagle()
    for weight in drafter.parameters():
        weight.data = weight.data.half().float()
    embeddings, features = weights_in_half(drafter.vocab_size, drafter.width), weights_in_half(9, drafter.fc.in_features, seed=1)
    lean, plain = LeanEagle(drafter, embeddings, 64), CachedEagle(drafter, embeddings, 64)
    assert "_in_half" in str(lean.products[1][0])
    for runner in (lean, plain):
        runner.said = [runner.read(features[:4], IDS[:4], 2), runner.draft(runner.outputs[-1:], [3]), runner.read(features[4:5], [6])]
    for one, other in zip(lean.said, plain.said):
        torch.testing.assert_close(one, other, atol=5e-5, rtol=1e-5)


@needs_half
@pytest.mark.parametrize("faster", [True, False], ids=["half precision", "as stored"])
def test_the_bundled_pair_writes_what_transformers_writes_either_way(stories, monkeypatch, faster):
    assert all(is_half(weight) for model in (stories.drafter, stories.verifier, stories.eagle) for weight in model.parameters())
    monkeypatch.setattr(module, "seconds", lambda products, ins, widths: ("_in_half" in str(products[0])) != faster)
    pair = ModelPair(stories.drafter, stories.verifier, stories.tokenizer, eagle=stories.eagle)
    monkeypatch.setattr("specdec_utils.run.made._MADE", {})
    prompt = "The old clock in the hall had stopped, and"
    ids = stories.tokenizer(prompt, return_tensors="pt")["input_ids"]
    reference = stories.verifier.generate(ids, max_new_tokens=40, do_sample=False, attention_mask=torch.ones_like(ids), pad_token_id=0)
    for method in ("greedy", "tree", "eagle"):
        assert generate(pair, prompt, Cfg(max_new_tokens=40), method).new_ids == reference[0, ids.shape[1]:].tolist()
