"""Typical wrong answers of notebook 06; each must be refused."""
WRONG = {
    "06.token_bounds": [
        "def token_bounds(max_new, span):\n    return max_new // span, max_new\n",
        "def token_bounds(max_new, span):\n    return -(-max_new // span), max_new\n",
        "def token_bounds(max_new, span):\n    return 1, -(-max_new // span) * span\n",
    ],
    "06.cut_at_eos": [
        "def cut_at_eos(block, eos_ids):\n    for i, token in enumerate(block):\n        if token in eos_ids:\n"
        "            return block[:i], True\n    return block, False\n",
        "def cut_at_eos(block, eos_ids):\n    return block, block[-1] in eos_ids\n",
        "def cut_at_eos(block, eos_ids):\n    return block, any(token in eos_ids for token in block)\n",
        "def cut_at_eos(block, eos_ids):\n    for eos in sorted(eos_ids):\n        if eos in block:\n"
        "            return block[:block.index(eos) + 1], True\n    return block, False\n",
    ],
    "06.write_exactly": [
        "def write_exactly(step, max_new, span):\n    done = []\n    for _ in range(-(-max_new // span)):\n"
        "        done = done + step(done, min(span, max_new - len(done)))\n    return done\n",
        "def write_exactly(step, max_new, span):\n    done = []\n    while len(done) < max_new:\n"
        "        done = done + step(done, span)\n    return done\n",
        "def write_exactly(step, max_new, span):\n    done = []\n    while len(done) < max_new:\n"
        "        done = done + step(done, span)\n    return done[:max_new]\n",
        "def write_exactly(step, max_new, span):\n    done = []\n    while len(done) < max_new:\n"
        "        step(done, 1)\n    return done\n",
    ],
}
