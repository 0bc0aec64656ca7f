"""A small model's drafts as trees, with a cache."""
import pytest
import torch

from specdec_utils import (
    METHODS,
    ROOT,
    CachedModel,
    Cfg,
    LeanGPT2,
    ModelPair,
    TokenTree,
    draft_tree,
    drafter_rollout_greedy,
    generate,
    last_token_logits,
    next_distribution,
    penalize,
    safe_top_p_filter,
    seed_everything,
    softmax_with_temperature,
)
from specdec_utils.decode.methods import DRAFTERS
from specdec_utils.decode.propose.small_model import SmallModel

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


def test_a_subclass_has_the_last_word_on_what_is_proposed(random_pairs, monkeypatch):
    class Hesitant(SmallModel):
        def propose(self, ids, span):
            return super().propose(ids, span) if len(ids) % 2 else TokenTree()
    monkeypatch.setitem(DRAFTERS, "hesitant", Hesitant)
    monkeypatch.setitem(METHODS, "hesitant", Hesitant.about)
    for pair in random_pairs.values():
        run = generate(pair, torch.tensor([[5, 6]]), Cfg(max_new_tokens=30), "hesitant")
        assert all(bool(len(step.tree)) == bool(step.context % 2) for step in run.steps[:-1]) and len({len(step.tree) for step in run.steps}) > 1
        assert run.new_ids == generate(pair, torch.tensor([[5, 6]]), Cfg(max_new_tokens=30), "greedy").new_ids
