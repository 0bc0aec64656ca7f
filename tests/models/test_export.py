"""What `export` writes, read back by the engines' own classes where they are installed."""
import argparse
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM

from specdec_utils import Cfg, EagleDrafter, ModelPair, count_calls, export, generate
from specdec_utils.models.export import ENGINES

PROMPT = torch.tensor([[5, 17, 3, 9]])
VLLM = os.environ.get("SPECDEC_VLLM")  # the Python of an environment with vLLM
READ_BY_VLLM = """
import sys, json
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
args = make_arg_parser(FlexibleArgumentParser()).parse_args(sys.argv[1:])
made = AsyncEngineArgs.from_cli_args(args).create_engine_config()
spec, draft = made.speculative_config, made.speculative_config.draft_model_config
print("READ", json.dumps([made.model_config.architectures, made.model_config.max_model_len, str(made.model_config.dtype), spec.method,
      spec.num_speculative_tokens, draft and draft.architectures,
      getattr(draft.hf_config, "eagle_aux_hidden_state_layer_ids", None) if spec.method == "eagle3" else None]))
"""

READ_BY_SPECULATORS = """
import sys
from speculators.convert.eagle.eagle3_converter import Eagle3Converter
drafter, model, out = sys.argv[1:]
Eagle3Converter().convert(drafter, out, model, validate=True, eagle_aux_hidden_state_layer_ids=[1, 2, 3])
"""


@pytest.fixture
def llama():
    """llama(...): a pair whose verifier is a tiny Llama, with an eagle drafter that knows half of the vocabulary."""
    def make(layers=(1, 2, 3), tokenizer=None, vocabulary=258):
        sizes = dict(vocab_size=vocabulary, hidden_size=32, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=1,
                     intermediate_size=24, max_position_embeddings=128, bos_token_id=0, eos_token_id=0)
        with torch.random.fork_rng():
            torch.manual_seed(3)
            eagle = EagleDrafter(32, vocabulary, layers, heads=2, inner=24, context=128, draft_ids=torch.arange(0, vocabulary, 2))
            return ModelPair(None, LlamaForCausalLM(LlamaConfig(**sizes)), tokenizer, "tiny", eagle=eagle)
    return make


def _json(path: Path):
    return json.loads(path.read_text("utf-8"))


def test_transformers_assists_with_what_was_written_and_writes_what_we_write(random_model, tmp_path):
    pair = ModelPair(random_model(2, layers=1), random_model(1))
    made = export(pair, tmp_path / "out", "transformers", span=3)
    model, assistant = (AutoModelForCausalLM.from_pretrained(tmp_path / "out" / name).eval() for name in ("model", "drafter"))
    back = ModelPair(assistant, model)
    with count_calls(back) as calls:
        out = model.generate(PROMPT, attention_mask=torch.ones_like(PROMPT), assistant_model=assistant, do_sample=False, max_new_tokens=12)
    assert out[0, 4:].tolist() == generate(pair, PROMPT, Cfg(max_new_tokens=12), "greedy").new_ids
    assert made.draft == "drafter" and 0 < calls["verifier"] <= 12 and calls["drafter"] >= calls["verifier"]
    config = GenerationConfig.from_pretrained(tmp_path / "out" / "drafter")
    assert {name: getattr(config, name) for name in made.speculative} == made.speculative == {
        "num_assistant_tokens": 3, "num_assistant_tokens_schedule": "constant", "assistant_confidence_threshold": 0.0}
    assert pair.drafter.generation_config.num_assistant_tokens is None  # the pair itself stays as it was


def test_transformers_looks_up_where_there_is_no_drafter(random_model, tmp_path):
    verifier = random_model(1)
    verifier.generation_config.eos_token_id = 28
    pair = ModelPair(None, verifier)
    assert export(pair, tmp_path / "out", "transformers", span=5).speculative == {"prompt_lookup_num_tokens": 5}
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "model").eval()
    assert model.generation_config.prompt_lookup_num_tokens == 5 and model.generation_config.eos_token_id == 28
    out = model.generate(PROMPT, attention_mask=torch.ones_like(PROMPT), do_sample=False, max_new_tokens=12)
    assert out[0, 4:].tolist() == generate(pair, PROMPT, Cfg(max_new_tokens=12), "greedy").new_ids


