"""Checks of notebook 06: how many tokens, where to cut, when to stop."""
from . import exercise


@exercise("06.token_bounds")
def _(answer):
    for max_new, span in ((12, 3), (10, 3), (80, 3), (5, 8), (7, 1)):
        steps = -(-max_new // span)
        fewest, most = answer(max_new, span)
        where = f"for max_new={max_new}, span={span}"
        if fewest == max_new // span and fewest != steps:
            return f"{where} the number of steps is rounded up, so the fewest is {steps}, not {fewest}."
        if fewest != steps:
            return f"{where} the fewest is not {fewest}: let each of the {steps} steps add a single token."
        if most == max_new and most != steps * span:
            return f"{where} the loop can overshoot: the last step may add a whole span, which makes {steps * span} tokens."
        if most != steps * span:
            return f"{where} the most is not {most}: let each of the {steps} steps add {span} tokens."
    return None


@exercise("06.cut_at_eos")
def _(answer):
    for block, eos_ids in (([5, 0, 9], {0}), ([5, 6, 7], {0}), ([0], {0}), ([5, 6, 0], {0}), ([4, 2, 0, 3], {0, 2}),
                           ([5, 1], {0, 1})):
        at = next((i for i, token in enumerate(block) if token in eos_ids), None)
        truth = (block, False) if at is None else (block[:at + 1], True)
        kept, ended = answer(list(block), set(eos_ids))
        kept, where = list(kept), f"block {block}, end tokens {sorted(eos_ids)}"
        if at is not None and kept == block[:at]:
            return f"{where}: the end token itself belongs to the output."
        if at is not None and at < len(block) - 1 and kept == block:
            return f"{where}: tokens are left after the end token; look at every token of the block, not only the last."
        if at is not None and len(kept) > at + 1:
            return f"{where}: cut at the first token that is in the set, not at a later one."
        if (kept, bool(ended)) != truth:
            return f"{where}: expected {truth}, got {(kept, ended)}."
    return None


@exercise("06.write_exactly")
def _(answer):
    for schedule, max_new, span in (([3], 12, 3), ([1], 6, 3), ([3, 1, 2], 10, 3), ([4], 10, 4), ([5], 2, 5)):
        asked, calls = [], 0

        def step(done, length):
            nonlocal calls
            calls += 1
            if calls > 5 * max_new:
                raise RuntimeError("your loop does not end: do you keep what step() returns?")
            asked.append(length - (max_new - len(done)))
            return list(range(len(done), len(done) + min(schedule[(calls - 1) % len(schedule)], length)))

        out, where = answer(step, max_new, span), f"max_new={max_new}, span={span}, steps that add up to {schedule}"
        if len(out) < max_new:
            return f"{where}: only {len(out)} tokens; a fixed number of steps falls short, so loop while tokens are missing."
        if len(out) > max_new:
            return f"{where}: {len(out)} tokens are too many; the last draft was longer than what was missing."
        if list(out) != list(range(max_new)):
            return f"{where}: the tokens are in the wrong order, or the list given to step() was not the tokens written so far."
        if max(asked) > 0:
            return f"{where}: the length is right, but you asked for a longer draft than was missing; use min()."
        if calls > 1 and span > 1 and max_new > 1 and schedule == [3] and calls > -(-max_new // span):
            return f"{where}: {calls} steps were made; ask for the whole span while there is room for it."
    return None
