"""Auto: every step is drafted in the way that should bring most for its time, and as far as that pays."""
import itertools
import operator
from dataclasses import replace
from typing import NamedTuple

import torch

from ...models.pair import ModelPair
from ...run.asking import alone
from ...text.config import Cfg, Default
from ..passes import known_times
from ..price import Price, StepSeconds, Trust, best_chain, fill_in, pruned, sureness
from ..records import StepPrice
from ..tree import TokenTree
from .base import Drafter
from .eagle import Eagle
from .heads import Heads
from .lookup import LONGEST, find_match
from .small_model import LAWS, SmallModel, draft_way

PARTS: dict[str, type[Drafter]] = {"eagle": Eagle, "drafter": SmallModel, "heads": Heads}
MOST = 16  # levels of a draft where nobody has set a limit
NODES = 12  # prefixes that heads are asked for; those that do not pay are dropped again
FORGET = 0.95  # of the tokens and seconds so far, what still counts a step later
SPREAD = 16  # steps that a drafter's first reading of the prompt is reckoned to serve, or as many as tokens may still be written
BEFORE = 8.0  # steps that the speed to be expected counts for in the speed so far


class Offer(NamedTuple):
    """What a step should bring and take with one way of drafting, and the length of the chain that it is reckoned with."""

    tokens: float
    seconds: float
    length: int = 0


