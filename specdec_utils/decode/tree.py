"""The token tree: every branch of a draft, with what they share stored once."""
import math
from dataclasses import dataclass, field

import torch

ROOT = -1  # the parent of the nodes that follow the context directly


@dataclass
class TokenTree:
    """Drafted tokens as nodes 0..n-1, each following its parent (`ROOT` or an earlier node).

    tokens, parents, probs: per node its id, its parent, and the drafter's probability of it. children: parent -> its child
    nodes in the order in which they were drawn, a node once for every time it was drawn. drawn_from: parent -> (name of the
    rule in `accept.RULES` that fits how its children were drawn, the distribution [V] that they were drawn from, or None
    where they were chosen and not drawn). A parent that is missing there has children that were chosen.

    Miao et al. 2023 (SpecInfer, arXiv 2305.09781), section 3: token tree, tree attention.
    """

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    probs: list[float] = field(default_factory=list)
    children: dict[int, list[int]] = field(default_factory=dict)
    drawn_from: dict[int, tuple[str, torch.Tensor | None]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.tokens)

    @classmethod
    def from_branches(cls, branches: list[list[int]], merge: bool = True) -> "TokenTree":
        """The trie of `branches`: shared prefixes once. With merge=False every branch keeps nodes of its own.

        Branches that carry `.probs` (see `rollouts.Branch`) pass them on to the nodes; others give probability 1.
        """
        tree = cls()
        for branch in branches:
            node, probs = ROOT, getattr(branch, "probs", [1.0] * len(branch))
            for token, prob in zip(branch, probs):
                node = tree.add(node, token, prob, merge)
        return tree

    def add(self, parent: int, token: int, prob: float = 1.0, merge: bool = True) -> int:
        """The child of `parent` that holds `token`: an existing one if there is one (and `merge`), else a new node."""
        siblings = self.children.setdefault(parent, [])
        alike = [node for node in siblings if self.tokens[node] == token]
        if merge and alike:
            node = alike[0]
        else:
            node = len(self.tokens)
            self.tokens.append(token)
            self.parents.append(parent)
            self.probs.append(prob)
        siblings.append(node)
        return node

    def path(self, node: int) -> list[int]:
        """The nodes from the first after the context down to `node`, both included; [] for ROOT."""
        nodes = []
        while node != ROOT:
            nodes.append(node)
            node = self.parents[node]
        return nodes[::-1]

    def path_tokens(self, node: int) -> list[int]:
        """The token ids along `path(node)`."""
        return [self.tokens[n] for n in self.path(node)]

    def reach(self, node: int) -> float:
        """The drafter's probability of the whole path down to `node`; 1 for ROOT."""
        return math.prod(self.probs[n] for n in self.path(node))

    def depths(self) -> list[int]:
        """Per node the number of nodes above it: 0 directly after the context."""
        depths = []
        for parent in self.parents:
            depths.append(0 if parent == ROOT else depths[parent] + 1)
        return depths

    def positions(self, start: int) -> list[int]:
        """Per node its position in the text: `start` (the length of the context) + depth. Siblings share theirs."""
        return [start + depth for depth in self.depths()]

    def mask(self, first: int = 0) -> torch.Tensor:
        """BoolTensor [n - first, n]: a row for each node from `first` on, True at the node and at its ancestors, which is all
        of the tree that it attends to."""
        rows = []
        for node in range(first, len(self)):
            row = [False] * len(self)
            for seen in self.path(node):
                row[seen] = True
            rows.append(row)
        return torch.tensor(rows, dtype=torch.bool).view(len(rows), len(self))

    def is_chain(self) -> bool:
        """Is it a single branch (or empty), so that the ordinary causal mask and positions serve?"""
        return self.parents == list(range(ROOT, len(self) - 1))

    def leaves(self) -> list[int]:
        """The nodes without children, in order; one per branch."""
        inner = set(self.parents)
        return [node for node in range(len(self)) if node not in inner]
