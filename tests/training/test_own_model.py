"""A drafter for a model of the user's: README's three commands on a tiny Llama, and chat templates of several kinds."""
from dataclasses import replace

import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from specdec_utils import Cfg, generate, load_pair
from specdec_utils.__main__ import main as shell
from specdec_utils.models.export import served_name
from specdec_utils.models.pair import ModelPair
from training import chat_library, smollm2
from training.__main__ import main
from training.chats import PLAIN, ChatTemplate, RenderedTemplate, chat, endless, template_of, write_chats

ZEPHYR = ("{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + eos_token + '\n' }}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}")
INST = ("{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system message here') }}{% endif %}"
        "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}")


@pytest.fixture
def tiny(byte_tokenizer, tmp_path):
    """tiny(template, ...): the folder of a tiny Llama with a tokenizer of bytes and that chat template."""
    def make(template, layers=3, context=512):
        byte_tokenizer.save_pretrained(tmp_path / "model")
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
        tokenizer.chat_template = template
        tokenizer.save_pretrained(tmp_path / "model")
        with torch.random.fork_rng():
            torch.manual_seed(4)
            LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), hidden_size=16, intermediate_size=24, num_hidden_layers=layers,
                                         num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=context, bos_token_id=0,
                                         eos_token_id=tokenizer.eos_token_id)).save_pretrained(tmp_path / "model")
        return tmp_path / "model"
    return make


@pytest.fixture
def few(monkeypatch):
    """Few and short texts."""
    prompts = {"story": ("Tell",), "question": ("Why?",), "summary": ("Sum up: a b", "x" * 600), "code": ("y" * 600,)}
    for module, values in ((smollm2, dict(CHAT_PROMPTS=prompts, HELD_OUT=6, LENGTH=12, CHAIN=replace(smollm2.CHAIN, max_new_tokens=12))),
                           (chat_library, dict(SHARD=16))):
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)


def test_three_commands_train_measure_and_export(tiny, few, tmp_path, monkeypatch, capsys):
    model = tiny(ZEPHYR)
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        main([str(model), "--answers", "100", "--eagle-steps", "3"])
    written, chats = (tmp_path / "runs" / "model" / "MODEL_CARD.md"), (tmp_path / "runs" / "model" / "chats")
    card, files = written.read_text("utf-8"), sorted(chats.iterdir())
    smollm2.renew_chat_eagle(str(model), written.parent, written.parent, 42, train=False, wanted=10_000)  # measured again
    assert sorted(chats.iterdir()) == files and written.read_text("utf-8").partition("Greedy answers")[0] == card.partition("Greedy answers")[0]
    assert "shares 16 tokens in a row with one that is measured" in card
    assert card.startswith("# Drafter for") and "| summaries |" in card and "| code |" not in card  # prompts that leave no room are left out
    name = f"runs/model/eagle,{model}"
    pair = load_pair(name, device="cpu")
    assert pair.drafter is None and pair.eagle is not None and pair.eagle.draft_ids is None and served_name(pair) == "model"
    cfg = Cfg(max_new_tokens=20, topk_branch=1)
    assert generate(pair, "Tom", cfg, "eagle").new_ids == generate(pair, "Tom", cfg, "greedy").new_ids
    assert shell(["export", "runs/model/vllm", "--pair", name, "--engine", "vllm"]) == 0
    assert "vllm serve model --served-model-name model" in capsys.readouterr().out
    assert shell(["bench", "--pair", name, "--count", "1", "--tokens", "8", "--repeats", "1", "--methods", "greedy,eagle k=1"]) == 0
    assert "eagle k=1" in capsys.readouterr().out


@pytest.mark.parametrize("template, begins, answer, question, closing", [
    (ZEPHYR, "<|system|>\nBe brief.<|endoftext|>\n<|user|>\n", "\n<|assistant|>\n", "\n<|user|>\n", None),
    (INST, "[INST] ", " [/INST]", "[INST] ", []),
    (None, "<|endoftext|>Be brief.\n", "\n", "\n", []),
], ids=["zephyr", "inst", "none"])
def test_the_marks_of_a_template_are_found(byte_tokenizer, monkeypatch, template, begins, answer, question, closing):
    monkeypatch.setattr(byte_tokenizer, "chat_template", template)
    with torch.random.fork_rng():
        model = LlamaForCausalLM(LlamaConfig(vocab_size=258, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
                                             bos_token_id=0, eos_token_id=byte_tokenizer.eos_token_id)).eval()
    found = template_of(ModelPair(None, model, byte_tokenizer))
    assert isinstance(found, RenderedTemplate) and byte_tokenizer.chat_template == (template or PLAIN)
    assert byte_tokenizer.decode(found.opening("Be brief.")) == begins and found.closing == closing
    assert [byte_tokenizer.decode(part) for part in (found.answer, found.question)] == [answer, question]
    text = next(write_chats(model, found, endless(found, 1, chat), seed=1, rows=2, room=300))["ids"].tolist()
    assert byte_tokenizer.decode(text).startswith(begins[:6]) and answer in byte_tokenizer.decode(text)


def test_marks_that_are_tokens_are_chatmls(byte_tokenizer, tmp_path):
    byte_tokenizer.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = "{{ '<|im_start|>' }}"
    assert isinstance(template_of(ModelPair(None, LlamaForCausalLM(LlamaConfig(vocab_size=300, hidden_size=8, intermediate_size=8,
                                                                              num_hidden_layers=1, num_attention_heads=2)), tokenizer)), ChatTemplate)


def test_what_cannot_be_trained_is_one_sentence(tiny, tmp_path, capsys):
    model = tiny(ZEPHYR, context=64)
    for arguments, said in ((["nonsense"], "there is no part 'nonsense'"), ([str(tmp_path / "none" / "such")], "neither on this machine"),
                            ([str(model)], "has a context of 64 tokens"), (["specdec_utils/pairs/stories/drafter"], "GPT2LMHeadModel")):
        with pytest.raises(SystemExit):
            main([*arguments, "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")])
        assert said in capsys.readouterr().err


def test_a_model_alone_is_a_pair_without_a_drafter(tiny):
    pair = load_pair(str(tiny(None)), device="cpu")
    assert pair.drafter is None and pair.eagle is None and len(generate(pair, "ab", Cfg(max_new_tokens=4), "lookup").new_ids) == 4
