"""`python -m specdec_utils export`: a pair into a folder that `transformers`, vLLM or SGLang runs, and the command for it."""
import argparse
from pathlib import Path

from ..models.export import DRAFTS, ENGINES, export
from ..models.load import PAIRS, load_pair


def main(argv: list[str]) -> int:
    """Parse `argv`, write the folder, print the command. Raises ValueError and the like for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m specdec_utils export", description=__doc__.split(": ", 1)[1])
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--engine", default="vllm", help=f"one of {', '.join(ENGINES)} (default: vllm)")
    parser.add_argument("--pair", help=f"one of {', '.join(PAIRS)}, or DRAFTER,VERIFIER (default: stories)")
    parser.add_argument("--draft", help=f"one of {', '.join(DRAFTS)} (default: the first that engine and pair share)")
    parser.add_argument("--span", type=int, default=4, help="tokens in a draft (default 4)")
    args = parser.parse_args(argv)
    made = export(load_pair(args.pair, device="cpu"), args.folder, args.engine, args.draft, args.span)
    print(f"{args.folder} drafts with {made.draft!r}; checked against {made.engine} {made.checked}. In that folder:\n{made}")
    return 0
