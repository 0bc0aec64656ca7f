"""Varied text by the verifier, with the hidden states that the eagle drafter reads."""
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm.auto import tqdm
from transformers import GPT2LMHeadModel

from .library import Library, write_text

LAYERS = (4, 10, 16)
SHARED = 16  # tokens in a row that no text for learning may have in common with one for measuring


@dataclass(frozen=True)
class Texts:
    """One kind of text that the drafter learns from. batches, length: how many, and how long with the opening. rows: of a training
    step. temperatures: of the verifier, row by row; 0 is greedy. brief: after short openings, and apart from measured texts."""

    batches: int
    length: int
    rows: int
    temperatures: tuple[float, ...]
    brief: bool = False


MIXED, NEARLY_GREEDY = (*[0.0] * 9, *[0.4] * 2, *[0.7] * 4, *[1.0] * 5), (*[0.0] * 12, *[0.4] * 3, *[0.7] * 3, *[1.0] * 2)
TEXTS = {"short": Texts(28, 272, 10, MIXED),  # mostly one story
         "long": Texts(3, 512, 5, MIXED),  # story after story up to the context's end
         "brief": Texts(48, 112, 26, NEARLY_GREEDY, brief=True)}


def _in_random_order(begun: list[list[int]], eos: int, behind: float, rng: torch.Generator) -> list[list[int]]:
    order, behind_eos = torch.randperm(len(begun), generator=rng), torch.rand(len(begun), generator=rng) < behind
    return [[eos, *begun[i]] if behind_eos[i] else begun[i] for i in order.tolist()]


def _sentences(story: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+", story) if len(part) > 12]


def openings(stories: list[str], encode: Callable[[str], list[int]], eos: int, seed: int,
             avoid: list[str] = ()) -> list[list[int]]:
    """Beginnings that differ, in a random order: of every story its first 8 to 24 tokens, of every later sentence its first 4 to 16;
    four in ten after `eos`. No two share their first six tokens: the verifier would go on with the same text again and again.
    None begins as one of the texts `avoid` does, which are kept for measuring."""
    rng = torch.Generator().manual_seed(seed)

    def cut(text: str, least: int, most: int) -> list[int]:
        return encode(text)[:int(torch.randint(least, most + 1, (1,), generator=rng))]
    kept_back = {tuple(encode(text)[:5]) for text in avoid}
    found: dict[tuple[int, ...], list[int]] = {}
    for story in stories:
        for ids in (cut(story, 8, 24), *(cut(sentence, 4, 16) for sentence in _sentences(story)[1:])):
            if len(ids) >= 4 and tuple(ids[:5]) not in kept_back:
                found.setdefault(tuple(ids[:6]), ids)
    return _in_random_order(list(found.values()), eos, 0.4, rng)


def brief_openings(stories: list[str], encode: Callable[[str], list[int]], eos: int, seed: int,
                   avoid: list[str] = ()) -> list[list[int]]:
    """Beginnings as short as those that people type, all different, in a random order: of every story its first 4 to 12 tokens, its
    first sentence where that is no longer than 14, and the first 4 to 12 tokens of one of its sentences; two in ten after `eos`.
    None begins as one of the texts `avoid` does, as far as both go."""
    rng = torch.Generator().manual_seed(seed)

    def number(least: int, most: int) -> int:
        return int(torch.randint(least, most + 1, (1,), generator=rng))
    kept_back, found = [encode(text) for text in avoid], {}
    for story in stories:
        ids, sentences = encode(story), _sentences(story)
        if not sentences:
            continue
        first, one = encode(sentences[0]), encode(sentences[number(0, len(sentences) - 1)])
        whole = first[:12] if len(first) <= 14 else ids[:number(5, 12)]
        for begun in (ids[:number(4, 12)], whole, one[:number(4, 12)]):
            if len(begun) >= 4 and not any(begun[:len(other)] == other[:len(begun)] for other in kept_back):
                found.setdefault(tuple(begun), begun)
    return _in_random_order(list(found.values()), eos, 0.2, rng)


def runs_of(texts: list[list[int]]) -> set[tuple[int, ...]]:
    """Everything that stands in `texts` as `SHARED` tokens in a row."""
    return {tuple(ids[i:i + SHARED]) for ids in texts for i in range(len(ids) - SHARED + 1)}


def _batches(begun: list[list[int]], rows: int) -> list[list[list[int]]]:
    """Openings by `rows`, those of a batch all of one length, so that it needs no padding."""
    same, full = {}, []
    for ids in begun:
        same.setdefault(len(ids), []).append(ids)
        if len(same[len(ids)]) == rows:
            full.append(same.pop(len(ids)))
    return full


def feature_library(verifier: GPT2LMHeadModel, begun: list[list[int]], brief: list[list[int]], measured: list[list[int]], seed: int,
                    file: Path, texts: dict[str, Texts] = TEXTS, rows: int = 64,
                    layers: tuple[int, ...] = LAYERS) -> dict[str, Library]:
    """What the verifier wrote after openings of `begun` and `brief`, by the names of `texts`, with its states of `layers`; kept in
    `file`. Texts after brief openings are left out where they share `SHARED` tokens in a row with one of `measured`."""
    if file.exists():
        saved = torch.load(file, weights_only=True, mmap=True)
        return {name: Library(**library) for name, library in saved.items()}
    torch.manual_seed(seed)
    waiting, held = {False: _batches(begun, rows), True: _batches(brief, rows)}, runs_of(measured)
    for kind, batches in waiting.items():
        needed = sum(text.batches for text in texts.values() if text.brief == kind)
        if len(batches) < needed:
            raise ValueError(f"The openings give {len(batches)} batches of {rows} and {needed} are needed: give more stories.")
    libraries = {}
    for name, text in texts.items():
        parts = []
        for _ in tqdm(range(text.batches), desc=f"{name} texts by the verifier"):
            starts = torch.tensor(waiting[text.brief].pop())
            warmth = torch.tensor([text.temperatures[i % len(text.temperatures)] for i in torch.randperm(rows)])
            ids, states = write_text(verifier, starts, text.length - starts.shape[1], warmth, layers)
            kept = torch.tensor([not text.brief or held.isdisjoint(runs_of([row])) for row in ids.tolist()])
            parts.append((ids[kept], states[kept]))
        libraries[name] = Library(*(torch.cat(part) for part in zip(*parts)))
    torch.save({name: vars(library) for name, library in libraries.items()}, file)
    return libraries
