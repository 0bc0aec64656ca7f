"""The eagle drafter: distilled from the verifier's own text, unrolled on its own outputs."""
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import GPT2LMHeadModel, PreTrainedModel

from specdec_utils.models.eagle import EagleDrafter

from .eagle_texts import LAYERS, TEXTS
from .library import Library
from .loop import fit

INNER = 1024


@dataclass(frozen=True)
class Stage:
    """A part of the training. turns: the kinds of its steps' texts, again and again. depths: of unrolling, in its first and its second
    half. decay: weight of each unrolled step over that of the one before. kept: share of the positions that go on after the first
    unrolled step. rate: factor of the learning rates, reached in 40 steps, held for `flat` of the stage, falling to `last` of itself.
    mixed: where in the stage the loss begins and ends its way from KL to total variation."""

    steps: int
    turns: tuple[str, ...]
    depths: tuple[int, int]
    decay: float
    kept: float
    rate: float
    flat: float
    last: float
    mixed: tuple[float, float]

    def factor(self, step: int) -> float:
        """Of the learning rates at `step` of the stage."""
        fallen = max(0.0, step / self.steps - self.flat) / (1 - self.flat)
        return self.rate * min(1.0, (step + 1) / 40) * (1 - (1 - self.last) * fallen)

    def mix(self, step: int) -> float:
        """Share of total variation in the loss at `step` of the stage."""
        begin, end = self.mixed
        return min(1.0, max(0.0, (step / self.steps - begin) / (end - begin)))

    def depth(self, step: int) -> int:
        """How deep training is unrolled at `step` of the stage."""
        return self.depths[step >= self.steps / 2]

    def turn(self, step: int) -> tuple[str, int]:
        """The kind of text at `step` of the stage, and how often it has been taken before."""
        round_, place = divmod(step, len(self.turns))
        name = self.turns[place]
        return name, round_ * self.turns.count(name) + self.turns[:place].count(name)


STAGES = (
    Stage(2000, (*["short"] * 4, "long"), depths=(4, 6), decay=0.9, kept=0.5, rate=1.0, flat=0.4, last=0.02, mixed=(0.3, 0.8)),
    Stage(2400, ("brief", "short", "brief", "brief", "brief", "long", "brief", "brief"), depths=(5, 6), decay=0.85, kept=0.4,
          rate=0.3, flat=0.0, last=0.015, mixed=(-1.0, 0.0)))
STEPS = sum(stage.steps for stage in STAGES)


class HeadLoss(torch.autograd.Function):
    """Output matrix, softmax and loss in one, over blocks of rows that stay in the processor's cache. Inside of an autocast its backward
    products are in that one's dtype; logits are not, whose rounding would be a share of the probabilities.

    `HeadLoss.apply(h, w, p, mix, sharp)`: states h [n, d], output matrix w [V, d], the verifier's distributions p [n, V]. The gradient
    is that of (1 - mix) KL(p || q) + mix ((1 - sharp) |p - q| + sharp |p' - q'|), mean over rows, where p' and q' are p and q at half
    the temperature: acceptance where the text is sampled and where it is nearly greedy. The value returned is what one watches
    under any mix, the probability of a rejection, |p - q| / 2. Rows of p may sum to less than one, to what the verifier gives to
    the V tokens that the drafter can write: what is missing counts as one more token, which q never gives.
    """

    @staticmethod
    def forward(ctx, h, w, p, mix, sharp, block=192):
        dtype, rejected = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else h.dtype, 0.0
        gradients = torch.empty_like(p, dtype=dtype)

        def toward(q, target):  # gradient of |target - q| by the logits of q
            sign = torch.sign(q - target)
            return q * (sign - (q * sign).sum(-1, keepdim=True))
        for i in range(0, len(h), block):
            target = p[i:i + block]
            with torch.autocast("cpu", enabled=False):
                q = torch.softmax(h[i:i + block] @ w.T, dim=-1)
            mass = target.sum(-1, keepdim=True)
            missing = (1 - mass).clamp_min(0)
            rejected += ((q - target).abs().sum() + missing.sum()).item() / 2
            gradient = (q * mass - target).mul_(1 - mix)
            if mix > 0:
                gradient.add_(toward(q, target), alpha=mix * (1 - sharp))
                q, target = (x.square() / (x.square().sum(-1, keepdim=True) + rest) for x, rest in ((q, 0), (target, missing.square())))
                gradient.add_(toward(q, target), alpha=2 * mix * sharp)
            gradients[i:i + block] = gradient
        gradients /= len(h)
        dw = gradients.T @ h.to(dtype) if ctx.needs_input_grad[1] else None
        ctx.save_for_backward((gradients @ w.to(dtype)).to(h.dtype), None if dw is None else dw.to(w.dtype))
        return h.new_tensor(rejected / len(h))

    @staticmethod
    def backward(ctx, grad):
        dh, dw = ctx.saved_tensors
        return grad * dh, None if dw is None else grad * dw, None, None, None, None