def test_the_command_for_transformers_writes_our_text(random_model, byte_tokenizer, tmp_path):
    models = (random_model(seed, vocab_size=len(byte_tokenizer), layers=layers) for seed, layers in ((2, 1), (1, 2)))
    pair = ModelPair(*models, byte_tokenizer)
    words = shlex.split(str(export(pair, tmp_path / "out", "transformers")))
    done = subprocess.run([sys.executable, *words[1:], "12"], cwd=tmp_path / "out", capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{generate(pair, words[-1], Cfg(max_new_tokens=12), 'greedy')}\n"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("draft", ["drafter", "lookup"])
def test_what_export_json_says_is_what_was_returned(random_pairs, engine, draft, tmp_path):
    made = export(random_pairs["random"], tmp_path / "out", engine, draft, span=4)
    assert _json(tmp_path / "out" / "export.json") == vars(made) and _json(tmp_path / "out" / "speculative.json") == made.speculative
    assert (made.engine, made.draft, made.checked) == (engine, draft, ENGINES[engine])
    assert (tmp_path / "out" / "drafter").exists() == (draft == "drafter")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "model").config.vocab_size == 29


def test_the_eagle_drafter_reads_the_same_layers_in_the_engines_own_counting(llama, tmp_path):
    pair = llama()
    for engine in ("vllm", "sglang"):
        assert export(pair, tmp_path / engine, engine).draft == "eagle"
    ours, theirs = (_json(tmp_path / engine / "drafter" / "config.json")["eagle_config"] for engine in ("vllm", "sglang"))
    assert ours["eagle_aux_hidden_state_layer_ids"] == [1, 2, 3]  # of `hidden_states`, 0 being the embedding
    assert theirs["eagle_aux_hidden_state_layer_ids"] == [0, 1, 2]  # of the layers whose output is taken
    back = EagleDrafter.from_pretrained(tmp_path / "vllm" / "drafter")
    assert back.layers == pair.eagle.layers and torch.equal(back.draft_ids, pair.eagle.draft_ids)
    assert torch.equal(back.fc.weight, pair.eagle.fc.weight.half().float())


def test_layers_counted_from_the_end_are_written_from_the_front(llama, tmp_path):
    export(llama(layers=(0, 2, -2)), tmp_path / "out", "vllm")
    config = _json(tmp_path / "out" / "drafter" / "config.json")
    assert config["eagle_aux_hidden_state_layer_ids"] == config["eagle_config"]["eagle_aux_hidden_state_layer_ids"] == [0, 2, 3]


