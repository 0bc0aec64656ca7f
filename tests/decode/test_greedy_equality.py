"""Greedy equality: every method writes, token for token, what `transformers` writes with `generate(do_sample=False)`."""
from copy import deepcopy
from itertools import combinations, product

import pytest
import torch
import torch.nn.functional as F

from specdec_utils import METHODS, Cfg, EagleDrafter, MedusaHeads, ModelPair, generate

PROMPT = torch.tensor([[5, 17, 3, 9]])
LENGTHS, PENALTIES, KINDS = (1, 2, 9, 24, 128), tuple(product((1.0, 1.3), (0, 2))), ("partly", "right", "wrong")
SHAPES = tuple(product((1, 4), (1, 3, 8)))  # branches x span
ALL_WAYS = [*((method, "auto") for method in METHODS), *((method, draft) for method in ("tree", "eagle", "auto") for draft in ("branches", "paths"))]
WAYS = tuple(product(("branches", "paths", "top"), (False, True), (0.0, 0.3), (False, True)))  # draft, adaptive, confidence, lean


def _shapes(method, kind, penalty, n):
    """The shapes of draft to try: all that make a difference; for long runs of wide drafts, which are slow, one, in turn."""
    if method == "greedy":
        return [(1, 1)]
    if method == "lookup":
        return [(1, 1), (1, 3), (1, 8)]
    if n <= (9 if method == "medusa_lite" else 24):
        return SHAPES
    turn = PENALTIES.index(penalty) + 2 * KINDS.index(kind) + (n == 24)
    in_turn = ((1, 1), (1, 3), (4, 1)) if method == "medusa_lite" and n == 128 and kind != "right" else SHAPES
    return [in_turn[turn % len(in_turn)]]


# (method, kind, penalties, n, (branches, span)), each of them really a different run: what a method ignores stays fixed
CASES = [(method, kind, penalty, n, shape) for method, penalty, n in product(METHODS, PENALTIES, LENGTHS)
         for kind in (KINDS if method not in ("greedy", "lookup") else ("right",)) for shape in _shapes(method, kind, penalty, n)]


def by_transformers(model, prompt, n, penalty=(1.0, 0), eos=None):
    out = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, num_beams=1, max_new_tokens=n, pad_token_id=0,
                         eos_token_id=eos, repetition_penalty=penalty[0], no_repeat_ngram_size=penalty[1])
    return out[0, prompt.shape[1]:].tolist()


@pytest.fixture(scope="module")
def verifier(random_model):
    return random_model(1, context=160)


@pytest.fixture(scope="module")
def expected(verifier):
    """What `transformers` writes behind PROMPT for each of PENALTIES: 128 tokens, of which shorter runs write the first."""
    return {penalty: by_transformers(verifier, PROMPT, 128, penalty) for penalty in PENALTIES}


@pytest.fixture(scope="module")
def trained_heads(verifier, expected):
    """Heads that have learnt most of one expected output by heart, so that some of their guesses are right."""
    row = torch.cat([PROMPT[0], torch.tensor(expected[1.0, 0])])[None]
    with torch.random.fork_rng(), torch.inference_mode(False):
        torch.manual_seed(0)
        heads = MedusaHeads(16, heads=4, inner=64)
        with torch.no_grad():
            hidden = verifier(row, output_hidden_states=True).hidden_states[-1][0, :-5]
            embedding = verifier.get_input_embeddings().weight[row[0, 1:-4]]
        targets = torch.stack([row[0, 2 + i:row.shape[1] - 3 + i] for i in range(4)])
        optimizer = torch.optim.Adam(heads.parameters(), lr=0.02)
        for _ in range(60):
            optimizer.zero_grad()
            logits = F.linear(heads(hidden, embedding), verifier.lm_head.weight.detach())
            F.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
            optimizer.step()
    return heads.eval()


