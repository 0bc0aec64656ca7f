"""Checks of notebook 16: a drafter of one's own, the oracle at work; the others in ex16_costs.py."""
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import numpy
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LogitsProcessorList

from ..decode.advance import generate
from ..decode.laws import independent, output_law
from ..decode.methods import DRAFTERS, METHODS
from ..decode.propose.base import Drafter
from ..decode.tree import TokenTree
from ..models.pair import ModelPair
from ..text.config import Cfg
from . import ex16_costs, exercise  # noqa: F401 (registers its checks)
from .suspects import LINE_UPS, TELLTALE

# -- a drafter of one's own

def _triples(texts):
    return [text[i:i + 3] for text in texts for i in range(len(text) - 2)]


def _table(triples):
    seen = defaultdict(Counter)
    for a, b, after in triples:
        seen[a, b][after] += 1
    return {pair: counts.most_common(1)[0][0] for pair, counts in seen.items()}


@exercise("16.trigram_table")
def _(answer):
    for texts in ([[1, 2, 3, 1, 2, 4, 1, 2, 3, 1, 2, 5]], [[1, 2, 3], [3, 1, 2], [4, 5]], [[7, 7, 7, 7, 8, 7, 7, 8]],
                  [[1, 2, 3], [1, 2, 4], [1, 2, 4]], [[5], []], [[1, 2, 6], [1, 2, 5]]):
        got, triples, case = answer([list(text) for text in texts]), _triples(texts), f"texts={texts}"
        want = _table(triples)
        if not isinstance(got, dict):
            return f"for {case} you return {got!r}; return a dictionary {{(token, token): token that follows}}."
        if got == want:
            continue
        if any(not isinstance(key, tuple) or len(key) != 2 for key in got):
            return f"for {case} a key of yours is no pair; each key is a tuple of two tokens, in the order of the text."
        if any(not isinstance(value, int) for value in got.values()):
            return f"for {case} you keep all that was counted; keep one token for each pair, the one that followed most often."
        if got == {(b, a): after for (a, b), after in want.items()}:
            return f"for {case} your pairs are turned round; write them in the order of the text."
        if len(texts) > 1 and got == _table(_triples([sum(texts, [])])):
            return f"for {case} you join the texts first, and so count pairs that run from one text into the next; take each text alone."
        if got.keys() == want.keys() and texts == [[1, 2, 6], [1, 2, 5]]:
            return f"for {case} both followed once; of equals keep the one that was seen first."
        if got == {(a, b): after for a, b, after in triples}:
            return f"for {case} you keep what followed *last*; count, and keep what followed most often."
        if got == {(a, b): after for a, b, after in reversed(triples)}:
            return f"for {case} you keep what followed *first*; count, and keep what followed most often."
        if got == _table(_triples([text[:-1] for text in texts])):
            return f"for {case} the last three tokens of a text are missing; a text of n tokens has n - 2 triples."
        return f"for {case} the table is {want}, but you return {dict(got)}."
    return None


@contextmanager
def plugged_in(name: str, drafter: type[Drafter]) -> Iterator[None]:
    """With `drafter` as method `name` of `generate`, until the block ends."""
    DRAFTERS[name], METHODS[name] = drafter, drafter.about
    try:
        yield
    finally:
        del DRAFTERS[name], METHODS[name]


def _tiny_pair() -> ModelPair:
    """A verifier with random weights and 40 tokens, without a drafter: made in milliseconds, and as decided as a trained one."""
    state = torch.get_rng_state()
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=40, n_positions=128, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0))
    torch.set_rng_state(state)
    model.generation_config.eos_token_id = None
    return ModelPair(None, model)


