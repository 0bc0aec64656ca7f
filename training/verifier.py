"""The verifier: a small GPT-2 trained on the stories."""
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from .data import Windows
from .loop import fit

CONTEXT = 512
WIDTH, HEADS, VERIFIER_LAYERS = 192, 3, 16  # deep and narrow: a token's cost here is per layer called, not per weight


def new_model(layers: int, vocabulary: int, eos: int, seed: int, width: int = WIDTH, heads: int = HEADS,
              inner: int | None = None) -> GPT2LMHeadModel:
    """A GPT-2 (tied embeddings, fused tanh GELU, no dropout, `inner` units an MLP) with fresh weights drawn from `seed`."""
    torch.manual_seed(seed)
    return GPT2LMHeadModel(GPT2Config(
        vocab_size=vocabulary, n_positions=CONTEXT, n_embd=width, n_layer=layers, n_head=heads, n_inner=inner,
        activation_function="gelu_pytorch_tanh", resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=eos, eos_token_id=eos, pad_token_id=eos))


def next_token_loss(model: GPT2LMHeadModel, ids: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy in nats a token of `ids` [B, T]."""
    logits = model(ids[:, :-1], use_cache=False).logits
    return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


@torch.inference_mode()
def validation_loss(model: GPT2LMHeadModel, windows: torch.Tensor, rows: int = 8) -> list[float]:
    """Mean loss per position over `windows` [N, T]: a list of T - 1 values (nats a token)."""
    total = torch.zeros(windows.shape[1] - 1, dtype=torch.float64)
    for part in windows.split(rows):
        logits = model(part[:, :-1], use_cache=False).logits
        losses = F.cross_entropy(logits.transpose(1, 2), part[:, 1:], reduction="none")
        total += losses.sum(0).double()
    return (total / len(windows)).tolist()


def train_verifier(train: Windows, held_out: torch.Tensor, vocabulary: int, steps: int, folder: Path,
                   seed: int, tokens_a_step: int = 2048) -> tuple[GPT2LMHeadModel, list[dict]]:
    """Train for `steps`; the last third runs in full 512-token windows so that every position is learnt."""
    model = new_model(VERIFIER_LAYERS, vocabulary, train.eos, seed)

    def loss_of_step(step: int) -> torch.Tensor:
        length = CONTEXT if step >= steps * 2 // 3 else CONTEXT // 2
        return next_token_loss(model, train.batch(step, tokens_a_step // length, length))

    def evaluate() -> float:
        losses = validation_loss(model, held_out)
        return sum(losses) / len(losses)

    history = fit(model, loss_of_step, steps, folder / "verifier.pt", muon_lr=0.02, adam_lr=3e-3, evaluate=evaluate)
    return model, history