@pytest.fixture(scope="module")
def trained_eagle(verifier, expected):
    """An eagle drafter that has learnt most of one expected output by heart, so that some of its guesses are right."""
    row = torch.cat([PROMPT[0], torch.tensor(expected[1.0, 0])])[None]
    with torch.random.fork_rng(), torch.inference_mode(False):
        torch.manual_seed(0)
        eagle = EagleDrafter(16, 29, (0, 1, 2), heads=2, inner=64, context=160)
        with torch.no_grad():
            features = torch.cat(verifier(row, output_hidden_states=True).hidden_states, dim=-1)
        embeddings = verifier.get_input_embeddings().weight.detach()
        optimizer = torch.optim.Adam(eagle.parameters(), lr=0.02)
        for _ in range(40):
            optimizer.zero_grad()
            for j, output in enumerate(eagle.unroll(features, row, embeddings, 3), 1):
                F.cross_entropy(eagle.logits(output)[0, :-1], row[0, j + 1:row.shape[1] - 3 + j]).backward(retain_graph=True)
            optimizer.step()
    return eagle.eval()


@pytest.fixture(scope="module")
def pairs(verifier, trained_heads, trained_eagle, random_heads, random_eagle):
    """Three pairs over one verifier, whose drafter (heads, eagle) are right in part, always (heads and eagle: in part), and never."""
    noisy, wrong = deepcopy(verifier), deepcopy(verifier)
    with torch.no_grad():
        weight = noisy.lm_head.weight
        weight += 0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
        wrong.lm_head.weight.neg_()  # its best token is the verifier's worst
    return {"partly": ModelPair(noisy, verifier, heads=trained_heads, eagle=trained_eagle),
            "right": ModelPair(verifier, verifier, heads=trained_heads, eagle=trained_eagle),
            "wrong": ModelPair(wrong, verifier, heads=random_heads(), eagle=random_eagle(context=160))}


def test_combinations_are_many_and_distinct_and_cover_every_pair_of_settings():
    assert len(CASES) == len(set(CASES)) >= 1000
    for method in ("medusa_lite", "one_pass", "tree", "heads", "eagle", "auto"):
        columns = list(zip(*(case[1:] for case in CASES if case[0] == method)))
        assert list(map(set, columns)) == [set(KINDS), set(PENALTIES), set(LENGTHS), set(SHAPES)]
        for one, other in combinations(columns, 2):
            assert set(zip(one, other)) == set(product(one, other))


def test_settings_lead_to_different_outputs_and_drafters_are_what_their_names_say(expected, pairs):
    assert len({tuple(ids) for ids in expected.values()}) == 4 and all(len(ids) == 128 for ids in expected.values())

    def accepted(kind, method):
        out = generate(pairs[kind], PROMPT, Cfg(max_new_tokens=128, topk_branch=1, draft_span=3), method)
        return sum(len(step.path) for step in out.steps) / sum(len(step.tree) for step in out.steps)
    assert accepted("right", "tree") == 1 and accepted("wrong", "tree") == 0
    assert 0.2 < accepted("partly", "tree") < 0.9 and 0.2 < accepted("partly", "heads") < 0.95
    assert 0.2 < accepted("partly", "eagle") < 0.98


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_method_equals_transformers(pairs, expected, method, kind, penalty):
    for n, (branches, span) in [case[3:] for case in CASES if case[:3] == (method, kind, penalty)]:
        cfg = Cfg(max_new_tokens=n, repetition_penalty=penalty[0], no_repeat_ngram_size=penalty[1], topk_branch=branches,
                  draft_span=span, top_p=0.5)
        out = generate(pairs[kind], PROMPT, cfg, method)
        assert out.new_ids == expected[penalty][:n], cfg
        assert (len(out.new_ids), out.finish_reason, out.prompt_ids) == (n, "length", PROMPT[0].tolist()), cfg


