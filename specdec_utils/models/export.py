"""From a pair to an engine: the folders, settings and command with which `transformers`, vLLM or SGLang run the same drafter."""
import copy
import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

from transformers.utils import logging as transformers_logging

from .pair import ModelPair

ENGINES = {"transformers": "5.23.0", "vllm": "0.32.0", "sglang": "0.5.23"}  # the versions that the layouts were checked against
DRAFTS = ("eagle", "drafter", "lookup")  # the first that pair and engine share is taken
SCRIPT = '''"""Continue a prompt with the models beside this file: python generate.py "PROMPT" [NEW_TOKENS]"""
import sys
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer

here = Path(__file__).parent
tokenizer = AutoTokenizer.from_pretrained(here / "model")
model, *assistant = (AutoModelForCausalLM.from_pretrained(here / name, dtype="auto") for name in {folders})
inputs = tokenizer(sys.argv[1], return_tensors="pt")
out = model.generate(**inputs, assistant_model=assistant[0] if assistant else None, do_sample=False,
                     max_new_tokens=int(sys.argv[2]) if len(sys.argv) > 2 else 64)
print(tokenizer.decode(out[0], skip_special_tokens=True))
'''


@dataclass(frozen=True)
class Export:
    """What `export` wrote; `str()` of it is the command. The same is in the folder as `export.json`.

    engine: its name. draft: "eagle", "drafter" or "lookup". speculative: the engine's own settings for it, as its configuration
    takes them. command: to be given in the folder. checked: the version of the engine that the layout was checked against.
    """

    engine: str
    draft: str
    speculative: dict
    command: str
    checked: str

    def __str__(self) -> str:
        return self.command


def _layers(pair: ModelPair) -> list[int]:
    """The layers that the eagle drafter reads, counted from the embedding, 0."""
    return [layer % (pair.verifier.config.num_hidden_layers + 1) for layer in pair.eagle.layers]


def why_not(pair: ModelPair, engine: str, draft: str) -> str | None:
    """Why `engine` cannot draft in the way `draft` of `DRAFTS` on `pair`, as the end of a sentence; None if it can."""
    if draft == "lookup":
        return None
    if getattr(pair, draft) is None:
        return f"pair {pair.name!r} has none"
    if draft == "drafter":
        return None
    if engine == "transformers":
        return "it knows no drafter of this kind"
    config = pair.verifier.config
    if config.model_type != "llama":
        return f"it takes one beside a verifier of Llama's architecture, and this one is {config.model_type!r}"
    if max(_layers(pair)) == config.num_hidden_layers:
        return "it hands out hidden states before the final norm only, and this one reads the state behind it"
    return None


def _choose(pair: ModelPair, engine: str, draft: str | None) -> str:
    """The way of drafting: `draft` if engine and pair can do it, or without one the first that they can."""
    if draft is None:
        return next(name for name in DRAFTS if why_not(pair, engine, name) is None)
    if draft not in DRAFTS:
        raise ValueError(f"There is no way of drafting {draft!r} for an engine: use one of {list(DRAFTS)}.")
    refused = why_not(pair, engine, draft)
    if refused:
        raise ValueError(f"{engine} cannot draft with {draft!r} here: {refused}.")
    return draft


def vllm_settings(draft: str, span: int) -> dict:
    """vLLM's speculative configuration; the drafter's folder, where there is one, is called "drafter"."""
    how = {"eagle": {"method": "eagle3", "model": "drafter"}, "drafter": {"method": "draft_model", "model": "drafter"},
           "lookup": {"method": "ngram", "prompt_lookup_max": 3, "prompt_lookup_min": 2}}[draft]
    return how | {"num_speculative_tokens": span}


def _for_transformers(pair: ModelPair, draft: str, span: int) -> tuple[dict, list[str]]:
    if draft == "lookup":
        speculative = {"prompt_lookup_num_tokens": span}
    else:
        speculative = {"num_assistant_tokens": span, "num_assistant_tokens_schedule": "constant", "assistant_confidence_threshold": 0.0}
    return speculative, ["python", "generate.py", "Tom had a big red ball."]


def _for_vllm(pair: ModelPair, draft: str, span: int) -> tuple[dict, list[str]]:
    speculative = vllm_settings(draft, span)
    return speculative, ["vllm", "serve", "model", "--served-model-name", served_name(pair), "--dtype", _dtype(pair), "--max-model-len",
                         str(pair.context), "--speculative-config", json.dumps(speculative)]


