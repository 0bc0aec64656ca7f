"""Propose: how a small model guesses ahead."""
import heapq

import torch

from .cached import CachedModel
from .config import Cfg
from .lean import LeanGPT2
from .sampling import (
    last_token_logits,
    next_distribution,
    penalize_nodes,
    safe_top_p_filter,
    sample_without_replacement,
    softmax_with_temperature,
)
from .tokens import append_token
from .tree import ROOT, TokenTree


class Branch(list):
    """A list of token ids that carries `probs`: the drafter's probability of each token when it was proposed."""

    def __init__(self, tokens, probs):
        super().__init__(tokens)
        self.probs = list(probs)


@torch.inference_mode()
def drafter_sample_first_tokens_basic(model, ids: torch.Tensor, k: int, temperature: float = 0.8) -> list[int]:
    """`k` distinct first tokens sampled from the drafter's full softmax after `ids` [1, T], in the order drawn."""
    probs = softmax_with_temperature(last_token_logits(model, ids), temperature)
    return sample_without_replacement(probs, k)


@torch.inference_mode()
def drafter_sample_first_tokens(model, ids: torch.Tensor, k: int, temperature: float = 0.8,
                                top_p: float | None = 0.9) -> Branch:
    """Up to `k` distinct first tokens sampled from the drafter's nucleus after `ids` [1, T], in the order drawn.

    `.probs` holds q of each: the drafter after temperature, restricted to its nucleus and renormalised. A nucleus of fewer
    than `k` tokens gives fewer.
    """
    probs = softmax_with_temperature(last_token_logits(model, ids), temperature)
    nucleus = safe_top_p_filter(probs, top_p)
    q = probs[nucleus] / probs[nucleus].sum()
    picks = sample_without_replacement(q, k)
    return Branch(nucleus[picks].tolist(), q[picks].tolist())


@torch.inference_mode()
def drafter_rollout_greedy(model, ids: torch.Tensor, first_tok: int, span: int, first_prob: float = 1.0) -> Branch:
    """The branch of `span` tokens that starts with `first_tok` and goes on with the drafter's argmax: span - 1 passes.

    `.probs` holds `first_prob`, then the drafter's softmax probability (temperature 1) of each greedy token.
    Raises ValueError if span < 1.
    """
    if span < 1:
        raise ValueError(f"span={span!r} is not usable: a branch has at least 1 token.")
    tokens, probs = [first_tok], [first_prob]
    for _ in range(span - 1):
        ids = append_token(ids, tokens[-1])
        q = torch.softmax(last_token_logits(model, ids), dim=-1)
        tokens.append(int(q.argmax()))
        probs.append(float(q.max()))
    return Branch(tokens, probs)


@torch.inference_mode()
def drafter_propose(model, ids: torch.Tensor, k: int, span: int, temperature: float = 0.8,
                    top_p: float | None = 0.9) -> list[Branch]:
    """Up to `k` branches of `span` tokens after `ids` [1, T]: sampled first tokens, each rolled out greedily.

    Costs 1 + k (span - 1) drafter passes. Two branches never share their first token.
    Raises ValueError if k < 1 or span < 1.
    """
    if k < 1 or span < 1:
        raise ValueError(f"k={k!r}, span={span!r} is not usable: both must be at least 1.")
    firsts = drafter_sample_first_tokens(model, ids, k, temperature, top_p)
    return [drafter_rollout_greedy(model, ids, tok, span, q) for tok, q in zip(firsts, firsts.probs)]


# With a cache: the draft as a token tree, one drafter pass a level.

def _fill_branches(tree: TokenTree, nodes: list[int], rows: torch.Tensor, cfg: Cfg) -> list[int]:
    """First tokens drawn without replacement, each continued greedily: the original notebook's branches."""
    if nodes == [ROOT]:
        q = next_distribution(rows[0], cfg.temperature, cfg.top_p)
        tree.drawn_from[ROOT] = "without_replacement", q
        return [tree.add(ROOT, token, float(q[token])) for token in sample_without_replacement(q, cfg.topk_branch)]
    best = torch.softmax(rows, dim=-1).max(dim=-1)
    return [tree.add(node, token, prob) for node, token, prob in zip(nodes, best.indices.tolist(), best.values.tolist())]


def _fill_paths(tree: TokenTree, nodes: list[int], rows: torch.Tensor, cfg: Cfg) -> list[int]:
    """Independent samples of the drafter; a node that several of them share is drawn from once for each."""
    fresh = []
    for node, q in zip(nodes, next_distribution(rows, cfg.temperature, cfg.top_p)):
        draws = cfg.topk_branch if node == ROOT else tree.children[tree.parents[node]].count(node)
        tree.drawn_from[node] = "with_replacement", q
        fresh += [tree.add(node, token, float(q[token])) for token in torch.multinomial(q, draws, replacement=True).tolist()]
    return list(dict.fromkeys(fresh))


