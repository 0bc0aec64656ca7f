from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from specdec_utils import Cfg, ModelPair, generate, last_token_logits
from specdec_utils.measure.diagnose import TOLERANCE, diagnose

PROMPT = torch.tensor([[5, 6]])


def tied(pair, gap, dtype=torch.float32):
    """`pair` with a verifier that likes token 12 less than its best token, 10, by `gap`, behind token 9."""
    verifier = deepcopy(pair.verifier).to(dtype)
    with torch.no_grad():
        verifier.lm_head.weight[12] = verifier.lm_head.weight[10]
        logit = last_token_logits(verifier, torch.tensor([[9]]))[10]
        verifier.lm_head.weight[12] *= 1 - gap / logit
    return ModelPair(deepcopy(pair.drafter).to(dtype), verifier, heads=pair.heads, eagle=pair.eagle)


def test_equal_outputs_as_generations_and_as_lists(counting):
    pair = counting()
    one, other = (generate(pair, PROMPT, Cfg(max_new_tokens=5), method) for method in ("greedy", "tree"))
    found = diagnose(pair, one, other, PROMPT)
    assert (found.verdict, found.position, found.margin) == ("equal", None, None)
    assert str(found) == "Both outputs hold the same 5 tokens."
    assert diagnose(pair, one, one.new_ids, PROMPT) == found


def test_near_tie_names_position_tokens_margin_and_dtype(counting):
    pair = tied(counting(sharpness=4.0), gap=2e-5)
    found = diagnose(pair, [7, 8, 9, 10, 11], [7, 8, 9, 12, 13], PROMPT)
    assert (found.verdict, found.position, found.tokens, found.best, found.dtype) == ("near tie", 3, (10, 12), (10, 12), "float32")
    assert found.margin == found.behind == pytest.approx(2e-5, rel=0.2) and found.tolerance == TOLERANCE[torch.float32]
    sentence = str(found)
    assert sentence.startswith("new_ids[3] is '<10>' (id 10) in one output and '<12>' (id 12) in the other")
    assert "in float32" in sentence and sentence.endswith(": a near tie, rounding decides between them.") and "\n" not in sentence


@pytest.mark.parametrize("dtype, small, large", [(torch.float64, 1e-10, 1e-8), (torch.float32, 5e-5, 1e-3),
                                                 (torch.float16, 0.06, 0.3), (torch.bfloat16, 0.3, 1.5)])
def test_tolerance_follows_the_dtype(counting, dtype, small, large):
    for gap, verdict in ((small, "near tie"), (large, "defect")):
        found = diagnose(tied(counting(sharpness=4.0), gap, dtype), [7, 8, 9, 12], [7, 8, 9, 10], PROMPT)
        assert found.verdict == verdict and found.dtype == str(dtype).removeprefix("torch.")
        assert found.margin == pytest.approx(gap, rel=0.6)


def test_tolerance_grows_with_logits_above_32(counting):
    pair = tied(counting(sharpness=40.0), gap=4e-4)
    found = diagnose(pair, [7, 8, 9, 12], [7, 8, 9, 10], PROMPT)
    highest = float(last_token_logits(pair.verifier, torch.tensor([[9]])).max())
    assert highest > 128 and found.tolerance == pytest.approx(1e-4 * highest / 32) and found.verdict == "near tie"


def test_defect_where_a_worse_token_was_written(counting):
    found = diagnose(counting(sharpness=9.0), [7, 8, 9], [7, 20, 21], PROMPT)
    assert (found.verdict, found.position, found.tokens, found.best[0]) == ("defect", 1, (8, 20), 8)
    assert found.behind == pytest.approx(found.margin) and found.margin > 1
    assert str(found).endswith("a defect, rounding cannot explain it.")


def test_a_tie_that_neither_output_chose_from_is_no_excuse(counting):
    """The verifier's two best tokens nearly tie, but one output holds a third one."""
    pair = tied(counting(sharpness=4.0), gap=2e-5)
    found = diagnose(pair, [7, 8, 9, 10], [7, 8, 9, 3], PROMPT)
    assert found.verdict == "defect" and found.best == (10, 12) and found.margin < TOLERANCE[torch.float32] < found.behind


def test_near_tie_of_three_tokens(counting):
    pair = tied(counting(sharpness=4.0), gap=2e-5)
    with torch.no_grad():
        pair.verifier.lm_head.weight[20] = pair.verifier.lm_head.weight[10] * (1 - 1e-6)
    assert diagnose(pair, [7, 8, 9, 12], [7, 8, 9, 20], PROMPT).verdict == "near tie"


def test_one_output_a_prefix_of_the_other(counting):
    pair = counting(eos=9)
    found = diagnose(pair, [7, 8], [7, 8, 9, 10], PROMPT)
    assert (found.verdict, found.position, found.tokens, found.best) == ("prefix", 2, (None, 9), None)
    assert str(found) == "The outputs agree for 2 tokens, where one ends and the other has 2 more."
    assert diagnose(pair, [7], [], PROMPT).tokens == (7, None)


def test_going_on_behind_an_eos_is_a_defect(counting):
    found = diagnose(counting(eos=9), [7, 8, 9, 10], [7, 8, 9], PROMPT)
    assert (found.verdict, found.position, found.tokens) == ("defect", 3, (10, None))
    assert str(found) == "One output goes on behind the EOS token 9 at new_ids[2], which ends the other: a defect."


def test_penalties_of_the_runs_are_applied(random_pairs):
    pair, cfg = random_pairs["random"], Cfg(max_new_tokens=12, repetition_penalty=1.3, no_repeat_ngram_size=2)
    outputs = [generate(pair, PROMPT, c) for c in (cfg, replace(cfg, repetition_penalty=1.0, no_repeat_ngram_size=0))]
    for settings, right in ((cfg, 0), (None, 1)):  # each of the two is right by its own settings
        found = diagnose(pair, *outputs, PROMPT, settings)
        assert found.verdict == "defect" and found.best[0] == found.tokens[right]


def test_tokens_are_shown_as_text_where_there_is_a_tokenizer(stories):
    out = generate(stories, "Once", Cfg(max_new_tokens=3))
    wrong = [*out.new_ids[:2], (out.new_ids[2] + 1) % stories.vocab_size]
    found = diagnose(stories, out, wrong, "Once")
    assert repr(stories.tokenizer.decode(out.new_ids[2:], clean_up_tokenization_spaces=False)) in str(found) and found.position == 2


def test_generation_of_another_prompt_is_refused(counting):
    pair = counting()
    out = generate(pair, PROMPT, Cfg(max_new_tokens=2))
    with pytest.raises(ValueError, match="An output continues another prompt than the one given: compare runs of one prompt"):
        diagnose(pair, out, out, torch.tensor([[5]]))