@exercise("16.trigram_drafter")
def _(answer):
    known, pair, cfg = {(1, 2): 3, (2, 3): 4, (3, 4): 5, (4, 5): 6}, _tiny_pair(), Cfg(max_new_tokens=40, draft_span=4, topk_branch=1)
    drafter = answer(dict(known))
    if not (isinstance(drafter, type) and issubclass(drafter, Drafter)):
        return f"you return {drafter!r}; return the class itself, a subclass of Drafter, and not an object of it."
    if "propose" not in vars(drafter):
        return "your class has no method propose(self, ids, span), so it never drafts."
    if drafter.laws(cfg) != {"deterministic"}:
        return (f"laws(cfg) gives {drafter.laws(cfg)}; your tokens are looked up and not drawn, so the only rule that fits them is "
                '{"deterministic"}.')
    for table, ids, span, want in ((known, [9, 1, 2], 4, [3, 4, 5, 6]), (known, [1, 2, 3, 4], 1, [5]), ({}, [1, 2], 3, []),
                                   ({(1, 2): 5}, [1, 2], 3, [5]), (known, [2], 3, []), (known, [1, 2], 0, [])):
        given, case = list(ids), f"table={table}, ids={ids}, span={span}"
        tree = answer(dict(table))(pair, cfg, 64, 4, LogitsProcessorList(), torch.Generator()).propose(given, span)
        if not isinstance(tree, TokenTree):
            return f"for {case} propose returns {tree!r}; it returns a TokenTree, an empty one for no draft."
        if given != ids:
            return f"for {case} you change ids, which is the text of the run itself; work on a copy, list(ids)."
        if tree.drawn_from:
            return f"for {case} you fill in drawn_from; nothing was drawn from a distribution here, so leave it empty."
        if tree.tokens == want and tree.is_chain():
            continue
        if tree.tokens == want:
            return f"for {case} the parents are {tree.parents}; each token hangs from the one before it, only the first from ROOT."
        if len(tree) > span:
            return f"for {case} your draft has {len(tree)} tokens; at most span of them may be drafted, and span can be 0."
        if tree.tokens == want[:1]:
            return f"for {case} you draft one token only; take each drafted token as text and look up again, up to span tokens."
        return f"for {case} the draft is {want}, but yours is {tree.tokens}."
    prompt = torch.tensor([[5, 6, 7]])
    greedy = generate(pair, prompt, cfg, "greedy")
    with plugged_in("16.trigram", answer(_table(_triples([greedy.prompt_ids + greedy.new_ids])))):
        run = generate(pair, prompt, cfg, "16.trigram")
    if run.new_ids != greedy.new_ids:
        return "plugged into generate, it changes the text; a draft may only cost time, so propose must leave the run alone."
    if run.verifier_calls >= len(run.new_ids):
        return "plugged into generate, with a table learnt from that very text, it saves no verifier pass; is its draft ever right?"
    return None


# -- the oracle at work

@exercise("16.find_mutants")
def _(answer):
    for suspects in LINE_UPS:
        got, names = answer(dict(suspects)), sorted(suspects)
        if isinstance(got, str) or not hasattr(got, "__iter__"):
            return f"for the suspects {names} you return {got!r}; return a set of names."
        got = set(got)
        if not got <= set(suspects):
            return f"for the suspects {names} you return {got}; return names of suspects."
        for name, rule in suspects.items():
            if rule in TELLTALE and name not in got:
                return f"of the suspects {names} you let {name} go, but {TELLTALE[rule]}."
            if rule not in TELLTALE and name in got:
                return (f"of the suspects {names} you accuse {name}, but it writes exactly p in every case; compare accepted + drawn with "
                        "p, entry by entry, in fractions, and nothing else.")
    return None


def _law(*weights):
    return [Fraction(w, sum(weights)) for w in weights]


def _written(p, q, accept, residual):
    """What is written if a draft x from q is kept with accept[x], and else a token is drawn from `residual`."""
    law, drawn = output_law(lambda p, q, candidates: ([accept[x] for x in candidates], [residual]), numpy.array(p, dtype=object),
                            numpy.array(q, dtype=object), independent(q, 1))
    return list(law + drawn)


@exercise("16.mend")
def _(answer):
    p, other, one = _law(5, 3, 2, 0), _law(2, 2, 4, 2), Fraction(1)
    usual = [min(one, a / b) for a, b in zip(p, other)]
    for q, accept in ((other, usual), (other, [a / 2 for a in usual]), (other, [0 * one] * 4), (other, [one / 3] * 3 + [0 * one]),
                      (p, [one] * 4), (other, [one] * 4), (other, [*usual[:2], one, usual[3]])):
        got = answer(list(p), list(q), list(accept))
        case = f"p=({', '.join(map(str, p))}), q=({', '.join(map(str, q))}), accept=({', '.join(map(str, accept))})"
        left = [a - b * c for a, b, c in zip(p, q, accept)]
        if min(left) < 0:
            if got is not None:
                return (f"for {case} a token is accepted more often than p writes it, which no residual can take back; return None, not "
                        f"{got}.")
            continue
        if got is None:
            return f"for {case} it can be mended, because no token is accepted more often than p writes it; you return None."
        got = list(got)
        if sum(left) == 0:
            continue  # never rejected: nothing is ever drawn from it
        written = _written(p, q, accept, numpy.array(got, dtype=object)) if len(got) == len(p) else []
        if len(written) == len(p) and all(math.isclose(a, b, abs_tol=1e-9) for a, b in zip(written, p)):
            continue
        excess = [max(a - b, 0) for a, b in zip(p, q)]
        if got == [e / sum(excess) for e in excess] and sum(excess):
            return f"for {case} you return the residual that belongs to min(1, p/q); here more is rejected, so more must be drawn again."
        if got == p:
            return f"for {case} you return p itself; what was accepted has already brought a part of p."
        if got == left:
            return f"for {case} yours sums to {sum(left)}; divide by that sum to make it a distribution."
        if any(entry < 0 for entry in got):
            return f"for {case} an entry is negative: what is accepted of x has probability q(x) accept(x), not accept(x) alone."
        return f"for {case} the rule writes ({', '.join(map(str, written))}) with your residual, which is not p."
    return None
