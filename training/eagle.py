"""The eagle drafter: distilled from the verifier's own text, unrolled on its own outputs."""
import re
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm.auto import tqdm
from transformers import GPT2LMHeadModel

from specdec_utils.models.eagle import EagleDrafter

from .library import Library, write_text
from .loop import fit

LAYERS, INNER = (4, 10, 16), 1024
TEMPERATURES = (*[0.0] * 9, *[0.4] * 2, *[0.7] * 4, *[1.0] * 5)  # of the text that it learns from, row by row; 0 is greedy
TEXTS = {"short": (28, 272), "long": (3, 512)}  # batches and length: mostly one story, a few story after story up to the context's end
ROWS = {"short": 10, "long": 5}  # of a training step
DECAY = 0.9  # weight of each unrolled step over that of the one before


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
        sentences = [part for part in re.split(r"(?<=[.!?])\s+", story) if len(part) > 12]
        for ids in (cut(story, 8, 24), *(cut(sentence, 4, 16) for sentence in sentences[1:])):
            if len(ids) >= 4 and tuple(ids[:5]) not in kept_back:
                found.setdefault(tuple(ids[:6]), ids)
    begun = list(found.values())
    order, behind_eos = torch.randperm(len(begun), generator=rng), torch.rand(len(begun), generator=rng) < 0.4
    return [[eos, *begun[i]] if behind_eos[i] else begun[i] for i in order.tolist()]


def feature_library(verifier: GPT2LMHeadModel, begun: list[list[int]], seed: int, file: Path, texts: dict[str, tuple[int, int]] = TEXTS,
                    rows: int = 64, layers: tuple[int, ...] = LAYERS) -> dict[str, Library]:
    """What the verifier wrote after openings of `begun`, by the names of `texts`, with its states of `layers`; kept in `file`."""
    if file.exists():
        saved = torch.load(file, weights_only=True, mmap=True)
        return {name: Library(**library) for name, library in saved.items()}
    torch.manual_seed(seed)
    same: dict[int, list[list[int]]] = {}
    batches = []
    for ids in begun:  # of one length, so that a batch needs no padding
        same.setdefault(len(ids), []).append(ids)
        if len(same[len(ids)]) == rows:
            batches.append(same.pop(len(ids)))
    if len(batches) < sum(count for count, _ in texts.values()):
        raise ValueError(f"{len(begun)} openings give {len(batches)} batches of {rows}: give more stories, or ask for fewer texts.")
    batches, libraries = iter(batches), {}
    for name, (count, length) in texts.items():
        parts = []
        for _ in tqdm(range(count), desc=f"{name} texts by the verifier"):
            starts = torch.tensor(next(batches))
            warmth = torch.tensor([TEMPERATURES[i % len(TEMPERATURES)] for i in torch.randperm(rows)])
            parts.append(write_text(verifier, starts, length - starts.shape[1], warmth, layers))
        libraries[name] = Library(*(torch.cat(part) for part in zip(*parts)))
    torch.save({name: vars(library) for name, library in libraries.items()}, file)
    return libraries


class HeadLoss(torch.autograd.Function):
    """Output matrix, softmax and loss in one, over blocks of rows that stay in the processor's cache.

    `HeadLoss.apply(h, w, p, mix, sharp)`: states h [n, d], output matrix w [V, d], the verifier's distributions p [n, V]. The gradient
    is that of (1 - mix) KL(p || q) + mix ((1 - sharp) |p - q| + sharp |p' - q'|), mean over rows, where p' and q' are p and q at half
    the temperature: acceptance where the text is sampled and where it is nearly greedy. The value returned is what one watches
    under any mix, the probability of a rejection, |p - q| / 2.
    """

    @staticmethod
    def forward(ctx, h, w, p, mix, sharp, block=192):
        dh, dw, rejected = torch.empty_like(h), torch.zeros_like(w), 0.0

        def toward(q, target):  # gradient of |target - q| by the logits of q
            sign = torch.sign(q - target)
            return q * (sign - (q * sign).sum(-1, keepdim=True))
        for i in range(0, len(h), block):
            states, target = h[i:i + block], p[i:i + block]
            q = torch.softmax(states @ w.T, dim=-1)
            gradient = q - target
            rejected += gradient.abs().sum().item() / 2
            gradient *= 1 - mix
            if mix > 0:
                gradient.add_(toward(q, target), alpha=mix * (1 - sharp))
                q, target = (x.square() / x.square().sum(-1, keepdim=True) for x in (q, target))
                gradient.add_(toward(q, target), alpha=2 * mix * sharp)
            torch.mm(gradient, w, out=dh[i:i + block])
            dw.addmm_(gradient.T, states)
        ctx.save_for_backward(dh / len(h), dw / len(h))
        return h.new_tensor(rejected / len(h))

    @staticmethod
    def backward(ctx, grad):
        dh, dw = ctx.saved_tensors
        return grad * dh, grad * dw, None, None, None, None


