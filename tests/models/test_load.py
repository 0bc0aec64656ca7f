import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from specdec_utils import PAIRS, Cfg, ModelPair, check_same_vocabulary, ensure_special_tokens, generate, load_pair


def run_python(code, home):
    """Run `code` in a fresh interpreter whose hub cache is under `home` and that cannot use the network."""
    env = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "SPECDEC_DEVICE": "cpu"}
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE", "SPECDEC_PAIR"):
        env.pop(name, None)
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=100)


# -- ModelPair

def test_pair_knows_vocabulary_smaller_context_and_eos(random_model):
    verifier = random_model(1, context=64)
    verifier.generation_config.eos_token_id = [3, 5]
    pair = ModelPair(random_model(2, context=48), verifier)
    assert (pair.vocab_size, pair.context, pair.eos_ids, pair.device) == (29, 48, {3, 5}, "cpu")
    assert (pair.name, pair.tokenizer, pair.heads) == ("custom", None, None)


@pytest.mark.parametrize("eos, ids", [(None, set()), (0, {0}), (7, {7}), ([7], {7})])
def test_eos_ids_come_from_the_verifiers_generation_config(random_model, eos, ids):
    drafter, verifier = random_model(2), random_model(1)
    drafter.generation_config.eos_token_id, verifier.generation_config.eos_token_id = 11, eos
    assert ModelPair(drafter, verifier).eos_ids == ids


def test_pair_switches_dropout_off(random_model):
    pair = ModelPair(random_model(2).train(), random_model(1).train())
    assert not pair.drafter.training and not pair.verifier.training


def test_different_vocabulary_sizes_are_refused(random_model):
    with pytest.raises(ValueError, match="share one vocabulary; theirs have 13 and 29 tokens"):
        ModelPair(random_model(2, vocab_size=13), random_model(1))


def test_models_on_two_devices_are_refused(random_model):
    with pytest.raises(ValueError, match="lie on one device; they are on meta and cpu"):
        ModelPair(random_model(2).to("meta"), random_model(1))


def test_one_model_in_both_roles_shares_its_weights(random_model):
    model = random_model(1)
    pair = ModelPair(model, model)
    assert pair.verifier is model
    assert [p.data_ptr() for p in pair.drafter.parameters()] == [p.data_ptr() for p in model.parameters()]


def test_repr_says_what_the_pair_is(random_model):
    assert re.search(r"'custom'.*drafter 0\.0 M.*29 tokens, context 64, on cpu",
                     repr(ModelPair(random_model(2), random_model(1))))


# -- tokenizers

def test_missing_eos_becomes_endoftext_and_padding_becomes_eos(byte_tokenizer):
    bare = PreTrainedTokenizerFast(tokenizer_object=byte_tokenizer.backend_tokenizer)
    assert bare.eos_token_id is None
    repaired = ensure_special_tokens(bare)
    assert repaired is bare
    assert (bare.eos_token, bare.pad_token, bare.eos_token_id) == ("<|endoftext|>", "<|endoftext|>", 257)


def test_special_tokens_that_exist_are_kept(byte_tokenizer):
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=byte_tokenizer.backend_tokenizer, eos_token="!", pad_token="?")
    ensure_special_tokens(tokenizer)
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("!", "?")


def test_no_usable_eos_is_an_error_never_an_empty_string():
    class Bare:
        eos_token_id = pad_token_id = bos_token = None

        def get_vocab(self):
            return {"a": 0}

    with pytest.raises(ValueError, match="no end-of-text token and none to use for it"):
        ensure_special_tokens(Bare())


def test_tokenizers_that_differ_are_refused_with_an_example():
    def tokenizer(**vocabulary):
        return SimpleNamespace(get_vocab=lambda: vocabulary)

    check_same_vocabulary(tokenizer(a=0, b=1), tokenizer(b=1, a=0))
    with pytest.raises(ValueError, match=r"share one tokenizer: 'a' is id 0 for the drafter and id 1 for the verifier\."):
        check_same_vocabulary(tokenizer(a=0, b=1), tokenizer(a=1, b=0))
    with pytest.raises(ValueError, match=r"'c' is id None for the drafter and id 2"):
        check_same_vocabulary(tokenizer(a=0, b=1), tokenizer(a=0, b=1, c=2))


# -- load_pair

def test_bundled_pair_loads_in_float32_and_says_where_it_is_from(stories):
    assert "stories" in PAIRS and PAIRS["stories"].bundled and PAIRS["stories"].about
    assert (stories.name, stories.device, stories.verifier.dtype) == ("stories", "cpu", torch.float32)
    assert stories.tokenizer.eos_token_id in stories.eos_ids and stories.tokenizer.pad_token_id is not None
    assert len(stories.tokenizer) == stories.vocab_size