def _for_sglang(pair: ModelPair, draft: str, span: int) -> tuple[dict, list[str]]:
    chain = {"speculative_draft_model_path": "drafter", "speculative_num_steps": span, "speculative_eagle_topk": 1}
    speculative = {"eagle": {"speculative_algorithm": "EAGLE3"} | chain, "drafter": {"speculative_algorithm": "STANDALONE"} | chain,
                   "lookup": {"speculative_algorithm": "NGRAM"}}[draft] | {"speculative_num_draft_tokens": span + 1}  # with the root
    flags = [text for name, value in speculative.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    return speculative, ["python", "-m", "sglang.launch_server", "--model-path", "model", "--served-model-name", served_name(pair),
                         "--dtype", _dtype(pair), "--context-length", str(pair.context), *flags]


def served_name(pair: ModelPair) -> str:
    """What a server calls the pair: its name, of a user's models the verifier's last part."""
    return Path(pair.name.rpartition(",")[2].strip()).name


def _dtype(pair: ModelPair) -> str:
    return str(pair.verifier.dtype).removeprefix("torch.")


def _save(model, folder: Path, tokenizer, settings: dict | None = None) -> None:
    """A model with its tokenizer, and `settings` in its generation_config.json."""
    transformers_logging.disable_progress_bar()
    model.save_pretrained(folder)
    config = copy.deepcopy(model.generation_config)
    config.update(**settings or {})
    config.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


def _save_eagle(pair: ModelPair, folder: Path, engine: str) -> None:
    """The eagle drafter. SGLang counts layers from the first one's output; vLLM, as we do, from the embedding."""
    pair.eagle.save_pretrained(folder)
    layers = [layer - (engine == "sglang") for layer in _layers(pair)]
    settings = pair.eagle.settings | {"eagle_aux_hidden_state_layer_ids": layers}
    settings["eagle_config"] = settings["eagle_config"] | {"eagle_aux_hidden_state_layer_ids": layers}
    (folder / "config.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def export(pair: ModelPair, folder: str | Path, engine: str, draft: str | None = None, span: int = 4) -> Export:
    """Write into `folder` what `engine` ("transformers", "vllm" or "sglang") takes to run `pair`, and say how it is started.

    `model/` holds the verifier with tokenizer and GenerationConfig, `drafter/` what drafts, if it is a model; `speculative.json` the
    engine's own settings, `export.json` these with the command and the version that all was checked against. `transformers`
    finds the settings in the GenerationConfig of drafter or model, and `generate.py` beside them. draft: "eagle", "drafter"
    or "lookup"; default: the first of them that pair and engine share. vLLM and SGLang take an eagle drafter where the verifier
    is of Llama's architecture and the drafter reads layers before the final norm. span: tokens in a draft, always as many.

    Raises ValueError for an unknown engine or way of drafting, one that pair or engine lacks, span < 1, and OSError for a folder
    that is there and not empty or cannot be written.
    """
    if engine not in ENGINES:
        raise ValueError(f"There is no engine {engine!r}: use one of {list(ENGINES)}.")
    if span < 1:
        raise ValueError(f"span={span!r} is not usable: it must be at least 1.")
    folder, draft = Path(folder), _choose(pair, engine, draft)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OSError(f"{folder} is there already and not an empty folder: name a new one.")
    speculative, words = {"transformers": _for_transformers, "vllm": _for_vllm, "sglang": _for_sglang}[engine](pair, draft, span)
    made = Export(engine, draft, speculative, shlex.join(words), ENGINES[engine])
    for_model = speculative if engine == "transformers" and draft == "lookup" else None
    _save(pair.verifier, folder / "model", pair.tokenizer, for_model)
    if draft == "drafter":
        _save(pair.drafter, folder / "drafter", pair.tokenizer, speculative if engine == "transformers" else None)
    elif draft == "eagle":
        _save_eagle(pair, folder / "drafter", engine)
    if engine == "transformers":
        folders = ("model", "drafter") if draft == "drafter" else ("model",)
        (folder / "generate.py").write_text(SCRIPT.format(folders=folders), encoding="utf-8")
    for name, content in (("speculative.json", speculative), ("export.json", asdict(made))):
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return made
