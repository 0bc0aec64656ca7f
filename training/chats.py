"""Chats that an instruct model writes itself, users' turns too, with the hidden states that the eagle drafter reads.

Behind its template's opening of a user's turn the model writes what a user might (Xu et al. 2024, Magpie, arXiv 2406.08464), from
the first words on that are given here so that all kinds of prompts occur; half of the users' first turns are given whole. Then it
answers. Many chats at a time: a row of the batch that ends its chat begins the next one.
"""
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
import torch.nn.functional as F
from jinja2 import TemplateError
from torch import nn
from transformers import LlamaForCausalLM

from specdec_utils.models.pair import ModelPair
from specdec_utils.run.packed import why_not_packed
from specdec_utils.run.products import seconds

from .user_turns import SYSTEMS, user_opening, whole_words
from .whole_turns import whole_turn

ROOM = 384  # positions of a chat
PLAIN = "{{ bos_token or '' }}{% for message in messages %}{{ message['content'] }}\n{% endfor %}"  # for a model that knows no chats
GIVEN, USER, GREEDY, SAMPLED = range(4)  # who wrote a token: the template, the model as user, as assistant greedily or not


def layers_of(model: LlamaForCausalLM) -> tuple[int, ...]:
    """Which hidden states the drafter reads: low, middle, high, those that engines take where nothing else is said; of a model too small
    for that, the last ones in front of a layer."""
    count = model.config.num_hidden_layers
    return (2, count // 2, count - 3) if count > 6 else tuple(range(max(count - 3, 0), count))


@dataclass(frozen=True)
class Turn:
    """A part of a chat: `given` tokens, then up to `most` by the model at `temperature` (0 is greedy), written as `role`. `closing`:
    what follows if the model has not ended it (default: the token that ends a turn). `least`: tokens before which it may not end."""

    given: list[int]
    most: int = 0
    temperature: float = 0.0
    role: int = GIVEN
    closing: list[int] | None = None
    least: int = 0


class ChatTemplate:
    """SmolLM2's chat template in tokens (ChatML): its tokenizer merges nothing across the marks."""

    closing = None  # of a user's turn

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        *_, self.end = self.ids("<|im_end|>")

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def opening(self, system: str | None) -> list[int]:
        """A system message if there is one, and the mark of a user's turn."""
        return self.ids((f"<|im_start|>system\n{system}<|im_end|>\n" if system else "") + "<|im_start|>user\n")

    @property
    def answer(self) -> list[int]:
        """Between a user's turn that has ended and the answer."""
        return self.ids("\n<|im_start|>assistant\n")

    @property
    def question(self) -> list[int]:
        """Between an answer that has ended and the next user's turn."""
        return self.ids("\n<|im_start|>user\n")


class RenderedTemplate:
    """Any other chat template in tokens: its marks are what it writes around the texts of a chat. `end`: the token that ends an answer.
    `closing`: what ends a user's turn that the model has not ended, nothing where the template has no such mark."""

    def __init__(self, tokenizer, end: int):
        self.tokenizer, self.end = tokenizer, end
        ask, reply, more = ({"role": role, "content": text} for role, text in (("user", "FIRST"), ("assistant", "REPLY"), ("user", "MORE")))
        mark, after = tokenizer.convert_ids_to_tokens(end), self._text([ask], True).partition("FIRST")[2]
        between = self._text([ask, reply, more]).partition("REPLY")[2].partition("MORE")[0]
        self.closing = None if after.startswith(mark) else []
        self.answer, self.question = self.ids(after.removeprefix(mark)), self.ids(between.removeprefix(mark))

    def _text(self, messages: list[dict], reply: bool = False) -> str:
        return self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=reply)

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def opening(self, system: str | None) -> list[int]:
        """What stands before a user's first words, with a system message if there is one and the template takes it."""
        told = [{"role": "system", "content": system}] if system else []
        try:
            text = self._text([*told, {"role": "user", "content": "FIRST"}])
        except TemplateError:
            text = self._text([{"role": "user", "content": "FIRST"}])
        return self.ids(text.partition("FIRST")[0])


