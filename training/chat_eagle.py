"""The eagle drafter of a chat model: distilled from chats that the model wrote itself, after positions of its answers only."""
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import LlamaForCausalLM

from specdec_utils.models.eagle import EagleDrafter

from .chat_library import Chats
from .chats import GIVEN, GREEDY, USER, faster_dtype, layers_of
from .eagle import Stage, new_eagle, unrolled_loss
from .loop import fit, products_by_onednn

INNER = 1536
PIECES = 8192
COUNTED = 6000  # chats whose distributions tell which pieces those are
NOISE = 0.1
START = 0.1  # size of the states that the layer begins with: what it adds itself outweighs them after a few steps
TOKENS = 2200  # of a training step, padding included
STAGE = Stage(1000, ("chats",), depths=(3, 4), decay=0.9, kept=0.4, rate=1.0, flat=0.4, last=0.02, mixed=(0.3, 0.8))


def plan(lengths: list[int], steps: int, tokens: int, seed: int) -> list[list[int]]:
    """Which chats each of `steps` steps takes: about `tokens` in all, of much the same length; each chat once an epoch."""
    batches, rng = [], torch.Generator().manual_seed(seed)
    while len(batches) < steps:
        epoch = []
        for part in torch.randperm(len(lengths), generator=rng).split(256):
            ordered, batch = sorted(part.tolist(), key=lengths.__getitem__), []
            for i in ordered:
                if batch and (len(batch) + 1) * lengths[i] > tokens:
                    epoch.append(batch)
                    batch = []
                batch.append(i)
            epoch.append(batch)
        batches += [epoch[i] for i in torch.randperm(len(epoch), generator=rng).tolist()]
    return batches[:steps]


def drafts_of(roles: torch.Tensor, depth: int) -> torch.Tensor:
    """Which positions of `roles` [B, T] drafts begin after: those from which on the next token is the answer's, and so is the one
    `depth` further. True or false, [B, T - depth]."""
    answer, length = roles >= GREEDY, roles.shape[1] - depth
    return answer[:, 1:length + 1] & F.pad(answer, (0, 1))[:, depth + 1:depth + 1 + length]


@products_by_onednn()
def expected_pieces(chats: Chats, matrix: torch.Tensor, pieces: int) -> torch.Tensor:
    """The `pieces` tokens that the model writes most often by its own distributions, ascending; `matrix` [V, width] is its output matrix.

    For every token of an answer all of the distribution is counted that it was drawn from, not the token alone: so a few chats tell of
    many more words than they hold. The users' tokens are counted as they are. Of those that are equally rare the lower ids are taken.
    """
    counts = torch.zeros(len(matrix))
    for ids, roles, states, logs in zip(chats.ids, chats.roles, chats.states, chats.logs):
        before = (roles[1:] >= GREEDY).nonzero()[:, 0]
        counts += torch.exp(states[before, -matrix.shape[1]:].float() @ matrix.T - logs[before, None]).sum(0)
        counts += ids[roles == USER].long().bincount(minlength=len(counts))
    return counts.argsort(descending=True, stable=True)[:pieces].sort().values


