"""Chats as prompts: through the template, reply as text, and one sentence for what cannot be used."""
from copy import deepcopy

import pytest
import torch

from specdec_utils import Cfg, ModelPair, encode_prompt, generate

TEMPLATE = ("{% for m in messages %}{% if m.role == 'user' and m.content == 'forbidden' %}{{ raise_exception('No such word.') }}{% endif %}"
            "<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}")
SYSTEM, HI, REPLY, MORE = ({"role": role, "content": text} for role, text in (
    ("system", "short"), ("user", "hi"), ("assistant", "yes"), ("user", "more")))


@pytest.fixture
def chat_pair(rule_model, byte_tokenizer):
    """A pair over bytes that answers "ok" and ends its turn: > -> o -> k -> end of turn."""
    tokenizer = deepcopy(byte_tokenizer)
    tokenizer.chat_template = TEMPLATE
    ids = {char: byte_tokenizer(char)["input_ids"][0] for char in ">ok"}
    following = [0] * len(byte_tokenizer)
    following[ids[">"]], following[ids["o"]], following[ids["k"]] = ids["o"], ids["k"], tokenizer.eos_token_id
    verifier = rule_model(following, context=128)
    verifier.generation_config.eos_token_id = tokenizer.eos_token_id
    return ModelPair(None, verifier, tokenizer, name="bytes")


@pytest.mark.parametrize("messages, text", [
    ([HI], "<user>hi<|endoftext|><assistant>"),
    ([SYSTEM, HI], "<system>short<|endoftext|><user>hi<|endoftext|><assistant>"),
    ([HI, REPLY, MORE], "<user>hi<|endoftext|><assistant>yes<|endoftext|><user>more<|endoftext|><assistant>")])
def test_chat_goes_through_the_template_and_opens_the_reply(chat_pair, messages, text):
    ids = encode_prompt(chat_pair, messages)
    assert (ids.dtype, ids.shape[0]) == (torch.long, 1)
    assert chat_pair.tokenizer.decode(ids[0]) == text
    assert ids.tolist() == chat_pair.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False, return_tensors="pt").tolist()


@pytest.mark.parametrize("method", ["greedy", "lookup", "auto"])
def test_end_of_turn_ends_the_reply_and_the_text_is_the_reply_alone(chat_pair, method):
    out = generate(chat_pair, [SYSTEM, HI], Cfg(max_new_tokens=20), method)
    assert (str(out), out.finish_reason) == ("ok", "eos")
    assert out.new_ids[-1] == chat_pair.tokenizer.eos_token_id and len(out.new_ids) == 3


def test_chat_text_and_ids_of_one_prompt_are_continued_alike(chat_pair):
    ids = encode_prompt(chat_pair, [HI])
    text = chat_pair.tokenizer.decode(ids[0])
    runs = [generate(chat_pair, prompt, Cfg(max_new_tokens=5)) for prompt in ([HI], text, ids)]
    assert len({tuple(run.prompt_ids + run.new_ids) for run in runs}) == 1
    assert [run.text for run in runs] == ["ok", "<user>hi<assistant>ok", "<user>hi<assistant>ok"]


@pytest.mark.parametrize("messages, error, sentence", [
    ([], ValueError, "The chat is empty: give at least one message of the user's."),
    ([HI, SYSTEM], ValueError, "Message 1 of the chat has the role 'system': use one of ['user', 'assistant'] there."),
    ([{"role": "boss", "content": "x"}], ValueError,
     "Message 0 of the chat has the role 'boss': use one of ['system', 'user', 'assistant'] there."),
    ([HI, REPLY], ValueError, "The chat ends with the assistant: its last message must be the user's, which is then answered."),
    ([SYSTEM], ValueError, "The chat ends with the system: its last message must be the user's, which is then answered."),
    ([{"role": "user"}], TypeError, "Message 0 of the chat must be a dict with 'role' and 'content', both text, not {'role': 'user'}."),
    ([{"role": "user", "content": 3}], TypeError,
     "Message 0 of the chat must be a dict with 'role' and 'content', both text, not {'role': 'user', 'content': 3}."),
    ([HI, "more"], TypeError, "Message 1 of the chat must be a dict with 'role' and 'content', both text, not 'more'."),
    ([{"role": "user", "content": "forbidden"}], ValueError, "The chat template of pair 'bytes' does not take these messages: No such word."),
    ([{"role": "user", "content": "x" * 200}], ValueError, "The prompt has 218 tokens; pair 'bytes' takes at most 128.")])
def test_chat_that_cannot_be_used_is_one_sentence(chat_pair, real_calls, messages, error, sentence):
    with pytest.raises(error) as raised:
        encode_prompt(chat_pair, messages)
    assert str(raised.value) == sentence


def test_chat_needs_a_template(chat_pair):
    chat_pair.tokenizer.chat_template = None
    for pair in (chat_pair, ModelPair(None, chat_pair.verifier, name="bytes")):
        with pytest.raises(ValueError, match="^Pair 'bytes' has no tokenizer with a chat template: give the prompt as text or as token ids.$"):
            generate(pair, [HI])
