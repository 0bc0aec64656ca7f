"""The eagle drafter behind its cache, plain and lean: that both are the same pass, trees, rollback, which drafters are lean."""
import pytest
import torch

from specdec_utils import CachedEagle, LeanEagle, TokenTree, cached_eagle

TREE = TokenTree.from_branches([[1, 5, 8], [1, 6], [2, 7, 3]])  # nodes: 1 5 8 6 2 7 3
CLASSES = pytest.mark.parametrize("cached", [CachedEagle, LeanEagle])
VARIANTS = {"plain": {}, "grouped heads": dict(heads=4, kv_heads=2), "few ids": dict(draft_ids=torch.tensor([0, 3, 4, 7, 11, 28])),
            "one id": dict(draft_ids=torch.tensor([5])), "another base": dict(rope_theta=100.0, eps=1e-2)}
FEATURES = torch.randn(9, 48, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TOKENS = [4, 9, 2, 9, 17, 3, 3, 8, 0]
EMBEDDINGS = torch.randn(29, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def close(one, other, tolerance=1e-6):  # tables of angles are in float32
    torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance)


@pytest.fixture
def make(random_eagle):
    """make(class, ...): a runner over a random drafter in float64."""
    def build(cached, dtype=torch.float64, **options):
        return cached(random_eagle(**options).to(dtype), EMBEDDINGS.to(dtype), 32)
    return build


def alone(runner, path):
    """Logits after `path` (tokens), in a fresh plain cache: all features but the last few read, then one guess after another."""
    fresh = CachedEagle(runner.drafter, runner.embeddings, 32)
    logits = fresh.read(FEATURES[:5].to(runner.embeddings.dtype), TOKENS[:5])
    for token in path:
        logits = fresh.draft(fresh.outputs, [token])
    return logits[0]


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-6)], ids=str)
@pytest.mark.parametrize("variant", VARIANTS)
def test_lean_pass_equals_the_plain_one(make, variant, dtype, tolerance):
    lean, plain = (make(cached, dtype, **VARIANTS[variant]) for cached in (LeanEagle, CachedEagle))
    features, scale = FEATURES.to(dtype), 1.0
    for first, last, wanted in ((0, 5, 5), (5, 6, 1), (6, 9, 2)):
        one, other = (runner.read(features[first:last], TOKENS[first:last], wanted) for runner in (lean, plain))
        assert one.shape == (wanted, 29) and one.dtype == dtype
        scale = max(scale, float(other[other > -torch.inf].abs().max()))
        close(one, other, tolerance * scale)
        close(lean.outputs, plain.outputs, tolerance * scale)
    one, other = (runner.draft(runner.outputs[-1:].expand(7, -1), TREE.tokens, TREE.positions(9), TREE.mask()) for runner in (lean, plain))
    close(one, other, tolerance * scale)
    assert (lean.length, lean.calls) == (plain.length, plain.calls) == (16, 4)


@CLASSES
def test_tree_logits_equal_each_path_alone(make, cached):
    runner = make(cached)
    runner.read(FEATURES[:5], TOKENS[:5])
    levels, depths = [], TREE.depths()
    for depth in range(3):  # in the order of levels, as a draft grows
        levels.append([node for node in range(len(TREE)) if depths[node] == depth])
    order = [node for level in levels for node in level]
    tree = TokenTree()
    new = {-1: -1}
    for node in order:
        new[node] = tree.add(new[TREE.parents[node]], TREE.tokens[node], merge=False)
    above = {-1: 0}
    for depth, level in enumerate(levels):
        nodes = [new[node] for node in level]
        part = TokenTree(tree.tokens[:nodes[-1] + 1], tree.parents[:nodes[-1] + 1])
        logits = runner.draft(runner.outputs[[above[tree.parents[node]] for node in nodes]], [tree.tokens[node] for node in nodes],
                              [5 + depth] * len(nodes), part.mask(nodes[0]))
        for row, node in zip(logits, nodes):
            close(row, alone(runner, tree.path_tokens(node)))
        above = {node: i for i, node in enumerate(nodes)}


