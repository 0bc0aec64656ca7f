"""The methods by name: how each drafts, on which pair it can run, and which rules may judge what it drafts."""
from ..models.pair import ModelPair
from ..text.config import Cfg
from ..text.processors import check_settings
from .propose.auto import Auto
from .propose.base import Drafter
from .propose.eagle import Eagle
from .propose.heads import Heads
from .propose.lookup import Lookup
from .propose.small_model import OnePass, SmallModel

DRAFTERS: dict[str, type[Drafter]] = {
    "greedy": Drafter,
    "one_pass": OnePass,
    "tree": SmallModel,
    "lookup": Lookup,
    "heads": Heads,
    "eagle": Eagle,
    "auto": Auto,
}
METHODS: dict[str, str] = {
    "greedy": Drafter.about,
    "medusa_lite": "sampled branches, each checked token by token without a cache, best branch wins",
} | {name: drafter.about for name, drafter in DRAFTERS.items()}
MISSING = {"drafter": "has no drafter model: use method 'lookup' or 'greedy'",
           "heads": "has no Medusa heads: train some, or use method 'tree'",
           "eagle": "has no eagle drafter: train one, or use method 'tree'"}


def fitting_rules(method: str, cfg: Cfg) -> set[str]:
    """What `cfg.acceptance` may be for `method` under `cfg`: "auto", and the rules that may judge its first drafted tokens."""
    laws = DRAFTERS[method].laws(cfg) if method in DRAFTERS else {"without_replacement"}
    if not laws:
        return {"auto"}
    fits = {"auto", "typical_lossy"}
    if len(laws) == 1:  # else now one law, now the other
        fits |= laws
    if laws == {"with_replacement"} and cfg.topk_branch == 1:
        fits.add("single_draft")
    return fits


def check_method(pair: ModelPair, cfg: Cfg, method: str) -> None:
    """Raise ValueError, one sentence, unless `method` can run on `pair` under `cfg`."""
    if method not in METHODS:
        raise ValueError(f"There is no method {method!r}: use one of {sorted(METHODS)}.")
    part = DRAFTERS[method].part if method in DRAFTERS else "drafter"
    if part is not None and getattr(pair, part) is None:
        raise ValueError(f"Pair {pair.name!r} {MISSING[part]}.")
    if method == "medusa_lite" and cfg.do_sample:
        raise ValueError("Method 'medusa_lite' keeps the verifier's greedy tokens only: use do_sample=False or 'one_pass'.")
    if method == "one_pass" and cfg.draft not in ("auto", "branches"):
        raise ValueError(f"Method 'one_pass' checks the original's branches: use draft='branches' or 'tree', not {cfg.draft!r}.")
    fits = fitting_rules(method, cfg)
    if cfg.acceptance not in fits:
        raise ValueError(f"acceptance={cfg.acceptance!r} does not fit how {method!r} drafts here: use one of {sorted(fits)}.")
    check_settings(pair.verifier.generation_config, cfg)


def methods_of(pair: ModelPair, cfg: Cfg) -> list[str]:
    """The names of `METHODS` that `pair` can serve under `cfg`."""
    def serves(method: str) -> bool:
        try:
            check_method(pair, cfg, method)
        except ValueError:
            return False
        return True
    return [method for method in METHODS if serves(method)]
