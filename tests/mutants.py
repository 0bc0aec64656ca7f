"""Small broken twins: faults that implementations of speculative sampling have had, each otherwise as it should be.

`tests/decode/test_mutants.py` shows that the oracle which passes the package's rules notices every one of them.
"""
import operator

import oracle
import torch

from specdec_utils import ROOT, RULES


def _norm(weights):
    return weights / weights.sum() if weights.sum() > 0 else weights


def _excess(p, q):
    return ((p - q) + abs(p - q)) / 2


# -- rules: (p, q, candidates) -> (accept, residuals)

def resample_from_p(p, q, candidates):
    """After a rejection draws from p, and not from norm((p - q)+)."""
    accept, residuals = RULES["with_replacement"](p, q, candidates)
    return accept, [p for _ in residuals]


def q_not_renormalised(p, q, candidates):
    """Takes a rejected candidate out of q and leaves the rest as it is."""
    accept, residuals = [], []
    for x in candidates:
        accept.append(min(1, p[x] / q[x]))
        p, q = _norm(_excess(p, q)), q * 1
        q[x] = 0
        residuals.append(p)
    return accept, residuals


def best_of_k(p, q, candidates):
    """Tries every candidate against the same p, and corrects once, as if only one had been drawn."""
    return [min(1, p[x] / q[x]) for x in candidates], [_norm(_excess(p, q)) for _ in candidates]


# -- laws: how the candidates that a rule is given came about, as in `oracle.LAWS`

def top_k_judged_with_raw_q(q, k):
    """Draws from the k best tokens of q, but the rule is handed the whole of q."""
    top = sorted(range(len(q)), key=lambda x: -q[x])[:k]
    mass = sum(q[x] for x in top)
    return [((x,), q[x] / mass) for x in top]


def draft_vocabulary_judged_with_the_whole_q(q, k):
    """Draws from q over the tokens that the drafter can write, all but the first, but the rule is handed the whole of q."""
    few = range(1, len(q))
    mass = sum(q[x] for x in few)
    return [((x,), q[x] / mass) for x in few]


def sorted_by_id(q, k):
    """Draws without replacement, then tries the candidates in the order of their ids."""
    return [(tuple(sorted(candidates)), chance) for candidates, chance in oracle.draws_without_replacement(q, k)]


def sorted_by_probability(q, k):
    """Draws without replacement, then tries the likeliest candidate first."""
    return [(tuple(sorted(candidates, key=lambda x: -q[x])), chance)
            for candidates, chance in oracle.draws_without_replacement(q, k)]


def low_confidence_dropped(q, k, least=0.15):
    """Draws one candidate and throws it away if q was not sure enough of it."""
    return [((x,) if q[x] >= least else (), chance) for (x,), chance in oracle.one_draw(q)]


# rule mutant -> (law, rule, k); each is held against the rule that its law belongs to
AT_ONE_POSITION = {
    "resample from p": (oracle.one_draw, resample_from_p, 1),
    "greedy draft judged with a soft q": (oracle.best_of_the_drafter, RULES["single_draft"], 1),
    "raw q after top-k drafting": (top_k_judged_with_raw_q, RULES["single_draft"], 3),
    "q of a draft vocabulary over the wrong set": (draft_vocabulary_judged_with_the_whole_q, RULES["single_draft"], 1),
    "q not renormalised": (oracle.draws_without_replacement, q_not_renormalised, 3),
    "siblings sorted by id": (sorted_by_id, RULES["without_replacement"], 3),
    "siblings sorted by probability": (sorted_by_probability, RULES["without_replacement"], 3),
    "low-confidence draft dropped after the fact": (low_confidence_dropped, RULES["with_replacement"], 1),
    "best of k without correction": (oracle.independent_draws, best_of_k, 3),
}


# -- walks: (tree, targets) -> (accepted nodes, next token), as `accept_sampled`

def walk(tree, targets, generator=None, shared=False, accepts=operator.lt, argmax_bonus=False):
    """`accept_sampled` told once more; with one of its options, a mutant."""
    def draw():
        return torch.rand((), dtype=torch.float64, generator=generator).item()

    path, node, number = [], ROOT, draw() if shared else None
    while True:
        p, children = targets[node + 1], tree.children.get(node, [])
        name, q = tree.drawn_from.get(node, ("deterministic", None))
        accept, residuals = RULES[name](p, q, [tree.tokens[n] for n in children])
        for child, chance in zip(children, accept):
            if accepts(number if shared else draw(), chance):
                path.append(child)
                node = child
                break
        else:
            if argmax_bonus and not children:
                return path, max(range(len(p)), key=lambda x: p[x])
            return path, int(torch.multinomial(residuals[-1] if residuals else p, 1, generator=generator))


def one_random_number_for_all(tree, targets, generator=None):
    """Draws one number a step and compares all acceptance probabilities with it."""
    return walk(tree, targets, generator, shared=True)


def accepts_on_equality(tree, targets, generator=None):
    """Accepts on `number <= chance`: the number can be exactly 0, and then a token that p rules out is kept."""
    return walk(tree, targets, generator, accepts=operator.le)


def argmax_bonus(tree, targets, generator=None):
    """Where the whole path was accepted, adds the verifier's best token, and not one drawn from p."""
    return walk(tree, targets, generator, argmax_bonus=True)


def branches_with_soft_q(q, first, k):
    """The original's branches, their greedy continuations judged as if they had been drawn from q."""
    return oracle.branches(q, first, k, soft=True)
