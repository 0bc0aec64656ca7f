"""Prompts into ids, ids into something a person can read."""
import torch
from jinja2 import TemplateError

from .sampling import last_token_logits

Prompt = str | torch.Tensor | list[dict[str, str]]  # text, ids [1, T], or the messages of a chat


def takes_chats(pair) -> bool:
    """Has the pair's tokenizer a chat template?"""
    return bool(pair.tokenizer is not None and pair.tokenizer.chat_template)


def _encode_chat(pair, messages: list[dict[str, str]]) -> torch.Tensor:
    """Ids [1, T] of a chat in the tokenizer's template, with the opening of the reply behind it."""
    if not takes_chats(pair):
        raise ValueError(f"Pair {pair.name!r} has no tokenizer with a chat template: give the prompt as text or as token ids.")
    if not messages:
        raise ValueError("The chat is empty: give at least one message of the user's.")
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or set(message) != {"role", "content"} or not isinstance(message["content"], str):
            raise TypeError(f"Message {number} of the chat must be a dict with 'role' and 'content', both text, not {message!r}.")
        roles = ["system", "user", "assistant"] if number == 0 else ["user", "assistant"]
        if message["role"] not in roles:
            raise ValueError(f"Message {number} of the chat has the role {message['role']!r}: use one of {roles} there.")
    if messages[-1]["role"] != "user":
        raise ValueError(f"The chat ends with the {messages[-1]['role']}: its last message must be the user's, which is then answered.")
    try:
        return pair.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)["input_ids"]
    except TemplateError as error:
        raise ValueError(f"The chat template of pair {pair.name!r} does not take these messages: {error}") from error


def encode_prompt(pair, prompt: Prompt) -> torch.Tensor:
    """`prompt` as a LongTensor [1, T] on the pair's device; a LongTensor [1, T] is checked and passed through.

    A chat, a list of {"role": ..., "content": ...}, goes through the tokenizer's chat template: a system message first if
    wanted, then turns of "user" and "assistant", the user's last.

    Raises TypeError or ValueError, before any model runs: empty prompt, longer than the context, a string without a
    tokenizer, a tensor that is no [1, T] LongTensor or holds ids outside the vocabulary, a chat without a template or with
    messages that cannot be used.
    """
    if isinstance(prompt, str):
        if pair.tokenizer is None:
            raise TypeError(f"Pair {pair.name!r} has no tokenizer: give the prompt as a LongTensor [1, T] of token ids.")
        ids = pair.tokenizer(prompt, return_tensors="pt")["input_ids"].long()
    elif isinstance(prompt, list) and (not prompt or isinstance(prompt[0], dict)):
        ids = _encode_chat(pair, prompt)
    elif isinstance(prompt, torch.Tensor):
        ids = prompt
        if ids.dtype != torch.long or ids.ndim != 2 or ids.shape[0] != 1:
            raise ValueError(f"A prompt tensor must be a LongTensor [1, T]; this one is {ids.dtype} {list(ids.shape)}.")
    else:
        raise TypeError(f"A prompt is a string, a list of messages or a LongTensor [1, T], not {type(prompt).__name__}.")
    if ids.shape[1] == 0:
        raise ValueError("The prompt is empty: give at least one token to continue from.")
    if ids.shape[1] > pair.context:
        raise ValueError(f"The prompt has {ids.shape[1]} tokens; pair {pair.name!r} takes at most {pair.context}.")
    if int(ids.min()) < 0 or int(ids.max()) >= pair.vocab_size:
        raise ValueError(f"The prompt holds token ids outside the vocabulary: they must lie in 0..{pair.vocab_size - 1}.")
    return ids.to(pair.device)


def those_that_fit(pair, prompts: list[Prompt], tokens: int) -> list[Prompt]:
    """Those of `prompts` behind which the pair's context has room for `tokens` more."""
    def fits(prompt: Prompt) -> bool:
        try:
            return encode_prompt(pair, prompt).shape[1] + tokens <= pair.context
        except ValueError:  # longer than the context by itself
            return False
    return [prompt for prompt in prompts if fits(prompt)]


def decode_output(pair, prompt: Prompt, ids: list[int], start: int) -> str:
    """The text of `ids`, special tokens left out: prompt (its first `start` ids) and continuation, or of a chat the reply alone.
    Empty without a tokenizer."""
    if pair.tokenizer is None:
        return ""
    return pair.tokenizer.decode(ids[start:] if isinstance(prompt, list) else ids, skip_special_tokens=True)


def append_token(ids: torch.Tensor, tok_id: int) -> torch.Tensor:
    """`ids` [1, T] with `tok_id` appended: [1, T + 1], same dtype and device."""
    token = torch.tensor([[tok_id]], dtype=ids.dtype, device=ids.device)
    return torch.cat([ids, token], dim=1)


def decode_token(tokenizer, tid: int) -> str:
    """The text of one token, special tokens and spaces kept; `<id>` without a tokenizer."""
    if tokenizer is None:
        return f"<{tid}>"
    return tokenizer.decode([tid], skip_special_tokens=False, clean_up_tokenization_spaces=False)


def pretty_token(tokenizer, tid: int) -> dict:
    """One token seen every way: id, decoded text (repr), piece as stored, piece read back as UTF-8, code points, bytes.

    Byte-level BPE stores each byte as a printable stand-in character (a space as "Ġ"). `token_fixed` undoes that the way
    the original notebook tried to, latin-1 to UTF-8, and keeps the piece where that fails; `bytes` are those of the text.
    """
    text = decode_token(tokenizer, tid)
    piece = tokenizer.convert_ids_to_tokens([tid])[0]
    try:
        fixed = piece.encode("latin1").decode("utf-8")
    except UnicodeError:
        fixed = piece
    return {"id": tid, "decode_repr": repr(text), "token_repr": repr(piece), "token_fixed": repr(fixed),
            "codepoints": [hex(ord(ch)) for ch in text], "bytes": list(text.encode("utf-8"))}


@torch.inference_mode()
def next_human_token(verifier, ids: torch.Tensor, tokenizer, tries: int = 10) -> tuple[int, str]:
    """Decode greedily from `ids` [1, T] until a token shows a visible character: (its id, its text).

    After `tries` tokens the last one is returned, visible or not. Raises ValueError if tries < 1.
    """
    if tries < 1:
        raise ValueError(f"tries={tries!r} is not usable: it must be at least 1.")
    for _ in range(tries):
        tid = int(last_token_logits(verifier, ids).argmax())
        text = decode_token(tokenizer, tid)
        if any(ch.isprintable() and not ch.isspace() for ch in text):
            break
        ids = append_token(ids, tid)
    return tid, text