def test_the_chat_template_goes_with_the_model(llama, byte_tokenizer, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(_saved(byte_tokenizer, tmp_path / "tokenizer"))
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    export(llama(tokenizer=tokenizer), tmp_path / "out", "vllm")
    back = AutoTokenizer.from_pretrained(tmp_path / "out" / "model")
    assert back.chat_template == tokenizer.chat_template and back("abc")["input_ids"] == tokenizer("abc")["input_ids"]


def _saved(tokenizer, folder: Path) -> Path:
    tokenizer.save_pretrained(folder)
    return folder


def test_what_cannot_be_exported_is_one_sentence(random_pairs, llama, tmp_path):
    pair = random_pairs["random"]
    with pytest.raises(ValueError, match=r"There is no engine 'ollama': use one of \['transformers', 'vllm', 'sglang'\]."):
        export(pair, tmp_path / "out", "ollama")
    with pytest.raises(ValueError, match="There is no way of drafting 'heads' for an engine: use one of"):
        export(pair, tmp_path / "out", "vllm", "heads")
    with pytest.raises(ValueError, match="transformers cannot draft with 'eagle' here: it knows no drafter of this kind."):
        export(pair, tmp_path / "out", "transformers", "eagle")
    with pytest.raises(ValueError, match="vllm cannot draft with 'eagle' here: it takes one beside a verifier of Llama's architecture, and this one is 'gpt2'."):
        export(pair, tmp_path / "out", "vllm", "eagle")
    for last in (4, -1):
        with pytest.raises(ValueError, match="sglang cannot draft with 'eagle' here: it hands out hidden states before the final norm only"):
            export(llama(layers=(1, 2, last)), tmp_path / "out", "sglang", "eagle")
    with pytest.raises(ValueError, match="vllm cannot draft with 'drafter' here: pair 'tiny' has none."):
        export(llama(), tmp_path / "out", "vllm", "drafter")
    with pytest.raises(ValueError, match="span=0 is not usable: it must be at least 1."):
        export(pair, tmp_path / "out", "vllm", span=0)
    assert not (tmp_path / "out").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(OSError, match="full is there already and not an empty folder: name a new one."):
        export(pair, tmp_path / "full", "vllm")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


@pytest.mark.skipif(VLLM is None, reason="SPECDEC_VLLM does not name the Python of an environment with vLLM and speculators")
def test_speculators_takes_every_weight_of_the_eagle_drafter(llama, tmp_path):
    export(llama(), tmp_path / "out", "vllm", "eagle")
    done = subprocess.run([VLLM, "-c", READ_BY_SPECULATORS, "out/drafter", "out/model", "converted"], cwd=tmp_path, capture_output=True,
                          text=True, timeout=300, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    assert done.returncode == 0, done.stderr
    config = _json(tmp_path / "converted" / "config.json")
    assert (config["speculators_model_type"], config["draft_vocab_size"]) == ("eagle3", 129)
    ours, theirs = (load_file(tmp_path / folder / "model.safetensors") for folder in ("out/drafter", "converted"))
    assert {name.replace("midlayer.", "layers.0.") for name in ours} == set(theirs)
    assert all(torch.equal(weight.float(), theirs[name.replace("midlayer.", "layers.0.")].float()) for name, weight in ours.items())


@pytest.mark.skipif(VLLM is None, reason="SPECDEC_VLLM does not name the Python of an environment with vLLM")
@pytest.mark.parametrize("draft", ["eagle", "drafter", "lookup"])
def test_vllm_reads_its_command(stories, llama, byte_tokenizer, draft, tmp_path):
    pair = llama(tokenizer=byte_tokenizer) if draft == "eagle" else stories
    made = export(pair, tmp_path / "out", "vllm", draft, span=3)
    words = shlex.split(made.command)
    assert words[:2] == ["vllm", "serve"]
    done = subprocess.run([VLLM, "-c", READ_BY_VLLM, "--model", *words[2:]], cwd=tmp_path / "out", capture_output=True, text=True,
                          timeout=300, env=os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"})
    assert "READ " in done.stdout, done.stderr
    read = json.loads(done.stdout.rpartition("READ ")[2])
    assert read[1:3] == [pair.context, "torch.float32"] and read[4] == 3
    assert (read[0], read[3], *read[5:]) == {
        "eagle": (["LlamaForCausalLM"], "eagle3", ["LlamaForCausalLMEagle3"], [1, 2, 3]),
        "drafter": (["GPT2LMHeadModel"], "draft_model", ["GPT2LMHeadModel"], None),
        "lookup": (["GPT2LMHeadModel"], "ngram", read[5], None)}[draft]


@pytest.mark.parametrize("draft", ["eagle", "drafter", "lookup"])
def test_sglang_reads_its_command(random_pairs, llama, draft, tmp_path):
    server_args = pytest.importorskip("sglang.srt.server_args", reason="SGLang is not installed")
    made = export(llama() if draft == "eagle" else random_pairs["random"], tmp_path / "out", "sglang", draft, span=3)
    words = shlex.split(made.command)
    assert words[:3] == ["python", "-m", "sglang.launch_server"]
    parser = argparse.ArgumentParser()
    server_args.ServerArgs.add_cli_args(parser)
    read = parser.parse_args(words[3:])
    assert {name: getattr(read, name) for name in made.speculative} == made.speculative
    assert read.speculative_algorithm in ("EAGLE3", "STANDALONE", "NGRAM") and read.dtype == "float32"
