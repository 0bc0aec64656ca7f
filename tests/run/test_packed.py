"""Packed weights: the same numbers, there and back bit for bit, memory counted, and what happens where torch lacks them."""
import inspect
from copy import deepcopy

import pytest
import torch
import transformers
from torch import nn
from transformers.pytorch_utils import Conv1D

from specdec_utils import Cfg, LeanGPT2, ModelPair, PackedLinear, generate, pack, unpack
from specdec_utils.run import packed as packed_module

IDS = torch.tensor([[4, 9, 2, 9, 17]])
needs_packing = pytest.mark.skipif(packed_module.why_not_packed(torch.float32) is not None, reason=str(packed_module.why_not_packed(torch.float32)))


def llama(**options):
    config = transformers.LlamaConfig(vocab_size=29, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=6,
                                      num_key_value_heads=2, initializer_range=0.3, **options)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return transformers.LlamaForCausalLM(config).eval()


def logits(model):
    with torch.inference_mode():
        return model(IDS).logits


def memory(model):
    """Bytes of all weights, each counted once."""
    return sum(weight.nbytes for weight in {id(weight): weight for weight in model.parameters()}.values())


MODELS = {"Llama": llama, "Llama, tied output": lambda: llama(tie_word_embeddings=True), "Llama with biases": lambda: llama(attention_bias=True)}


@pytest.fixture(params=["GPT-2", *MODELS])
def model(request, random_model):
    return random_model(1) if request.param == "GPT-2" else MODELS[request.param]()


@needs_packing
def test_packed_model_says_the_same_within_2e_4_and_every_linear_layer_is_packed(model):
    before, linear = logits(model), sum(type(module) in (nn.Linear, Conv1D) for module in model.modules())
    packing = pack(model)
    assert packing.layers == linear == sum(type(module) is PackedLinear for module in model.modules())
    torch.testing.assert_close(logits(model), before, atol=2e-4, rtol=0)


@needs_packing
def test_unpacking_gives_every_weight_back_bit_for_bit(model):
    before, names, says = deepcopy(model.state_dict()), [*dict(model.named_parameters())], logits(model)
    kinds, learns = [type(module) for module in model.modules()], [weight.requires_grad for weight in model.parameters()]
    assert unpack(model) == 0
    layers = pack(model).layers
    assert unpack(model) == layers
    assert [*dict(model.named_parameters())] == names and [type(module) for module in model.modules()] == kinds
    assert [weight.requires_grad for weight in model.parameters()] == learns and not any(module.training for module in model.modules())
    after = model.state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)
    assert torch.equal(logits(model), says)


@needs_packing
def test_a_tie_between_embedding_and_output_outlives_the_round_trip():
    model = llama(tie_word_embeddings=True)
    pack(model)
    unpack(model)
    assert model.lm_head.weight is model.model.embed_tokens.weight


@needs_packing
def test_no_second_copy_of_the_weights_is_kept(random_model):
    for model in (random_model(1), llama()):
        before = memory(model)
        packing = pack(model)
        assert memory(model) == before and packing.twice == 0 and 0 < packing.bytes < before


@needs_packing
def test_the_one_copy_that_a_tied_output_costs_is_counted_and_can_be_spared():
    model, spared = llama(tie_word_embeddings=True), llama(tie_word_embeddings=True)
    before, table = memory(model), model.lm_head.weight.nbytes
    packing = pack(model)
    assert packing.twice == table and memory(model) == before + table
    assert str(packing).endswith("of them a second copy, since an embedding reads the same weights row by row.")
    assert pack(spared, tied=False).layers == packing.layers - 1
    assert memory(spared) == before and type(spared.lm_head) is nn.Linear


@needs_packing
def test_former_weights_are_freed_layer_by_layer():
    """The process grows by no more than one of the eight layers, of 16 MB each, while they are packed."""
    resource = pytest.importorskip("psutil").Process()
    model = nn.Sequential(*(nn.Linear(2048, 2048, bias=False) for _ in range(8))).requires_grad_(False)
    before = resource.memory_info().rss
    pack(model)
    assert resource.memory_info().rss - before < 40e6


@needs_packing
def test_packed_weights_are_saved_as_any_other(tmp_path):
    model = llama()
    model.save_pretrained(tmp_path / "before")
    pack(model)
    model.save_pretrained(tmp_path / "after")
    one, other = (transformers.LlamaForCausalLM.from_pretrained(tmp_path / name).state_dict() for name in ("before", "after"))
    assert all(torch.equal(one[name], other[name]) for name in one)


