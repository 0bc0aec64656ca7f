"""Train and export the bundled pair: text, tokenizer, verifier, drafter, Medusa heads, eagle drafter, measurements. Resumes where it
was stopped. `eagle` trains the eagle drafter alone, on the exported verifier; `card` measures the exported eagle drafter again. Both
leave every other measurement as it is. `smollm2` and `smollm2-card` do the same for SmolLM2, which writes the text itself; the folder or
hub id of a Llama in their place trains an eagle drafter for that model."""
import argparse
import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from specdec_utils.models.eagle import EagleDrafter
from specdec_utils.models.medusa_heads import MedusaHeads
from specdec_utils.text.prompts import OPENINGS

from .card import model_card
from .data import Windows, fixed_windows, load_stories, train_tokenizer
from .drafter import train_drafter
from .eagle import STEPS, train_eagle
from .eagle_measures import measure_eagle, measured_texts
from .eagle_texts import brief_openings, feature_library, openings
from .evaluate import evaluate
from .heads import train_heads
from .library import verifier_library
from .smollm2 import ANSWERS, renew_chat_eagle
from .smollm2 import STEPS as CHAT_STEPS
from .verifier import CONTEXT, train_verifier

PARTS = ("all", "eagle", "card", "smollm2", "smollm2-card")


