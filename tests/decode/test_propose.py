from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specdec_utils import (
    ROOT,
    Branch,
    CachedModel,
    Cfg,
    LeanGPT2,
    ModelPair,
    draft_tree,
    drafter_propose,
    drafter_rollout_greedy,
    drafter_sample_first_tokens,
    drafter_sample_first_tokens_basic,
    generate,
    heads_tree,
    last_token_logits,
    lookup_tree,
    next_distribution,
    penalize,
    safe_top_p_filter,
    seed_everything,
    softmax_with_temperature,
)
from specdec_utils.decode.propose.base import next_span

IDS = torch.tensor([[4, 9, 2]])


@pytest.fixture
def passes(random_model, monkeypatch):
    """(a random drafter, a list that grows by the input length of each of its forward passes)"""
    model, lengths = random_model(3), []
    forward = model.forward

    def counted(ids, *args, **kwargs):
        lengths.append(ids.shape[1])
        return forward(ids, *args, **kwargs)
    monkeypatch.setitem(vars(model), "forward", counted)
    return model, lengths


def test_branch_is_a_list_that_carries_probabilities():
    branch = Branch([3, 1], [0.5, 0.25])
    assert branch == [3, 1] and branch.probs == [0.5, 0.25]


@pytest.mark.parametrize("k", [1, 4, 29, 50])
def test_first_tokens_are_distinct_and_basic_sampling_has_no_nucleus(random_model, k):
    seed_everything(0)
    firsts = drafter_sample_first_tokens_basic(random_model(3), IDS, k, temperature=5.0)
    assert len(set(firsts)) == len(firsts) == min(k, 29)


@pytest.mark.parametrize("top_p", [0.3, 0.9, 1.0, None])
def test_first_tokens_come_from_the_nucleus_with_their_renormalised_probability(random_model, top_p):
    model = random_model(3)
    probs = softmax_with_temperature(last_token_logits(model, IDS), 2.0)
    nucleus = safe_top_p_filter(probs, top_p)
    firsts = drafter_sample_first_tokens(model, IDS, 50, temperature=2.0, top_p=top_p)
    assert set(firsts) == set(nucleus.tolist())
    assert sum(firsts.probs) == pytest.approx(1, abs=1e-5)
    assert firsts.probs == pytest.approx([(probs[t] / probs[nucleus].sum()).item() for t in firsts])


def test_narrow_nucleus_gives_fewer_branches_than_asked(rule_model):
    assert drafter_sample_first_tokens(rule_model([1, 2, 3, 0], sharpness=9.0), torch.tensor([[2]]), 4) == [3]


def test_temperature_zero_drafts_the_best_token(random_model):
    model = random_model(3)
    assert drafter_sample_first_tokens(model, IDS, 4, temperature=0) == [int(last_token_logits(model, IDS).argmax())]


def test_sampling_repeats_with_the_seed(random_model):
    model, draws = random_model(3), []
    for seed in (1, 1, 2, 3, 4, 5):
        seed_everything(seed)
        draws.append(drafter_sample_first_tokens(model, IDS, 3, temperature=5.0))
    assert draws[0] == draws[1] and any(draw != draws[0] for draw in draws[2:])


def test_rollout_follows_the_drafters_own_best_tokens(rule_model):
    branch = drafter_rollout_greedy(rule_model([1, 2, 3, 4, 0]), torch.tensor([[0]]), 3, span=4, first_prob=0.25)
    assert branch == [3, 4, 0, 1] and branch.probs[0] == 0.25


@pytest.mark.parametrize("span", [1, 2, 5])
def test_rollout_costs_one_pass_less_than_its_tokens(passes, span):
    model, lengths = passes
    branch = drafter_rollout_greedy(model, IDS, 7, span)
    assert lengths == [4 + i for i in range(span - 1)] and len(branch) == len(branch.probs) == span


def test_rollout_records_the_probability_of_each_token(random_model):
    model, ids = random_model(3), torch.tensor([[4, 9, 2, 7]])
    branch = drafter_rollout_greedy(model, IDS, 7, 3)
    for token, prob in list(zip(branch, branch.probs))[1:]:
        q = torch.softmax(last_token_logits(model, ids), dim=-1)
        assert token == q.argmax() and prob == pytest.approx(q[token].item())
        ids = torch.cat([ids, torch.tensor([[token]])], dim=1)


