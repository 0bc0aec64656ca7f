"""EAGLE: a drafter of one layer that reads the verifier's hidden states."""
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save
from torch import nn

ARCHITECTURE = "LlamaForCausalLMEagle3"


def is_eagle(folder: Path) -> bool:
    """Does an eagle drafter lie in `folder`?"""
    config = folder / "config.json"
    return config.is_file() and ARCHITECTURE in (json.loads(config.read_text(encoding="utf-8")).get("architectures") or [])


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """`x` [..., size] turned by its positions' angles, unit i together with unit i + size / 2 as in Llama (RoFormer, Su et al.
    2021, arXiv 2104.09864, section 3.4.2)."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], dim=-1) * sin


class EagleAttention(nn.Module):
    """Queries, keys and values from twice the width: embedding and state side by side."""

    def __init__(self, width: int, heads: int, kv_heads: int, size: int):
        super().__init__()
        self.q_proj = nn.Linear(2 * width, heads * size, bias=False)
        self.k_proj, self.v_proj = (nn.Linear(2 * width, kv_heads * size, bias=False) for _ in range(2))
        self.o_proj = nn.Linear(heads * size, width, bias=False)


class EagleMLP(nn.Module):
    """SwiGLU (Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.gate_proj, self.up_proj = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class EagleLayer(nn.Module):
    def __init__(self, width: int, heads: int, kv_heads: int, inner: int, eps: float):
        super().__init__()
        self.hidden_norm, self.input_layernorm, self.post_attention_layernorm = (nn.RMSNorm(width, eps) for _ in range(3))
        self.self_attn, self.mlp = EagleAttention(width, heads, kv_heads, width // heads), EagleMLP(width, inner)


class EagleDrafter(nn.Module):
    """One Llama layer over a verifier's hidden states that guesses the token after the next one.

    At position t it is given the verifier's feature f_t, three hidden states side by side that `fc` maps to one of the
    drafter's width, and the embedding of the *next* token x_{t+1}, the verifier's own. Its output g_t gives, through `norm`
    and `lm_head`, the distribution of x_{t+2}; while it drafts, g_t takes the place of the feature f_{t+1} that nobody has
    computed yet. Li et al. 2024 (EAGLE, arXiv 2401.15077), section 4.1; Li et al. 2025 (EAGLE-3, arXiv 2503.01840), section 3.
    Weights and settings are named as in `LlamaForCausalLMEagle3`, whatever the verifier's architecture.

    width: of its layer and of the verifier's embeddings. layers: which of the verifier's `hidden_states` make the feature, as
    `transformers` counts them (0 is the embedding, the last one lies behind the final norm). heads, kv_heads: of queries, of
    keys and values. inner: of its MLP. context: positions. draft_ids: the tokens that it can write, ascending, LongTensor
    [draft_vocab]; None for all (a subset as in FR-Spec, Zhao et al. 2025, arXiv 2502.14856, section 3).
    Raises ValueError for sizes that do not divide and for draft_ids that are out of order or outside the vocabulary.
    """

    def __init__(self, width: int, vocab_size: int, layers: tuple[int, ...], *, heads: int, inner: int, kv_heads: int | None = None,
                 context: int = 512, rope_theta: float = 10_000.0, eps: float = 1e-5, draft_ids: torch.Tensor | None = None):
        super().__init__()
        kv_heads = kv_heads or heads
        if width % (2 * heads) or heads % kv_heads:
            raise ValueError(f"A width of {width} does not split into {heads} heads of an even size over {kv_heads} of keys.")
        if draft_ids is not None and (len(draft_ids) == 0 or (draft_ids.diff() <= 0).any()
                                      or draft_ids[0] < 0 or draft_ids[-1] >= vocab_size):
            raise ValueError(f"draft_ids must ascend within 0..{vocab_size - 1}.")
        self.width, self.vocab_size, self.layers, self.heads, self.kv_heads = width, vocab_size, tuple(layers), heads, kv_heads
        self.inner, self.context, self.rope_theta, self.eps, self.size = inner, context, rope_theta, eps, width // heads
        self.fc = nn.Linear(len(self.layers) * width, width, bias=False)
        self.midlayer = EagleLayer(width, heads, kv_heads, inner, eps)
        self.norm = nn.RMSNorm(width, eps)
        self.lm_head = nn.Linear(width, vocab_size if draft_ids is None else len(draft_ids), bias=False)
        if draft_ids is None:
            self.d2t = self.t2d = None
        else:
            self.register_buffer("d2t", draft_ids - torch.arange(len(draft_ids)))
            self.register_buffer("t2d", torch.zeros(vocab_size, dtype=torch.bool).index_fill(0, draft_ids, True))
        angles = torch.arange(context)[:, None] * rope_theta ** (-torch.arange(0, self.size, 2) / self.size)
        self.register_buffer("cos", torch.cat([angles.cos()] * 2, dim=-1), persistent=False)
        self.register_buffer("sin", torch.cat([angles.sin()] * 2, dim=-1), persistent=False)

    @property
    def draft_ids(self) -> torch.Tensor | None:
        """The tokens that it can write, LongTensor [draft_vocab]; None for all."""
        return None if self.d2t is None else self.d2t + torch.arange(len(self.d2t), device=self.d2t.device)

    # -- one pass in its parts, `...` standing for any leading dimensions

    def project(self, state: torch.Tensor, embedding: torch.Tensor, positions: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Queries [..., heads, n, size], keys and values [..., kv_heads, n, size] of `state` and `embedding`, both [..., n, width], at
        `positions` [n]; queries and keys turned by them."""
        m, attention = self.midlayer, self.midlayer.self_attn
        both = torch.cat([m.input_layernorm(embedding), m.hidden_norm(state)], dim=-1)
        q, k, v = (part(both).unflatten(-1, (-1, self.size)).transpose(-2, -3)
                   for part in (attention.q_proj, attention.k_proj, attention.v_proj))
        cos, sin = self.cos[positions], self.sin[positions]
        return rotate(q, cos, sin), rotate(k, cos, sin), v

    def forward(self, state: torch.Tensor, embedding: torch.Tensor, positions: torch.Tensor, keys: torch.Tensor, values: torch.Tensor,
                bias: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One pass of n slots, `state` and `embedding` [n, width] at `positions` [n], behind cached `keys` and `values`
        [kv_heads, m, size]: outputs g [n, width], and keys and values [kv_heads, m + n, size]. `bias` [n, m + n] is added to the scores."""
        q, k, v = self.project(state, embedding, positions)
        keys, values = torch.cat([keys, k], dim=1), torch.cat([values, v], dim=1)
        attended = F.scaled_dot_product_attention(q[None], keys[None], values[None], attn_mask=bias,
                                                  enable_gqa=self.kv_heads < self.heads)
        return self.finish(state, attended[0]), keys, values

    def finish(self, state: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        """The outputs g [..., n, width] from the pass's `state` and what it attended to, [..., heads, n, size]."""
        m = self.midlayer
        state = state + m.self_attn.o_proj(attended.transpose(-2, -3).flatten(-2))
        return state + m.mlp(m.post_attention_layernorm(state))

    def logits(self, output: torch.Tensor) -> torch.Tensor:
        """Logits [..., V] over the verifier's whole vocabulary from outputs g [..., width]: -inf for tokens it cannot write."""
        return self.spread(self.lm_head(self.norm(output)))

    def spread(self, small: torch.Tensor) -> torch.Tensor:
        """Logits [..., draft_vocab] at their places in the verifier's vocabulary, [..., V]: each id mapped back, -inf elsewhere."""
        if self.d2t is None:
            return small
        whole = small.new_full((*small.shape[:-1], self.vocab_size), float("-inf"))
        return whole.index_copy_(-1, self.draft_ids, small)

    def unroll(self, features: torch.Tensor, ids: torch.Tensor, embeddings: torch.Tensor, steps: int,
               rows: torch.Tensor | None = None) -> list[torch.Tensor]:
        """What drafting gives after every position of a right text, `steps` deep: a list of `steps` tensors of outputs g.

        `features` [B, T, k * width] of the text `ids` [B, T], `embeddings` [V, width]. Row s of step j (from 1) stands for a draft
        whose last true feature is f_s, and guesses ids[:, s + j + 1]. Step 1 has L = T - steps rows; the later ones have those
        that `rows` names, [n] or for each text its own, [B, n] (default: all), since after step 1 no row depends on another.
        At step j the query of row s attends to the keys that true features left at positions up to s, and to those that its own
        row left in steps 2 to j. "Training-time test", Li et al. 2025 (EAGLE-3, arXiv 2503.01840), section 3.2.
        """
        m, attention, width = self.midlayer, self.midlayer.self_attn, self.width
        length, groups = ids.shape[1] - steps, self.heads // self.kv_heads
        every = torch.arange(length, device=ids.device)
        weight = torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight])
        told = F.linear(m.input_layernorm(embeddings[ids]), weight[:, :width])  # what the embeddings give, once for all steps
        unseen = features.new_full((length, length), float("-inf")).triu_(1)
        state, outputs, own = self.fc(features[:, :length]).to(features.dtype), [], []  # under autocast the sums stay as exact
        texts = slice(None) if rows is None or rows.ndim == 1 else torch.arange(len(ids), device=ids.device)[:, None]
        for j in range(1, steps + 1):
            at = every if j == 1 or rows is None else rows
            both = told[texts if j > 1 else slice(None), at + j] + F.linear(m.hidden_norm(state), weight[:, width:])
            parts = both.unflatten(-1, (-1, self.size)).transpose(1, 2)
            q, k, v = parts.split([self.heads, self.kv_heads, self.kv_heads], dim=1)
            cos, sin = (table[at + j - 1].unsqueeze(-3) for table in (self.cos, self.sin))  # for each head the same
            q, k = rotate(q, cos, sin) * self.size ** -0.5, rotate(k, cos, sin)
            if groups > 1:
                k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
            if j == 1:
                true_keys, true_values = k, v
                attended = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0)
            else:
                own.append((k, v))
                scores = torch.matmul(q, true_keys.transpose(-1, -2)) + unseen[at].unsqueeze(-3)
                diagonal = [(q * key).sum(-1, keepdim=True) for key, _ in own]
                share = torch.softmax(torch.cat([scores, *diagonal], dim=-1), dim=-1)
                attended = torch.matmul(share[..., :length], true_values)
                for i, (_, value) in enumerate(own):
                    attended = attended + share[..., length + i, None] * value
            state = self.finish(state, attended)
            outputs.append(state)
            if j == 1 and rows is not None:
                state = state[texts, rows]
        return outputs

    # -- on disk

    @property
    def settings(self) -> dict:
        """`config.json`, as vLLM, SGLang and `speculators` read it."""
        layers = list(self.layers)
        return {
            "architectures": [ARCHITECTURE], "model_type": "llama", "hidden_act": "silu", "hidden_size": self.width,
            "intermediate_size": self.inner, "num_hidden_layers": 1, "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads, "head_dim": self.size, "max_position_embeddings": self.context,
            "rms_norm_eps": self.eps, "rope_theta": self.rope_theta, "attention_bias": False, "mlp_bias": False,
            "tie_word_embeddings": False, "vocab_size": self.vocab_size, "draft_vocab_size": self.lm_head.out_features,
            "target_hidden_size": self.width, "norm_before_residual": False, "eagle_aux_hidden_state_layer_ids": layers,
            "eagle_config": {"use_aux_hidden_state": True, "eagle_aux_hidden_state_layer_ids": layers}, "dtype": "float16"}

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors (half precision; ids as they are) into `folder`; of a drafter that can write all tokens
        without a map of ids, which engines then do not know."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.settings, indent=1) + "\n", encoding="utf-8")
        weights = {name: weight.half() if weight.is_floating_point() else weight for name, weight in self.state_dict().items()
                   if name not in ("d2t", "t2d") or self.lm_head.out_features < self.vocab_size}
        (folder / "model.safetensors").write_bytes(save({name: weight.contiguous() for name, weight in weights.items()}))

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "EagleDrafter":
        """The drafter in `folder`, in float32 and eval mode. Embeddings that other programs store beside it are left out.

        Raises OSError if there is none, ValueError for a folder of another architecture or that does not say which layers it reads.
        """
        folder = Path(folder)
        s = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        layers = s.get("eagle_aux_hidden_state_layer_ids") or s.get("eagle_config", {}).get("eagle_aux_hidden_state_layer_ids")
        if s.get("architectures") != [ARCHITECTURE] or not layers:
            raise ValueError(f"{folder} holds no {ARCHITECTURE} with its eagle_aux_hidden_state_layer_ids.")
        weights = load_file(folder / "model.safetensors")
        weights.pop("embed_tokens.weight", None)
        offsets = weights.get("d2t")
        drafter = cls(s["hidden_size"], s["vocab_size"], layers, heads=s["num_attention_heads"], kv_heads=s.get("num_key_value_heads"),
                      inner=s["intermediate_size"], context=s["max_position_embeddings"], rope_theta=s.get("rope_theta", 10_000.0),
                      eps=s["rms_norm_eps"], draft_ids=None if offsets is None else offsets + torch.arange(len(offsets)))
        drafter.load_state_dict({name: weight.float() if weight.is_floating_point() else weight for name, weight in weights.items()})
        return drafter.eval()
