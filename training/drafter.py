"""The drafter: a shallow model of the verifier's width, distilled from the verifier's distributions."""
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import GPT2LMHeadModel

from .data import Windows
from .library import Library
from .loop import fit
from .verifier import new_model

DRAFTER_LAYERS = 2


def start_from(drafter: GPT2LMHeadModel, verifier: GPT2LMHeadModel) -> None:
    """Give the drafter the verifier's embeddings, the attention of its first and last blocks, and in each MLP the units of
    the two blocks at that end, side by side: a drafter's layer has twice as many."""
    source, target = verifier.transformer, drafter.transformer
    for name in ("wte", "wpe", "ln_f"):
        getattr(target, name).load_state_dict(getattr(source, name).state_dict())
    last = len(source.h) - 1
    for block, (here, beside) in zip(target.h, ((0, 1), (last, last - 1))):
        one, two = source.h[here], source.h[beside]
        for name in ("ln_1", "attn", "ln_2"):
            getattr(block, name).load_state_dict(getattr(one, name).state_dict())
        with torch.no_grad():
            block.mlp.c_fc.weight.copy_(torch.cat([one.mlp.c_fc.weight, two.mlp.c_fc.weight], dim=1))
            block.mlp.c_fc.bias.copy_(torch.cat([one.mlp.c_fc.bias, two.mlp.c_fc.bias]))
            block.mlp.c_proj.weight.copy_(torch.cat([one.mlp.c_proj.weight, two.mlp.c_proj.weight]))
            block.mlp.c_proj.bias.copy_(one.mlp.c_proj.bias + two.mlp.c_proj.bias)


def distillation_loss(p: torch.Tensor, q: torch.Tensor, progress: float) -> torch.Tensor:
    """(1 - progress) KL(p || q) + progress * 2 TV(p, q) from logits p, q [..., V], mean over positions.

    KL (Hinton et al. 2015) has a gradient everywhere and serves the beginning; 1 - TV is the acceptance itself (Leviathan et
    al. 2023, section 3.1; as a training loss in Zhou et al. 2023, arXiv 2310.08461) and serves the end.
    """
    log_p, log_q = F.log_softmax(p, dim=-1), F.log_softmax(q, dim=-1)
    kl = (log_p.exp() * (log_p - log_q)).sum(-1).mean()
    distance = (log_p.exp() - log_q.exp()).abs().sum(-1).mean()
    return (1 - progress) * kl + progress * distance


def train_drafter(verifier: GPT2LMHeadModel, library: Library, train: Windows, steps: int, folder: Path, seed: int,
                  rows: int = 8) -> tuple[GPT2LMHeadModel, list[dict]]:
    """Distil on the verifier's own text, every fourth batch on stories in full windows so that late positions are learnt."""
    drafter = new_model(DRAFTER_LAYERS, verifier.config.vocab_size, train.eos, seed, verifier.config.n_embd, verifier.config.n_head,
                        inner=2 * 4 * verifier.config.n_embd)
    start_from(drafter, verifier)

    def loss_of_step(step: int) -> torch.Tensor:
        with torch.no_grad():
            if step % 4 == 0:
                ids = train.batch(step // 4, rows // 2, library.ids.shape[1] * 2)
                p = verifier(ids, use_cache=False).logits
            else:
                ids, hidden = library.batch(rows, seed * 1_000_003 + step)
                p = verifier.lm_head(hidden)
        return distillation_loss(p, drafter(ids, use_cache=False).logits, step / steps)

    history = fit(drafter, loss_of_step, steps, folder / "drafter.pt", muon_lr=0.02, adam_lr=2e-3)
    return drafter, history
