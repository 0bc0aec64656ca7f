import pytest
import torch

from specdec_utils import ModelPair, append_token, decode_token, encode_prompt, next_human_token, pretty_token


@pytest.fixture
def text_pair(rule_model, byte_tokenizer):
    """A pair over bytes whose models write: x -> newline -> space -> b -> b ..."""
    ids = {char: byte_tokenizer(char)["input_ids"][0] for char in "x\n b"}
    following = [ids["b"]] * len(byte_tokenizer)
    following[ids["x"]], following[ids["\n"]] = ids["\n"], ids[" "]
    return ModelPair(rule_model(following, context=16), rule_model(following, context=16), byte_tokenizer, name="bytes")


def test_text_becomes_one_row_of_ids(text_pair, byte_tokenizer):
    ids = encode_prompt(text_pair, "x b")
    assert (ids.dtype, list(ids.shape)) == (torch.long, [1, 3])
    assert byte_tokenizer.decode(ids[0]) == "x b"


def test_tensor_passes_through_unchanged(counting):
    ids = torch.tensor([[3, 0, 29]])
    assert torch.equal(encode_prompt(counting(), ids), ids)


def test_prompt_as_long_as_the_context_is_accepted_and_one_more_is_not(counting):
    pair = counting(context=8)
    assert encode_prompt(pair, torch.zeros(1, 8, dtype=torch.long)).shape == (1, 8)
    with pytest.raises(ValueError, match="The prompt has 9 tokens; pair 'custom' takes at most 8"):
        encode_prompt(pair, torch.zeros(1, 9, dtype=torch.long))


@pytest.mark.parametrize("prompt, message", [
    (torch.zeros(3, dtype=torch.long), r"LongTensor \[1, T\]; this one is torch.int64 \[3\]"),
    (torch.zeros(2, 3, dtype=torch.long), r"torch.int64 \[2, 3\]"), (torch.zeros(1, 3), r"torch.float32 \[1, 3\]"),
    (torch.zeros(1, 3, dtype=torch.int32), "torch.int32"), (torch.zeros(1, 0, dtype=torch.long), "prompt is empty"),
    (torch.tensor([[30]]), r"outside the vocabulary: they must lie in 0\.\.29"), (torch.tensor([[-1]]), "outside the vocabulary")])
def test_unusable_tensor_is_one_sentence(counting, real_calls, prompt, message):
    pair = counting()
    calls = real_calls(pair)
    with pytest.raises(ValueError, match=message):
        encode_prompt(pair, prompt)
    assert calls == {"drafter": 0, "verifier": 0}


def test_empty_text_and_too_long_text_are_refused(text_pair):
    with pytest.raises(ValueError, match="The prompt is empty"):
        encode_prompt(text_pair, "")
    with pytest.raises(ValueError, match="has 17 tokens; pair 'bytes' takes at most 16"):
        encode_prompt(text_pair, "x" * 17)


def test_text_needs_a_tokenizer(counting):
    with pytest.raises(TypeError, match="has no tokenizer: give the prompt as a LongTensor"):
        encode_prompt(counting(), "hello")


@pytest.mark.parametrize("prompt", [None, 3, [1, 2, 3]])
def test_other_types_are_refused_by_name(counting, prompt):
    with pytest.raises(TypeError, match=rf"not {type(prompt).__name__}\.$"):
        encode_prompt(counting(), prompt)


def test_append_token_leaves_its_input_alone():
    ids = torch.tensor([[1, 2]])
    longer = append_token(ids, 5)
    assert longer.tolist() == [[1, 2, 5]] and longer.dtype == ids.dtype and ids.tolist() == [[1, 2]]


def test_decode_token_keeps_spaces_and_special_tokens(byte_tokenizer):
    assert decode_token(byte_tokenizer, byte_tokenizer(" ")["input_ids"][0]) == " "
    assert decode_token(byte_tokenizer, byte_tokenizer.eos_token_id) == "<|endoftext|>"
    assert decode_token(None, 12) == "<12>"


def test_pretty_token_shows_a_space_as_it_is_stored_and_as_it_reads(byte_tokenizer):
    tid = byte_tokenizer(" ")["input_ids"][0]
    assert pretty_token(byte_tokenizer, tid) == {"id": tid, "decode_repr": "' '", "token_repr": "'Ġ'", "token_fixed": "'Ġ'",
                                                 "codepoints": ["0x20"], "bytes": [32]}


def test_pretty_token_reads_an_accented_letter_back_from_its_two_bytes(byte_tokenizer):
    (tid,) = byte_tokenizer("é")["input_ids"]
    assert pretty_token(byte_tokenizer, tid) == {"id": tid, "decode_repr": "'é'", "token_repr": "'Ã©'", "token_fixed": "'é'",
                                                 "codepoints": ["0xe9"], "bytes": [0xC3, 0xA9]}


def test_next_human_token_skips_what_cannot_be_seen(text_pair, byte_tokenizer):
    tid, text = next_human_token(text_pair.verifier, encode_prompt(text_pair, "x"), byte_tokenizer)
    assert text == "b" and decode_token(byte_tokenizer, tid) == "b"


def test_next_human_token_gives_up_after_its_tries(text_pair, byte_tokenizer):
    assert next_human_token(text_pair.verifier, encode_prompt(text_pair, "x"), byte_tokenizer, tries=2)[1] == " "
    with pytest.raises(ValueError, match="tries=0 is not usable: it must be at least 1"):
        next_human_token(text_pair.verifier, encode_prompt(text_pair, "x"), byte_tokenizer, tries=0)
