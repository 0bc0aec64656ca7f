import json

import pytest
import torch
from safetensors.torch import load_file

from specdec_utils import Cfg, MedusaHeads, ModelPair, generate, heads_tree, last_token_logits

PROMPT = torch.tensor([[5, 17, 3, 9]])


def hidden_and_next(model, row=(5, 17, 3)):
    """(the model's last hidden state behind `row` [width], its best next token)"""
    with torch.inference_mode():
        out = model(torch.tensor([row]), output_hidden_states=True)
    return out.hidden_states[-1][0, -1], int(out.logits[0, -1].argmax())


def test_new_heads_say_what_the_verifier_says(random_model):
    """Their output layer starts at 0, so that they pass the hidden state on as it is."""
    model = random_model(1)
    hidden, token = hidden_and_next(model)
    probs = MedusaHeads(16, heads=3).probabilities(hidden, token, model)
    expected = torch.softmax(last_token_logits(model, torch.tensor([[5, 17, 3]])), dim=-1)
    assert probs.shape == (3, 29)
    torch.testing.assert_close(probs, expected.expand(3, 29), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("shape", [(16,), (7, 16), (2, 7, 16)])
def test_shapes(random_heads, shape):
    out = random_heads(heads=4)(torch.randn(shape), torch.randn(shape))
    assert out.shape == (4, *shape)


def test_probabilities_are_one_distribution_a_head_and_heads_differ(random_heads, random_model):
    model, heads = random_model(1), random_heads()
    hidden, token = hidden_and_next(model)
    probs = heads.probabilities(hidden, token, model)
    torch.testing.assert_close(probs.sum(dim=-1), torch.ones(3))
    assert not torch.allclose(probs[0], probs[1], atol=1e-3)
    embedding = model.get_input_embeddings().weight[token]
    with torch.inference_mode():  # by hand: hidden + W_out silu(W_in [hidden, embedding]), then the verifier's output matrix
        head = heads.h[1]
        inner = head.into.weight @ torch.cat([hidden, embedding]) + head.into.bias
        by_hand = torch.softmax(model.lm_head(hidden + head.out.weight @ (inner * torch.sigmoid(inner)) + head.out.bias), dim=-1)
    torch.testing.assert_close(probs[1], by_hand, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("sees_next", [True, False])
def test_only_heads_that_see_the_next_token_depend_on_it(random_heads, random_model, sees_next):
    model, heads = random_model(1), random_heads(sees_next=sees_next)
    hidden, _ = hidden_and_next(model)
    assert torch.equal(heads.probabilities(hidden, 3, model), heads.probabilities(hidden, 8, model)) == (not sees_next)


@pytest.mark.parametrize("options", [{}, {"sees_next": False}, {"heads": 2, "inner": 5}])
def test_saved_heads_are_read_back(random_heads, tmp_path, options):
    heads = random_heads(**options)
    heads.save_pretrained(tmp_path / "new" / "folder")
    read = MedusaHeads.from_pretrained(tmp_path / "new" / "folder")
    assert read.settings == heads.settings == json.loads((tmp_path / "new" / "folder" / "config.json").read_text())
    assert not read.training
    assert {weight.dtype for weight in load_file(tmp_path / "new" / "folder" / "model.safetensors").values()} == {torch.float16}
    for (name, one), (other_name, other) in zip(heads.state_dict().items(), read.state_dict().items(), strict=True):
        assert name == other_name and other.dtype == torch.float32
        torch.testing.assert_close(other, one.half().float(), atol=0, rtol=0)
    again = tmp_path / "again"
    read.save_pretrained(again)  # what went through half precision once stays as it is
    for name, weight in load_file(again / "model.safetensors").items():
        assert torch.equal(weight.float(), read.state_dict()[name])


def test_missing_heads_are_an_os_error(tmp_path):
    with pytest.raises(OSError):
        MedusaHeads.from_pretrained(tmp_path / "nothing")


@pytest.mark.parametrize("lean", [True, False])
@pytest.mark.parametrize("sees_next", [True, False])
@pytest.mark.parametrize("penalty, ngram", [(1.0, 0), (1.3, 2)])
def test_generation_with_heads_equals_greedy(random_pairs, random_heads, reference, penalty, ngram, sees_next, lean):
    verifier = random_pairs["random"].verifier
    pair = ModelPair(random_pairs["random"].drafter, verifier, heads=random_heads(sees_next=sees_next))
    cfg = Cfg(max_new_tokens=24, repetition_penalty=penalty, no_repeat_ngram_size=ngram, lean=lean)
    out = generate(pair, PROMPT, cfg, "heads")
    assert out.new_ids == reference(verifier, PROMPT, 24, repetition_penalty=penalty, no_repeat_ngram_size=ngram)
    assert out.drafter_calls == 0 and out.verifier_calls == len(out.steps)


def test_each_step_drafts_what_the_heads_expect_from_the_verifiers_last_state(random_pairs):
    """Recomputed without a cache: the hidden state behind the last token but one, the last token, the best prefixes."""
    pair, cfg = random_pairs["random"], Cfg(max_new_tokens=16, topk_branch=3, draft_span=2)
    out = generate(pair, PROMPT, cfg, "heads")
    text = out.prompt_ids + out.new_ids
    assert len(out.steps[0].tree) == 0  # nothing is known before the verifier's first pass
    for step in out.steps[1:]:
        hidden, _ = hidden_and_next(pair.verifier, text[:step.context - 1])
        probs = pair.heads.probabilities(hidden, text[step.context - 1], pair.verifier)
        room = len(text) - step.context
        expected = heads_tree(probs, 6, min(2, room - 1))
        assert (step.tree.tokens, step.tree.parents) == (expected.tokens, expected.parents)
        assert step.tree.probs == pytest.approx(expected.probs, abs=1e-5)


def test_right_heads_save_verifier_passes(counting):
    pair = counting(sharpness=9.0, heads=True)
    out = generate(pair, torch.tensor([[5]]), Cfg(max_new_tokens=25, draft_span=5, topk_branch=1), "heads")
    assert [len(step.new_ids) for step in out.steps] == [1, 6, 6, 6, 6] and out.new_ids == [(6 + i) % 30 for i in range(25)]
