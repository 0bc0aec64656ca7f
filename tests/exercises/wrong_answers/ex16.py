"""Typical wrong answers to the exercises of notebook 16; each check must refuse each of them."""
TABLE = """from collections import Counter, defaultdict
def trigram_table(texts):
    seen = defaultdict(Counter)
    for text in texts:
        for a, b, c in zip(text, text[1:], text[2:]):
            seen[a, b][c] += 1
    return {pair: counts.most_common(1)[0][0] for pair, counts in seen.items()}
"""
DRAFTER = """from specdec_utils.decode.propose.base import Drafter
def trigram_drafter(table):
    class Trigram(Drafter):
        about = "a table of trigrams"
        source = "trigram"

        @classmethod
        def laws(cls, cfg):
            return {"deterministic"}

        def propose(self, ids, span):
            tree, node, text = TokenTree(), ROOT, list(ids)
            while len(tree) < span and tuple(text[-2:]) in table:
                text.append(table[tuple(text[-2:])])
                node = tree.add(node, text[-1])
            return tree
    return Trigram
"""
ORACLE = """from specdec_utils.decode.laws import exact_law, independent, output_law
CASES = [((5, 3, 2, 0), (2, 2, 4, 2)), ((2, 2, 4, 2), (5, 3, 2, 0))]
def find_mutants(suspects):
    guilty = set()
    for name, rule in suspects.items():
        for weights in CASES:
            p, q = map(exact_law, weights)
            for k in (1, 2, 3):
                accepted, drawn = output_law(rule, p, q, independent(q, k))
                if any(accepted + drawn != p):
                    guilty.add(name)
    return guilty
"""
MEND = """def mend(p, q, accept):
    left = [a - b * c for a, b, c in zip(p, q, accept)]
    if min(left) < 0:
        return None
    total = sum(left)
    return [x / total for x in left] if total else list(p)
"""
SHAPE = """def tree_shape(acceptance, budget):
    shape, open_paths = [], {(rank,): a for rank, a in enumerate(acceptance[0])}
    while open_paths and len(shape) < budget:
        path = max(open_paths, key=open_paths.get)
        reach = open_paths.pop(path)
        shape.append(path)
        if len(path) < len(acceptance):
            open_paths |= {(*path, rank): reach * a for rank, a in enumerate(acceptance[len(path)])}
    return shape
"""
FORECAST = """import numpy
def forecast(alpha, drafter, verifier, most):
    sizes = sorted(verifier)
    speeds = [1.0]
    for span in range(1, most + 1):
        tokens = sum(alpha**i for i in range(span + 1))
        seconds = span * drafter + numpy.interp(span + 1, sizes, [verifier[size] for size in sizes])
        speeds.append(tokens / seconds * verifier[1])
    best = max(range(most + 1), key=speeds.__getitem__)
    return best, speeds[best]
"""
BAN = """def ban_repeats(logits, ids, tree, size):
    logits = logits.clone()
    for row in range(len(tree) + 1):
        text = ids + tree.path_tokens(row - 1)
        last = text[len(text) - size + 1:]
        for i in range(len(text) - size + 1):
            if text[i:i + size - 1] == last:
                logits[row, text[i + size - 1]] = -float("inf")
    return logits
"""


def changed(answer: str, *changes: tuple[str, str]) -> str:
    """`answer` with each of `changes` made; an AssertionError if one finds nothing to change."""
    for old, new in changes:
        assert old in answer, old
        answer = answer.replace(old, new)
    return answer


def safe(condition: str) -> str:
    return f"def may_draft(seconds, tokens, greedy, worst):\n    return {condition}"


