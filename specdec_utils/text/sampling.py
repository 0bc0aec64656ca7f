"""From logits to distributions, and from distributions to tokens."""
import torch


@torch.inference_mode()
def last_token_logits(model, ids: torch.Tensor) -> torch.Tensor:
    """Logits [V] of the token that follows `ids` [1, T], from one uncached forward pass."""
    return model(ids).logits[0, -1]


def softmax_with_temperature(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """Probabilities [V] = softmax(logits / temperature); temperatures below 1e-6 count as 1e-6 (all mass on the best)."""
    logits = logits - logits.max(dim=-1, keepdim=True).values  # so that half precision cannot overflow
    return torch.softmax(logits / max(float(temperature), 1e-6), dim=-1)


def safe_top_p_filter(probs: torch.Tensor, top_p: float | None) -> torch.Tensor:
    """Ids of the nucleus, most probable first: the smallest set of tokens whose mass reaches `top_p`.

    `probs` is [V]; `top_p=None` or 1 keeps every token. Holtzman et al. 2020 (arXiv 1904.09751), section 3.1. The token that
    crosses `top_p` belongs to the set; the original notebook dropped it.

    Raises ValueError if top_p is not in (0, 1].
    """
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p!r} is not usable: it must be None or a number in (0, 1].")
    sorted_probs, sorted_ids = torch.sort(probs, descending=True, stable=True)
    if top_p is None or top_p == 1:
        return sorted_ids
    mass_before = torch.cumsum(sorted_probs, dim=0) - sorted_probs
    return sorted_ids[mass_before < top_p]


def next_distribution(logits: torch.Tensor, temperature: float, top_p: float | None) -> torch.Tensor:
    """Float64 [..., V]: what is sampled from, row by row: softmax(logits / temperature) cut to its nucleus, renormalised.

    The same law as `transformers` samples with at this temperature and top_p (and `top_k=0`).
    """
    if logits.device.type == "mps":  # which has no float64
        logits = logits.cpu()
    probs = softmax_with_temperature(logits.double(), temperature)
    if top_p is None or top_p == 1:
        return probs
    ordered, ids = torch.sort(probs, dim=-1, descending=True, stable=True)
    ordered = ordered.masked_fill(torch.cumsum(ordered, dim=-1) - ordered >= top_p, 0.0)
    kept = torch.zeros_like(probs).scatter(-1, ids, ordered)
    return kept / kept.sum(-1, keepdim=True)


def sample_without_replacement(probs: torch.Tensor, k: int, generator: torch.Generator | None = None) -> list[int]:
    """Up to `k` distinct ids drawn from `probs` [V] in the order drawn; fewer where fewer have any probability.

    Drawn on the CPU, so that a seed draws the same on every device: from `generator`, or torch's global one.
    """
    k = max(0, min(int(k), int((probs > 0).sum())))
    if k == 0:
        return []
    return torch.multinomial(probs.cpu(), num_samples=k, replacement=False, generator=generator).tolist()


def penalize(logits: torch.Tensor, ids: torch.Tensor, repetition_penalty: float = 1.0,
             no_repeat_ngram_size: int = 0) -> torch.Tensor:
    """Logits [V] of the token after `ids` [1, T] with both penalties applied; the input stays as it was.

    The repetition penalty (CTRL, Keskar et al. 2019, arXiv 1909.05858, section 4.1) divides positive and multiplies
    negative logits of every token that occurs in `ids`, prompt included. `no_repeat_ngram_size=n` forbids each token that
    would complete an n-gram already in `ids`. Both as `transformers` does them, in its order (see `processors.py`).
    """
    if repetition_penalty != 1.0:
        seen = ids[0].unique()
        score = logits[seen]
        logits = logits.index_copy(0, seen, torch.where(score < 0, score * repetition_penalty, score / repetition_penalty))
    n = no_repeat_ngram_size
    if n > 0 and ids.shape[1] >= n:
        row = ids[0].tolist()
        tail = row[len(row) - n + 1:]
        banned = [row[i + n - 1] for i in range(len(row) - n + 1) if row[i:i + n - 1] == tail]
        logits = logits.index_fill(0, torch.tensor(banned, dtype=torch.long, device=logits.device), float("-inf"))
    return logits
