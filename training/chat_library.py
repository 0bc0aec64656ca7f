"""Chats on disk and in memory: what the eagle drafter of a chat model learns from."""
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence
from tqdm.auto import tqdm
from transformers import LlamaForCausalLM

from .chats import GREEDY, ChatTemplate, chat, endless, faster_dtype, write_chats
from .eagle_texts import runs_of

SHARD = 64  # chats in a file
ROWS = 64  # chats that are written at a time


@dataclass
class Chats:
    """Chats as `write_chats` gives them, each a tensor of its own length in four lists."""

    ids: list[torch.Tensor]
    roles: list[torch.Tensor]
    states: list[torch.Tensor]
    logs: list[torch.Tensor]

    @classmethod
    def of(cls, chats: list[dict[str, torch.Tensor]]) -> "Chats":
        """What `write_chats` gave."""
        return cls(**{name: [chat[name] for chat in chats] for name in ("ids", "roles", "states", "logs")})

    @classmethod
    def read(cls, files: list[Path]) -> "Chats":
        """What stands in `files`; it is read from the disk when it is needed, so that memory may be smaller than the chats."""
        parts = [torch.load(file, weights_only=True, mmap=True) for file in files]
        return cls(**{name: [chat for part in parts for chat in part[name]] for name in ("ids", "roles", "states", "logs")})

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def answers(self) -> int:
        """Tokens that the model wrote as assistant."""
        return sum(int((roles >= GREEDY).sum()) for roles in self.roles)

    def part(self, picks: list[int]) -> "Chats":
        return Chats(*([values[i] for i in picks] for values in (self.ids, self.roles, self.states, self.logs)))

    def without(self, measured: list[list[int]]) -> "Chats":
        """Those of which no answer shares `SHARED` tokens in a row with one of `measured`."""
        held = runs_of(measured)
        return self.part([i for i, (ids, roles) in enumerate(zip(self.ids, self.roles))
                          if held.isdisjoint(runs_of([ids[roles >= GREEDY].tolist()]))])

    def padded(self, behind: int) -> tuple[torch.Tensor, ...]:
        """The four as tensors [B, T, ...], each chat with zeros behind it, at least `behind` of them; states in float32."""
        ids, roles, states, logs = (pad_sequence([F.pad(x, (0, 0) * (x.ndim - 1) + (0, behind)) for x in values], batch_first=True)
                                    for values in (self.ids, self.roles, self.states, self.logs))
        return ids.long(), roles, states.float(), logs


def chat_library(model: LlamaForCausalLM, template: ChatTemplate, answers: int, folder: Path, seed: int, draw=chat, rows: int = ROWS,
                 **options) -> Chats:
    """Chats with about `answers` tokens by the assistant, as `draw` draws them, kept in `folder`, `SHARD` of them a file; goes on from the
    files that are there. The model multiplies in the dtype that is faster here. `options` are those of `write_chats`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(folder.glob("*.pt"))
    bar = tqdm(total=answers, initial=Chats.read(files).answers, desc="tokens of answers")
    source = write_chats(model, template, endless(template, seed + len(files), draw), seed + len(files), rows,
                         dtype=faster_dtype(model, rows), **options)
    while bar.n < answers:
        shard = Chats.of([next(source) for _ in range(SHARD)])
        part = folder / f"{len(files):04d}.part"
        torch.save(vars(shard), part)
        files.append(part.replace(part.with_suffix(".pt")))
        bar.update(shard.answers)
    bar.close()
    return Chats.read(files)