@pytest.mark.parametrize("draft, adaptive, confidence, lean", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_way_of_drafting_equals_transformers(pairs, expected, kind, draft, adaptive, confidence, lean):
    for penalty in ((1.0, 0), (1.3, 2)) if kind == "partly" else ((1.3, 2),):
        cfg = Cfg(max_new_tokens=24, repetition_penalty=penalty[0], no_repeat_ngram_size=penalty[1], draft=draft, lean=lean,
                  adaptive_span=adaptive, draft_confidence=confidence, temperature=2.0, top_p=1.0, draft_span=4)
        for method in ("tree", "eagle", "auto"):
            out = generate(pairs[kind], PROMPT, cfg, method)
            assert (out.new_ids, out.finish_reason) == (expected[penalty][:24], "length")


@pytest.mark.parametrize("draft, adaptive, lean", [("branches", True, True), ("paths", False, True), ("top", True, False), ("top", False, True)])
@pytest.mark.parametrize("shortest", [1, 2, 3])
def test_looking_up_before_drafting_equals_transformers(pairs, expected, shortest, draft, adaptive, lean):
    looked_up, drafted = {"tree": 0, "eagle": 0}, {"tree": 0, "eagle": 0}
    for kind, penalty in (("partly", (1.0, 0)), ("wrong", (1.0, 0)), ("right", (1.3, 2))):
        cfg = Cfg(max_new_tokens=48, repetition_penalty=penalty[0], no_repeat_ngram_size=penalty[1], draft=draft, lean=lean,
                  adaptive_span=adaptive, lookup_first=shortest)
        for method in ("tree", "eagle"):
            out = generate(pairs[kind], PROMPT, cfg, method)
            assert (out.new_ids, out.finish_reason) == (expected[penalty][:48], "length")
            looked_up[method] += sum(len(step.tree) > 0 and step.drafter_calls == 0 for step in out.steps)
            drafted[method] += sum(step.drafter_calls > 0 for step in out.steps)
    assert min(drafted.values()) > 0 and (min(looked_up.values()) > 0 or shortest > 2)


@pytest.mark.parametrize("method", ["one_pass", "lookup", "heads"])
@pytest.mark.parametrize("adaptive, confidence, lean", sorted({way[1:] for way in WAYS}))
def test_other_methods_equal_transformers_with_the_same_switches(pairs, expected, method, adaptive, confidence, lean):
    for penalty in PENALTIES:
        cfg = Cfg(max_new_tokens=24, repetition_penalty=penalty[0], no_repeat_ngram_size=penalty[1], lean=lean, adaptive_span=adaptive,
                  draft_confidence=confidence, draft_span=4)
        assert generate(pairs["partly"], PROMPT, cfg, method).new_ids == expected[penalty][:24]


@pytest.mark.parametrize("method, draft, lean", [(*way, lean) for way in ALL_WAYS for lean in (True, False)
                                                 if lean or way[0] != "medusa_lite"])  # which has no lean pass
def test_eos_at_every_offset_equals_transformers(verifier, pairs, expected, method, draft, lean):
    ids = expected[1.3, 2]
    for eos in dict.fromkeys(ids[:16]):  # each token of the output as EOS: found at its first place, wherever in a block that is
        stopping = deepcopy(verifier)
        stopping.generation_config.eos_token_id = eos
        pair = ModelPair(pairs["right"].drafter, stopping, heads=pairs["right"].heads, eagle=pairs["right"].eagle)
        cfg = Cfg(max_new_tokens=24, repetition_penalty=1.3, no_repeat_ngram_size=2, draft=draft, draft_span=8, topk_branch=2,
                  lean=lean)
        out = generate(pair, PROMPT, cfg, method)
        assert out.new_ids == ids[:ids.index(eos) + 1] and out.finish_reason == "eos"


@pytest.fixture(scope="module")
def near_the_limit(verifier):
    """length -> (a random prompt of so many tokens, what `transformers` writes behind it within the context of 160)."""
    made = {}
    for length in (150, 151, 155, 158, 159, 160):
        prompt = torch.randint(0, 29, (1, length), generator=torch.Generator().manual_seed(length))
        made[length] = prompt, by_transformers(verifier, prompt, min(10, 160 - length)) if length < 160 else []
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method, draft", ALL_WAYS)
def test_prompts_up_to_the_context_limit_equal_transformers(verifier, pairs, near_the_limit, kind, method, draft):
    for length, (prompt, ids) in near_the_limit.items():
        for span in (3, 8):
            cfg = Cfg(max_new_tokens=10, draft=draft, draft_span=span, topk_branch=2)
            out = generate(pairs[kind], prompt, cfg, method)
            assert out.new_ids == ids and len(out.new_ids) == min(10, 160 - length)
            assert out.finish_reason == ("length" if length <= 150 else "context")


def test_when_every_token_is_banned_the_first_one_is_written(pairs, verifier):
    """29 tokens, none of them twice: `transformers` goes on with token 0 then, and so do all methods, whatever they draft."""
    ids = by_transformers(verifier, PROMPT, 30, (1.0, 1))
    assert ids[25:] == [0] * 5
    for method, draft in ALL_WAYS:
        cfg = Cfg(max_new_tokens=30, no_repeat_ngram_size=1, draft=draft, topk_branch=2)
        assert generate(pairs["right"], PROMPT, cfg, method).new_ids == ids
