"""Method "eagle": each step drafts what the drafter says, recomputed from true features without any cache, and nothing else."""
import pytest
import torch

from specdec_utils import ROOT, CachedEagle, Cfg, LeanEagle, ModelPair, generate, next_distribution
from specdec_utils.decode.propose import eagle as propose
from specdec_utils.run.text_pieces import output_matrix

PROMPT = torch.tensor([[5, 17, 3, 9]])


def features_of(pair, text):
    """The verifier's features at every position of `text`, from one uncached pass."""
    with torch.inference_mode():
        states = pair.verifier(torch.tensor([text]), output_hidden_states=True).hidden_states
    return torch.cat([states[layer][0] for layer in pair.eagle.layers], dim=-1)


def drafters_view(pair, text, path, text_pieces=True):
    """Logits after `text` and `path` (tokens): true features up to the last token but one, then the drafter's own outputs, each
    pass made from nothing. The last token of `text` is the verifier's own, which it has not read."""
    embeddings, eagle = pair.verifier.get_input_embeddings().weight, pair.eagle
    fresh = CachedEagle(eagle, embeddings, 64, output_matrix(pair.verifier) if text_pieces else None)
    with torch.inference_mode():
        logits = fresh.read(features_of(pair, text[:-1]), text[1:])
        for token in path:
            logits = fresh.draft(fresh.outputs, [token])
    return logits[0]


def check_drafts(pair, cfg):
    """Assert that every tree of a run holds what `drafters_view` gives, probabilities and laws included; the run."""
    out = generate(pair, PROMPT, cfg, "eagle")
    text, drafted = out.prompt_ids + out.new_ids, 0
    assert len(out.steps[0].tree) == 0  # nothing is known before the verifier's first pass
    for step in out.steps[1:]:
        tree, context = step.tree, text[:step.context]
        drafted += len(tree)
        for parent in {ROOT, *tree.parents} if len(tree) else ():
            logits = drafters_view(pair, context, tree.path_tokens(parent), cfg.text_pieces)
            q = torch.softmax(logits, dim=-1)
            law, drawn = tree.drawn_from.get(parent, ("deterministic", None))
            if drawn is not None:
                q = next_distribution(logits, cfg.temperature, cfg.top_p)
                torch.testing.assert_close(drawn, q, atol=1e-4, rtol=1e-3)
            children = tree.children[parent]
            assert [tree.probs[node] for node in children] == pytest.approx([float(q[tree.tokens[node]]) for node in children], abs=1e-4)
            if law == "deterministic" and cfg.topk_branch == 1:
                assert [tree.tokens[node] for node in children] == [int(q.argmax())]
    assert drafted > 0
    return out


@pytest.fixture(scope="module")
def pair(random_pairs):
    return random_pairs["random"]


@pytest.mark.parametrize("lean", [True, False])
@pytest.mark.parametrize("draft, k", [("top", 1), ("top", 4), ("paths", 1), ("paths", 3), ("branches", 3)])
@pytest.mark.parametrize("do_sample", [False, True])
def test_each_step_drafts_what_the_drafter_says_from_true_features(pair, draft, k, lean, do_sample):
    check_drafts(pair, Cfg(max_new_tokens=20, draft=draft, topk_branch=k, draft_span=3, lean=lean, do_sample=do_sample, temperature=1.5,
                           top_p=0.9))


def test_the_best_prefixes_of_every_level_are_drafted(pair):
    out = generate(pair, PROMPT, Cfg(max_new_tokens=16, topk_branch=3, draft_span=3), "eagle")
    text = out.prompt_ids + out.new_ids
    for step in out.steps[1:3]:
        level, found = [([], 1.0)], []
        for _ in range(3):
            every = [([*path, token], reach * prob) for path, reach in level
                     for token, prob in enumerate(torch.softmax(drafters_view(pair, text[:step.context], path), dim=-1).tolist())]
            level = sorted(every, key=lambda entry: -entry[1])[:3]
            found += level
        assert [step.tree.path_tokens(node) for node in range(len(step.tree))] == [path for path, _ in found]


@pytest.mark.parametrize("kind", ["random", "right"])
@pytest.mark.parametrize("lookup_first", [0, 1])
def test_steps_that_look_up_leave_their_features_to_the_next_draft(random_pairs, kind, lookup_first):
    cfg = Cfg(max_new_tokens=30, topk_branch=1, draft_span=3, lookup_first=lookup_first)
    out = generate(random_pairs[kind], PROMPT, cfg, "eagle")
    text = out.prompt_ids + out.new_ids
    assert lookup_first == 0 or any(len(step.tree) and not step.drafter_calls for step in out.steps[1:])
    for step in out.steps:
        if step.drafter_calls:
            q = torch.softmax(drafters_view(random_pairs[kind], text[:step.context], []), dim=-1)
            assert step.tree.tokens[0] == int(q.argmax()) and step.tree.probs[0] == pytest.approx(float(q.max()), abs=1e-4)