def _fill_top(tree: TokenTree, nodes: list[int], rows: torch.Tensor, cfg: Cfg) -> list[int]:
    """The most probable continuations of the whole level, nothing drawn. As Li et al. 2024 (EAGLE-2, arXiv 2406.16858) grow
    their tree."""
    probs = torch.softmax(rows, dim=-1)
    reach = torch.tensor([tree.reach(node) for node in nodes], device=probs.device)
    best = (probs * reach[:, None]).flatten().topk(min(cfg.topk_branch, probs.numel()))
    fresh = []
    for joint, index, prob in zip(best.values.tolist(), best.indices.tolist(), probs.flatten()[best.indices].tolist()):
        row, token = divmod(index, probs.shape[1])
        if joint > 0 and joint >= cfg.draft_confidence:  # neither what is impossible nor a row with every token banned
            fresh.append(tree.add(nodes[row], token, prob))
    return fresh


FILL = {"branches": _fill_branches, "paths": _fill_paths, "top": _fill_top}


@torch.inference_mode()
def draft_tree(drafter: CachedModel | LeanGPT2, ids: list[int], cfg: Cfg, draft: str, span: int) -> TokenTree:
    """A draft of up to `cfg.topk_branch` branches and `span` levels behind `ids`, found as `draft` says (see `Cfg.draft`).

    One drafter pass a level; the first reads what the cache lacks of `ids`. Levels but the last stay in the cache behind the
    context, node i at position len(ids) + i. Where a path's probability would fall below `cfg.draft_confidence` nothing is
    drafted: decided from what is already there, before the next token is drawn, so that no rule is broken.
    """
    tree, nodes = TokenTree(), [ROOT]
    for level in range(span):
        if level == 0:
            rows = drafter.feed(ids[drafter.length:])
        else:
            tokens, shape = [tree.tokens[node] for node in nodes], ()
            if not tree.is_chain():
                shape = [len(ids) + level - 1] * len(nodes), tree.mask(nodes[0])
            rows = drafter.feed(tokens, len(tokens), *shape)
        contexts = (ids + tree.path_tokens(node) for node in nodes)
        rows = penalize_nodes(rows, contexts, cfg.repetition_penalty, cfg.no_repeat_ngram_size)
        if draft != "top" and (cfg.draft_confidence > 0 or cfg.no_repeat_ngram_size > 0):
            best = torch.softmax(rows, dim=-1).amax(dim=-1).tolist()  # NaN, so never sure, where every token is banned
            sure = [i for i, node in enumerate(nodes) if tree.reach(node) * best[i] >= cfg.draft_confidence]
            nodes, rows = [nodes[i] for i in sure], rows[sure]
        nodes = FILL[draft](tree, nodes, rows, cfg) if nodes else []
        if not nodes:
            break
    return tree


def lookup_tree(ids: list[int], span: int, shortest: int = 2, longest: int = 3) -> TokenTree:
    """The `span` tokens that followed the last few tokens of `ids` when these last occurred in `ids`, as one branch.

    The longest match of `shortest` to `longest` tokens wins, the latest of equals; empty without a match. No model runs.
    Saxena 2023 (prompt lookup decoding); Yang et al. 2023 (arXiv 2304.04487).
    """
    found, after = shortest - 1, None
    for end in range(len(ids) - 1, 0, -1):  # ids[:end] might end as ids does
        if ids[end - 1] != ids[-1]:
            continue
        size = 1
        while size < longest and size < end and ids[end - 1 - size] == ids[-1 - size]:
            size += 1
        if size > found:
            found, after = size, end
            if size == longest:
                break
    return TokenTree.from_branches([ids[after:after + span]] if after is not None and span > 0 else [])


@torch.inference_mode()
def heads_tree(probs: torch.Tensor, nodes: int, span: int) -> TokenTree:
    """The `nodes` most probable prefixes of what Medusa heads expect, as a tree of at most `span` levels.

    `probs` [H, V]: row i is head i's distribution of the token i places behind the next one. A prefix counts with the product
    of its tokens' probabilities. Cai et al. 2024 (Medusa, arXiv 2401.10774), section 2.3.3.
    """
    tree, depth = TokenTree(), min(span, len(probs))
    if depth < 1:
        return tree
    top = probs[:depth].topk(min(nodes, probs.shape[1]))
    chance, token = top.values.tolist(), top.indices.tolist()
    heap = [(-chance[0][0], 1.0, ROOT, 0, 0)]  # (-probability of the prefix, that of its parent, parent, level, rank)
    while heap and len(tree) < nodes:
        minus, above, parent, level, rank = heapq.heappop(heap)
        node = tree.add(parent, token[level][rank], chance[level][rank])
        if rank + 1 < len(token[level]):
            heapq.heappush(heap, (-above * chance[level][rank + 1], above, parent, level, rank + 1))
        if level + 1 < depth:
            heapq.heappush(heap, (minus * chance[level + 1][0], -minus, node, level + 1, 0))
    return tree


def next_span(span: int, accepted: int, drafted: int, most: int) -> int:
    """The span of the next step: one more where the whole draft was accepted, one less where it was not, from 1 to `most`."""
    return min(most, span + 1) if accepted == drafted else max(1, span - 1)
