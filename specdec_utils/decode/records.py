"""What a run records: one record per step, one for the whole run. Widgets, figures and benchmark read these."""
from dataclasses import dataclass, field

import torch

from .accept import score_branch
from .tree import TokenTree


@dataclass
class BranchRecord:
    """One branch of a step: what was drafted and what the verifier said, node by node.

    tokens, draft_probs: the draft and the drafter's probability of each token. choices, choice_probs: the verifier's own
    token at each node it was asked at (one for each token compared, one more for a bonus token) and its probability.
    verifier_probs: the verifier's probability of the drafted token there. accepted: tokens kept, from the front.
    mismatched: broke off at a mismatch. score: `score_branch`. distributions: with `cfg.debug`, the verifier's full
    softmax [V] at each node asked, else empty.
    """

    tokens: list[int]
    draft_probs: list[float]
    choices: list[int]
    choice_probs: list[float]
    verifier_probs: list[float]
    accepted: int
    mismatched: bool
    score: int
    distributions: list[torch.Tensor] = field(default_factory=list, repr=False)


@dataclass
class StepPrice:
    """What method "auto" knew and decided before a step's tokens were judged.

    rate: tokens a second that a draft had to beat. offers: way of drafting -> (tokens, seconds) that a step with it was expected to
    bring and take, "none" among them. seconds: what the step as it was taken was expected to take. reach: for each node of the
    draft the probability that it is kept. cost: for each node the seconds of drafting and verifying it; one is worth that if reach
    >= cost * rate. reads: nodes that each drafter pass behind the first read. dropped: nodes that were drafted and then not worth
    verifying.
    """

    rate: float
    offers: dict[str, tuple[float, float]]
    seconds: float = 0.0
    reach: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    dropped: int = 0


@dataclass
class Step:
    """One step: the branches (none for greedy), which of them won, and the tokens that it added.

    context: tokens before the step. best: index of the winning branch, or None. new_ids: the tokens added. extra: the
    token among them that the verifier wrote itself, correcting or extending the draft, or None. verifier_calls,
    drafter_calls: forward passes of this step. tree: the draft as a token tree (None for `medusa_lite`); path: its nodes
    that were accepted; choices, choice_probs: the verifier's best token and its probability after the context (first) and
    after each node; node_probs: the verifier's probability of each node's token, given its parent; new_probs: of each
    token added. drafter: what the draft was found with ("drafter", "eagle", "heads", "lookup"), None for no draft. price: with
    method "auto", what it was expected to earn. distributions: with `cfg.debug`, its [V] at each token added. Under `do_sample`
    all of these are after temperature and top_p.
    """

    context: int
    branches: list[BranchRecord]
    best: int | None
    new_ids: list[int]
    extra: int | None
    verifier_calls: int = 0
    drafter_calls: int = 0
    tree: TokenTree | None = None
    path: list[int] = field(default_factory=list)
    choices: list[int] = field(default_factory=list)
    choice_probs: list[float] = field(default_factory=list)
    node_probs: list[float] = field(default_factory=list)
    new_probs: list[float] = field(default_factory=list)
    drafter: str | None = None
    price: StepPrice | None = None
    distributions: list[torch.Tensor] = field(default_factory=list, repr=False)


@dataclass
class Generation:
    """What a run wrote and what it cost. `str()` of it is the text.

    text: prompt and continuation, of a chat the reply alone, special tokens left out (empty without a tokenizer). prompt_ids,
    new_ids: token ids, an ending EOS included. verifier_calls, drafter_calls: forward passes, prefill included. seconds: wall
    time of the loop. finish_reason: "length", "eos" or "context".
    """

    text: str
    prompt_ids: list[int]
    new_ids: list[int]
    steps: list[Step]
    verifier_calls: int
    drafter_calls: int
    seconds: float
    finish_reason: str
    method: str = ""

    def __str__(self) -> str:
        return self.text


def cached_record(context: int, tree: TokenTree, path: list[int], extra: int, choices: list[int], probs: torch.Tensor,
                  debug: bool) -> Step:
    """A cached step's record, but for its branches and calls: `probs` [1 + n, V] is the verifier's law after the context of so
    many tokens and after each node of `tree`, `path` the accepted nodes, `extra` the verifier's own token after them."""
    rows = [0, *(node + 1 for node in path)]  # where each written token was decided
    parents = [parent + 1 for parent in tree.parents]  # where each node's token was judged
    written = [*(tree.tokens[node] for node in path), extra]
    said = probs[[*range(len(probs)), *parents, *rows], [*choices, *tree.tokens, *written]].tolist()  # one read for all three
    choice_probs, rest = said[:len(choices)], said[len(choices):]
    node_probs, new_probs = rest[:len(tree)], rest[len(tree):]
    distributions = list(probs[rows]) if debug else []
    return Step(context, branches=[], best=None, new_ids=written, extra=extra, tree=tree, path=path, choices=choices,
                choice_probs=choice_probs, node_probs=node_probs, new_probs=new_probs, distributions=distributions)


def finish_record(step: Step) -> None:
    """Fill in what follows from a step's tokens: whether `extra` was kept and, for a cached step, its branches and the winner."""
    if step.tree is None:
        accepted = step.branches[step.best].accepted
    else:
        accepted = len(step.path)
        step.branches = [_branch_record(step, leaf) for leaf in step.tree.leaves()]
        scores = [branch.score for branch in step.branches]
        step.best = scores.index(max(scores)) if scores else None
    if len(step.new_ids) <= accepted:  # an EOS inside the draft ended the run
        step.extra = None


def _branch_record(step: Step, leaf: int) -> BranchRecord:
    """The branch of the step's tree that ends in `leaf`, beside what the step wrote."""
    tree, written = step.tree, step.new_ids
    nodes, tokens = tree.path(leaf), tree.path_tokens(leaf)
    both = min(len(tokens), len(written))
    same = 0
    while same < both and tokens[same] == written[same]:
        same += 1
    kept = min(same, len(step.path))  # a lossy rule may reject a token and then draw the same one itself
    mismatched, asked = kept < both, kept + 1
    return BranchRecord(
        tokens=tokens,
        draft_probs=[tree.probs[node] for node in nodes],
        choices=written[:asked],
        choice_probs=step.new_probs[:len(written)][:asked],
        verifier_probs=[step.node_probs[node] for node in nodes[:asked]],
        accepted=kept,
        mismatched=mismatched,
        score=score_branch(tokens[:kept], mismatched),
        distributions=step.distributions[:asked])
