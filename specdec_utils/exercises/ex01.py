"""Checks of notebook 01."""
import torch

from . import exercise


@exercise("01.private_draws")
def _(answer):
    with torch.random.fork_rng(devices=[]):
        for seed, n in [(3, 4), (11, 1), (3, 6)]:
            torch.manual_seed(seed)
            truth = torch.rand(n).tolist()
            torch.manual_seed(999)
            before = torch.get_rng_state()
            got = answer(seed, n)
            if not torch.equal(before, torch.get_rng_state()):
                return "torch's global state has moved: seed and draw from a torch.Generator() of your own."
            if isinstance(got, torch.Tensor):
                return "return a list of numbers; .tolist() turns a tensor into one."
            if not isinstance(got, (list, tuple)) or len(got) != n:
                return f"for n = {n} return a list of {n} numbers."
            if list(got) != answer(seed, n):
                return "two calls with one seed give different numbers: a new generator has to be seeded with manual_seed(seed)."
            if list(got) != truth:
                return f"for seed {seed} these are not the first numbers that torch.rand gives after manual_seed({seed})."
    return None


@exercise("01.choice_is_safe")
def _(answer):
    cases = [([4.0, 1.0, 3.0], 0.25, True), ([4.0, 3.0, 0.0], 0.75, False), ([0.0, 1.0, 5.0, 4.5], 0.375, False),
             ([1.0, 9.0, 2.0], 3.0, True), ([2.0, 2.0], 0.5, False), ([-5.0, -1.0, -2.0], 0.25, True), ([3.0, 1.0], 1.0, True)]
    for values, error, truth in cases:
        got = answer(torch.tensor(values), error)
        if isinstance(got, torch.Tensor) and got.numel() == 1:
            got = got.item()
        if not isinstance(got, bool):
            return f"return True or False, not {type(got).__name__}."
        if got == truth:
            continue
        first, second = sorted(values, reverse=True)[:2]
        if got and first - second > error:
            return (f"for {values} and error {error} you said safe: the first can fall by {error} while the second rises by {error}, "
                    "so the lead has to be twice the error.")
        if got:
            return f"for {values} and error {error} you said safe, but the rival is the second largest, only {first - second:g} behind."
        if first - second == 2 * error:
            return f"for {values} and error {error} the second can only become equal, not strictly larger, so the choice is safe."
        return f"for {values} and error {error} the lead is {first - second:g} and the errors cannot make it up: the choice is safe."
    return None