def new_eagle(verifier: GPT2LMHeadModel, scale: float, seed: int, inner: int = INNER, layers: tuple[int, ...] = LAYERS) -> EagleDrafter:
    """A drafter that starts as the verifier's last state (of root mean square `scale`) behind the verifier's output matrix."""
    torch.manual_seed(seed)
    width = verifier.config.n_embd
    eagle = EagleDrafter(width, verifier.config.vocab_size, layers, heads=verifier.config.n_head, inner=inner,
                         context=verifier.config.n_positions)
    with torch.no_grad():
        for name, weight in eagle.named_parameters():
            if weight.ndim == 2:
                torch.nn.init.normal_(weight, std=0.005 if name == "fc.weight" else 0.02)
        eagle.midlayer.self_attn.o_proj.weight.zero_()
        eagle.midlayer.mlp.down_proj.weight.zero_()
        eagle.fc.weight[:, -width:] += torch.eye(width)
        eagle.lm_head.weight.copy_(verifier.lm_head.weight)
        eagle.norm.weight.fill_(scale)
    return eagle


def train_eagle(verifier: GPT2LMHeadModel, libraries: dict[str, Library], steps: int, folder: Path, seed: int,
                inner: int = INNER, layers: tuple[int, ...] = LAYERS) -> tuple[EagleDrafter, list[dict]]:
    """Distil: after every position of the texts, as many tokens deep as training is unrolled (4 in the first half, then 6).

    Every fifth step takes long texts. Each text comes once an epoch; after the first unrolled step half of the positions, drawn
    anew each time, go on, since one text's neighbours teach much the same.
    """
    width = verifier.config.n_embd
    matrix, embeddings = verifier.lm_head.weight.detach(), verifier.transformer.wte.weight.detach()
    scale = libraries["short"].hidden[:32, :, -width:].float().square().mean().sqrt().item()
    eagle = new_eagle(verifier, scale, seed, inner, layers)

    def loss_of_step(step: int) -> torch.Tensor:
        name = "long" if step % 5 == 4 else "short"
        library, rows = libraries[name], ROWS[name]
        turn = step // 5 if name == "long" else step - step // 5
        epoch, within = divmod(turn, len(library.ids) // rows)
        order = torch.randperm(len(library.ids), generator=torch.Generator().manual_seed(seed + epoch))
        picks = order[within * rows:(within + 1) * rows]
        ids, features = library.ids[picks], library.hidden[picks].float()
        p = torch.softmax(features[..., -width:] @ matrix.T, dim=-1)
        depth = 4 if step < steps / 2 else 6
        length, rng = ids.shape[1] - depth, torch.Generator().manual_seed(seed * 1_000_003 + step)
        some = torch.randperm(length, generator=rng)[:length // 2].sort().values
        mix = min(1.0, max(0.0, (step / steps - 0.3) / 0.5))
        loss, weights = torch.zeros(()), [DECAY ** j for j in range(depth)]
        for j, (output, weight) in enumerate(zip(eagle.unroll(features, ids, embeddings, depth, some), weights), 1):
            target = p[:, j:length + j] if j == 1 else p[:, some + j]
            rejected = HeadLoss.apply(eagle.norm(output).flatten(0, 1), eagle.lm_head.weight, target.flatten(0, 1), mix, 0.5)
            loss = loss + weight / sum(weights) * rejected
        return loss

    history = fit(eagle, loss_of_step, steps, folder / "eagle.pt", muon_lr=0.02, adam_lr=3e-3, flat=0.4)
    return eagle, history


@torch.inference_mode()
def acceptance_by_depth(verifier: GPT2LMHeadModel, eagle: EagleDrafter, texts: list[tuple[list[int], int]],
                        depth: int = 6) -> dict[str, list[float]]:
    """On `texts`, each (ids, how many of them are the opening): per depth, a right path given, how often the drafter's first choice
    is the verifier's ("greedy_equal") and the mean of sum(min(p, q)) ("sum_min_p_q"), over all drafts after the opening's end."""
    equal, overlap, n = torch.zeros(depth), torch.zeros(depth), 0
    embeddings = verifier.transformer.wte.weight
    for ids, start in texts:
        out = verifier(torch.tensor([ids]), output_hidden_states=True, use_cache=False)
        features = torch.cat([out.hidden_states[layer] for layer in eagle.layers], dim=-1)
        p = torch.softmax(out.logits[0], dim=-1)
        length = len(ids) - depth
        for j, output in enumerate(eagle.unroll(features, torch.tensor([ids]), embeddings, depth), 1):
            q, target = torch.softmax(eagle.logits(output[0, start - 1:]), dim=-1), p[start - 1 + j:length + j]
            equal[j - 1] += (q.argmax(-1) == target.argmax(-1)).sum()
            overlap[j - 1] += torch.minimum(q, target).sum()
        n += length - start + 1
    return {"greedy_equal": (equal / n).tolist(), "sum_min_p_q": (overlap / n).tolist()}


def measure_eagle(verifier: GPT2LMHeadModel, eagle: EagleDrafter, encode: Callable[[str], list[int]], benchmark: list[str],
                  held_out: list[str], seed: int, length: int = 140) -> dict[str, dict[str, list[float]]]:
    """`acceptance_by_depth` on `length` tokens after the `benchmark`'s openings and after 48 openings of `held_out` stories, written
    greedily and sampled."""
    starts = {"benchmark": [encode(text) for text in benchmark],
              "held_out": openings(held_out, encode, verifier.config.eos_token_id, seed)[:48]}
    torch.manual_seed(seed)
    measured = {}
    for name, begun in starts.items():
        for kind, temperature in (("greedy", 0.0), ("sampled", 1.0)):
            texts = [(write_text(verifier, torch.tensor([ids]), length, torch.tensor([temperature]))[0][0].tolist(), len(ids))
                     for ids in begun]
            measured[f"{name}_{kind}"] = acceptance_by_depth(verifier, eagle, texts)
    return measured
