"""The eagle drafter as a module: one pass, the unrolled passes of its training, and what lies on disk."""
import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file

from specdec_utils import EagleDrafter, ModelPair

LAYER = ("hidden_norm", "input_layernorm", "post_attention_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
         "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
DRAFT_IDS = torch.tensor([0, 3, 4, 7, 11, 28])
VARIANTS = {"plain": {}, "grouped heads": dict(heads=4, kv_heads=2), "few ids": dict(draft_ids=DRAFT_IDS)}


def by_hand(drafter, pairs, embeddings):
    """Outputs g of slots 0, 1, ..., one after another, from (state, token after it), in numbers and sums; no cache, no masks."""
    m, size = drafter.midlayer, drafter.size
    keys, values, outputs = [], [], []

    def norm(module, x):
        return x / torch.sqrt((x * x).mean() + drafter.eps) * module.weight

    def turned(x, place):
        half, out = size // 2, x.clone()
        for i in range(half):
            angle = place * drafter.rope_theta ** (-2 * i / size)
            out[i] = x[i] * math.cos(angle) - x[i + half] * math.sin(angle)
            out[i + half] = x[i + half] * math.cos(angle) + x[i] * math.sin(angle)
        return out

    for place, (state, token) in enumerate(pairs):
        both = torch.cat([norm(m.input_layernorm, embeddings[token]), norm(m.hidden_norm, state)])
        q, k, v = ((part.weight @ both).split(size) for part in (m.self_attn.q_proj, m.self_attn.k_proj, m.self_attn.v_proj))
        keys.append([turned(x, place) for x in k])
        values.append(v)
        heads = []
        for head, query in enumerate(q):
            group = head // (drafter.heads // drafter.kv_heads)
            scores = torch.stack([turned(query, place) @ key[group] / math.sqrt(size) for key in keys])
            heads.append(sum(share * value[group] for share, value in zip(torch.softmax(scores, 0), values)))
        state = state + m.self_attn.o_proj.weight @ torch.cat(heads)
        inner = norm(m.post_attention_layernorm, state)
        gate = m.mlp.gate_proj.weight @ inner
        outputs.append(state + m.mlp.down_proj.weight @ (gate * torch.sigmoid(gate) * (m.mlp.up_proj.weight @ inner)))
    return outputs


@pytest.fixture
def text(random_model):
    """(ids [2, 12], features [2, 12, 48], embeddings [29, 16]) of a random verifier, in float64."""
    model = random_model(1).double()
    ids = torch.randint(0, 29, (2, 12), generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        states = model(ids, output_hidden_states=True).hidden_states
    return ids, torch.cat([states[layer] for layer in (0, 1, -1)], dim=-1).clone(), model.get_input_embeddings().weight.detach()


@pytest.mark.parametrize("variant", VARIANTS)
@torch.inference_mode()
def test_a_pass_is_what_its_formulas_say(random_eagle, text, variant):
    drafter = random_eagle(**VARIANTS[variant]).double()
    ids, features, embeddings = text
    states, n = drafter.fc(features[0, :-1]), 11
    bias = torch.full((n, n), -math.inf, dtype=torch.float64).triu(1)
    nothing = torch.empty(drafter.kv_heads, 0, drafter.size, dtype=torch.float64)
    outputs, keys, _ = drafter(states, embeddings[ids[0, 1:]], torch.arange(n), nothing, nothing, bias)
    expected = torch.stack(by_hand(drafter, list(zip(states, ids[0, 1:])), embeddings))
    torch.testing.assert_close(outputs, expected, atol=1e-4, rtol=1e-4)  # its tables of angles are in float32
    assert keys.shape == (drafter.kv_heads, n, drafter.size)


@pytest.mark.parametrize("variant", VARIANTS)
@torch.inference_mode()
def test_unrolled_training_equals_drafting_on_its_own_outputs(random_eagle, text, variant):
    """Row s of step j: true features up to s, then j - 1 passes that take their own outputs, with the text's tokens."""
    drafter, steps = random_eagle(**VARIANTS[variant]).double(), 4
    ids, features, embeddings = text
    unrolled = drafter.unroll(features, ids, embeddings, steps)
    some = torch.tensor([0, 2, 7])
    thinned = drafter.unroll(features, ids, embeddings, steps, some)
    for row, last in ((0, 0), (0, 3), (1, 7)):
        pairs, state = list(zip(drafter.fc(features[row, :last]), ids[row, 1:])), drafter.fc(features[row, last])
        for j in range(steps):
            pairs.append((state, ids[row, last + j + 1]))
            state = by_hand(drafter, pairs, embeddings)[-1]
            torch.testing.assert_close(unrolled[j][row, last], state, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(thinned[0], unrolled[0])
    for one, other in zip(thinned[1:], unrolled[1:], strict=True):
        torch.testing.assert_close(one, other[:, some])
    own = torch.tensor([[5, 0, 2], [7, 1, 1]])  # for each text its own
    for j, (one, other) in enumerate(zip(drafter.unroll(features, ids, embeddings, steps, own), unrolled, strict=True)):
        torch.testing.assert_close(one, other if j == 0 else torch.stack([other[0, own[0]], other[1, own[1]]]))


def test_unrolling_looks_at_no_token_beyond_the_next(random_eagle, text):
    """Row s of step j knows the tokens up to s + j and the features up to s, and nothing after them."""
    drafter = random_eagle().double()
    ids, features, embeddings = text
    other_ids, other_features = ids.clone(), features.clone()
    other_ids[:, 6:] = (ids[:, 6:] + 1) % 29
    other_features[:, 4:] += 1.0
    one, other = drafter.unroll(features, ids, embeddings, 3), drafter.unroll(other_features, other_ids, embeddings, 3)
    for j in range(1, 4):
        known = min(3, 5 - j)  # the last row all of whose tokens and features are the same
        torch.testing.assert_close(one[j - 1][:, :known + 1], other[j - 1][:, :known + 1])
        assert not torch.allclose(one[j - 1][:, known + 1], other[j - 1][:, known + 1])


@torch.inference_mode()
def test_logits_stand_at_the_ids_that_it_can_write_and_nowhere_else(random_eagle):
    drafter, output = random_eagle(draft_ids=DRAFT_IDS), torch.randn(3, 16)
    logits, small = drafter.logits(output), drafter.lm_head(drafter.norm(output))
    assert logits.shape == (3, 29) and small.shape == (3, 6)
    for i, token in enumerate(DRAFT_IDS.tolist()):
        assert torch.equal(logits[:, token], small[:, i])
    assert torch.isneginf(logits).sum() == 3 * 23
    whole = random_eagle()
    assert torch.equal(whole.logits(output), whole.lm_head(whole.norm(output))) and whole.draft_ids is None


@pytest.mark.parametrize("variant", VARIANTS)
def test_saved_drafter_is_read_back(random_eagle, tmp_path, variant):
    drafter = random_eagle(layers=(0, 1, 2), **VARIANTS[variant])
    drafter.save_pretrained(tmp_path / "new" / "folder")
    read = EagleDrafter.from_pretrained(tmp_path / "new" / "folder")
    assert read.settings == drafter.settings and read.layers == (0, 1, 2) and not read.training
    for (name, one), (other_name, other) in zip(drafter.state_dict().items(), read.state_dict().items(), strict=True):
        assert name == other_name and torch.equal(one.half().float() if one.is_floating_point() else one, other)
    assert torch.equal(read.cos, drafter.cos)  # not stored, made again


def test_files_are_in_the_format_of_llama_eagle3(random_eagle, tmp_path):
    random_eagle(layers=(0, 1, 2), draft_ids=DRAFT_IDS).save_pretrained(tmp_path)
    weights, config = load_file(tmp_path / "model.safetensors"), json.loads((tmp_path / "config.json").read_text())
    assert set(weights) == {"fc.weight", "norm.weight", "lm_head.weight", "d2t", "t2d", *(f"midlayer.{name}.weight" for name in LAYER)}
    assert {weight.dtype for name, weight in weights.items() if name.endswith("weight")} == {torch.float16}
    assert weights["fc.weight"].shape == (16, 48) and weights["midlayer.self_attn.q_proj.weight"].shape == (16, 32)
    assert torch.equal(weights["d2t"] + torch.arange(6), DRAFT_IDS) and weights["t2d"].nonzero().flatten().equal(DRAFT_IDS)
    assert (config["architectures"], config["model_type"]) == (["LlamaForCausalLMEagle3"], "llama")
    assert (config["draft_vocab_size"], config["vocab_size"], config["hidden_size"]) == (6, 29, 16)
    assert config["eagle_aux_hidden_state_layer_ids"] == config["eagle_config"]["eagle_aux_hidden_state_layer_ids"] == [0, 1, 2]


def test_embeddings_that_others_store_are_left_out(random_eagle, tmp_path):
    random_eagle(layers=(0, 1, 2)).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file({**weights, "embed_tokens.weight": torch.zeros(29, 16)}, tmp_path / "model.safetensors")
    assert EagleDrafter.from_pretrained(tmp_path).width == 16


def test_what_cannot_be_a_drafter_is_one_sentence(random_eagle, random_model, tmp_path):
    with pytest.raises(OSError):
        EagleDrafter.from_pretrained(tmp_path / "nothing")
    drafter = random_eagle(layers=(0, 1, 2))
    drafter.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**drafter.settings, "architectures": ["LlamaForCausalLM"]}))
    with pytest.raises(ValueError, match="holds no LlamaForCausalLMEagle3"):
        EagleDrafter.from_pretrained(tmp_path)
    for sizes in (dict(heads=3), dict(heads=16), dict(heads=4, kv_heads=3)):
        with pytest.raises(ValueError, match="A width of 16 does not split into"):
            EagleDrafter(16, 29, (0,), inner=8, **sizes)
    for ids in ([], [3, 3], [4, 2], [-1, 2], [2, 29]):
        with pytest.raises(ValueError, match=r"draft_ids must ascend within 0\.\.28"):
            EagleDrafter(16, 29, (0,), heads=2, inner=8, draft_ids=torch.tensor(ids, dtype=torch.long))
    for other in (random_eagle(width=32), random_eagle(vocab_size=30)):
        with pytest.raises(ValueError, match="was made for a verifier of width .* this one has 16 and 29"):
            ModelPair(random_model(2), random_model(1), eagle=other)


def test_a_drafter_of_fewer_positions_bounds_the_pair(random_model, random_eagle):
    assert ModelPair(random_model(2), random_model(1), eagle=random_eagle(context=32)).context == 32
    assert ModelPair(random_model(2), random_model(1), eagle=random_eagle(context=128)).context == 64


def test_the_bundled_pair_has_a_drafter_below_four_megabytes(stories):
    assert stories.eagle.width == stories.verifier.config.n_embd and not stories.eagle.training
    assert 2 * sum(weight.numel() for weight in stories.eagle.parameters()) < 4e6
