"""One training loop for every model of the pair: Muon on the blocks' matrices, AdamW on the rest, resumable."""
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from tqdm.auto import tqdm


class Muon(torch.optim.Muon):
    """torch's Muon with the iteration in the gradient's own precision: torch's is in bfloat16, and on a processor without bfloat16
    forty times as slow (Newton and Schulz, `ns_steps` steps with the coefficients of Jordan et al. 2024)."""

    @staticmethod
    def orthogonal(x: torch.Tensor, steps: int = 5, a: float = 3.4445, b: float = -4.7750, c: float = 2.0315) -> torch.Tensor:
        """`x` [m, n] with its singular values near 1."""
        if x.shape[0] > x.shape[1]:
            return Muon.orthogonal(x.T, steps, a, b, c).T
        x = x / x.norm().clamp_min(1e-7)
        for _ in range(steps):
            gram = x @ x.T
            x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
        return x

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                buffer = state.setdefault("momentum_buffer", torch.zeros_like(weight))
                buffer.lerp_(weight.grad, 1 - momentum)
                weight.mul_(1 - lr * group["weight_decay"])
                aspect = max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5
                weight.add_(self.orthogonal(weight.grad.lerp(buffer, momentum), group["ns_steps"]), alpha=-lr * aspect)


def optimizers(model: torch.nn.Module, muon_lr: float, adam_lr: float, muon_steps: int = 5) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024) for the two-dimensional weights inside the blocks, AdamW for embeddings, norms, biases and the output."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    inside = {name for name, p in named if p.ndim == 2 and {"h", "fc", "midlayer"} & {*name.split(".")}}
    matrices = [p for name, p in named if name in inside]
    rest = [p for name, p in named if name not in inside]
    return [Muon(matrices, lr=muon_lr, weight_decay=0.1, ns_steps=muon_steps),
            torch.optim.AdamW(rest, lr=adam_lr, betas=(0.9, 0.95), weight_decay=0.0)]


def learning_rate_factor(step: int, steps: int, warmup: int = 50, flat: float = 0.3) -> float:
    """Linear warm-up, flat for `flat` of the run, then linear to zero."""
    if step < warmup:
        return (step + 1) / warmup
    return min(1.0, (steps - step) / (steps * (1 - flat)))


@contextmanager
def products_by_onednn() -> Iterator[None]:
    """Let oneDNN multiply matrices in place of torch's BLAS, which leaves half of an AMD processor with AVX-512 idle. Where a processor
    multiplies bfloat16, oneDNN may round the factors to that."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@products_by_onednn()
def fit(model: torch.nn.Module, loss_of_step: Callable[[int], torch.Tensor], steps: int, checkpoint: Path, *,
        muon_lr: float, adam_lr: float, muon_steps: int = 5, factor: Callable[[int], float] | None = None,
        evaluate: Callable[[], float] | None = None, every: int = 200) -> list[dict]:
    """Train `model` in place for `steps` steps and return its history, one record per `every` steps.

    `loss_of_step(step)` builds the step's loss from the step number alone. `factor(step)` scales the learning rates (default:
    `learning_rate_factor`). `muon_steps`: iterations of Muon. The checkpoint file is rewritten every `every`
    steps; where it exists, training goes on from it.
    """
    opts = optimizers(model, muon_lr, adam_lr, muon_steps)
    base = [group["lr"] for opt in opts for group in opt.param_groups]
    start, history = 0, []
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        for opt, state in zip(opts, saved["optimizers"], strict=True):
            opt.load_state_dict(state)
        start, history = saved["step"], saved["history"]
    bar = tqdm(range(start, steps), initial=start, total=steps, desc=checkpoint.stem, mininterval=5)
    running = None
    for step in bar:
        groups = [group for opt in opts for group in opt.param_groups]
        for group, lr in zip(groups, base, strict=True):
            group["lr"] = lr * (factor(step) if factor else learning_rate_factor(step, steps))
        model.train()
        loss = loss_of_step(step)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        value = loss.item()
        running = value if running is None else 0.98 * running + 0.02 * value
        bar.set_postfix(loss=f"{running:.3f}")
        if (step + 1) % every == 0 or step + 1 == steps:
            record = {"step": step + 1, "loss": round(running, 4)}
            if evaluate is not None:
                model.eval()
                record["validation"] = round(evaluate(), 4)
            history.append(record)
            tqdm.write(str(record))
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            part = checkpoint.with_suffix(".part")
            torch.save({"model": model.state_dict(), "optimizers": [o.state_dict() for o in opts],
                        "step": step + 1, "history": history}, part)
            part.replace(checkpoint)
    model.eval()
    return history