WRONG = {
    "16.trigram_table": [
        changed(TABLE, ("for text in texts:", "for text in [sum(texts, [])]:")),
        "def trigram_table(texts):\n    return {(a, b): c for t in texts for a, b, c in zip(t, t[1:], t[2:])}",
        changed(TABLE, ("seen[a, b]", "seen[b, a]")),
        changed(TABLE, ("seen[a, b]", "seen[b]")),
        changed(TABLE, (".most_common(1)[0][0]", "")),
        changed(TABLE, ("in zip(text, text[1:], text[2:])", "in zip(text, text[1:], text[2:-1])")),
        "def trigram_table(texts):\n    table = {}\n    for t in texts:\n        for a, b, c in zip(t, t[1:], t[2:]):\n"
        "            table.setdefault((a, b), c)\n    return table",
        changed(TABLE, ("counts.most_common(1)[0][0]", "max(counts, key=lambda token: (counts[token], -token))")),
        "def trigram_table(texts):\n    return [tuple(t[i:i + 3]) for t in texts for i in range(len(t) - 2)]",
    ],
    "16.trigram_drafter": [
        changed(DRAFTER, ("text = TokenTree(), ROOT, list(ids)", "text = TokenTree(), ROOT, ids")),
        changed(DRAFTER, ("node = tree.add(node, text[-1])", "tree.add(node, text[-1])")),
        changed(DRAFTER, ('return {"deterministic"}', "return set()")),
        changed(DRAFTER, ('return {"deterministic"}', 'return {"with_replacement"}')),
        changed(DRAFTER, ("while len(tree) < span and", "while len(tree) < 4 and")),
        changed(DRAFTER, ("while len(tree) < span and", "if len(tree) < span and")),
        changed(DRAFTER, ("while len(tree) < span and tuple(text[-2:]) in table", "while len(tree) < span")),
        changed(DRAFTER, ("            return tree\n", "            return tree.tokens\n")),
        changed(DRAFTER, ("text[-2:]", "text[:2]")),
        changed(DRAFTER, ("            return tree\n", "            tree.drawn_from[ROOT] = 'with_replacement', torch.ones(40) / 40\n"
                          "            return tree\n")),
        DRAFTER + "make = trigram_drafter\ntrigram_drafter = lambda table: make(table)()",
        changed(DRAFTER, ("def propose", "def draft")),
    ],
    "16.find_mutants": [
        changed(ORACLE, ("(1, 2, 3)", "(1,)")),
        changed(ORACLE, ("(1, 2, 3)", "(1, 2)")),
        changed(ORACLE, (", ((2, 2, 4, 2), (5, 3, 2, 0))", "")),
        changed(ORACLE, ("[((5, 3, 2, 0), (2, 2, 4, 2)), ((2, 2, 4, 2), (5, 3, 2, 0))]", "[((1, 2, 3), (3, 2, 1))]")),
        changed(ORACLE, ("any(accepted + drawn != p)", "any(accepted != p)")),
        changed(ORACLE, ("any(accepted + drawn != p)", "sum(accepted) < sum(min(a, b) for a, b in zip(p, q))")),
        "def find_mutants(suspects):\n    return set()",
        "def find_mutants(suspects):\n    return set(suspects)",
        "def find_mutants(suspects):\n    return {'B', 'E'}",
        "def find_mutants(suspects):\n    return True",
    ],
    "16.mend": [
        "def mend(p, q, accept):\n    left = [max(a - b, 0) for a, b in zip(p, q)]\n    return [x / sum(left) for x in left] if sum(left) else p",
        "def mend(p, q, accept):\n    return list(p)",
        changed(MEND, ("[x / total for x in left] if total else list(p)", "left")),
        changed(MEND, ("a - b * c", "a - c")),
        changed(MEND, ("a - b * c", "max(a - b * c, 0)")),
        changed(MEND, ("if total else list(p)", "")),
        changed(MEND, ("total = sum(left)", "total = sum(b * c for b, c in zip(q, accept))")),
        changed(MEND, ("min(left) < 0", "min(left) <= 0")),
    ],
    "16.tree_shape": [
        "def tree_shape(acceptance, budget):\n    return [(0,) * n for n in range(1, min(budget, len(acceptance)) + 1)]",
        "def tree_shape(acceptance, budget):\n    return [(rank,) for rank in range(min(budget, len(acceptance[0])))]",
        changed(SHAPE, ("reach * a", "a")),
        changed(SHAPE, ("< len(acceptance)", "<= 9"), ("acceptance[len(path)]", "acceptance[min(len(path), len(acceptance) - 1)]")),
        changed(SHAPE, ("return shape", "return shape + [(1, 1)]")),
        changed(SHAPE, ("return shape", "return [path for path in shape if path != (0,)]")),
        changed(SHAPE, ("return shape", "return shape[:-1] + shape[:1]")),
        changed(SHAPE, ("open_paths.get", "lambda path: (-len(path), open_paths[path])")),
        "def tree_shape(acceptance, budget):\n    return budget",
    ],
    "16.forecast": [
        changed(FORECAST, ("span * drafter + ", "")),
        changed(FORECAST, ("interp(span + 1", "interp(span")),
        changed(FORECAST, ("range(span + 1)", "range(1, span + 1)")),
        changed(FORECAST, (" * verifier[1]", "")),
        changed(FORECAST, ("speeds = [1.0]", "speeds = [0.0]")),
        changed(FORECAST, ("return best, speeds[best]", "return best")),
        changed(FORECAST, ("span * drafter", "drafter")),
        changed(FORECAST, ("numpy.interp(span + 1, sizes, [verifier[size] for size in sizes])",
                           "verifier[min(sizes, key=lambda size: abs(size - span - 1))]")),
        changed(FORECAST, ("best = max(range(most + 1)", "best = max([0] + [size - 1 for size in sizes if 1 < size <= most + 1]")),
    ],
    "16.ban_repeats": [
        changed(BAN, ("ids + tree.path_tokens(row - 1)", "list(ids)")),
        changed(BAN, ("ids + tree.path_tokens(row - 1)", "ids + tree.tokens[:row]")),
        changed(BAN, ("tree.path_tokens(row - 1)", "tree.path_tokens(min(row, len(tree) - 1))")),
        changed(BAN, ('-float("inf")', "0.0")),
        changed(BAN, ("size):\n    logits", "size):\n    size += 1\n    logits")),
        changed(BAN, ("size):\n    logits", "size):\n    size -= 1\n    logits")),
        changed(BAN, ("    return logits\n", "    return logits - 1\n")),
        changed(BAN, ("    return logits\n", "    return logits.argmax(dim=-1)\n")),
    ],
    "16.may_draft": [
        safe("True"),
        safe("False"),
        safe("seconds <= 1.05 * greedy * tokens"),
        safe("seconds + worst <= 1.05 * greedy * tokens"),
        safe("seconds + worst <= greedy * (tokens + 1)"),
        safe("worst <= 1.05 * greedy"),
        safe("seconds + worst <= 1.05 * greedy * (tokens + 4)"),
        safe("1.05 * greedy * (tokens + 1) - seconds - worst"),
    ],
}
SOLVED = {"16.trigram_table": TABLE, "16.trigram_drafter": DRAFTER, "16.find_mutants": ORACLE, "16.mend": MEND, "16.tree_shape": SHAPE,
          "16.forecast": FORECAST, "16.ban_repeats": BAN, "16.may_draft": safe("seconds + worst <= 1.05 * greedy * (tokens + 1)")}