def template_of(pair: ModelPair) -> ChatTemplate | RenderedTemplate:
    """The pair's chat template in tokens. A tokenizer without one is given the plainest: text after text, a line each."""
    tokenizer = pair.tokenizer
    if tokenizer.chat_template and len(tokenizer("<|im_end|>", add_special_tokens=False)["input_ids"]) == 1:
        return ChatTemplate(tokenizer)
    tokenizer.chat_template = tokenizer.chat_template or PLAIN
    return RenderedTemplate(tokenizer, min(pair.eos_ids, default=tokenizer.eos_token_id))


def said(template: ChatTemplate, words: str) -> Turn:
    """A user's turn of given `words`, and what ends it."""
    return Turn(template.ids(words) + ([template.end] if template.closing is None else template.closing))


def asked(template: ChatTemplate, rng: random.Random) -> Turn:
    """A user's first turn, drawn from `rng`: given whole, or begun here and written on at a low temperature, so that it makes sense."""
    if rng.random() < 0.5:
        return said(template, whole_turn(rng))
    words, least, most = user_opening(rng, whole_words(template.tokenizer))
    return Turn(template.ids(words), most, 0.8 if least else rng.choice((0.3, 0.5, 0.7)), USER, template.closing, least)


def chat(template: ChatTemplate, rng: random.Random) -> list[Turn]:
    """The turns of a chat, drawn from `rng`: one in twenty has two questions, none of those about a text. Most answers are greedy, as
    those are on which a drafter is judged."""
    system = rng.choices((SYSTEMS[0], rng.choice(SYSTEMS[1:]), None), (16, 3, 1))[0]
    warmth = rng.choices((0.0, 0.7, 1.0), (17, 2, 1))[0]
    first = asked(template, rng)
    two = first.most and not first.least and rng.random() < 0.1

    def answer(most: int) -> Turn:
        return Turn(template.answer, most, warmth, SAMPLED if warmth else GREEDY)
    turns = [Turn(template.opening(system)), first, answer(90 if two else 140)]
    return turns + ([Turn(template.question, 40, 0.5, USER, template.closing), answer(90)] if two else [])


@dataclass
class Row:
    """A chat as far as it is written: `ids` fed, their `roles`, and what the model made of each, its `states` and `logs`."""

    turns: list[Turn]
    waiting: list[int] = field(default_factory=list)
    left: int = 0
    ids: list[int] = field(default_factory=list)
    roles: list[int] = field(default_factory=list)
    states: list[torch.Tensor] = field(default_factory=list)
    logs: list[torch.Tensor] = field(default_factory=list)

    def __post_init__(self):
        self.head = tuple(self.turns[0].given[:-1])  # what many chats begin with
        self._begin()

    def _begin(self) -> None:
        while self.turns and not self.left:
            self.turn, *self.turns = self.turns
            self.waiting, self.left = self.waiting + self.turn.given, self.turn.most

    @property
    def early(self) -> bool:
        """Is it too early for the model to end its turn?"""
        return self.turn.most - self.left < self.turn.least

    def next(self, choice: int, end: int, room: int) -> int | None:
        """The token to feed now, `choice` being the model's; None where the chat has ended, or fills its `room`."""
        if len(self.ids) == room:
            return None
        if self.waiting:
            token, role = self.waiting.pop(0), GIVEN
        elif self.left:
            token, role, self.left = choice, self.turn.role, self.left - 1
            if token == end or not self.left:
                closing = [end] if self.turn.closing is None else self.turn.closing
                self.waiting, self.left = [] if token == end else [*closing], 0
                self._begin()
        else:
            return None
        self.ids.append(token)
        self.roles.append(role)
        return token

    def finished(self) -> dict[str, torch.Tensor]:
        """The chat as `write_chats` gives it."""
        return {"ids": torch.tensor(self.ids, dtype=torch.int32), "roles": torch.tensor(self.roles, dtype=torch.uint8),
                "states": torch.stack(self.states), "logs": torch.stack(self.logs)}