@pytest.mark.parametrize("k, span", [(1, 1), (4, 1), (1, 8), (3, 4)])
def test_proposal_costs_one_pass_and_span_minus_one_for_each_branch(passes, k, span):
    model, lengths = passes
    branches = drafter_propose(model, IDS, k, span, temperature=5.0, top_p=None)
    assert len(lengths) == 1 + k * (span - 1)
    assert [len(branch) for branch in branches] == [span] * k
    assert len({branch[0] for branch in branches}) == k


def test_unusable_sizes_are_named(random_model):
    model = random_model(3)
    with pytest.raises(ValueError, match="span=0 is not usable: a branch has at least 1 token"):
        drafter_rollout_greedy(model, IDS, 7, 0)
    for k, span in ((0, 3), (3, 0)):
        with pytest.raises(ValueError, match=f"k={k}, span={span} is not usable: both must be at least 1"):
            drafter_propose(model, IDS, k, span)
    with pytest.raises(ValueError, match="top_p=2 is not usable"):
        drafter_propose(model, IDS, 2, 2, top_p=2)


# -- drafts as trees, with a cache

CONTEXT = [4, 9, 2, 9]
CLASSES = pytest.mark.parametrize("cached", [CachedModel, LeanGPT2])
PENALTIES = pytest.mark.parametrize("penalty, ngram", [(1.0, 0), (1.3, 2)])


def penalised_logits(model, ids, cfg):
    """What the drafter says behind `ids`, from one uncached pass."""
    row = torch.tensor([ids])
    return penalize(last_token_logits(model, row), row, cfg.repetition_penalty, cfg.no_repeat_ngram_size)


def brute_top(model, cfg, span):
    """(path, probability of its last token) level by level: the best continuations of the whole level, by uncached passes."""
    found, level = [], [([], 1.0)]
    for _ in range(span):
        every = []
        for path, reach in level:
            probs = torch.softmax(penalised_logits(model, CONTEXT + path, cfg), dim=-1).tolist()
            every += [([*path, token], reach * prob, prob) for token, prob in enumerate(probs)]
        best = sorted(every, key=lambda entry: -entry[1])[:cfg.topk_branch]
        best = [entry for entry in best if entry[1] >= cfg.draft_confidence]
        found += [(path, prob) for path, _, prob in best]
        level = [(path, joint) for path, joint, _ in best]
    return found


@PENALTIES
@CLASSES
def test_branches_are_distinct_first_tokens_with_greedy_rollouts(random_model, cached, penalty, ngram):
    model, cfg = random_model(3), Cfg(topk_branch=5, temperature=3.0, repetition_penalty=penalty, no_repeat_ngram_size=ngram)
    seed_everything(1)
    tree = draft_tree(cached(model, 64), CONTEXT, cfg, "branches", 4)
    q = next_distribution(penalised_logits(model, CONTEXT, cfg), cfg.temperature, cfg.top_p)
    assert list(tree.drawn_from) == [ROOT] and tree.drawn_from[ROOT][0] == "without_replacement"
    torch.testing.assert_close(tree.drawn_from[ROOT][1], q, atol=1e-5, rtol=1e-4)
    firsts = tree.children[ROOT]
    assert len(firsts) == len({tree.tokens[node] for node in firsts}) == 5 == len(tree.leaves()) and len(tree) == 20
    for leaf in tree.leaves():
        nodes, text = tree.path(leaf), list(CONTEXT)
        assert tree.probs[nodes[0]] == pytest.approx(float(q[tree.tokens[nodes[0]]]), abs=1e-5)
        for node in nodes:
            probs = torch.softmax(penalised_logits(model, text, cfg), dim=-1)
            assert node == nodes[0] or (tree.tokens[node] == probs.argmax() and tree.probs[node] == pytest.approx(float(probs.max()), abs=1e-5))
            text.append(tree.tokens[node])


