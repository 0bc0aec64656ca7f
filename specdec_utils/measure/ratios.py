"""The one statistic of a speed: a ratio on each prompt, then the median over the prompts with its interval."""
import random
import statistics
from collections.abc import Sequence

RESAMPLES = 2000  # of the bootstrap


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """(lower quartile, median, upper quartile) of one or more values."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def bootstrap_median(values: Sequence[float], seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of the median of `values` over resamples of them with replacement. Efron 1979."""
    draw = random.Random(seed)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
    cut = int(RESAMPLES * (1 - level) / 2)
    return medians[cut], medians[-1 - cut]


def per_prompt(rates: Sequence[float], base: Sequence[float]) -> list[float]:
    """Each prompt's speed over its speed in another arm; `rates` and `base` are tokens per second by prompt."""
    return [rate / slower for rate, slower in zip(rates, base, strict=True)]


def median_ratio(rates: Sequence[float], base: Sequence[float]) -> tuple[float, float, float]:
    """(low, median, high): the median over prompts of `per_prompt` ratios, with its 95 % interval."""
    ratios = per_prompt(rates, base)
    low, high = bootstrap_median(ratios)
    return low, statistics.median(ratios), high
