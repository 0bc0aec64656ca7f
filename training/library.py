"""Text that the verifier wrote, with its final hidden states: what drafter and heads are distilled from."""
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm.auto import tqdm
from transformers import GPT2LMHeadModel

from .data import Windows

TEMPERATURES = (0.0, 0.7, 1.0, 1.0)  # of the text that the verifier writes for those who learn from it; 0 is greedy


@dataclass
class Library:
    """ids: LongTensor [N, T]. hidden: float16 [N, T, width], the verifier's state behind `ln_f` at each token, behind states of other
    layers where these were asked for; times the output matrix it gives the verifier's logits, so the verifier need not run again."""

    ids: torch.Tensor
    hidden: torch.Tensor

    def batch(self, rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(ids [rows, T], hidden [rows, T, width] in float32), drawn by `seed` alone."""
        picks = torch.randint(len(self.ids), (rows,), generator=torch.Generator().manual_seed(seed))
        return self.ids[picks], self.hidden[picks].float()


@torch.inference_mode()
def write_text(verifier: GPT2LMHeadModel, openings: torch.Tensor, length: int,
               temperatures: torch.Tensor, layers: tuple[int, ...] = (-1,)) -> tuple[torch.Tensor, torch.Tensor]:
    """`openings` [B, T] continued by the verifier, row b at temperatures[b] (0 = greedy), through EOS: (ids [B, T + length],
    hidden states of `layers` side by side, [B, T + length, layers * width] in float16; -1 is the one behind `ln_f`)."""
    ids, cache, new, states = openings, None, openings, []
    scale = temperatures.clamp_min(1e-3)[:, None]
    for step in range(length + 1):
        out = verifier.transformer(new, past_key_values=cache, use_cache=True, output_hidden_states=True)
        cache = out.past_key_values
        states.append(torch.cat([out.hidden_states[layer] for layer in layers], dim=-1).half())
        if step < length:
            logits = verifier.lm_head(out.last_hidden_state[:, -1])
            new = torch.multinomial(torch.softmax(logits / scale, dim=-1), 1)
            ids = torch.cat([ids, new], dim=1)
    return ids, torch.cat(states, dim=1)


def verifier_library(verifier: GPT2LMHeadModel, train: Windows, seed: int, file: Path, batches: int = 36, rows: int = 48,
                     opening: int = 16, length: int = 256) -> Library:
    """batches * rows texts of `length` tokens by the verifier after openings of training stories; kept in `file`."""
    if file.exists():
        return Library(**torch.load(file, weights_only=True))
    torch.manual_seed(seed)
    stories = [story for story in train.stories if len(story) >= opening]
    parts = []
    for _ in tqdm(range(batches), desc="text by the verifier"):
        picks = torch.randint(len(stories), (rows,)).tolist()
        starts = torch.tensor([[train.eos, *stories[i][:opening - 1]] for i in picks])
        warmth = torch.tensor([TEMPERATURES[i % len(TEMPERATURES)] for i in range(rows)])
        parts.append(write_text(verifier, starts, length - opening, warmth))
    library = Library(*(torch.cat(part) for part in zip(*parts)))
    torch.save(vars(library), file)
    return library
