"""Prompt lookup: the draft is what followed the same tokens earlier in the text. No model runs."""
from ...text.config import Cfg
from ..tree import TokenTree
from .base import Drafter

LONGEST = 8  # tokens of a match that method "auto" tells apart


def find_match(ids: list[int], shortest: int = 2, longest: int = 3) -> tuple[int | None, int]:
    """(the place behind the earlier occurrence in `ids` of its own last tokens, how many of them are alike there): the longest match
    of `shortest` to `longest` tokens, the latest of equals; None for the place if there is none."""
    found, after = shortest - 1, None
    for end in range(len(ids) - 1, 0, -1):  # ids[:end] might end as ids does
        if ids[end - 1] != ids[-1]:
            continue
        size = 1
        while size < longest and size < end and ids[end - 1 - size] == ids[-1 - size]:
            size += 1
        if size > found:
            found, after = size, end
            if size == longest:
                break
    return after, found


def lookup_tree(ids: list[int], span: int, shortest: int = 2, longest: int = 3) -> TokenTree:
    """The `span` tokens that followed the last few tokens of `ids` when these last occurred in `ids` (see `find_match`), as one
    branch; empty without a match. No model runs.

    Saxena 2023 (prompt lookup decoding); Yang et al. 2023 (arXiv 2304.04487).
    """
    after, _ = find_match(ids, shortest, longest)
    if after is None or span < 1:
        return TokenTree()
    return TokenTree.from_branches([ids[after:after + span]])


class Lookup(Drafter):
    """Drafts with `lookup_tree`."""

    source = "lookup"
    about = "no drafter: what followed the last tokens where they occurred earlier in the text"

    @classmethod
    def laws(cls, cfg: Cfg) -> set[str]:
        return {"deterministic"}

    def propose(self, ids: list[int], span: int) -> TokenTree:
        return lookup_tree(ids, span)
