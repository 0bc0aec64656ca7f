"""Medusa heads: small networks on the verifier's last hidden state that guess the tokens after the next one."""
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save
from torch import nn


class _Head(nn.Module):
    """hidden + W_out silu(W_in [hidden, embedding])."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.into, self.out = nn.Linear(2 * width, inner), nn.Linear(inner, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, hidden: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        return hidden + self.out(F.silu(self.into(torch.cat([hidden, embedding], dim=-1))))


class MedusaHeads(nn.Module):
    """`heads` residual blocks over one verifier; head i (from 1) guesses the token i places behind the next one.

    Each maps the verifier's last hidden state at a token [..., width] to a hidden state, which the verifier's own output
    matrix turns into logits. Cai et al. 2024 (Medusa, arXiv 2401.10774), section 2.1.1. With `sees_next` a head is also
    given the embedding of the next token, which is known by the time a draft is needed, as in Ankner et al. 2024 (Hydra,
    arXiv 2402.05109), section 3; without it the heads are Medusa's.
    """

    def __init__(self, width: int, heads: int = 4, inner: int | None = None, sees_next: bool = True):
        super().__init__()
        self.settings = {"width": width, "heads": heads, "inner": inner or 4 * width, "sees_next": sees_next}
        self.h = nn.ModuleList(_Head(width, self.settings["inner"]) for _ in range(heads))

    def forward(self, hidden: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """Hidden states [H, ..., width] from the verifier's `hidden` and the next token's `embedding`, both [..., width]."""
        if not self.settings["sees_next"]:
            embedding = torch.zeros_like(embedding)
        return torch.stack([head(hidden, embedding) for head in self.h])

    @torch.inference_mode()
    def probabilities(self, hidden: torch.Tensor, token: int, verifier) -> torch.Tensor:
        """[H, V]: each head's distribution, from the verifier's hidden state [width] and the `token` that it wrote there."""
        embedding = verifier.get_input_embeddings().weight[token]
        return torch.softmax(verifier.get_output_embeddings()(self(hidden, embedding)), dim=-1)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors (half precision) into `folder`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.settings, indent=1) + "\n", encoding="utf-8")
        weights = save({name: weight.half().contiguous() for name, weight in self.state_dict().items()})
        (folder / "model.safetensors").write_bytes(weights)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "MedusaHeads":
        """The heads that `save_pretrained` wrote into `folder`, in float32 and eval mode. Raises OSError if there are none."""
        folder = Path(folder)
        heads = cls(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
        heads.load_state_dict({name: weight.float() for name, weight in load_file(folder / "model.safetensors").items()})
        return heads.eval()
