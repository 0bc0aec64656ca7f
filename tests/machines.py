"""Invented machines: pass times that nobody measured, so that method "auto" finds this or that worth its time."""
from specdec_utils import PassTimes
from specdec_utils.decode.passes import PassCost, remember_times


def cost(first, further):
    """A pass over n tokens takes `first` seconds and `further` for each token more."""
    return PassCost({1: first, 65: first + 64 * further})


def invented(verifier=(4.0, 0.2), drafter=(0.8, 0.05), eagle=(0.4, 0.05), heads=0.3, judged=None):
    """Times of a machine on which passes take what is said, and heads what a guess of theirs takes beside them."""
    places = ("prompt", "alone", "after drafter", "after eagle", "after heads", "after lookup")
    draft = {role: dict.fromkeys(("prompt", "first", "next"), cost(*price)) for role, price in (("drafter", drafter), ("eagle", eagle))}
    beside = {method: [0.02, 0.01, 0.001, 0.001] for method in ("greedy", "one_pass", "tree", "lookup", "heads", "eagle", "auto")}
    beside["heads"] = [0.02, heads, 0.001, 0.0]
    return PassTimes({place: cost(*verifier) for place in places}, draft["drafter"], beside, dict.fromkeys(beside, 0.01), 30.0, 1,
                     draft["eagle"], judged or {})


NEVER = (1000.0, 1000.0)
MACHINES = {  # on each of them another way of drafting is the best
    "eagle": dict(drafter=NEVER, heads=1000.0), "drafter": dict(eagle=NEVER, heads=1000.0), "heads": dict(drafter=NEVER, eagle=NEVER),
    "lookup": dict(drafter=NEVER, eagle=NEVER, heads=1000.0), "all": dict(drafter=(0.5, 0.02), heads=0.02),
    "none": dict(verifier=(1.0, 5.0))}


def run_on(pair, cfg, name):
    """Make `pair` believe that it runs on one of `MACHINES`."""
    remember_times(pair, cfg, invented(**MACHINES[name]))
    return pair
