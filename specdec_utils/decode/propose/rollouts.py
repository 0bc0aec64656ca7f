"""The original notebook's drafts: first tokens sampled by nucleus, each rolled out greedily, without a cache."""
import torch

from ...text.sampling import (
    last_token_logits,
    safe_top_p_filter,
    sample_without_replacement,
    softmax_with_temperature,
)
from ...text.tokens import append_token


class Branch(list):
    """A list of token ids that carries `probs`: the drafter's probability of each token when it was proposed."""

    def __init__(self, tokens, probs):
        super().__init__(tokens)
        self.probs = list(probs)


@torch.inference_mode()
def drafter_sample_first_tokens_basic(model, ids: torch.Tensor, k: int, temperature: float = 0.8,
                                      generator: torch.Generator | None = None) -> list[int]:
    """`k` distinct first tokens sampled from the drafter's full softmax after `ids` [1, T], in the order drawn."""
    probs = softmax_with_temperature(last_token_logits(model, ids), temperature)
    return sample_without_replacement(probs, k, generator)


@torch.inference_mode()
def drafter_sample_first_tokens(model, ids: torch.Tensor, k: int, temperature: float = 0.8, top_p: float | None = 0.9,
                                generator: torch.Generator | None = None) -> Branch:
    """Up to `k` distinct first tokens sampled from the drafter's nucleus after `ids` [1, T], in the order drawn.

    `.probs` holds q of each: the drafter after temperature, restricted to its nucleus and renormalised. A nucleus of fewer
    than `k` tokens gives fewer.
    """
    probs = softmax_with_temperature(last_token_logits(model, ids), temperature)
    nucleus = safe_top_p_filter(probs, top_p)
    q = probs[nucleus] / probs[nucleus].sum()
    picks = sample_without_replacement(q, k, generator)
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
def drafter_propose(model, ids: torch.Tensor, k: int, span: int, temperature: float = 0.8, top_p: float | None = 0.9,
                    generator: torch.Generator | None = None) -> list[Branch]:
    """Up to `k` branches of `span` tokens after `ids` [1, T]: sampled first tokens, each rolled out greedily.

    Costs 1 + k (span - 1) drafter passes. Two branches never share their first token.
    Raises ValueError if k < 1 or span < 1.
    """
    if k < 1 or span < 1:
        raise ValueError(f"k={k!r}, span={span!r} is not usable: both must be at least 1.")
    firsts = drafter_sample_first_tokens(model, ids, k, temperature, top_p, generator)
    return [drafter_rollout_greedy(model, ids, tok, span, q) for tok, q in zip(firsts, firsts.probs)]
