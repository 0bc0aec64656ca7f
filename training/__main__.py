"""Train and export the bundled pair: text, tokenizer, verifier, drafter, measurements. Resumes where it was stopped."""
import argparse
import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from .card import model_card
from .data import Windows, fixed_windows, load_stories, train_tokenizer
from .drafter import train_drafter
from .evaluate import evaluate
from .verifier import CONTEXT, train_verifier


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--text", type=Path, help="stories, each closed by a line <|endoftext|> (default: the public data set)")
    parser.add_argument("--validation", type=Path, help="held-out stories (default: the last 100 of the text)")
    parser.add_argument("--work", type=Path, default=Path("runs/stories"), help="checkpoints go here")
    parser.add_argument("--out", type=Path, default=Path("specdec_utils/pairs/stories"))
    parser.add_argument("--verifier-steps", type=int, default=3100)
    parser.add_argument("--drafter-steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    train_text, held_out_text = load_stories(args.text, args.validation)

    if (args.work / "tokenizer").exists():
        tokenizer = AutoTokenizer.from_pretrained(args.work / "tokenizer")
    else:
        tokenizer = train_tokenizer(train_text)
        tokenizer.save_pretrained(args.work / "tokenizer")
    train, held_out = ([tokenizer(story)["input_ids"] for story in part] for part in (train_text, held_out_text))
    eos = tokenizer.eos_token_id
    windows, held_out_windows = Windows(train, eos, args.seed), fixed_windows(held_out, eos, CONTEXT)

    verifier, verifier_history = train_verifier(windows, held_out_windows, len(tokenizer), args.verifier_steps, args.work,
                                                args.seed)
    drafter, drafter_history = train_drafter(verifier, windows, args.drafter_steps, args.work, args.seed)

    for role, model in (("verifier", verifier), ("drafter", drafter)):
        model.half().save_pretrained(args.out / role)
        tokenizer.save_pretrained(args.out / role)
    shipped = {role: AutoModelForCausalLM.from_pretrained(args.out / role, dtype=torch.float32).eval()
               for role in ("verifier", "drafter")}
    card = evaluate(shipped["verifier"], shipped["drafter"], tokenizer, held_out, held_out_windows, args.seed)
    card |= {"verifier_history": verifier_history, "drafter_history": drafter_history, "seed": args.seed,
             "context": CONTEXT, "width": verifier.config.n_embd, "vocabulary": len(tokenizer),
             "training_stories": len(train), "validation_stories": len(held_out), "training_tokens": windows.tokens_per_epoch,
             "verifier_steps": args.verifier_steps, "drafter_steps": args.drafter_steps}
    for role, model in shipped.items():
        card |= {f"{role}_layers": model.config.n_layer, f"{role}_parameters": sum(p.numel() for p in model.parameters())}
    text = json.dumps(card, indent=1)
    (args.out / "measurements.json").write_text(text + "\n", encoding="utf-8")
    (args.out / "MODEL_CARD.md").write_text(model_card(json.loads(text)), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
