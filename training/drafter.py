"""The drafter: a shallow model of the verifier's width, distilled from the verifier's distributions."""
from pathlib import Path

import torch
import torch.nn.functional as F
from tqdm.auto import tqdm
from transformers import GPT2LMHeadModel

from .data import Windows
from .loop import fit
from .verifier import new_model

DRAFTER_LAYERS = 2
TEMPERATURES = (0.0, 0.7, 1.0)  # of the text that the verifier writes for its drafter; 0 is greedy


@torch.inference_mode()
def write_text(verifier: GPT2LMHeadModel, openings: torch.Tensor, length: int, temperatures: torch.Tensor) -> torch.Tensor:
    """[B, T + length]: `openings` [B, T] continued by the verifier, row b at temperatures[b] (0 = greedy), through EOS."""
    ids, cache, new = openings, None, openings
    scale = temperatures.clamp_min(1e-3)[:, None]
    for _ in range(length):
        out = verifier(new, past_key_values=cache, use_cache=True)
        cache, logits = out.past_key_values, out.logits[:, -1]
        new = torch.multinomial(torch.softmax(logits / scale, dim=-1), 1)
        ids = torch.cat([ids, new], dim=1)
    return ids


def verifier_library(verifier: GPT2LMHeadModel, train: Windows, seed: int, file: Path, batches: int = 12, rows: int = 96,
                     opening: int = 16, length: int = 256) -> torch.Tensor:
    """[batches * rows, length] of the verifier's own text after openings of training stories; kept in `file`."""
    if file.exists():
        return torch.load(file, weights_only=True)
    torch.manual_seed(seed)
    stories = [story for story in train.stories if len(story) >= opening]
    parts = []
    for _ in tqdm(range(batches), desc="text by the verifier"):
        picks = torch.randint(len(stories), (rows,)).tolist()
        starts = torch.tensor([[train.eos, *stories[i][:opening - 1]] for i in picks])
        warmth = torch.tensor([TEMPERATURES[i % len(TEMPERATURES)] for i in range(rows)])
        parts.append(write_text(verifier, starts, length - opening, warmth))
    library = torch.cat(parts)
    torch.save(library, file)
    return library


def train_drafter(verifier: GPT2LMHeadModel, train: Windows, steps: int, folder: Path, seed: int,
                  rows: int = 8, length: int = 256) -> tuple[GPT2LMHeadModel, list[dict]]:
    """Distil: minimise KL(p || q) at every position (Hinton et al. 2015), on stories and on the verifier's own text in turn.

    The drafter starts from the verifier's embeddings and from its first and last blocks.
    """
    library = verifier_library(verifier, train, seed, folder / "library.pt", length=length)
    drafter = new_model(DRAFTER_LAYERS, verifier.config.vocab_size, train.eos, seed)
    source, target = verifier.transformer, drafter.transformer
    for name in ("wte", "wpe", "ln_f"):
        getattr(target, name).load_state_dict(getattr(source, name).state_dict())
    for block, index in zip(target.h, (0, len(source.h) - 1)):
        block.load_state_dict(source.h[index].state_dict())

    def loss_of_step(step: int) -> torch.Tensor:
        if step % 4 == 0:  # every fourth batch: real stories in full windows, so that late positions are learnt too
            ids = train.batch(step // 4, rows // 2, length * 2)
        else:
            rng = torch.Generator().manual_seed(seed * 1_000_003 + step)
            ids = library[torch.randint(len(library), (rows,), generator=rng)]
        with torch.no_grad():
            p = F.log_softmax(verifier(ids, use_cache=False).logits, dim=-1)
        q = F.log_softmax(drafter(ids, use_cache=False).logits, dim=-1)
        return F.kl_div(q.flatten(0, 1), p.flatten(0, 1), log_target=True, reduction="batchmean")

    history = fit(drafter, loss_of_step, steps, folder / "drafter.pt", muon_lr=0.02, adam_lr=2e-3)
    return drafter, history