@CLASSES
def test_after_a_rollback_the_cache_is_a_fresh_one(make, cached):
    runner, fresh = make(cached), make(cached)
    runner.read(FEATURES[:4], TOKENS[:4])
    for token in (7, 8):
        runner.draft(runner.outputs, [token])
    runner.keep(4)
    assert runner.length == 4
    one = runner.read(FEATURES[4:7], TOKENS[4:7], 3)
    other = fresh.read(FEATURES[:7], TOKENS[:7], 3)
    close(one, other)
    close(runner.keys[:, :7], fresh.keys[:, :7])
    close(runner.values[:, :7], fresh.values[:, :7])
    runner.keep(9)  # more than there is: nothing to drop
    assert runner.length == 7
    runner.keep(0)
    close(runner.read(FEATURES[:7], TOKENS[:7], 3), other)


@CLASSES
def test_a_chain_drafts_what_unrolled_training_saw(make, cached):
    runner = make(cached)
    ids = torch.tensor([[6, *TOKENS]])
    features = torch.cat([FEATURES, FEATURES[:1]])[None]
    unrolled = runner.drafter.unroll(features, ids, EMBEDDINGS, 3)
    for last in (0, 3, 6):
        runner.keep(0)
        logits = [runner.read(FEATURES[:last + 1], TOKENS[:last + 1])]
        for j in (1, 2):
            logits.append(runner.draft(runner.outputs, [TOKENS[last + j]]))
        for j in range(3):
            close(logits[j][0], runner.drafter.logits(unrolled[j][0, last]))


@CLASSES
def test_mask_without_positions_is_rejected(make, cached):
    runner = make(cached)
    runner.read(FEATURES[:2], TOKENS[:2])
    with pytest.raises(ValueError, match="A mask needs positions"):
        runner.draft(runner.outputs.expand(2, -1), [1, 2], mask=torch.ones(2, 2, dtype=torch.bool))
    assert (runner.length, runner.calls) == (2, 1)


@pytest.mark.parametrize("change", [lambda d: d.lm_head.weight.neg_(), lambda d: d.midlayer.hidden_norm.weight.mul_(2)])
def test_weights_changed_in_place_are_seen_by_the_next_lean_run(make, change):
    runner = make(LeanEagle)
    before = runner.read(FEATURES[:4], TOKENS[:4])
    assert torch.equal(LeanEagle(runner.drafter, runner.embeddings, 32).read(FEATURES[:4], TOKENS[:4]), before)
    with torch.no_grad():
        change(runner.drafter)
    after = LeanEagle(runner.drafter, runner.embeddings, 32).read(FEATURES[:4], TOKENS[:4])
    close(after, CachedEagle(runner.drafter, runner.embeddings, 32).read(FEATURES[:4], TOKENS[:4]))
    assert not torch.allclose(after, before)


def test_without_a_table_of_embeddings_the_lean_pass_is_the_same(make, monkeypatch):
    with_table = make(LeanEagle)
    monkeypatch.setattr("specdec_utils.run.eagle.TABLE_LIMIT", 0)
    without = make(LeanEagle)
    assert with_table.arranged.table is not None and without.arranged.table is None
    close(without.read(FEATURES, TOKENS, 9), with_table.read(FEATURES, TOKENS, 9))


def _hooked(drafter):
    drafter.midlayer.mlp.register_forward_hook(lambda *args: None)


def _replaced(drafter):
    drafter.lm_head = torch.nn.Sequential(drafter.lm_head)


@pytest.mark.parametrize("change", [lambda d: d.train(), lambda d: d.half(), lambda d: d.to("meta"), _hooked, _replaced,
                                    lambda d: setattr(d, "forward", lambda *args: None)])
def test_lean_pass_takes_no_drafter_that_is_not_as_it_was_made(random_eagle, change):
    drafter = random_eagle()
    assert LeanEagle.knows(drafter) and type(cached_eagle(drafter, EMBEDDINGS.float(), 8)) is LeanEagle
    assert type(cached_eagle(drafter, EMBEDDINGS.float(), 8, lean=False)) is CachedEagle
    change(drafter)
    assert not LeanEagle.knows(drafter)


def test_lean_pass_equals_the_plain_one_on_the_bundled_pair(stories):
    ids = stories.tokenizer("One day, a small dog saw a big red ball in the park.")["input_ids"]
    with torch.inference_mode():
        states = stories.verifier(torch.tensor([ids]), output_hidden_states=True).hidden_states
    features = torch.cat([states[layer][0] for layer in stories.eagle.layers], dim=-1)[:-1]
    embeddings = stories.verifier.get_input_embeddings().weight
    lean, plain = (cached(stories.eagle, embeddings, 32).read(features, ids[1:], len(ids) - 1) for cached in (LeanEagle, CachedEagle))
    close(torch.softmax(lean, -1), torch.softmax(plain, -1), 1e-5)