def test_bundled_pair_has_heads_that_fit_its_verifier(stories):
    weights = {weight.dtype for weight in stories.heads.parameters()}
    assert stories.heads.settings["width"] == stories.verifier.config.hidden_size and weights == {torch.float32}
    assert not stories.heads.training and len(stories.heads.h) == stories.heads.settings["heads"] >= 2
    assert generate(stories, "One day", Cfg(max_new_tokens=3), "heads").new_ids == generate(
        stories, "One day", Cfg(max_new_tokens=3), "greedy").new_ids


def test_heads_follow_the_dtype_of_their_verifier():
    pair = load_pair("stories", device="cpu", dtype=torch.bfloat16)
    assert {weight.dtype for weight in pair.heads.parameters()} == {pair.verifier.dtype} == {torch.bfloat16}
    assert len(generate(pair, "One day", Cfg(max_new_tokens=4), "heads").new_ids) == 4


def test_default_pair_is_stories(monkeypatch):
    monkeypatch.delenv("SPECDEC_PAIR", raising=False)
    assert load_pair(device="cpu").name == "stories"


def test_local_folders_load_by_drafter_comma_verifier(saved_models):
    drafter, verifier = saved_models
    pair = load_pair(f"{drafter}, {verifier}", device="cpu")
    assert (len(pair.drafter.transformer.h), len(pair.verifier.transformer.h), pair.heads) == (1, 2, None)
    assert generate(pair, "hello", Cfg(max_new_tokens=3)).text.startswith("hello")


def test_environment_variables_choose_pair_and_device(saved_models, monkeypatch):
    name = ",".join(map(str, saved_models))
    monkeypatch.setenv("SPECDEC_PAIR", name)
    monkeypatch.setenv("SPECDEC_DEVICE", "cpu")
    pair = load_pair()
    assert (pair.name, pair.device) == (name, "cpu")
    monkeypatch.setenv("SPECDEC_DEVICE", "tpu")
    with pytest.raises(RuntimeError, match="Device 'tpu' is not on this machine"):
        load_pair()


def test_argument_wins_over_environment_variable(saved_models, monkeypatch):
    monkeypatch.setenv("SPECDEC_PAIR", "no such pair")
    assert load_pair(",".join(map(str, saved_models)), device="cpu").vocab_size == 258


def test_dtype_is_the_one_asked_for(saved_models):
    pair = load_pair(",".join(map(str, saved_models)), device="cpu", dtype=torch.bfloat16)
    assert pair.drafter.dtype == pair.verifier.dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["nonsense", "a,", ",b", ","])
def test_unknown_pair_is_one_sentence_with_the_choices(name):
    with pytest.raises(ValueError, match=rf"^There is no pair '{name}': use one of \['gpt2', 'smollm2', 'stories'\].*DRAFTER,VERIFIER'\.$"):
        load_pair(name, device="cpu")


def test_absent_device_is_refused_before_anything_loads():
    with pytest.raises(RuntimeError, match="Device 'tpu' is not on this machine"):
        load_pair("/no/such/folder,/no/such/folder", device="tpu")


def test_missing_folder_names_source_and_the_pair_that_works(tmp_path):
    with pytest.raises(OSError, match=r"neither on this machine nor to be had from the hub; load_pair\('stories'\) works"):
        load_pair(f"{tmp_path / 'a'},{tmp_path / 'b'}", device="cpu")


def test_folders_with_different_tokenizers_are_refused(saved_models, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(saved_models[1], other)
    content = json.loads((other / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    (other / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match="share one tokenizer: 'a' is id"):
        load_pair(f"{saved_models[0]},{other}", device="cpu")


def test_gpt2_loads_by_its_hub_names_from_the_local_cache(saved_models, tmp_path):
    for source, hub_id in zip(saved_models, ("distilgpt2", "gpt2-medium")):
        assert hub_id in (PAIRS["gpt2"].drafter, PAIRS["gpt2"].verifier)
        repository = tmp_path / "hub" / f"models--{hub_id}"
        shutil.copytree(source, repository / "snapshots" / ("0" * 40))
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("0" * 40)
    done = run_python("from specdec_utils import *\npair = load_pair('gpt2')\n"
                      "out = generate(pair, 'Hi', Cfg(max_new_tokens=5), 'tree')\n"
                      "print(pair.name, len(pair.drafter.transformer.h), len(pair.verifier.transformer.h), len(out.new_ids))",
                      tmp_path)
    assert done.stdout.split() == ["gpt2", "1", "2", "5"], done.stderr


def test_missing_hub_is_one_sentence_that_names_stories(tmp_path):
    done = run_python("from specdec_utils import load_pair\ntry:\n    load_pair('gpt2')\nexcept OSError as error:\n"
                      "    print(error)", tmp_path)
    assert done.stdout.strip() == ("Model 'distilgpt2' of pair 'gpt2' is neither on this machine nor to be had from the hub; "
                                   "load_pair('stories') works without a network."), done.stderr


def test_bundled_files_lie_inside_the_package():
    for source in (PAIRS["stories"].drafter, PAIRS["stories"].verifier):
        assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in Path(source).iterdir()}
    assert {"config.json", "model.safetensors"} == {path.name for path in Path(PAIRS["stories"].heads).iterdir()}
