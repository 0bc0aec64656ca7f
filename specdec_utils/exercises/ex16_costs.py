"""More checks of notebook 16: a tree's shape, a forecast for a machine, penalties at each node, a safe way to try a drafter."""
import math

import numpy
import torch
from transformers import GenerationConfig, LogitsProcessorList

from ..decode.tree import ROOT, TokenTree
from ..measure.cost import expected_tokens
from ..text.config import Cfg
from ..text.processors import logits_processors, process_logits
from . import exercise

# -- shapes and prices

def _tokens(shape, acceptance) -> float:
    return 1 + sum(math.prod(acceptance[depth][rank] for depth, rank in enumerate(path)) for path in shape)


def _best_tokens(acceptance, budget) -> float:
    reached, level = [], [1.0]
    for row in acceptance:
        level = [reach * a for reach in level for a in row]
        reached += level
    return 1 + sum(sorted(reached, reverse=True)[:budget])


@exercise("16.tree_shape")
def _(answer):
    steady, fading = [[0.8, 0.1, 0.05]] * 4, [[0.6, 0.2, 0.1], [0.4, 0.2, 0.1], [0.2, 0.15, 0.1]]
    for acceptance, budget in ((steady, 4), (steady, 9), (fading, 6), (fading, 10), ([[0.5, 0.4]], 5), ([[0.5, 0.45], [0.9, 0.05]], 3)):
        got, case = answer([list(row) for row in acceptance], budget), f"acceptance={acceptance}, budget={budget}"
        if not hasattr(got, "__iter__") or not all(isinstance(path, (list, tuple)) and len(path) for path in got):
            return f"for {case} you return {got!r}; return a list of paths, each a tuple of ranks such as (0, 1)."
        shape = [tuple(path) for path in got]
        outside = [path for path in shape if len(path) > len(acceptance) or not all(
            0 <= rank < len(acceptance[depth]) for depth, rank in enumerate(path))]
        if outside:
            return f"for {case} the path {outside[0]} leads out of the table: there are {len(acceptance)} levels, ranks count from 0."
        if len(set(shape)) > budget:
            return f"for {case} your shape has {len(set(shape))} nodes, more than the budget."
        orphans = [path for path in shape if path[:-1] and path[:-1] not in shape]
        if orphans:
            return f"for {case} the node {orphans[0]} is there without its parent {orphans[0][:-1]}; only what hangs together is a tree."
        if len(set(shape)) < len(shape):
            return f"for {case} a path stands in your shape twice; it is one node, and the verifier reads it once."
        tokens, best = _tokens(shape, acceptance), _best_tokens(acceptance, budget)
        if math.isclose(tokens, best):
            continue
        verdict = f"for {case} your shape brings {tokens:.3f} tokens a step, and {best:.3f} are possible"
        if all(rank == 0 for path in shape for rank in path):
            return f"{verdict}: it is only the chain of first guesses; second guesses fit in too, or are worth more than the chain's end."
        if all(len(path) == 1 for path in shape):
            return f"{verdict}: it has one level, so a step brings two tokens at most."
        alone = sorted((acceptance[len(path) - 1][path[-1]] for path in shape), reverse=True)
        every = sorted((a for row in acceptance for a in row), reverse=True)
        if alone[:2] == every[:2] or len(shape) < budget:
            return f"{verdict}; a node counts with the product along its whole path: take the best one open until the budget is spent."
        return f"{verdict}; of all nodes whose parent you have, always add the one with the largest product along its path."
    return None


def _forecast(alpha, drafter, verifier, most, place=1, bonus=1, spans=None, passes=None) -> tuple[int, float]:
    sizes = sorted(verifier)
    speeds = {0: 1.0}
    for span in range(1, most + 1) if spans is None else spans:
        reading = float(numpy.interp(span + place, sizes, [verifier[size] for size in sizes]))
        taken = (span if passes is None else passes) * drafter + reading
        speeds[span] = (expected_tokens(alpha, span) - 1 + bonus) * verifier[1] / taken
    best = max(speeds, key=speeds.get)
    return best, speeds[best]


@exercise("16.forecast")
def _(answer):
    cases = ((0.85, 1.0, {1: 5.0, 4: 6.5, 8: 7.5, 16: 9.5}, 12), (0.6, 0.5, {1: 2.0, 2: 2.4, 16: 8.0}, 8), (0.3, 2.0, {1: 4.0, 9: 5.0}, 8),
             (0.9, 0.1, {1: 20.0, 16: 20.0}, 10), (0.7, 3.0, {1: 10.0, 3: 16.0, 5: 17.0, 9: 30.0}, 6))
    for alpha, drafter, verifier, most in cases:
        got, want = answer(alpha, drafter, dict(verifier), most), _forecast(alpha, drafter, verifier, most)
        case = f"alpha={alpha}, drafter={drafter}, verifier={verifier}, most={most}"
        if not isinstance(got, (list, tuple)) or len(got) != 2:
            return f"for {case} you return {got!r}; return the pair (best span, its speed over greedy)."

        def same(other) -> bool:
            return int(got[0]) == other[0] and math.isclose(got[1], other[1], rel_tol=1e-6)
        if same(want):
            continue
        shown = f"({int(got[0])}, {got[1]:.3f})"
        if want[0] == 0:
            return f"for {case} no span pays, so the forecast is (0, 1.0): do not draft; you return {shown}."
        if same(_forecast(alpha, drafter, verifier, most, passes=0)):
            return f"for {case} the drafter's time is missing: each drafted token takes one of its passes."
        if same(_forecast(alpha, drafter, verifier, most, passes=1)):
            return f"for {case} you pay one drafter pass for the whole draft; each drafted token takes one."
        if same(_forecast(alpha, drafter, verifier, most, place=0)):
            return f"for {case} the verifier reads span + 1 tokens: the draft, and the newest token of the text."
        if same(_forecast(alpha, drafter, verifier, most, bonus=0)):
            return f"for {case} the verifier's own token is missing: a step brings 1 + alpha + ... + alpha^span tokens."
        if same(_forecast(alpha, drafter, verifier, most, spans=[size - 1 for size in verifier if 1 < size <= most + 1])):
            return f"for {case} you try only the spans whose pass was measured; between two measured sizes, interpolate."
        if same((want[0], want[1] / verifier[1])) or same((want[0], want[1] * 1000 / verifier[1])):
            return f"for {case} you return tokens per time; divide by greedy's, which takes verifier[1] for each token."
        if int(got[0]) == want[0]:
            return f"for {case} the span is right, but its speed over greedy is {want[1]:.3f}, and you return {got[1]:.3f}."
        return f"for {case} the best span is {want[0]} with {want[1]:.3f} times greedy's speed, but you return {shown}."
    return None