def test_accepted_tokens_are_read_once_with_true_features(counting, monkeypatch):
    pair, reads = counting(sharpness=9.0, eagle=True), []
    read = LeanEagle.read
    monkeypatch.setattr(LeanEagle, "read", lambda self, features, tokens, wanted=1: reads.append(list(tokens)) or read(self, features, tokens, wanted))
    out = generate(pair, torch.tensor([[5, 6, 7]]), Cfg(max_new_tokens=21, topk_branch=1, draft_span=4), "eagle")
    assert [len(step.new_ids) for step in out.steps] == [1, 5, 5, 5, 5] and out.new_ids == [(8 + i) % 30 for i in range(21)]
    text = out.prompt_ids + out.new_ids
    joined = [token for tokens in reads for token in tokens]
    assert joined == text[1:1 + len(joined)] and [len(tokens) for tokens in reads] == [3, 5, 5, 5]
    assert [step.drafter_calls for step in out.steps] == [0, 4, 4, 4, 4]


def test_penalties_are_applied_to_each_node_behind_its_own_path(pair):
    out = generate(pair, PROMPT, Cfg(max_new_tokens=16, topk_branch=3, draft_span=3, no_repeat_ngram_size=1), "eagle")
    text = out.prompt_ids + out.new_ids
    for step in out.steps:
        for node in range(len(step.tree)):
            path = text[:step.context] + step.tree.path_tokens(node)
            assert len(set(path)) == len(path)


@pytest.mark.parametrize("text_pieces", [True, False])
@pytest.mark.parametrize("lean", [True, False])
def test_drafts_hold_only_tokens_that_the_drafter_can_write_and_those_of_the_text(random_model, random_eagle, lean, text_pieces):
    few, beyond = {1, 4, 9, 20, 27}, set()
    pair = ModelPair(random_model(2), random_model(1), eagle=random_eagle(draft_ids=torch.tensor(sorted(few))))
    for draft in ("top", "paths", "branches"):
        out = check_drafts(pair, Cfg(max_new_tokens=12, draft=draft, topk_branch=4, draft_span=2, temperature=3.0, top_p=1.0, lean=lean,
                                     text_pieces=text_pieces))
        text = out.prompt_ids + out.new_ids
        for step in out.steps:
            assert set(step.tree.tokens) <= few | (set(text[:step.context]) if text_pieces else set())
            beyond |= set(step.tree.tokens) - few
    assert bool(beyond) == text_pieces


# -- faults that leave a greedy output as it is and cost only acceptance: the same checks must notice them

def _feature_of_the_wrong_position(monkeypatch):
    right = propose.drafting
    monkeypatch.setattr(propose, "drafting", lambda eagle, features, *rest: right(eagle, features.roll(1, dims=0), *rest))


def _stale_cache(monkeypatch):
    def advance(self, base, path, hidden):  # what was drafted for accepted nodes stays, only the rest is read with true features
        features = hidden if self._features is None else torch.cat([self._features, hidden])
        self.model.keep(base - 1 + len(path))
        self._features = features[self.model.length - base - len(path):]
    monkeypatch.setattr(propose.Eagle, "advance", advance)


def _ids_not_mapped_back(monkeypatch):
    def unmapped(self, *args):
        small = lean_pass(self, *args)[:, self.drafter.draft_ids]
        return torch.nn.functional.pad(small, (0, self.drafter.vocab_size - small.shape[1]), value=-torch.inf)
    lean_pass = LeanEagle._pass
    monkeypatch.setattr(LeanEagle, "_pass", unmapped)


def _siblings_see_each_other(monkeypatch):
    draft = LeanEagle.draft
    monkeypatch.setattr(LeanEagle, "draft", lambda self, states, tokens, positions=None, mask=None: draft(
        self, states, tokens, positions, None if mask is None else torch.ones_like(mask)))


def _state_of_the_wrong_parent(monkeypatch):
    draft = LeanEagle.draft
    monkeypatch.setattr(LeanEagle, "draft", lambda self, states, *rest: draft(self, states.flip(0), *rest))


@pytest.mark.parametrize("fault, options", [(_feature_of_the_wrong_position, {}), (_stale_cache, {}),
                                            (_ids_not_mapped_back, dict(draft_ids=torch.tensor([1, 4, 9, 20, 27]))),
                                            (_siblings_see_each_other, {}), (_state_of_the_wrong_parent, {})])
def test_faults_are_noticed(random_model, random_eagle, monkeypatch, fault, options):
    verifier = random_model(1)
    pair = ModelPair(random_model(2), verifier, eagle=random_eagle(**options))
    cfg = Cfg(max_new_tokens=40, topk_branch=4, draft_span=3)
    right = check_drafts(pair, cfg)
    with monkeypatch.context() as patch:
        fault(patch)
        assert generate(pair, PROMPT, cfg, "eagle").new_ids == right.new_ids  # lossless all the same
        with pytest.raises(AssertionError):
            check_drafts(pair, cfg)
