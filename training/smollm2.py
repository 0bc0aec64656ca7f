"""The eagle drafter of the pair `smollm2`, from the model's first chat to the card: one command, which resumes where it was stopped."""
import json
import statistics
from pathlib import Path

import torch

from specdec_utils.decode.advance import generate
from specdec_utils.models.eagle import EagleDrafter
from specdec_utils.models.load import load_pair
from specdec_utils.models.pair import ModelPair
from specdec_utils.run.packed import pack, unpack
from specdec_utils.text.chat_prompts import CHAT_PROMPTS
from specdec_utils.text.config import Cfg

from .chat_card import chat_card
from .chat_eagle import train_chat_eagle
from .chat_library import Chats, chat_library
from .chats import GREEDY, ChatTemplate
from .eagle_measures import acceptance_by_depth, cost

LENGTH = 128  # tokens of an answer that is measured
CHAIN = Cfg(max_new_tokens=LENGTH, topk_branch=1, draft_span=4)
ANSWERS, STEPS = 400_000, 2000


def answers(pair: ModelPair, prompts: dict[str, tuple[str, ...]], cfg: Cfg = CHAIN, method: str = "greedy") -> dict[str, list]:
    """What `method` generates for each prompt, by kind."""
    packing = pack(pair.verifier) if pair.device == "cpu" else None
    made = {kind: [generate(pair, [{"role": "user", "content": prompt}], cfg, method) for prompt in part] for kind, part in prompts.items()}
    if packing is not None:
        unpack(pair.verifier)
    return made


def measure_chats(pair: ModelPair, held_out: Chats, prompts: dict[str, tuple[str, ...]] = CHAT_PROMPTS) -> dict:
    """The card's measurements of `pair.eagle`: by kind of prompt acceptance by depth on the verifier's greedy and sampled answers and
    the tokens of a verifier pass with a greedy chain of four; acceptance on chats that were held out; size; c."""
    greedy, sampled = answers(pair, prompts), answers(pair, prompts, Cfg(max_new_tokens=LENGTH, do_sample=True, temperature=1.0, top_p=1.0))
    drafted, texts = answers(pair, prompts, CHAIN, "eagle"), {"greedy": {}, "sampled": {}}
    for name, made in (("greedy", greedy), ("sampled", sampled)):
        for kind, part in made.items():
            texts[name][kind] = [(out.prompt_ids + out.new_ids, len(out.prompt_ids)) for out in part]
        texts[name]["all"] = [text for part in texts[name].values() for text in part]
    texts["held_out"] = {"greedy": [(ids.tolist(), int((roles >= GREEDY).nonzero()[0])) for ids, roles in zip(held_out.ids, held_out.roles)
                                    if (roles == GREEDY).any()]}
    passes = {kind: sum(len(out.new_ids) for out in part) / sum(out.verifier_calls for out in part) for kind, part in drafted.items()}
    parameters = sum(weight.numel() for weight in pair.eagle.parameters())
    return {"acceptance": {name: {kind: acceptance_by_depth(pair.verifier, pair.eagle, part) for kind, part in kinds.items()}
                           for name, kinds in texts.items()},
            "tokens_a_pass": passes, "mean_tokens_a_pass": statistics.mean(passes.values()),
            "same_as_greedy": sum(one.new_ids == two.new_ids for kind in prompts for one, two in zip(greedy[kind], drafted[kind])),
            "prompts": {kind: len(part) for kind, part in prompts.items()}, "parameters": parameters, "inner": pair.eagle.inner,
            "pieces": pair.eagle.lm_head.out_features, "layers": list(pair.eagle.layers),
            "c": cost(pair.verifier, pair.eagle, [ids for ids, _ in texts["greedy"]["all"][::6]])}


def renew_smollm2(out: Path, work: Path, seed: int, train: bool = True, wanted: int = ANSWERS, steps: int = STEPS, held_out: int = 48,
                  source: str = "smollm2", **options) -> None:
    """Let the model of pair `source` write chats, train its eagle drafter on them unless `train` is False, measure it and write the card
    into `out`. `options` are those of `train_chat_eagle`."""
    pair, record = load_pair(source, device="cpu"), out / "measurements.json"
    chats = chat_library(pair.verifier, ChatTemplate(pair.tokenizer), wanted, work / "chats", seed)
    learning, kept = chats.part([*range(held_out, len(chats))]), chats.part([*range(held_out)])
    if train:
        learning = learning.without([made.new_ids for part in answers(pair, CHAT_PROMPTS).values() for made in part])
        eagle, history = train_chat_eagle(pair.verifier, learning, steps, work, seed, **options)
        eagle.save_pretrained(out / "eagle")
        said = torch.cat([roles for roles in learning.roles]).bincount(minlength=4).tolist()
        learnt = {"steps": steps, "seed": seed, "history": history, "chats": len(learning), "tokens_by_role": said}
    else:
        learnt = json.loads(record.read_text(encoding="utf-8"))["learnt"]
    shipped = ModelPair(None, pair.verifier, pair.tokenizer, name=source, eagle=EagleDrafter.from_pretrained(out / "eagle"))
    card = {"learnt": learnt} | measure_chats(shipped, kept)
    card["bytes"] = (out / "eagle" / "model.safetensors").stat().st_size
    record.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    (out / "MODEL_CARD.md").write_text(chat_card(card), encoding="utf-8")