def train_chat_eagle(verifier: LlamaForCausalLM, chats: Chats, steps: int, folder: Path, seed: int, stage: Stage = STAGE,
                     inner: int = INNER, pieces: int = PIECES, layers: tuple[int, ...] | None = None, tokens: int = TOKENS,
                     every: int = 100, evaluate: Callable[[EagleDrafter], float] | None = None) -> tuple[EagleDrafter, list[dict]]:
    """Distil for `steps` steps. The loss of the first unrolled step is taken after all positions of the answers, that of the later ones
    after a share of them, drawn anew each time. The verifier's states come scaled to a root mean square of one, layer by layer, which in
    the end goes into `fc` (`evaluate` is given such a drafter), and with noise that falls from `NOISE` to nothing, lest the drafter learn
    the chats by heart: most units are smaller than one. The output matrix begins as the verifier's. Products are in bfloat16 where this
    machine is the faster with it."""
    layers = layers or layers_of(verifier)
    stage, width = replace(stage, steps=steps), verifier.config.hidden_size
    embeddings, matrix = (part.weight.detach() for part in (verifier.get_input_embeddings(), verifier.get_output_embeddings()))
    checkpoint = folder / "eagle.pt"
    if checkpoint.exists():  # what it learnt to write: chats that have come since could tell of other pieces
        offsets = torch.load(checkpoint, weights_only=True)["model"]["d2t"]
        draft_ids = offsets + torch.arange(len(offsets))
    else:
        draft_ids = expected_pieces(chats.part([*range(min(len(chats), COUNTED))]), matrix, pieces)
    matrix = matrix[draft_ids]
    sample = torch.cat([states[1:] for states in chats.states[:64]])[:, :len(layers) * width].float()
    scales = sample.unflatten(-1, (len(layers), width)).square().mean((0, 2)).rsqrt().repeat_interleave(width)
    eagle = new_eagle(verifier, verifier.model.norm.weight.detach(), seed, inner, layers, draft_ids)
    eagle.fc.weight.data *= START
    halved = faster_dtype(verifier, tokens) is torch.bfloat16
    batches = plan([len(ids) for ids in chats.ids], steps, tokens, seed)

    def finished() -> EagleDrafter:
        whole = new_eagle(verifier, 1.0, seed, inner, layers, draft_ids)
        whole.load_state_dict(eagle.state_dict())
        whole.fc.weight.data *= scales
        return whole.eval()

    def loss_of_step(step: int) -> torch.Tensor:
        depth = stage.depth(step)
        ids, roles, states, logs = chats.part(batches[step]).padded(depth)
        first, whole = drafts_of(roles, 1)[:, :ids.shape[1] - depth], drafts_of(roles, depth)
        asked = roles >= GREEDY  # the only places whose distributions are needed
        place = asked.flatten().cumsum(0).sub_(1).view_as(ids)
        p = (states[asked][:, -width:] @ matrix.T).sub_(logs[asked, None]).exp_()
        rng, texts = torch.Generator().manual_seed(seed * 1_000_003 + step), torch.arange(len(ids))[:, None]
        count = max(1, int(stage.kept * whole.sum() / len(ids)))
        none = ~whole.any(dim=1, keepdim=True)  # a text too short for a draft as deep: whatever comes, it weighs little
        rows = torch.multinomial((whole | none).float(), count, replacement=bool((whole.sum(1) < count).any()), generator=rng)
        features = states[..., :-width] * scales
        features += NOISE * (1 - step / steps) * torch.randn(features.shape, generator=rng)
        targets = [p[place[:, 1:first.shape[1] + 1][first]], *(p[place[texts, rows + j].flatten()] for j in range(2, depth + 1))]
        with torch.autocast("cpu", torch.bfloat16, enabled=halved):
            outputs = eagle.unroll(features, ids, embeddings, depth, rows)
            return unrolled_loss(eagle, [outputs[0][first], *(output.flatten(0, 1) for output in outputs[1:])], targets, stage.decay,
                                 stage.mix(step))

    history = fit(eagle, loss_of_step, steps, checkpoint, muon_lr=0.02, adam_lr=5e-4, muon_steps=3, factor=stage.factor,
                  every=every, evaluate=None if evaluate is None else lambda: evaluate(finished()))
    return finished(), history


@torch.inference_mode()
def acceptance_on_chats(verifier: LlamaForCausalLM, eagle: EagleDrafter, chats: Chats, role: int, depth: int = 6,
                        rows: int = 8) -> dict[str, list[float]]:
    """After all positions of the answers written as `role`, from the states that `chats` hold, a right path given; per depth: how often
    the drafter's first choice is the token that came ("equal"), and the mean of sum(min(p, q)) ("sum_min_p_q")."""
    embeddings, width = verifier.get_input_embeddings().weight, eagle.width
    matrix = verifier.get_output_embeddings().weight
    draft_ids = torch.arange(len(matrix)) if eagle.draft_ids is None else eagle.draft_ids
    matrix = matrix[draft_ids]
    equal, overlap, n = torch.zeros(depth), torch.zeros(depth), 0
    for part in torch.arange(len(chats)).split(rows):
        ids, roles, states, logs = chats.part(part.tolist()).padded(depth)
        text, place = drafts_of(torch.where(roles == role, GREEDY, GIVEN), depth).nonzero(as_tuple=True)
        for j, output in enumerate(eagle.unroll(states[..., :-width], ids, embeddings, depth), 1):
            q = torch.softmax(eagle.lm_head(eagle.norm(output[text, place])), dim=-1)
            p = torch.exp(states[text, place + j, -width:] @ matrix.T - logs[text, place + j, None])
            equal[j - 1] += (draft_ids[q.argmax(-1)] == ids[text, place + j + 1]).sum()
            overlap[j - 1] += torch.minimum(p, q).sum()
        n += len(text)
    return {"equal": (equal / n).tolist(), "sum_min_p_q": (overlap / n).tolist()}
