"""Passes of several runs made together: each gets the logits of its pass alone, and its cache is as if it had been."""
import pytest
import torch
import transformers

from specdec_utils import CachedModel, LeanEagle, LeanGPT2, LeanLlama, TokenTree
from specdec_utils.run.asking import Ask, alone, made_together

CLOSE = {"atol": 2e-5, "rtol": 1e-5}
TREE = TokenTree.from_branches([[1, 5, 8], [1, 6], [2, 7, 3]])
TEXTS = [[4, 9, 2, 9, 17], [3], [7, 7, 1, 12, 5, 6, 2, 8]]
ROOM = [8, 8, 13]  # slots of each run's cache: no more than it needs, and the last needs most


def gpt2():
    config = transformers.GPT2Config(vocab_size=29, n_positions=64, n_layer=2, n_head=2, n_embd=16, initializer_range=0.5, bos_token_id=0,
                                     eos_token_id=0)
    return transformers.GPT2LMHeadModel(config)


def llama():
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=29, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
        max_position_embeddings=64, initializer_range=0.3))


@pytest.fixture(params=[(gpt2, LeanGPT2), (llama, LeanLlama), (gpt2, CachedModel)], ids=["GPT-2", "Llama", "as transformers runs it"])
def runs(request):
    """Three runs of one model and their twins, each after a text of its own."""
    make, kind = request.param
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = make().eval()
    every = [[kind(model, room) for room in ROOM] for _ in range(2)]
    for side in every:
        for run, text in zip(side, TEXTS):
            run.feed(text)
    return every


def compare(together, single, asked):
    got = made_together([Ask(run, "feed", args) for run, args in zip(together, asked)])
    for run, twin, args, logits in zip(together, single, asked, got):
        want = twin.feed(*args)
        torch.testing.assert_close(logits, want, **CLOSE)
        assert (run.length, run.calls) == (twin.length, twin.calls)
        assert (run.hidden is None) == (twin.hidden is None)
        if twin.hidden is not None:
            torch.testing.assert_close(run.hidden, twin.hidden, **CLOSE)


@pytest.mark.parametrize("hidden", [(), (0, -1), (1,)])
def test_tokens_trees_and_what_follows_them(runs, hidden):
    together, single = runs
    tree = (TREE.tokens, 4, [len(TEXTS[1]) + place for place in TREE.positions(0)], TREE.mask(), hidden)
    compare(together, single, [([1, 2, 3], 3, None, None, hidden), tree, ([5], 1, None, None, hidden)])
    for side in runs:
        side[0].keep(6, [])
        side[1].keep(1, [1, 3])
    compare(together, single, [([8, 8], 1), ([6], 1), ([2, 9, 9, 4], 2)])


def test_runs_of_different_models_are_not_mixed_up(runs):
    (first, second, _), (twin, _, _) = runs
    with torch.random.fork_rng():
        torch.manual_seed(6)
        other = gpt2().eval()
    stranger, its_twin = LeanGPT2(other, 40), LeanGPT2(other, 40)
    logits = made_together([Ask(first, "feed", ([1, 2],)), Ask(stranger, "feed", ([3, 4],)), Ask(second, "feed", ([5],))])
    torch.testing.assert_close(logits[0], twin.feed([1, 2]), **CLOSE)
    torch.testing.assert_close(logits[1], its_twin.feed([3, 4]), **CLOSE)


@pytest.mark.parametrize("kv_heads", [2, 1])
def test_eagle_drafters_read_and_draft_together(random_eagle, kv_heads):
    drafter, dice = random_eagle(kv_heads=kv_heads), torch.Generator().manual_seed(3)
    embeddings = torch.randn(29, 16, generator=dice)
    together, single = ([LeanEagle(drafter, embeddings, 40) for _ in TEXTS] for _ in range(2))
    features = [torch.randn(len(text), 48, generator=dice) for text in TEXTS]

    def same(call, asked):
        got = made_together([Ask(run, call, args, drafts=True) for run, args in zip(together, asked)])
        for run, twin, args, logits in zip(together, single, asked, got):
            torch.testing.assert_close(logits, getattr(twin, call)(*args), **CLOSE)
            torch.testing.assert_close(run.outputs, twin.outputs, **CLOSE)
            assert (run.length, run.calls) == (twin.length, twin.calls)
    same("read", [(own, text, wanted) for own, text, wanted in zip(features, TEXTS, (2, 1, 1))])
    tree = (together[1].outputs[[0, 0]], [6, 7], [1, 1], torch.eye(2, dtype=torch.bool))
    same("draft", [(together[0].outputs, [3, 4]), tree, (together[2].outputs, [5])])
    for run, twin, text in zip(together, single, TEXTS):
        run.keep(len(text))
        twin.keep(len(text))
    same("read", [(own[:1], [9]) for own in features])


def test_work_alone_is_sent_the_logits_of_each_pass_and_returns():
    class Model:
        def feed(self, number):
            return 10 * number

    def work():
        first = yield Ask(Model(), "feed", (1,))
        second = yield Ask(Model(), "feed", (2,))
        return first + second
    assert alone(work()) == 30