@CLASSES
def test_branches_without_penalties_are_the_uncached_rollouts(random_model, cached):
    model = random_model(3)
    tree = draft_tree(cached(model, 64), CONTEXT, Cfg(topk_branch=4, temperature=3.0), "branches", 5)
    for leaf in tree.leaves():
        path = tree.path(leaf)
        branch = drafter_rollout_greedy(model, torch.tensor([CONTEXT]), tree.tokens[path[0]], 5, tree.probs[path[0]])
        assert tree.path_tokens(leaf) == branch and [tree.probs[node] for node in path] == pytest.approx(branch.probs, abs=1e-5)


def test_branches_are_no_more_than_the_nucleus_holds(random_model, rule_model):
    model = random_model(3)
    for top_p in (0.1, 0.5, 0.9):
        probs = softmax_with_temperature(last_token_logits(model, torch.tensor([CONTEXT])), 2.0)
        nucleus = safe_top_p_filter(probs, top_p).tolist()
        tree = draft_tree(CachedModel(model, 64), CONTEXT, Cfg(topk_branch=29, temperature=2.0, top_p=top_p), "branches", 1)
        assert sorted(tree.tokens) == sorted(nucleus) and sum(tree.probs) == pytest.approx(1)
    sure = rule_model([1, 2, 3, 0], sharpness=9.0)
    assert draft_tree(CachedModel(sure, 64), [2], Cfg(), "branches", 3).tokens == [3, 0, 1]


@PENALTIES
@CLASSES
def test_paths_are_independent_draws_that_share_nodes_and_keep_their_number(random_model, cached, penalty, ngram):
    model, cfg = random_model(3), Cfg(topk_branch=9, temperature=2.0, repetition_penalty=penalty, no_repeat_ngram_size=ngram)
    seed_everything(1)
    tree = draft_tree(cached(model, 64), CONTEXT, cfg, "paths", 3)
    drawn = {ROOT: 9}
    for node in range(len(tree)):
        drawn[node] = tree.children[tree.parents[node]].count(node)
        assert len({tree.tokens[n] for n in tree.children.get(node, [])}) == len(set(tree.children.get(node, [])))  # merged
    depths = tree.depths()
    assert [sum(drawn[n] for n in range(len(tree)) if depths[n] == level) for level in range(3)] == [9, 9, 9]
    assert len(tree) < 27 and max(drawn[n] for n in range(len(tree))) > 1
    for node in (ROOT, *range(len(tree))):
        if node in tree.leaves():
            assert node not in tree.drawn_from and depths[node] == 2
            continue
        assert len(tree.children[node]) == drawn[node] and tree.drawn_from[node][0] == "with_replacement"
        q = next_distribution(penalised_logits(model, CONTEXT + tree.path_tokens(node), cfg), cfg.temperature, cfg.top_p)
        torch.testing.assert_close(tree.drawn_from[node][1], q, atol=1e-5, rtol=1e-4)
        assert [tree.probs[n] for n in tree.children[node]] == pytest.approx([float(q[tree.tokens[n]]) for n in tree.children[node]], abs=1e-5)


@pytest.mark.parametrize("confidence", [0.0, 0.02, 0.1])
@PENALTIES
@CLASSES
def test_top_is_the_best_of_every_level_best_first_and_draws_nothing(random_model, cached, penalty, ngram, confidence):
    model = random_model(3)
    cfg = Cfg(topk_branch=6, repetition_penalty=penalty, no_repeat_ngram_size=ngram, draft_confidence=confidence)
    before = torch.get_rng_state()
    tree = draft_tree(cached(model, 64), CONTEXT, cfg, "top", 4)
    assert torch.equal(torch.get_rng_state(), before) and tree.drawn_from == {}
    found = [(tree.path_tokens(node), tree.probs[node]) for node in range(len(tree))]
    expected = brute_top(model, cfg, 4)
    assert [path for path, _ in found] == [path for path, _ in expected] and (len(found) == 24 or confidence)
    assert [prob for _, prob in found] == pytest.approx([prob for _, prob in expected], abs=1e-5)


