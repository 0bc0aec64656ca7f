"""MODEL_CARD.md, written from the measurements so that no number in it is typed by hand."""


def _pieces(values: dict, form: str) -> str:
    return ", ".join(f"{n}: {form.format(v)}" for n, v in values.items())


def depths(values: list[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def model_card(m: dict) -> str:
    """The model card as Markdown, from the dictionary that `evaluate` and `__main__` put together."""
    greedy, sampled = m["greedy_text"], m["sampled_text"]
    rows = "\n".join(f"| {h['step']} | {h['loss']:.3f} | {h['validation']:.3f} |" for h in m["verifier_history"])
    texts = "\n\n".join(f"> {' '.join(text.split())}" for text in m["openings"].values())
    return f"""# Model card: `stories`

A verifier and a drafter for short simple stories, small enough to ship with a course and real enough for speculative
decoding to work on them. Architecture GPT-2 (tied embeddings, `gelu_pytorch_tanh`), {m['context']} positions, a byte-level
BPE tokenizer of {m['vocabulary']} pieces with `<|endoftext|>` as bos, eos and pad.

| | layers | width | parameters | file |
|---|---|---|---|---|
| verifier | {m['verifier_layers']} | {m['width']} | {m['verifier_parameters'] / 1e6:.2f} M | float16 safetensors |
| drafter | {m['drafter_layers']} | {m['width']} (MLP {m['drafter_inner']}) | {m['drafter_parameters'] / 1e6:.2f} M | float16 safetensors |
| eagle drafter | 1, over three of the verifier's | {m['width']} (MLP {m['eagle']['inner']}) | {m['eagle']['parameters'] / 1e6:.2f} M | float16 safetensors, {m['eagle']['bytes'] / 1e6:.2f} MB |
| Medusa heads | {len(m['head_accuracy'])} residual blocks | {m['width']} | {m['heads_parameters'] / 1e6:.2f} M | float16 safetensors |

## Data and licence
{m['training_stories']} stories of TinyStories (Eldan and Li, 2023, arXiv 2305.07759; licence CDLA-Sharing-1.0), about
{m['training_tokens'] / 1e6:.2f} million tokens; {m['validation_stories']} further stories held out. The sample came in lower case; letter case was
restored by rule, so a few capitals are wrong. The text itself is not part of this project. The weights are under the
project's licence.

## Recipe
`python -m training --text FILE --validation FILE`, seed {m['seed']} (drafter and heads with `--verifier FOLDER` on the verifier as
shipped, in half precision). Verifier: {m['verifier_steps']} steps of 2,048 tokens, Muon
(learning rate 0.02) on the blocks' matrices and AdamW (0.003) on the rest, flat for 30 % of the run and then linear to zero;
the last third in {m['context']}-token windows. The verifier then wrote a library of {m['library_tokens'] / 1e3:.0f} thousand tokens, a quarter
greedily, a quarter at temperature 0.7, half at 1, and drafter and heads learnt from that. Drafter: started from the
verifier's embeddings, the attention of its first and last block and the MLPs of the two blocks at each end, then
{m['drafter_steps']} steps on (1 - t) KL(p || q) + 2 t TV(p, q), t going from 0 to 1, three batches in four from the library, the fourth
stories in {m['context']}-token windows. Heads: {m['heads_steps']} steps on KL to the verifier's own distributions, the verifier left as it is.
Eagle drafter: {m['eagle']['steps']} steps on text that the verifier wrote after openings that all differ, none of them the
benchmark's, greedily and at temperature 0.4, 0.7 and 1. Five elevenths of the steps: openings of stories and of sentences, four in
ten behind `<|endoftext|>`, unrolled four steps deep, then six; KL, then total variation at temperature 1 and at a half. The rest:
mostly short openings, two in ten behind `<|endoftext|>`, unrolled five steps deep, then six; total variation, at 0.3 of the
learning rate, falling to 0.0045. It has no draft vocabulary of its own: among 2,048 pieces there are few that it could do without.
Float32 throughout; all stored in
half precision and measured as stored. One thing differs from a fresh run: the shipped verifier's run was planned for 3,700
steps and cut to 3,100 at step 1,200, so that its learning rate was still flat between steps 930 and 1,200.

| step | training loss (running) | validation loss |
|---|---|---|
{rows}

## Measured, on the shipped weights in float32
Loss in nats a token on the held-out stories, packed into {m['context']}-token windows: **{m['loss']:.3f}**; positions 0 to 255
{m['loss_0_255']:.3f}, positions 256 to 511 {m['loss_256_511']:.3f}.

128 tokens after the first 15 of each held-out story:

| on text that the verifier wrote | greedy | sampled |
|---|---|---|
| drafter's first choice = verifier's | **{greedy['greedy_equal']:.3f}** | {sampled['greedy_equal']:.3f} |
| verifier's choice among the drafter's top 4 | {greedy['greedy_in_top_4']:.3f} | {sampled['greedy_in_top_4']:.3f} |
| acceptance, mean of sum(min(p, q)) | {greedy['sum_min_p_q']:.3f} | **{sampled['sum_min_p_q']:.3f}** |
| the same by quarter of the text | {', '.join(f'{x:.3f}' for x in greedy['sum_min_p_q_by_quarter'])} | {', '.join(f'{x:.3f}' for x in sampled['sum_min_p_q_by_quarter'])} |

Eagle drafter, a right path given, 1 to 6 tokens deep: its first choice is the verifier's on greedy text after the benchmark's
openings **{depths(m['eagle']['acceptance']['benchmark_greedy']['greedy_equal'])}** and after those of held-out stories **{depths(m['eagle']['acceptance']['held_out_greedy']['greedy_equal'])}**;
mean of sum(min(p, q)) on sampled text {depths(m['eagle']['acceptance']['benchmark_sampled']['sum_min_p_q'])} and {depths(m['eagle']['acceptance']['held_out_sampled']['sum_min_p_q'])}.
A draft step, its share of the pass over accepted tokens included, takes c = **{m['eagle']['c']:.3f}** of a verifier step (one thread, lean passes).

First choice of Medusa head 1, 2, ... = the verifier's greedy token, on its greedy text: {', '.join(f'{x:.3f}' for x in m['head_accuracy'])}.

Time of one cached pass behind 100 tokens (one thread of a shared two-core CPU, medians of seven rounds, noisy): verifier
one token {m['verifier_ms']['1']:.1f} ms, drafter {m['drafter_ms']:.1f} ms, so c = **{m['c']:.3f}** ({m['c_range'][0]:.3f} to {m['c_range'][1]:.3f} over the rounds). That is each model
called again and again; in turn with the verifier, which pushes the drafter's weights out of the processor's cache, c = {m['c_in_turn']:.3f}.
v(n), the cost of n tokens over the cost of
one: {_pieces(m['v'], '{:.2f}')}.

Six openings, 60 greedy tokens each; {m['openings_without_repeat']} of {len(m['openings'])} repeat no sentence word for word. They are the last six of the
benchmark's {m['all_openings']} openings, of which {m['all_without_repeat']} repeat none ({m['all_begun_without_repeat']} when begun as every story in training begins, behind
`<|endoftext|>`); of {m['held_out_openings']} held-out stories continued from their first eight tokens, {m['held_out_without_repeat']} repeat none:

{texts}

## Limits
It knows the words and plots of stories for small children and nothing else: no facts, no instructions, no code. Long
continuations lose the thread. It is a teaching model; do not build on what it says.
"""
