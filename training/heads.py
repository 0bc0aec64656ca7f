"""Medusa heads: trained on the hidden states that the verifier had while it wrote the library."""
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import GPT2LMHeadModel

from specdec_utils.models.medusa_heads import MedusaHeads

from .library import Library
from .loop import fit

HEADS = 4


def train_heads(verifier: GPT2LMHeadModel, library: Library, steps: int, folder: Path, seed: int,
                rows: int = 8) -> tuple[MedusaHeads, list[dict]]:
    """Distil: head i at token t learns the verifier's own distribution at token t + i, KL(p || q); the verifier stays as it is."""
    torch.manual_seed(seed)
    heads = MedusaHeads(verifier.config.n_embd, HEADS)
    matrix, embeddings = verifier.lm_head.weight.detach(), verifier.transformer.wte.weight.detach()

    def loss_of_step(step: int) -> torch.Tensor:
        ids, hidden = library.batch(rows, seed * 2_000_003 + step)
        length = ids.shape[1] - HEADS
        guesses = heads(hidden[:, :length], embeddings[ids[:, 1:length + 1]])
        loss = torch.zeros(())
        for i, guess in enumerate(guesses, 1):
            log_p = F.log_softmax(hidden[:, i:length + i] @ matrix.T, dim=-1)
            log_q = F.log_softmax(guess @ matrix.T, dim=-1)
            loss = loss + (log_p.exp() * (log_p - log_q)).sum(-1).mean() / HEADS
        return loss

    history = fit(heads, loss_of_step, steps, folder / "heads.pt", muon_lr=0.02, adam_lr=2e-3)
    return heads, history


@torch.inference_mode()
def head_accuracy(verifier: GPT2LMHeadModel, heads: MedusaHeads, ids: torch.Tensor, hidden: torch.Tensor,
                  start: int) -> list[float]:
    """Per head, how often its first choice is the verifier's own, over positions `start`.. of `ids` [B, T]."""
    length, hidden = ids.shape[1] - len(heads.h), hidden.float()
    guesses = heads(hidden[:, start:length], verifier.transformer.wte.weight[ids[:, start + 1:length + 1]])
    best = verifier.lm_head(hidden).argmax(-1)
    return [(verifier.lm_head(guess).argmax(-1) == best[:, start + i:length + i]).float().mean().item()
            for i, guess in enumerate(guesses, 1)]