@pytest.mark.parametrize("draft", ["branches", "paths"])
@pytest.mark.parametrize("confidence", [0.05, 0.15, 0.4])
@CLASSES
def test_where_drafting_stops_is_decided_by_the_path_alone(random_model, cached, draft, confidence):
    """A node is drafted from, with all its draws, where its probability times the best next one reaches the confidence; what
    was drawn there is never dropped afterwards, which would bias a sampled run."""
    model, stops = random_model(3), 0
    for seed in range(4):
        cfg = Cfg(topk_branch=6, temperature=1.5, top_p=1.0, draft_confidence=confidence)
        seed_everything(seed)
        tree = draft_tree(cached(model, 64), CONTEXT, cfg, draft, 3)
        depths = tree.depths()
        for node in (ROOT, *range(len(tree))):
            if node != ROOT and depths[node] == 2:
                continue
            best = torch.softmax(last_token_logits(model, torch.tensor([CONTEXT + tree.path_tokens(node)])), dim=-1).max()
            sure = tree.reach(node) * float(best) >= confidence
            times = 6 if node == ROOT else tree.children[tree.parents[node]].count(node) if draft == "paths" else 1
            assert len(tree.children.get(node, [])) == (times if sure else 0)
            stops += not sure
    assert stops > 0


@pytest.mark.parametrize("draft", ["branches", "paths", "top"])
@CLASSES
def test_draft_costs_one_pass_a_level_and_reads_no_level_twice(random_model, cached, draft):
    runner, fed = cached(random_model(3), 64), []
    feed = runner.feed
    runner.feed = lambda tokens, *args, **kwargs: fed.append(list(tokens)) or feed(tokens, *args, **kwargs)
    tree = draft_tree(runner, CONTEXT, Cfg(topk_branch=3, temperature=2.0), draft, 4)
    depths = tree.depths()
    assert fed == [CONTEXT, *([tree.tokens[n] for n in range(len(tree)) if depths[n] == level] for level in range(3))]
    assert runner.length == 4 + sum(depth < 3 for depth in depths)
    runner.keep(4, [])
    fed.clear()
    draft_tree(runner, [*CONTEXT, 7], Cfg(topk_branch=3, temperature=2.0), draft, 2)
    assert fed[0] == [7] and len(fed) == 2  # the context is known
    fed.clear()
    assert len(draft_tree(runner, [*CONTEXT, 7, 8], Cfg(), draft, 0)) == 0 and fed == []  # no room, no pass


def drafter_reads(monkeypatch, pair, cfg, method="tree"):
    """[(context, tokens read)] of every drafter pass of a run, and the run."""
    reads, feed = [], CachedModel.feed

    def noted(self, tokens, *args, **kwargs):
        if self.model is pair.drafter:
            reads.append((self.length, list(tokens)))
        return feed(self, tokens, *args, **kwargs)
    with monkeypatch.context() as patch:
        patch.setattr(CachedModel, "feed", noted)
        return reads, generate(pair, torch.tensor([CONTEXT]), cfg, method)


def test_drafter_reads_every_token_of_an_accepted_text_once(random_model, monkeypatch):
    """Drafts of one branch that are all accepted: the drafter's reads, joined, are the text."""
    model = random_model(1)
    reads, out = drafter_reads(monkeypatch, ModelPair(model, model), Cfg(max_new_tokens=30, topk_branch=1, draft_span=4, lean=False))
    text = out.prompt_ids + out.new_ids
    read = [token for _, tokens in reads for token in tokens]
    assert len(out.steps) == 6 and read == text[:len(read)] and len(text) - len(read) == 2  # the last level, the verifier's token
    assert [len(tokens) for _, tokens in reads[::4]] == [4, 2, 2, 2, 2, 2]  # then two: what the last level lacked and the extra token