# -- what must hold at each node, and at each step

def _forks() -> TokenTree:
    tree = TokenTree()
    cat = tree.add(ROOT, 4)
    tree.add(tree.add(cat, 1), 2)
    tree.add(cat, 2)
    tree.add(tree.add(ROOT, 1), 3)
    return tree


@exercise("16.ban_repeats")
def _(answer):
    for tree, ids, size in ((_forks(), [1, 2, 3, 1], 2), (_forks(), [1, 4, 1, 2, 4], 3), (TokenTree(), [1, 2, 1], 2), (_forks(), [4], 2),
                            (_forks(), [2, 1], 1), (_forks(), [1], 4)):
        logits = torch.arange(6.0).repeat(1 + len(tree), 1)
        case = f"ids={ids}, tokens={tree.tokens}, parents={tree.parents}, size={size}"
        got = answer(logits.clone(), list(ids), tree, size)

        def banned(contexts, size=size, logits=logits) -> list[list[int]]:
            processors = logits_processors(GenerationConfig(), Cfg(no_repeat_ngram_size=size), ids, 99) if size else LogitsProcessorList()
            return [torch.isneginf(row).nonzero().flatten().tolist() for row in process_logits(logits, contexts, processors)]
        if not isinstance(got, torch.Tensor) or got.shape != logits.shape:
            return f"for {case} you return {got!r}; return the logits [1 + nodes, V], in which what is forbidden is -inf."
        paths = [list(ids) + tree.path_tokens(node) for node in range(ROOT, len(tree))]
        want, found = banned(paths), [torch.isneginf(row).nonzero().flatten().tolist() for row in got]
        if found == want:
            if not torch.equal(got[~torch.isneginf(got)], logits[~torch.isneginf(got)]):
                return f"for {case} you change logits of tokens that are allowed; only what is forbidden becomes -inf."
            continue
        verdict = f"for {case} you forbid {found} after the context and each node"
        if not any(found):
            return f"{verdict}, nothing at all; set what is forbidden to -inf, not to 0, and return what you have changed."
        if found == banned([list(ids)] * len(paths)):
            return f"{verdict}: the same everywhere; each node has a text of its own, the context and its path."
        if found == banned([ids + tree.tokens[:node + 1] for node in range(ROOT, len(tree))]):
            return f"{verdict}: you take all nodes that stand before it in the row as its text; only its ancestors belong to it."
        if found == banned([*paths[1:], paths[-1]]) or found == banned([paths[0], *paths[:-1]]):
            return f"{verdict}: the rows have slipped by one; row 0 is after the context, row i + 1 after node i."
        if found in (banned(paths, size=size - 1), banned(paths, size=size + 1)):
            return f"{verdict}: you compare another number of tokens; size - 1 = {size - 1} of them are there, the next is asked for."
        return f"{verdict}; forbidden is {want}: whatever would repeat {size} tokens that stand in that text already."
    return None


MARGIN = 1.05  # what a run may take, over what greedy would have taken so far


@exercise("16.may_draft")
def _(answer):
    for greedy, worst, brings in ((1.0, 1.6, lambda step: 1), (1.0, 1.6, lambda step: 4), (2.0, 2.06, lambda step: 2 if step % 3 else 1),
                                  (0.004, 0.0071, lambda step: 5 if step < 30 else 1), (1.0, 9.0, lambda step: 1)):
        seconds, tokens = 0.0, 0
        for step in range(400):
            got = answer(seconds, tokens, greedy, worst)
            if not isinstance(got, (bool, numpy.bool_)):
                return f"you return {got!r}; return True or False."
            case = f"after {tokens} tokens in {seconds:.4g} s, with greedy={greedy} and worst={worst},"
            room = MARGIN * greedy * (tokens + 1) - seconds - worst
            if got and room < -1e-9 and seconds > MARGIN * greedy * tokens + 1e-9:
                return f"{case} you draft although the run is too far behind already; the verifier alone must first make room again."
            if got and room < -1e-9:
                return (f"{case} you draft, and if all is rejected the run is more than 5 % behind greedy; look ahead, at the whole step "
                        "and at the single token that it is sure to bring.")
            if not got and room > 1e-6:
                return (f"{case} you do not draft, but there is room: even if all is rejected the step brings one token, and the run stays "
                        "within 1.05 times greedy's time.")
            seconds, tokens = (seconds + worst, tokens + brings(step)) if got else (seconds + greedy, tokens + 1)
    return None
