"""The eagle drafter of the pair `smollm2`, or of a Llama of yours, from the model's first chat to the card: one command, which resumes
where it was stopped."""
import json
import statistics
from dataclasses import replace
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

from specdec_utils.decode.advance import generate
from specdec_utils.models.eagle import EagleDrafter
from specdec_utils.models.load import load_pair
from specdec_utils.models.pair import ModelPair
from specdec_utils.text.chat_prompts import CHAT_PROMPTS, as_chats
from specdec_utils.text.config import Cfg
from specdec_utils.text.tokens import those_that_fit

from .chat_card import chat_card, own_card
from .chat_eagle import acceptance_on_chats, train_chat_eagle
from .chat_library import Chats, chat_library
from .chats import GREEDY, ROOM, SAMPLED, ChatTemplate, answers_to, template_of, write_chats
from .eagle_measures import cost

LENGTH = 128  # tokens of an answer that is measured
CHAIN = Cfg(max_new_tokens=LENGTH, topk_branch=1, draft_span=4)
ANSWERS, STEPS = 400_000, 2000
HELD_OUT = 48  # chats that are measured and not learnt from


def measured_chats(pair: ModelPair, template: ChatTemplate, prompts: dict[str, tuple[str, ...]], file: Path,
                   room: int) -> dict[str, Chats]:
    """The model's greedy answers to `prompts`, by kind; kept in `file`."""
    if not file.exists():
        made = {kind: Chats.of([*write_chats(pair.verifier, template, answers_to(template, part, LENGTH), seed=0, rows=len(part),
                                             room=room)]) for kind, part in prompts.items()}
        torch.save({kind: vars(part) for kind, part in made.items()}, file)
    return {kind: Chats(**part) for kind, part in torch.load(file, weights_only=True).items()}


def measure_chats(pair: ModelPair, measured: dict[str, Chats], held_out: Chats, prompts: dict[str, tuple[str, ...]]) -> dict:
    """The card's measurements of `pair.eagle`: acceptance by depth on the greedy answers `measured` to `prompts`, by kind, and on chats
    that were held out; tokens of a verifier pass with a greedy chain of four, by kind, with the text's pieces (`run.text_pieces`) and
    with its own alone; size; c."""
    verifier, eagle = pair.verifier, pair.eagle
    acceptance = {kind: acceptance_on_chats(verifier, eagle, part, GREEDY) for kind, part in measured.items()}
    apart = {"greedy": acceptance_on_chats(verifier, eagle, held_out, GREEDY),
             "sampled": acceptance_on_chats(verifier, eagle, held_out, SAMPLED)}
    c = cost(verifier, eagle, [ids.tolist() for part in measured.values() for ids in part.ids[:1]])

    def passes(cfg: Cfg) -> dict[str, float]:
        texts = {kind: [generate(pair, chat, cfg, "eagle") for chat in as_chats(part)] for kind, part in prompts.items()}
        return {kind: sum(len(out.new_ids) for out in part) / sum(out.verifier_calls for out in part) for kind, part in texts.items()}
    read, own = passes(CHAIN), passes(replace(CHAIN, text_pieces=False))
    parameters = sum(weight.numel() for weight in eagle.parameters())
    return {"acceptance": acceptance, "held_out": apart, "tokens_a_pass": read, "mean_tokens_a_pass": statistics.mean(read.values()),
            "tokens_a_pass_own_pieces": own, "mean_tokens_a_pass_own_pieces": statistics.mean(own.values()),
            "prompts": sum(map(len, prompts.values())), "parameters": parameters, "inner": eagle.inner,
            "pieces": eagle.lm_head.out_features, "layers": list(eagle.layers), "c": c}


def renew_chat_eagle(source: str, out: Path, work: Path, seed: int, train: bool = True, wanted: int = ANSWERS, steps: int = STEPS,
                     **options) -> None:
    """Let the model of pair `source`, SmolLM2 or any Llama, write chats, train its eagle drafter on them unless `train` is False, measure
    it and write the card into `out`. `options` are those of `train_chat_eagle`.

    Raises ValueError for a model that is no Llama or has too small a context."""
    pair, record = load_pair(source, device="cpu"), out / "measurements.json"
    if type(pair.verifier) is not LlamaForCausalLM:
        raise ValueError(f"{source} is {type(pair.verifier).__name__}: a drafter is trained here for LlamaForCausalLM only.")
    template, room = template_of(pair), min(ROOM, pair.context)
    fitting = {kind: tuple(chat[0]["content"] for chat in those_that_fit(pair, as_chats(part), LENGTH))
               for kind, part in CHAT_PROMPTS.items()}
    prompts = {kind: part for kind, part in fitting.items() if part}
    if not prompts:
        raise ValueError(f"{source} has a context of {pair.context} tokens: none of our prompts leaves room for an answer.")
    chats = chat_library(pair.verifier, template, wanted if train else 0, work / "chats", seed, room=room)
    measured = measured_chats(pair, template, prompts, work / "measured.pt", room)
    learning, kept = chats.part([*range(HELD_OUT, len(chats))]), chats.part([*range(HELD_OUT)])
    if train:
        texts = [ids[roles == GREEDY].tolist() for part in measured.values() for ids, roles in zip(part.ids, part.roles)]
        apart = learning.without(texts)
        shared, learning = (0, apart) if len(apart) else (len(learning), learning)  # a model may say the same to everybody
        eagle, history = train_chat_eagle(pair.verifier, learning, steps, work, seed, **options)
        eagle.save_pretrained(out / "eagle")
        said = torch.cat([roles for roles in learning.roles]).bincount(minlength=4).tolist()
        learnt = {"steps": steps, "seed": seed, "history": history, "chats": len(learning), "shared": shared,
                  "tokens_by_role": said}
    else:
        learnt = json.loads(record.read_text(encoding="utf-8"))["learnt"]
    shipped = ModelPair(None, pair.verifier, pair.tokenizer, name=source, eagle=EagleDrafter.from_pretrained(out / "eagle"))
    card = {"learnt": learnt} | measure_chats(shipped, measured, kept, prompts)
    card["bytes"] = (out / "eagle" / "model.safetensors").stat().st_size
    record.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    (out / "MODEL_CARD.md").write_text(chat_card(card) if source == "smollm2" else own_card(card, source), encoding="utf-8")
