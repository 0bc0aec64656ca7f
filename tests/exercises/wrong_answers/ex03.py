"""Typical wrong answers to the exercises of notebook 03; each must be refused."""
WRONG = {
    "03.nucleus_size": [
        """def nucleus_size(probs, top_p):
    ordered = torch.sort(probs, descending=True).values
    return max(1, int((torch.cumsum(ordered, dim=0) <= top_p).sum()))
""",
        """def nucleus_size(probs, top_p):
    before = torch.cumsum(probs, dim=0) - probs
    return int((before < top_p).sum())
""",
        """def nucleus_size(probs, top_p):
    ordered = torch.sort(probs, descending=True).values
    return 2 + int((torch.cumsum(ordered, dim=0) < top_p).sum())
""",
    ],
    "03.top_k_first_tokens": [
        """def top_k_first_tokens(model, ids, k):
    return last_token_logits(model, ids).topk(k).values.tolist()
""",
        """def top_k_first_tokens(model, ids, k):
    return last_token_logits(model, ids).topk(k).indices
""",
        """def top_k_first_tokens(model, ids, k):
    return model(ids).logits[0, 0].topk(k).indices.tolist()
""",
        """def top_k_first_tokens(model, ids, k):
    return last_token_logits(model, ids).argsort()[:k].tolist()
""",
    ],
    "03.longest_span": [
        """def longest_span(budget, k):
    return budget // k
""",
        """def longest_span(budget, k):
    return 1 + (budget - 1) / k
""",
        """def longest_span(budget, k):
    return 1 + budget // k
""",
        """def longest_span(budget, k):
    return (budget - 1) // k
""",
    ],
    "03.careful_rollout": [
        """def careful_rollout(model, ids, first_tok, span, threshold):
    tokens = [first_tok]
    while len(tokens) < span:
        ids = append_token(ids, tokens[-1])
        q = torch.softmax(last_token_logits(model, ids), dim=-1)
        tokens.append(int(q.argmax()))
        if float(q.max()) < threshold:
            break
    return tokens
""",
        """def careful_rollout(model, ids, first_tok, span, threshold):
    tokens = [first_tok]
    for _ in range(span):
        ids = append_token(ids, tokens[-1])
        q = torch.softmax(last_token_logits(model, ids), dim=-1)
        if float(q.max()) < threshold:
            break
        tokens.append(int(q.argmax()))
    return tokens
""",
        """def careful_rollout(model, ids, first_tok, span, threshold):
    tokens = [first_tok]
    while len(tokens) < span:
        ids = append_token(ids, tokens[-1])
        tokens.append(int(last_token_logits(model, ids).argmax()))
    return tokens
""",
    ],
}