def new_eagle(verifier: PreTrainedModel, scale: float | torch.Tensor, seed: int, inner: int = INNER, layers: tuple[int, ...] = LAYERS,
              draft_ids: torch.Tensor | None = None) -> EagleDrafter:
    """A drafter that starts as the last of the states that it reads, behind the verifier's output matrix, at `scale`: one number or
    one a unit. `draft_ids`: the tokens that it can write (default: all)."""
    torch.manual_seed(seed)
    config, matrix = verifier.config, verifier.get_output_embeddings().weight.detach()
    width = matrix.shape[1]
    eagle = EagleDrafter(width, config.vocab_size, layers, heads=config.num_attention_heads, inner=inner, draft_ids=draft_ids,
                         kv_heads=getattr(config, "num_key_value_heads", None), context=config.max_position_embeddings)
    with torch.no_grad():
        for name, weight in eagle.named_parameters():
            if weight.ndim == 2:
                torch.nn.init.normal_(weight, std=0.005 if name == "fc.weight" else 0.02)
        eagle.midlayer.self_attn.o_proj.weight.zero_()
        eagle.midlayer.mlp.down_proj.weight.zero_()
        eagle.fc.weight[:, -width:] += torch.eye(width)
        eagle.lm_head.weight.copy_(matrix if draft_ids is None else matrix[draft_ids])
        eagle.norm.weight.copy_(torch.as_tensor(scale))
    return eagle


def unrolled_loss(eagle: EagleDrafter, outputs: list[torch.Tensor], targets: list[torch.Tensor], decay: float,
                  mix: float) -> torch.Tensor:
    """`HeadLoss` of each unrolled step's `outputs` [n, width] against the verifier's `targets` [n, V], weighted 1, decay, decay², ..."""
    weights = [decay ** j for j in range(len(outputs))]
    loss = torch.zeros(())
    for output, target, weight in zip(outputs, targets, weights, strict=True):
        loss = loss + weight / sum(weights) * HeadLoss.apply(eagle.norm(output), eagle.lm_head.weight, target, mix, 0.5)
    return loss


def train_eagle(verifier: GPT2LMHeadModel, libraries: dict[str, Library], steps: int, folder: Path, seed: int,
                inner: int = INNER, layers: tuple[int, ...] = LAYERS) -> tuple[EagleDrafter, list[dict]]:
    """Distil in `STAGES`, their lengths scaled to `steps` together: after every position of the texts, as many tokens deep as training
    is unrolled. Each text comes once an epoch; after the first unrolled step a part of the positions, drawn anew each time, goes
    on, since one text's neighbours teach much the same.
    """
    width = verifier.config.n_embd
    matrix, embeddings = verifier.lm_head.weight.detach(), verifier.transformer.wte.weight.detach()
    scale = libraries["short"].hidden[:32, :, -width:].float().square().mean().sqrt().item()
    eagle, turning = new_eagle(verifier, scale, seed, inner, layers), steps * STAGES[0].steps // STEPS
    stages = (replace(STAGES[0], steps=turning), replace(STAGES[1], steps=steps - turning))

    def place(step: int) -> tuple[Stage, int, int]:
        """The stage, the step within it, and a seed of the stage's own."""
        return (stages[0], step, seed) if step < turning else (stages[1], step - turning, seed + 1)

    def loss_of_step(step: int) -> torch.Tensor:
        stage, step, seed = place(step)
        name, turn = stage.turn(step)
        library, rows = libraries[name], min(TEXTS[name].rows, len(libraries[name].ids))
        epoch, within = divmod(turn, len(library.ids) // rows)
        order = torch.randperm(len(library.ids), generator=torch.Generator().manual_seed(seed + epoch))
        picks = order[within * rows:(within + 1) * rows]
        ids, features = library.ids[picks], library.hidden[picks].float()
        p = torch.softmax(features[..., -width:] @ matrix.T, dim=-1)
        depth = stage.depth(step)
        length, rng = ids.shape[1] - depth, torch.Generator().manual_seed(seed * 1_000_003 + step)
        some = torch.randperm(length, generator=rng)[:int(length * stage.kept)].sort().values
        outputs = [output.flatten(0, 1) for output in eagle.unroll(features, ids, embeddings, depth, some)]
        targets = [p[:, 1:length + 1], *(p[:, some + j] for j in range(2, depth + 1))]
        return unrolled_loss(eagle, outputs, [target.flatten(0, 1) for target in targets], stage.decay, stage.mix(step))

    def factor(step: int) -> float:
        stage, step, _ = place(step)
        return stage.factor(step)

    history = fit(eagle, loss_of_step, steps, folder / "eagle.pt", muon_lr=0.02, adam_lr=3e-3, factor=factor)
    return eagle, history