@pytest.mark.parametrize("draft", ["branches", "paths", "top"])
@pytest.mark.parametrize("kind", ["random", "wrong", "right"])
@pytest.mark.parametrize("lookup_first", [0, 1])
def test_drafters_cache_is_kept_between_steps(random_pairs, monkeypatch, kind, draft, lookup_first):
    """A drafted step's first read is what was added since the last one and was not drafted from: one token, or two where a leaf
    was accepted; more behind steps that looked their draft up."""
    cfg = Cfg(max_new_tokens=24, draft=draft, temperature=2.0, topk_branch=3, draft_span=3, lean=False, lookup_first=lookup_first)
    reads, out = drafter_reads(monkeypatch, random_pairs[kind], cfg)
    assert len(reads) == out.drafter_calls
    text, passes = out.prompt_ids + out.new_ids, iter(reads)
    lacking = 0
    for step in out.steps:
        levels = [next(passes) for _ in range(step.drafter_calls)]
        if levels:
            assert levels[0] == (lacking, text[lacking:step.context])
            assert sum(len(tokens) for _, tokens in levels[1:]) == sum(depth < max(step.tree.depths()) for depth in step.tree.depths())
            last = max(step.tree.depths())
            lacking = step.context + sum(step.tree.depths()[node] < last for node in step.path)
    assert next(passes, None) is None


# -- drafts without a drafter

def brute_lookup(ids, span, shortest, longest):
    for size in range(longest, shortest - 1, -1):
        for end in range(len(ids) - 1, size - 1, -1):
            if ids[end - size:end] == ids[-size:]:
                return ids[end:end + span]
    return []


@given(st.lists(st.integers(0, 2), min_size=1, max_size=14), st.integers(0, 4), st.integers(1, 3), st.integers(0, 2))
def test_lookup_equals_brute_force(ids, span, shortest, more):
    tree = lookup_tree(ids, span, shortest, shortest + more)
    assert tree.tokens == brute_lookup(ids, span, shortest, shortest + more)
    assert tree.is_chain() and tree.drawn_from == {} and set(tree.probs) <= {1.0}


@pytest.mark.parametrize("ids, found", [
    ([1, 2, 3, 9, 1, 2], [3, 9, 1]), ([1, 2, 3, 1, 2, 4, 1, 2], [4, 1, 2]), ([5, 1, 2, 7, 1, 2, 8, 5, 1, 2], [7, 1, 2]),
    ([1, 2, 3], []), ([7], []), ([7, 7, 7], [7]), ([2, 1, 3, 1], [])])
def test_lookup_takes_the_longest_match_and_the_latest_of_equals(ids, found):
    assert lookup_tree(ids, 3).tokens == found


@given(st.integers(0, 2**20), st.integers(1, 4), st.integers(1, 12), st.integers(0, 5))
def test_heads_tree_holds_the_most_probable_prefixes(seed, heads, nodes, span):
    probs = torch.softmax(2 * torch.randn(heads, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1)
    tree, chance = heads_tree(probs, nodes, span), {}
    for depth in range(1, min(span, heads) + 1):
        for path in product(range(5), repeat=depth):
            chance[path] = float(torch.prod(probs[range(depth), path]))
    best = sorted(chance, key=chance.get, reverse=True)[:nodes]
    found = [tuple(tree.path_tokens(node)) for node in range(len(tree))]
    assert found == best  # found best first, too; a prefix comes before what it begins
    for node, path in enumerate(found):
        assert tree.probs[node] == float(probs[len(path) - 1, path[-1]]) and tree.reach(node) == pytest.approx(chance[path])
    assert tree.drawn_from == {} and (not found or max(tree.depths()) < span)


@given(st.integers(1, 9), st.integers(0, 9), st.integers(1, 9), st.integers(1, 9))
def test_next_span_moves_by_one_within_its_limits(span, accepted, drafted, most):
    span, accepted = min(span, most), min(accepted, drafted)
    after = next_span(span, accepted, drafted, most)
    assert 1 <= after <= most and after == (min(span + 1, most) if accepted == drafted else max(span - 1, 1))


@pytest.mark.parametrize("kind, spans", [("right", [2, 3, 4, 4, 4]), ("wrong", [2, 1, 1, 1, 1])])
def test_adaptive_span_follows_what_was_accepted(random_pairs, kind, spans):
    cfg = Cfg(max_new_tokens=30, draft_span=2, adaptive_span=True, topk_branch=1)
    steps = generate(random_pairs[kind], torch.tensor([CONTEXT]), cfg).steps
    assert [1 + max(step.tree.depths()) for step in steps[:5]] == spans