def product(*layers: nn.Linear, rows: int, dtype: torch.dtype) -> Callable[[torch.Tensor], torch.Tensor]:
    """`layers` side by side as one map of float32 [rows, in] to float32, multiplied in `dtype`, packed where that can be."""
    weight = torch.cat([layer.weight.detach() for layer in layers]).to(dtype)
    if why_not_packed(dtype):
        return lambda x: F.linear(x.to(dtype), weight).float()
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
    return lambda x: torch.ops.mkldnn._linear_pointwise(x.to(dtype), packed, None, "none", [], "").float()


def faster_dtype(model: LlamaForCausalLM, rows: int) -> torch.dtype:
    """float32 or bfloat16, in which this machine is the faster to multiply `rows` tokens by a matrix of `model`: by the clock, since
    many processors have bfloat16 and take longer with it."""
    layer = model.model.layers[0].mlp.up_proj
    return min((torch.float32, torch.bfloat16),
               key=lambda dtype: seconds([product(layer, rows=rows, dtype=dtype)], [layer.in_features], [rows]))


class BatchedLlama:
    """One token at a time for every row of a batch, each row at its own position: a Llama's own weights, packed where they can be, its
    products and what attention reads in `dtype`, all else in float32."""

    def __init__(self, model: LlamaForCausalLM, rows: int, capacity: int, dtype: torch.dtype = torch.float32):
        config, self.tokens, self.norm = model.config, model.model.embed_tokens.weight.detach(), model.model.norm
        self.shared, self.size = config.num_key_value_heads, config.head_dim
        angles = torch.outer(torch.arange(capacity, dtype=torch.float32), model.model.rotary_emb.inv_freq.float())
        self.cos, self.sin = torch.cat([angles, angles], dim=-1).cos(), torch.cat([-angles, angles], dim=-1).sin()
        # most of a step's time goes into reading these: keys lie as the product with the queries takes them, one position a column
        self.keys = torch.zeros(len(model.model.layers), rows, self.shared, self.size, capacity, dtype=dtype)
        self.values = torch.zeros(len(model.model.layers), rows, self.shared, capacity, self.size, dtype=dtype)
        products = partial(product, rows=rows, dtype=dtype)
        self.layers = [(b.input_layernorm, products(b.self_attn.q_proj, b.self_attn.k_proj, b.self_attn.v_proj),
                        products(b.self_attn.o_proj), b.post_attention_layernorm,
                        products(b.mlp.gate_proj, b.mlp.up_proj), products(b.mlp.down_proj))
                       for b in model.model.layers]
        self.out = products(model.lm_head)

    @torch.inference_mode()
    def feed(self, tokens: torch.Tensor, positions: torch.Tensor, layers: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        """`tokens` and `positions` [B]: logits [B, V], and the states of `layers` with the last normalised one behind them, side by
        side, [B, (len(layers) + 1) * width]."""
        rows, end, size = torch.arange(len(tokens)), int(positions.max()) + 1, self.size
        unseen = torch.zeros(len(tokens), 1, 1, end).masked_fill_(torch.arange(end) > positions[:, None, None, None], float("-inf"))
        x, cos, sin, kept = self.tokens[tokens], self.cos[positions, None], self.sin[positions, None], []
        for i, (norm, to_qkv, to_out, norm_2, to_up, to_down) in enumerate(self.layers):
            if i in layers:
                kept.append(x)
            qkv = to_qkv(norm(x)).view(len(x), -1, size)
            qk, v = qkv[:, :-self.shared], qkv[:, -self.shared:]
            qk = torch.addcmul(qk * cos, qk.roll(size // 2, -1), sin)
            keys, values = self.keys[i], self.values[i]
            keys[rows, :, :, positions], values[rows, :, positions] = qk[:, -self.shared:].to(keys.dtype), v.to(values.dtype)
            q = (qk[:, :-self.shared] * size ** -0.5).reshape(len(x), self.shared, -1, size).to(keys.dtype)
            share = torch.softmax(torch.matmul(q, keys[..., :end]).float() + unseen, dim=-1)
            x = x + to_out(torch.matmul(share.to(values.dtype), values[:, :, :end]).reshape(len(x), -1))
            gate, up = to_up(norm_2(x)).chunk(2, dim=-1)
            x = x + to_down(F.silu(gate) * up)
        last = self.norm(x)
        return self.out(last), torch.cat([*kept, last], dim=-1)


def endless(template: ChatTemplate, seed: int, draw: Callable[[ChatTemplate, random.Random], list[Turn]] = chat) -> Iterator[list[Turn]]:
    """Chats to be written, one after another, as `draw` draws them."""
    rng = random.Random(seed)
    while True:
        yield draw(template, rng)


def answers_to(template: ChatTemplate, prompts: Iterable[str], most: int) -> Iterator[list[Turn]]:
    """Chats with a greedy answer of up to `most` tokens to each of `prompts`, behind the template's own system message."""
    for prompt in prompts:
        yield [Turn(template.opening(SYSTEMS[0])), said(template, prompt), Turn(template.answer, most, 0.0, GREEDY)]


def write_chats(model: LlamaForCausalLM, template: ChatTemplate, wanted: Iterator[list[Turn]], seed: int, rows: int = 32,
                layers: tuple[int, ...] | None = None, room: int = ROOM,
                dtype: torch.dtype = torch.float32) -> Iterator[dict[str, torch.Tensor]]:
    """The chats of `wanted` in the order in which they are finished; each of T tokens as `ids` and `roles` [T], `states` [T, ...] of
    `layers` (default: `layers_of`) in float16 (see `BatchedLlama.feed`) and `logs` [T], the logarithm of what exp(logits) sum to over
    the whole vocabulary. A chat ends after `room` tokens at the latest; `seed` is that of the tokens drawn,
    `dtype` that of the model's products."""
    layers, generator = layers or layers_of(model), torch.Generator().manual_seed(seed)
    batched, begun = BatchedLlama(model, rows, room, dtype), {}

    def next_row(b: int) -> Row | None:
        turns = next(wanted, None)
        row = turns and Row(turns)
        if row and row.head in begun:  # as another chat before it
            n = len(row.head)
            batched.keys[:, b, ..., :n], batched.values[:, b, :, :n], states, logs = begun[row.head]
            row.ids, row.roles, row.waiting, row.states, row.logs = [*row.head], [GIVEN] * n, row.waiting[n:], [*states], [*logs]
        return row

    chats, choice = [next_row(b) for b in range(rows)], [0] * rows
    while any(chats):
        fed = []
        for b, row in enumerate(chats):
            token = row.next(choice[b], template.end, room) if row else 0
            if token is None:
                yield row.finished()
                if row.head not in begun:
                    n = len(row.head)
                    begun[row.head] = (batched.keys[:, b, ..., :n].clone(), batched.values[:, b, :, :n].clone(),
                                       [state.clone() for state in row.states[:n]], row.logs[:n])
                row = chats[b] = next_row(b)
                token = row.next(0, template.end, room) if row else 0
            fed.append(token)
        if not any(chats):
            return
        positions = torch.tensor([len(row.ids) - 1 if row else 0 for row in chats])  # a row without a chat computes for nothing
        logits, states = batched.feed(torch.tensor(fed), positions, layers)
        logs, states = torch.logsumexp(logits, dim=-1), states.half()
        if early := [b for b, row in enumerate(chats) if row and row.early]:
            logits = logits.index_put((torch.tensor(early), torch.tensor(template.end)), torch.tensor(float("-inf")))
        warmth = torch.tensor([row.turn.temperature if row else 0.0 for row in chats])
        best, warm = logits.argmax(-1), warmth.nonzero()[:, 0]
        if len(warm):
            share = torch.softmax(logits[warm] / warmth[warm, None], dim=-1)
            best[warm] = torch.multinomial(share, 1, generator=generator)[:, 0]
        choice = best.tolist()
        for row, state, log in zip(chats, states, logs):
            if row:
                row.states.append(state)
                row.logs.append(log)
