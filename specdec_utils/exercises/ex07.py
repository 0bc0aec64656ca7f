"""Checks of notebook 07: passes, speeds on unequal lengths, positions."""
from . import exercise


@exercise("07.step_passes")
def _(answer):
    for k, span, accepted in ((4, 3, 1), (4, 3, 0), (4, 3, 3), (1, 3, 2), (2, 5, 5), (3, 1, 1)):
        verifier, drafter = answer(k, span, accepted)
        where = f"k={k}, span={span}, accepted={accepted}"
        if accepted == span and verifier == k + accepted:
            return (f"{where}: a fully accepted branch has no token left to compare, so it costs "
                    f"{span} verifier passes, not {span + 1}.")
        if accepted < span and verifier == k - 1 + accepted:
            return f"{where}: the verifier pass that found the mismatch is missing."
        if verifier == min(accepted + 1, span) and k > 1:
            return f"{where}: the losing branches cost one verifier pass each as well."
        if verifier != k - 1 + min(accepted + 1, span):
            return (f"{where}: {k - 1} losing branches and the best one need {k - 1 + min(accepted + 1, span)} verifier passes, "
                    f"not {verifier}.")
        if drafter == k * span != 1 + k * (span - 1):
            return f"{where}: all first tokens come from a single drafter pass, so there are fewer than {k * span} passes."
        if drafter != 1 + k * (span - 1):
            return f"{where}: the drafter makes one pass for the first tokens and span - 1 for each branch, not {drafter} in all."
    return None


@exercise("07.times_slower")
def _(answer):
    for case in ((80, 8.0, 40, 6.0), (30, 3.0, 30, 6.0), (50, 4.0, 100, 4.0)):
        tokens_a, seconds_a, tokens_b, seconds_b = case
        truth, got = (seconds_b / tokens_b) / (seconds_a / tokens_a), answer(*case)
        if abs(got - truth) < 1e-6:
            continue
        if abs(got - 1 / truth) < 1e-6:
            return f"for {case} you return how many times faster B is; turn the fraction round."
        if abs(got - seconds_b / seconds_a) < 1e-6:
            return f"for {case} the seconds belong to different numbers of tokens; divide by the tokens first."
        return f"for {case} the answer is {truth:.3f}, not {got:.3f}: compare the seconds that one token takes."
    return None


@exercise("07.positions")
def _(answer):
    for prompt, new in ((10, 24), (1, 1), (5, 2), (100, 50)):
        cached, uncached = answer(prompt, new, True), answer(prompt, new, False)
        where = f"prompt {prompt}, {new} new"
        if cached == prompt + new:
            return f"{where}, cached: the last token that is written never goes through the model."
        if cached in (new, new - 1) and cached != prompt + new - 1:
            return f"{where}, cached: the prompt goes through the model once as well."
        if cached != prompt + new - 1:
            return f"{where}, cached: expected {prompt + new - 1}, got {cached}; each token except the last goes through once."
        truth = sum(prompt + i for i in range(new))
        if uncached == truth + new:
            return f"{where}, uncached: the first pass sees the prompt alone, {prompt} tokens and not {prompt + 1}."
        if uncached == prompt * new and new > 1:
            return f"{where}, uncached: the text grows, so later passes see more than the prompt."
        if uncached != truth:
            return f"{where}, uncached: expected {truth}, got {uncached}; add up the length of the text at every pass."
    return None