@needs_packing
def test_a_packed_pair_writes_what_it_wrote_before(random_model, random_heads, random_eagle, reference):
    drafter, verifier = random_model(2), random_model(1)
    expected = reference(verifier, IDS, 16)
    pack(drafter), pack(verifier)
    assert not LeanGPT2.knows(verifier)  # which would go past the packed layers
    pair = ModelPair(drafter, verifier, heads=random_heads(), eagle=random_eagle())
    for method in ("greedy", "one_pass", "tree", "lookup", "heads", "eagle"):
        assert generate(pair, IDS, Cfg(max_new_tokens=16), method).new_ids == expected, method
    assert generate(ModelPair(verifier, verifier), IDS, Cfg(max_new_tokens=16)).new_ids == expected  # which copies the model


@needs_packing
def test_layers_with_a_hook_or_a_forward_of_their_own_are_left_alone():
    model = llama()
    model.lm_head.register_forward_hook(lambda module, args, out: out)
    model.model.layers[0].mlp.up_proj.forward = lambda x: x
    assert pack(model).layers == 2 * 7 + 1 - 2
    assert type(model.lm_head) is type(model.model.layers[0].mlp.up_proj) is nn.Linear


@needs_packing
def test_a_packed_model_is_neither_moved_nor_converted():
    model = llama()
    pack(model)
    model.to("cpu"), model.float()  # nothing to do
    for change in (lambda: model.half(), lambda: model.to("meta")):
        with pytest.raises(RuntimeError, match=r"^Packed weights stay on the CPU in their dtype: call unpack\(model\) before"):
            change()


def test_a_model_elsewhere_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match="^Only a model on the CPU can be packed; this one is on meta.$"):
        pack(llama().to("meta"))


def test_dtype_that_cannot_be_packed_is_one_warning_and_changes_nothing():
    model = llama().double()
    with pytest.warns(UserWarning, match="^torch .* cannot pack float64 weights on this processor: the layers stay as they are.$"):
        packing = pack(model)
    assert packing.layers == 0 and str(packing) == packing.why_not and not any(type(m) is PackedLinear for m in model.modules())


def test_bfloat16_is_packed_where_the_processor_can_and_says_so_where_not():
    model = llama().to(torch.bfloat16)
    before, reason = logits(model), packed_module.why_not_packed(torch.bfloat16)
    if reason is None:
        assert pack(model).layers == 15
        torch.testing.assert_close(logits(model), before, atol=0.3, rtol=0.05)
    else:
        with pytest.warns(UserWarning, match="cannot pack bfloat16 weights on this processor"):
            assert pack(model).layers == 0


def test_a_torch_without_the_private_operations_leaves_the_model_as_it_is(monkeypatch):
    packed_module.why_not_packed.cache_clear()
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    try:
        with pytest.warns(UserWarning, match="cannot pack float32 weights"):
            assert pack(llama()).layers == 0
    finally:
        packed_module.why_not_packed.cache_clear()


@needs_packing
@pytest.mark.parametrize("fault, right, wrong", [
    ("bias left out", "self.weight, self.bias, \"none\"", "self.weight, None, \"none\""),
    ("Conv1D not turned", "layer.weight.detach().T if self.kind is Conv1D else", "layer.weight.detach() if False else"),
    ("tie forgotten", "self.tied[0] if self.tied[0] is not None else nn", "self.tied[0] if False else nn")])
def test_a_fault_in_the_packed_layer_is_noticed(fault, right, wrong, random_model):
    source = inspect.getsource(PackedLinear)
    assert source.count(right) == 1
    scope = vars(packed_module).copy()
    exec(source.replace(right, wrong).replace("super()", "super(PackedLinear, self)"), scope)
    broken, layer = scope["PackedLinear"], nn.Linear(6, 6)
    if fault == "tie forgotten":
        assert broken(layer, layer.weight).unpacked().weight is not layer.weight
        return
    layer = Conv1D(6, 6) if "Conv1D" in fault else layer
    x = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(broken(layer, None)(x), layer(x), atol=1e-3)
    torch.testing.assert_close(PackedLinear(layer, None)(x), layer(x), atol=1e-5, rtol=0)