def renew_eagle(args: argparse.Namespace, train_text: list[str], held_out_text: list[str]) -> None:
    """Train the eagle drafter on the exported verifier (only for the parts that train it), measure it, and write the card."""
    tokenizer = AutoTokenizer.from_pretrained(args.out / "verifier")
    verifier = AutoModelForCausalLM.from_pretrained(args.out / "verifier", dtype=torch.float32).eval()

    def encode(text: str) -> list[int]:
        return tokenizer(text)["input_ids"]
    card = json.loads((args.out / "measurements.json").read_text(encoding="utf-8"))
    texts = measured_texts(verifier, encode, OPENINGS, held_out_text, args.seed)
    learnt = {"steps": args.eagle_steps} | card.get("eagle", {})
    if args.part == "eagle":
        begun, brief = (find(train_text, encode, tokenizer.eos_token_id, args.seed, avoid=OPENINGS) for find in (openings, brief_openings))
        measured = [ids for part in texts.values() for ids, _ in part]
        features = feature_library(verifier, begun, brief, measured, args.seed, args.work / "features.pt")
        eagle, history = train_eagle(verifier, features, args.eagle_steps, args.work, args.seed)
        eagle.save_pretrained(args.out / "eagle")
        learnt = {"steps": args.eagle_steps, "history": history, "tokens": sum(part.ids.numel() for part in features.values())}
    card["eagle"] = learnt | measure_eagle(verifier, EagleDrafter.from_pretrained(args.out / "eagle"), texts)
    text = json.dumps(card, indent=1)
    (args.out / "measurements.json").write_text(text + "\n", encoding="utf-8")
    (args.out / "MODEL_CARD.md").write_text(model_card(json.loads(text)), encoding="utf-8")
    print(text)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("part", nargs="?", default="all", help=f"one of {', '.join(PARTS)}, or a Llama's folder or hub id (default: all)")
    parser.add_argument("--text", type=Path, help="stories, each closed by a line <|endoftext|> (default: the public data set)")
    parser.add_argument("--validation", type=Path, help="held-out stories (default: the last 100 of the text)")
    parser.add_argument("--work", type=Path, help="checkpoints go here (default: runs/PAIR)")
    parser.add_argument("--out", type=Path, help="the pair's folder (default: specdec_utils/pairs/PAIR; for your own model runs/NAME)")
    parser.add_argument("--verifier-steps", type=int, default=3100)
    parser.add_argument("--drafter-steps", type=int, default=3000)
    parser.add_argument("--heads-steps", type=int, default=1800)
    parser.add_argument("--eagle-steps", type=int, help=f"default: {STEPS} for the stories' pair, {CHAT_STEPS} for smollm2")
    parser.add_argument("--answers", type=int, default=ANSWERS, help=f"tokens that a chat model writes as assistant (default {ANSWERS})")
    parser.add_argument("--verifier", type=Path, help="a finished verifier's folder: train only what learns from it")
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args(argv)
    if args.part not in PARTS and not (Path(args.part).is_dir() or "/" in args.part):
        parser.error(f"there is no part {args.part!r}: name one of {', '.join(PARTS)}, or the folder or hub id of a Llama")
    if args.part not in ("all", "eagle", "card"):
        source = args.part.removesuffix("-card") if args.part in PARTS else args.part
        own = Path("runs") / Path(source).name
        out, work = (Path("specdec_utils/pairs/smollm2"), own) if args.part in PARTS else (own, own)
        args.out, args.work = args.out or out, args.work or work
        args.work.mkdir(parents=True, exist_ok=True)
        try:
            renew_chat_eagle(source, args.out, args.work, args.seed, args.part != "smollm2-card", args.answers,
                             args.eagle_steps or CHAT_STEPS)
        except (OSError, ValueError) as error:
            parser.error(str(error))
        return
    args.work, args.out = args.work or Path("runs/stories"), args.out or Path("specdec_utils/pairs/stories")
    args.eagle_steps = args.eagle_steps or STEPS
    args.work.mkdir(parents=True, exist_ok=True)
    train_text, held_out_text = load_stories(args.text, args.validation)

    if args.part != "all":
        renew_eagle(args, train_text, held_out_text)
        return
    if args.verifier is not None:
        tokenizer = AutoTokenizer.from_pretrained(args.verifier)
    elif (args.work / "tokenizer").exists():
        tokenizer = AutoTokenizer.from_pretrained(args.work / "tokenizer")
    else:
        tokenizer = train_tokenizer(train_text)
        tokenizer.save_pretrained(args.work / "tokenizer")

    def encode(text: str) -> list[int]:
        return tokenizer(text)["input_ids"]
    train, held_out = ([encode(story) for story in part] for part in (train_text, held_out_text))
    eos = tokenizer.eos_token_id
    windows, held_out_windows = Windows(train, eos, args.seed), fixed_windows(held_out, eos, CONTEXT)

    if args.verifier is None:
        verifier, verifier_history = train_verifier(windows, held_out_windows, len(tokenizer), args.verifier_steps, args.work,
                                                    args.seed)
    else:
        verifier = AutoModelForCausalLM.from_pretrained(args.verifier, dtype=torch.float32).eval()
        verifier_history = json.loads((args.out / "measurements.json").read_text(encoding="utf-8"))["verifier_history"]
    library = verifier_library(verifier, windows, args.seed, args.work / "library.pt")
    drafter, drafter_history = train_drafter(verifier, library, windows, args.drafter_steps, args.work, args.seed)
    heads, heads_history = train_heads(verifier, library, args.heads_steps, args.work, args.seed)
    trained = {"drafter": drafter} if args.verifier is not None else {"verifier": verifier, "drafter": drafter}
    for role, model in trained.items():
        model.half().save_pretrained(args.out / role)
        tokenizer.save_pretrained(args.out / role)
    heads.save_pretrained(args.out / "heads")
    shipped = {role: AutoModelForCausalLM.from_pretrained(args.out / role, dtype=torch.float32).eval()
               for role in ("verifier", "drafter")}
    shipped_heads = MedusaHeads.from_pretrained(args.out / "heads")
    card = evaluate(shipped["verifier"], shipped["drafter"], shipped_heads, tokenizer, held_out, held_out_windows, args.seed)
    card |= {"verifier_history": verifier_history, "drafter_history": drafter_history, "heads_history": heads_history,
             "heads_steps": args.heads_steps, "heads_parameters": sum(p.numel() for p in shipped_heads.parameters()),
             "library_tokens": library.ids.numel(), "drafter_inner": drafter.config.n_inner, "seed": args.seed,
             "context": CONTEXT, "width": verifier.config.n_embd, "vocabulary": len(tokenizer),
             "training_stories": len(train), "validation_stories": len(held_out), "training_tokens": windows.tokens_per_epoch,
             "verifier_steps": args.verifier_steps, "drafter_steps": args.drafter_steps}
    for role, model in shipped.items():
        card |= {f"{role}_layers": model.config.n_layer, f"{role}_parameters": sum(p.numel() for p in model.parameters())}
    (args.out / "measurements.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    args.part = "eagle"
    renew_eagle(args, train_text, held_out_text)


if __name__ == "__main__":
    main()
