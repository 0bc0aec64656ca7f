"""Typical wrong answers to the exercises of notebook 08; each check must refuse each of them."""
WRONG = {
    "08.cache_bytes": [
        "def cache_bytes(layers, width, positions, bytes_per_number):\n    return layers * width * positions * bytes_per_number",
        "def cache_bytes(layers, width, positions, bytes_per_number):\n    return 2 * layers * width * positions",
        "def cache_bytes(layers, width, positions, bytes_per_number):\n    return 2 * width * positions * bytes_per_number",
        "def cache_bytes(layers, width, positions, bytes_per_number):\n"
        "    return 3 * layers * width * positions * bytes_per_number",
    ],
    "08.roll_back": [
        "def roll_back(cache, prefix):\n    drop = cache.get_seq_length() - prefix\n    cache.crop(-drop)\n    return drop",
        "def roll_back(cache, prefix):\n    drop = max(0, cache.get_seq_length() - prefix)\n    cache.crop(-drop)\n    return drop",
        "def roll_back(cache, prefix):\n    drop = max(0, cache.get_seq_length() - prefix)\n    cache.crop(prefix)\n    return drop",
        "def roll_back(cache, prefix):\n    drop = max(0, cache.get_seq_length() - prefix)\n    cache.crop(-prefix)\n    return drop",
        "def roll_back(cache, prefix):\n    drop = cache.get_seq_length() - prefix\n    if drop:\n        cache.crop(-drop)\n"
        "    return drop",
        "def roll_back(cache, prefix):\n    drop = cache.get_seq_length() - prefix\n    if drop > 0:\n        cache.crop(-drop)\n"
        "    return drop",
        "def roll_back(cache, prefix):\n    drop = cache.get_seq_length() - prefix\n    if drop > 0:\n        cache.crop(-drop)\n"
        "    return cache.get_seq_length()",
    ],
    "08.draft_with_cache": [
        """def draft_with_cache(drafter, text, span):
    draft = []
    for _ in range(span):
        logits = drafter.feed(text + draft)
        draft.append(int(logits[-1].argmax()))
    return draft""",
        """def draft_with_cache(drafter, text, span):
    draft, newest = [], text[-1]
    for _ in range(span):
        newest = int(drafter.feed([newest])[-1].argmax())
        draft.append(newest)
    return draft""",
        """def draft_with_cache(drafter, text, span):
    logits, draft = drafter.feed(text[drafter.length:]), []
    for _ in range(span):
        draft.append(int(logits[-1].argmax()))
        logits = drafter.feed([draft[-1]])
    return draft""",
        """def draft_with_cache(drafter, text, span):
    for token in text[drafter.length:]:
        logits = drafter.feed([token])
    draft = [int(logits[-1].argmax())]
    while len(draft) < span:
        draft.append(int(drafter.feed([draft[-1]])[-1].argmax()))
    return draft""",
        """def draft_with_cache(drafter, text, span):
    draft = []
    for _ in range(span):
        logits = drafter.feed((text + draft)[drafter.length:])
        draft.append(int(logits[-1].argmax()))
    return text + draft""",
    ],
}
