"""What a run costs: the forward passes that it reports are those that it makes."""
import pytest
import torch

from specdec_utils import METHODS, Cfg, LeanGPT2, count_calls, generate, greedy_generate, medusa_step

PROMPT = torch.tensor([[5, 17, 3, 9]])
ALL = list(METHODS)
CACHED = [method for method in ALL if method != "medusa_lite"]


def start(*row):
    return torch.tensor([row])


@pytest.mark.parametrize("kind", ["random", "right", "wrong"])
@pytest.mark.parametrize("method", ALL)
def test_reported_calls_are_the_real_forward_passes(random_pairs, real_calls, kind, method):
    pair = random_pairs[kind]
    calls = real_calls(pair)
    out = generate(pair, PROMPT, Cfg(max_new_tokens=9, draft_span=4, top_p=0.5), method)
    assert {"drafter": out.drafter_calls, "verifier": out.verifier_calls} == calls
    assert sum(step.verifier_calls for step in out.steps) == calls["verifier"]
    assert sum(step.drafter_calls for step in out.steps) == calls["drafter"]


@pytest.mark.parametrize("method, draft", [("greedy", "auto"), ("one_pass", "branches"), ("tree", "branches"), ("tree", "paths"),
                                           ("tree", "top"), ("lookup", "auto"), ("heads", "auto"), ("eagle", "paths"),
                                           ("eagle", "top")])
@pytest.mark.parametrize("kind", ["random", "right", "wrong"])
def test_lean_runs_report_the_passes_that_ordinary_ones_really_make(random_pairs, real_calls, kind, method, draft):
    pair, cfg = random_pairs[kind], Cfg(max_new_tokens=12, draft_span=4, draft=draft, adaptive_span=True)
    assert LeanGPT2.knows(pair.verifier) and LeanGPT2.knows(pair.drafter)
    lean = generate(pair, PROMPT, cfg, method)
    calls = real_calls(pair)  # replaces both models' forward, so that no lean pass can be taken
    assert not LeanGPT2.knows(pair.verifier) and not LeanGPT2.knows(pair.drafter)
    ordinary = generate(pair, PROMPT, cfg, method)
    assert {"drafter": lean.drafter_calls, "verifier": lean.verifier_calls} == calls
    assert [(s.verifier_calls, s.drafter_calls, s.new_ids) for s in lean.steps] == [
        (s.verifier_calls, s.drafter_calls, s.new_ids) for s in ordinary.steps]
    assert [s.tree.tokens for s in lean.steps] == [s.tree.tokens for s in ordinary.steps]


def test_lean_false_takes_the_ordinary_pass(random_pairs, monkeypatch):
    monkeypatch.setattr(LeanGPT2, "feed", lambda *args, **kwargs: pytest.fail("a lean pass was taken"))
    generate(random_pairs["random"], PROMPT, Cfg(max_new_tokens=6, lean=False), "tree")
    with pytest.raises(pytest.fail.Exception):
        generate(random_pairs["random"], PROMPT, Cfg(max_new_tokens=6), "tree")


def test_hook_in_a_model_sees_every_pass_of_a_run(random_pairs):
    pair = random_pairs["random"]
    for method in CACHED:
        with count_calls(pair) as calls:
            out = generate(pair, PROMPT, Cfg(max_new_tokens=6), method)
        assert calls == {"drafter": out.drafter_calls, "verifier": out.verifier_calls}


@pytest.mark.parametrize("method", ["one_pass", "tree", "lookup", "heads", "eagle"])
def test_cached_methods_cost_one_verifier_pass_a_step_and_one_drafter_pass_a_level(random_pairs, method):
    out = generate(random_pairs["random"], PROMPT, Cfg(max_new_tokens=16, draft_span=4), method)
    for i, step in enumerate(out.steps):
        drafts = method in ("one_pass", "tree") or method == "eagle" and i > 0  # which first needs the verifier's states
        levels = min(4, 4 + 16 - step.context - 1)  # the verifier's own token needs room too
        assert (step.verifier_calls, step.drafter_calls) == (1, levels if drafts else 0)


def test_greedy_costs_one_pass_a_token_and_reads_each_token_once(random_pairs, monkeypatch):
    pair, lengths = random_pairs["random"], []
    forward = pair.verifier.forward
    monkeypatch.setitem(vars(pair.verifier), "forward", lambda ids, **kw: lengths.append(ids.shape[1]) or forward(ids, **kw))
    out = greedy_generate(pair, PROMPT, Cfg(max_new_tokens=6))
    assert lengths == [4, 1, 1, 1, 1, 1] and (out.verifier_calls, out.drafter_calls, out.method) == (6, 0, "greedy")


@pytest.mark.parametrize("k, span", [(1, 1), (4, 3), (3, 8)])
def test_step_of_wrong_drafts_costs_one_verifier_pass_a_branch(random_pairs, k, span):
    pair = random_pairs["wrong"]
    _, step = medusa_step(pair, PROMPT, Cfg(topk_branch=k, draft_span=span, temperature=5.0, top_p=0.5))
    assert len(step.branches) == k
    assert (step.verifier_calls, step.drafter_calls) == (k, 1 + k * (span - 1))


def test_count_calls_removes_its_hooks(counting):
    pair = counting()
    with count_calls(pair) as calls:
        pair.verifier(start(1))
        pair.verifier(start(1))
        pair.drafter(start(1))
    pair.verifier(start(1))
    assert calls == {"drafter": 1, "verifier": 2}
    with pytest.raises(KeyError), count_calls(pair):
        raise KeyError
    assert not pair.verifier._forward_hooks and not pair.drafter._forward_hooks