class Auto(Drafter):
    """For each step the best of lookup, eagle, heads, small drafter and no draft, by their price; what a pair lacks is left out.

    Before anything is drafted, each way has an offer: the tokens to be expected of a step, and its seconds. The one with the most
    tokens over what its seconds bring otherwise is taken. Acceptance is expected from what `calibrate` has counted and, soon more,
    from what this run has; seconds from what `calibrate` has measured. No clock is read: with the same times and the same seed a
    run repeats.
    """

    about = "each step drafted in the way that pays best: lookup, eagle, heads, drafter or not at all, as far as that pays"

    def __init__(self, pair: ModelPair, cfg: Cfg, *of_the_run):
        super().__init__(pair, cfg, *of_the_run)
        self.times = known_times(pair, cfg)
        if self.times is None:
            raise ValueError("Method 'auto' has to know what a pass takes here: call calibrate(pair) first.")
        self.parts = {way: part(pair, self.cfg, self.capacity, min(NODES, self.most), self.processors, self.generator)
                      for way, part in PARTS.items() if getattr(pair, part.part) is not None}
        layers = pair.verifier.config.get_text_config().num_hidden_layers + 1
        self._layers = {way: tuple(layer % layers for layer in part.hidden) for way, part in self.parts.items()}
        self.hidden = tuple(sorted(set().union(*self._layers.values())))
        self.trust = {way: Trust(self.times.judged.get(way)) for way in (*self.parts, "lookup")}
        self.seconds = {way: StepSeconds.of(self.times, way, self.most) for way in (*self.parts, "lookup", "none")}
        self.written = self.spent = 0.0  # tokens and seconds so far, the later ones counting more
        self._rate = self._rate_to_expect()
        self._tree, self._kept = TokenTree(), []  # the last draft, and which of the nodes that were drafted are in it
        self._sure: list[float] = []  # how sure the drafter was of them
        self._after = 0  # where the last look-up found its match

    @classmethod
    def settings(cls, cfg: Cfg) -> Cfg:
        """`cfg` as its parts are to follow it: the span a limit only where somebody has set it, nothing looked up by them."""
        one = cfg.do_sample and cfg.draft == "auto"  # a single sample of the drafter, ended in time
        return replace(cfg, draft=cls.way(cfg), lookup_first=0, topk_branch=1 if one else cfg.topk_branch,
                       draft_span=MOST if isinstance(cfg.draft_span, Default) else cfg.draft_span)

    @classmethod
    def way(cls, cfg: Cfg) -> str:
        """`cfg.draft` with "auto" resolved."""
        return draft_way(cfg, "paths")

    @classmethod
    def laws(cls, cfg: Cfg) -> set[str]:
        return {LAWS[cls.way(cfg)], "deterministic"}

    @property
    def models(self) -> list:
        return [model for part in self.parts.values() for model in part.models]

    def _rate_to_expect(self) -> float:
        """Tokens a second of the best way, going by what `calibrate` has counted and measured."""
        rate = 1 / self.seconds["none"].verify[0]
        for _ in range(3):  # Dinkelbach 1967: the best draft at this rate has a better one
            for way in self.parts:
                usual = [self.trust[way].usual] * min(self.cfg.draft_span, self.most)
                tokens, seconds, _ = best_chain(usual, self.seconds[way], self.seconds[way].start(), rate)
                rate = max(rate, tokens / seconds)
        return rate

    @property
    def rate(self) -> float:
        """Tokens a second so far, which a draft has to beat; at least those of the verifier alone."""
        none = self.seconds["none"].verify[0]
        before = BEFORE * none  # seconds
        return max(1 / none, (before * self._rate + self.written) / (before + self.spent))

    def _start(self, way: str, ids: list[int], spread: bool = False) -> float:
        """Seconds of a draft's first pass after `ids`, with all that its model has not read yet; `spread`: where that is the prompt, only
        the share of this step in reading it, which the steps to come are served by as well."""
        models, usual = self.parts[way].models if way in self.parts else [], self.seconds[way].start()
        if not models:
            return usual
        length = models[0].length
        whole = self.seconds[way].start(len(ids) - (way == "eagle") - length, fresh=length == 0)
        if length == 0 and spread and whole > usual:
            return usual + (whole - usual) / min(SPREAD, max(1, self.capacity - self.most - len(ids)))
        return whole

    def _offers(self, ids: list[int], span: int, rate: float) -> dict[str, Offer]:
        """What each way that can draft after `ids` offers, and "none"."""
        offers = {"none": Offer(1.0, self.seconds["none"].verify[0])}
        if span < 1:
            return offers
        ways = [way for way, part in self.parts.items() if part.ready]
        if len(ways) < len(self.parts):  # others can draft after the verifier's first pass: no small model reads the prompt for one draft
            ways = []
        kept = {way: [self.trust[way].usual] * span for way in ways}
        after, size = find_match(ids, longest=LONGEST)
        if after is not None:
            self._after, self._sure = after, [sureness(size + depth) for depth in range(min(span, len(ids) - after))]
            kept["lookup"] = [self.trust["lookup"](sure) for sure in self._sure]
        for way, chances in kept.items():
            offers[way] = Offer(*best_chain(chances, self.seconds[way], self._start(way, ids, spread=True), rate))
        return offers

    def propose(self, ids: list[int], span: int) -> TokenTree:
        """See `Drafter`."""
        rate = self.rate
        offers = self._offers(ids, span, rate)
        best = max(offer.tokens / offer.seconds for offer in offers.values())
        if best < rate:  # no way keeps up here with what came before: its time would not bring as much either
            rate, offers = best, self._offers(ids, span, best)
        way = max(offers, key=lambda way: offers[way].tokens - rate * offers[way].seconds)
        self.price = StepPrice(rate, {name: (offer.tokens, offer.seconds) for name, offer in offers.items()}, offers[way].seconds)
        self.source, self._tree, self._kept = None if way == "none" else way, TokenTree(), []
        if self.source:
            self._draft(way, ids, span, offers[way].length, Price(rate, self.seconds[way], self.trust[way]))
        return self._tree

    def _draft(self, way: str, ids: list[int], span: int, length: int, price: Price) -> None:
        """Draft with `way`, keep what is worth verifying, and note what that should bring and take."""
        start, passes = self._start(way, ids), 0
        if way == "lookup":
            tree = TokenTree.from_branches([ids[self._after:self._after + length]])
            self._sure = self._sure[:length]
            price.reach = list(itertools.accumulate(map(price.trust, self._sure), operator.mul))
            nodes = range(length)
        else:
            part = self.parts[way]
            before = part.calls
            tree = part.propose(ids, span) if way == "heads" else alone(part.drafting(ids, span, price))
            passes = part.calls - before
            price.note(tree)
            nodes = range(len(tree)) if tree.drawn_from else price.best()  # what was drawn may not be dropped
            self._sure = [tree.probs[node] for node in nodes]
        self._kept, self._tree = list(nodes), tree if len(nodes) == len(tree) else pruned(tree, nodes)
        fill_in(self.price, tree, self._kept, price, start, passes)

    def advance(self, base: int, path: list[int], hidden: torch.Tensor | None) -> None:
        """See `Drafter`: what was judged is counted, and every part goes on, whether it drafted or not."""
        if self.source:
            self.trust[self.source].judge(self._tree, self._sure, path)
        self.written = FORGET * self.written + len(path) + 1
        self.spent = FORGET * self.spent + self.price.seconds
        as_drafted = [self._kept[node] for node in path]
        width = 0 if hidden is None else hidden.shape[1] // len(self.hidden)
        for way, part in self.parts.items():
            own = hidden
            if self._layers[way] != self.hidden:
                places = [self.hidden.index(layer) * width for layer in self._layers[way]]
                own = torch.cat([hidden[:, at:at + width] for at in places], dim=1) if places else None
            part.advance(base, as_drafted if way == self.source else [], own)
