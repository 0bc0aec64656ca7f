"""How a chat model's eagle drafter is made: chats that it writes itself, and training on their answers, on a Llama that is tiny."""
import copy
import json
import random
import re
import time
from dataclasses import replace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from specdec_utils.models.eagle import EagleDrafter
from specdec_utils.models.pair import ModelPair
from specdec_utils.text.chat_prompts import CHAT_PROMPTS, CHAT_TUNING
from training import chat_eagle, chat_library, smollm2
from training import chats as chats_of_a_model
from training.__main__ import main
from training.chat_eagle import acceptance_on_chats, drafts_of, expected_pieces, plan, train_chat_eagle
from training.chat_library import Chats
from training.chats import (
    GIVEN,
    GREEDY,
    SAMPLED,
    USER,
    ChatTemplate,
    Turn,
    answers_to,
    asked,
    chat,
    endless,
    faster_dtype,
    product,
    write_chats,
)
from training.eagle import HeadLoss
from training.eagle_measures import acceptance_by_depth
from training.given_texts import TEXT
from training.loop import Muon
from training.user_turns import SYSTEMS, TASK, TOPIC, filled, user_opening, whole_words
from training.whole_turns import CODING, LISTS, QUESTION, STORY, SUMMARY, whole_turn

LAYERS, ROOM, END = (0, 2, 3), 40, 2


class Letters:
    """A chat template of single letters, from token 12 on."""
    end, answer, question, closing = END, [5, 6], [7, 8], None

    def ids(self, text):
        return [12 + ord(letter) % 40 for letter in text]

    def opening(self, system):
        return [4, *self.ids(system or ""), 11]


def brief_chat(template, rng):
    warmth = rng.choice((0.0, 1.0))
    return [Turn(template.opening(rng.choice(("abc", None)))), Turn(template.ids("q" + rng.choice("abcdefg")), 4, 9.0, USER),
            Turn(template.answer, 20, warmth, SAMPLED if warmth else GREEDY)]


@pytest.fixture(scope="module")
def llama():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = LlamaForCausalLM(LlamaConfig(vocab_size=60, hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=4,
                                             num_key_value_heads=2, tie_word_embeddings=True, max_position_embeddings=128,
                                             bos_token_id=1, eos_token_id=END)).eval()
        turned = LlamaForCausalLM(LlamaConfig(**{**model.config.to_dict(), "tie_word_embeddings": False})).eval()
    with torch.no_grad():
        model.model.embed_tokens.weight.mul_(40)
        turned.load_state_dict({**model.state_dict(), "lm_head.weight": model.model.embed_tokens.weight.roll(1, 0)})  # t + 1 after t
    return turned


@pytest.fixture(scope="module")
def chats(llama):
    source = write_chats(llama, Letters(), endless(Letters(), 3, brief_chat), seed=3, rows=4, layers=LAYERS, room=ROOM)
    return Chats.of([next(source) for _ in range(40)])


@torch.inference_mode()
def test_chats_are_the_models_own_with_the_states_and_sums_that_it_had(llama, chats):
    greedily = 0
    for ids, roles, states, logs in zip(chats.ids, chats.roles, chats.states, chats.logs):
        out = llama(ids.long()[None], output_hidden_states=True)
        expected = torch.cat([out.hidden_states[layer][0] for layer in (*LAYERS, -1)], dim=-1)
        torch.testing.assert_close(states.float(), expected, atol=3e-2, rtol=1e-2)
        torch.testing.assert_close(logs, torch.logsumexp(out.logits[0], dim=-1), atol=1e-3, rtol=0)
        greedy = (roles == GREEDY).nonzero()[:, 0]
        assert torch.equal(out.logits[0, greedy - 1].argmax(-1), ids[greedy].long())
        greedily += len(greedy)
    assert greedily > 100


def test_a_chat_is_template_user_template_answer_and_an_end(chats):
    for ids, roles in zip(chats.ids, chats.roles):
        kinds = [int(roles[0]), *(int(b) for a, b in zip(roles, roles[1:]) if a != b)]
        assert kinds in ([GIVEN, USER, GIVEN, role, *last] for role in (GREEDY, SAMPLED) for last in ([], [GIVEN])), kinds
        assert ids[0] == 4 and ids[-1] == END and len(ids) <= ROOM
    assert len({tuple(ids.tolist()) for ids in chats.ids}) > 20


def test_a_chat_does_not_depend_on_the_rows_beside_it(llama):
    """Greedy turns only, so that the text of a chat is its opening's: alone and in a batch in which rows end at different times."""
    def draw(template, rng):
        return [Turn(template.opening("ab")), Turn(template.ids(rng.choice("abcdefgh")), 1 + rng.randrange(5), 0.0, USER),
                Turn(template.answer, 5 + rng.randrange(9), 0.0, GREEDY)]
    found = []
    for rows in (1, 3):
        source = write_chats(llama, Letters(), endless(Letters(), 1, draw), seed=1, rows=rows, layers=LAYERS, room=ROOM)
        found.append({tuple(chat["ids"].tolist()): chat["states"] for chat in (next(source) for _ in range(30))})
    both = found[0].keys() & found[1].keys()
    assert len(both) >= 20
    for ids in both:
        torch.testing.assert_close(found[0][ids], found[1][ids], atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("slow, taken", [(torch.float32, torch.bfloat16), (torch.bfloat16, torch.float32)], ids=["float32 slow", "bfloat16 slow"])
def test_chats_are_written_in_the_dtype_that_is_faster_here(llama, monkeypatch, slow, taken):
    def timed(*layers, rows, dtype):
        return lambda x: time.sleep(0.002 if dtype == slow else 0)
    monkeypatch.setattr(chats_of_a_model, "product", timed)
    assert faster_dtype(llama, 4) == taken


def test_a_product_in_bfloat16_is_nearly_that_in_float32():
    x, layers = torch.randn(5, 24), (torch.nn.Linear(24, 16, bias=False), torch.nn.Linear(24, 8, bias=False))
    found, exact = product(*layers, rows=5, dtype=torch.bfloat16)(x), product(*layers, rows=5, dtype=torch.float32)(x)
    assert found.dtype == torch.float32 and 1e-5 < (found - exact).norm() / exact.norm() < 2e-2
    torch.testing.assert_close(exact, torch.cat([layer(x) for layer in layers], dim=-1), atol=1e-5, rtol=1e-5)


def test_given_prompts_are_all_answered_greedily_and_no_more(llama):
    prompts = ["ab", "c", "abcd", "b", "e", "dd"]
    chats = Chats.of([*write_chats(llama, Letters(), answers_to(Letters(), prompts, 9), seed=1, rows=4, layers=LAYERS, room=100)])
    begun = Letters().opening(SYSTEMS[0])
    found = {tuple(ids[len(begun):][:(roles == GIVEN).sum() - len(begun)].tolist()[:4]) for ids, roles in zip(chats.ids, chats.roles)}
    assert len(chats) == 6 == len(found) and all(ids[:len(begun)].tolist() == begun for ids in chats.ids)
    assert all((roles == GREEDY).sum() <= 9 and not ((roles == USER) | (roles == SAMPLED)).any() for roles in chats.roles)


@pytest.mark.parametrize("closing, ends", [(None, [END]), ([], [])], ids=["as a turn ends", "not at all"])
def test_a_given_prompt_is_closed_as_the_template_closes_a_users_turn(closing, ends):
    template = Letters()
    template.closing = closing
    _, prompt, answer = next(answers_to(template, ["ab"], 9))
    assert prompt.given == template.ids("ab") + ends and answer.given == template.answer


@pytest.mark.parametrize("dtype, near", [(torch.float32, 1e-3), (torch.bfloat16, 2e-2)], ids=["float32", "bfloat16"])
@torch.inference_mode()
def test_chats_of_a_model_that_attends_strongly_come_with_nearly_its_own_states_and_sums(llama, dtype, near):
    strong = copy.deepcopy(llama)
    for layer in strong.model.layers:
        for part in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj, layer.self_attn.o_proj):
            part.weight.mul_(10)
    source = write_chats(strong, Letters(), endless(Letters(), 3, brief_chat), seed=3, rows=4, layers=LAYERS, room=ROOM, dtype=dtype)
    for written in (next(source) for _ in range(12)):
        out = strong(written["ids"].long()[None], output_hidden_states=True)
        states, sums = torch.cat([out.hidden_states[layer][0] for layer in (*LAYERS, -1)], dim=-1), torch.logsumexp(out.logits[0], dim=-1)
        assert (written["states"].float() - states).norm() < near * states.norm()
        assert (written["logs"] - sums).norm() < near * sums.norm()


@torch.inference_mode()
def test_a_text_that_must_be_longer_does_not_end_before_and_its_sums_are_the_models_own(llama):
    def written(least):  # after token 1 the model wants to end
        return next(write_chats(llama, Letters(), iter([[Turn([4, 1], 12, 0.0, USER, None, least), Turn([5, 6], 2, 0.0, GREEDY)]]), seed=1,
                                rows=1, layers=LAYERS, room=ROOM))
    brief, longer = written(0), written(5)
    assert brief["ids"][2] == END and END not in longer["ids"][2:7] and (longer["roles"] == USER).sum() >= 5
    for one in (brief, longer):
        torch.testing.assert_close(one["logs"], torch.logsumexp(llama(one["ids"].long()[None]).logits[0], dim=-1), atol=1e-3, rtol=0)


def test_library_is_kept_goes_on_from_its_files_and_leaves_out_what_is_measured(llama, tmp_path):
    options = dict(rows=4, layers=LAYERS, room=ROOM, draw=brief_chat)
    first = chat_library.chat_library(llama, Letters(), 500, tmp_path, 7, **options)
    files = sorted(tmp_path.iterdir())
    more = chat_library.chat_library(llama, Letters(), first.answers + 1, tmp_path, 7, **options)
    assert first.answers >= 500 and len(first) == 64 * len(files) and len(more) == len(first) + 64
    assert all(torch.equal(one, two) for one, two in zip(first.ids, more.ids))
    assert not any(torch.equal(more.ids[i], more.ids[len(first) + i]) for i in range(8))  # another seed
    known = next(i for i, roles in enumerate(more.roles) if (roles >= GREEDY).sum() > 16)
    left = more.without([more.ids[known][more.roles[known] >= GREEDY].tolist()])
    assert 0 < len(left) < len(more) and not any(torch.equal(more.ids[known], ids) for ids in left.ids)


def test_template_is_the_tokenizers_own_and_kinds_of_users_all_occur(byte_tokenizer):
    template, rng = ChatTemplate(byte_tokenizer), random.Random(5)
    assert byte_tokenizer.decode(template.opening("Be brief.")) == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n"
    assert byte_tokenizer.decode(template.opening(None) + template.answer) == "<|im_start|>user\n\n<|im_start|>assistant\n"
    drawn = [chat(template, rng) for _ in range(300)]
    assert {len(turns) for turns in drawn} == {3, 5} and {turns[2].temperature for turns in drawn} == {0.0, 0.7, 1.0}
    assert all((turns[2].role == GREEDY) == (turns[2].temperature == 0) for turns in drawn)
    own = template.opening(SYSTEMS[0])
    assert 0.6 < sum(turns[0].given == own for turns in drawn) / 300 < 0.9
    openings = [user_opening(rng) for _ in range(2000)]
    assert len({words for words, *_ in openings}) > 1500 and not any("{" in words.split("```")[0] for words, *_ in openings)
    for part in ("story", "What", "ummar", "Python"):
        assert sum(part in words for words, *_ in openings) > 40
    assert all(0 <= least < most for _, least, most in openings)
    assert 0.15 < sum(least >= 40 for _, least, _ in openings) / 2000 < 0.3  # texts to be summed up
    assert not {words for words, *_ in openings} & {words for kind in CHAT_PROMPTS.values() for words in kind}


def test_half_of_the_users_first_turns_are_given_whole(byte_tokenizer):
    template, rng = ChatTemplate(byte_tokenizer), random.Random(5)
    turns = [asked(template, rng) for _ in range(400)]
    whole = [turn for turn in turns if not turn.most]
    assert 160 < len(whole) < 240 and all(turn.role == USER for turn in turns if turn.most)
    assert all(turn.given[-1] == template.end and template.end not in turn.given[:-1] for turn in whole)
    assert all(turns[1].most for turns in (chat(template, rng) for _ in range(400)) if len(turns) > 3)


def test_whole_turns_are_of_all_kinds_hardly_ever_alike_and_none_that_is_measured():
    rng = random.Random(7)
    turns = [whole_turn(rng) for _ in range(4000)]
    assert turns[:5] == [whole_turn(other) for other in [random.Random(7)] for _ in range(5)]
    assert len({*turns}) > 3000 and not any(mark in turn for turn in turns for mark in "{}")
    for part in ("story", "difference between", "Why do", "ummar", "Python"):
        assert sum(part in turn for turn in turns) > 40
    assert all(turn[0].isupper() and turn[-1] in ".?!:`" for turn in turns)
    measured = {words for prompts in (CHAT_PROMPTS, CHAT_TUNING) for kind in prompts.values() for words in kind}
    assert not measured & {*turns}
    fables = [re.search("fable about (.+) and (.+), with", turn) for turn in turns]
    assert sum(map(bool, fables)) > 10 and all(fable[1] != fable[2] for fable in fables if fable)


def test_whole_turns_use_each_list_and_no_other():
    texts = [*STORY, *QUESTION, *SUMMARY, *CODING, *(sentence for lines in TEXT for line in lines for sentence in line),
             *(word for words in LISTS.values() for word in words)]
    assert {name.lower() for text in texts for name in re.findall(r"{(\w+)}", text)} == {*LISTS, "text"}


class Vocabulary:
    def __init__(self, *pieces):
        self.pieces = pieces

    def get_vocab(self):
        return {piece: i for i, piece in reversed([*enumerate(self.pieces)])}


def test_users_also_ask_about_the_words_of_a_vocabulary():
    """Whole words only: parts of words seldom stand there with a capital too."""
    words = whole_words(Vocabulary("Ġfrost", "ĠFrost", "Ġchalleng", "Ġpainting", "ĠPainting", "frost", "▁heron", "▁Heron", "Ġboat", "ĠBoat", "ĠUSA",
                                   "Ġboats", "ĠBoats", "Ġox", "ĠOx", "apricot", "Ġapricot", "ĠApricot"))
    assert words == ("frost", "heron", "boat", "apricot")
    assert whole_words(Vocabulary("a", "b", " ")) == ()
    rng = random.Random(6)
    topics, tasks = ([filled(text, rng, words) for _ in range(1000)] for text in ("{topic}", "{task}"))
    assert 450 < sum(topic in TOPIC for topic in topics) < 550 and 450 < sum(task in TASK for task in tasks) < 550
    assert all(topic in TOPIC or any(word in topic for word in words) for topic in topics)
    assert any("an apricot" in topic for topic in topics) and not any("a apricot" in text for text in topics + tasks)
    openings = [user_opening(rng, words)[0] for _ in range(1000)]
    assert sum(any(word in opening for word in words) for opening in openings) > 200
    assert not any("{" in opening.split("```")[0] for opening in openings)
    assert all(filled("{topic}", rng) in TOPIC for _ in range(100))  # of a vocabulary without words


def test_a_plan_takes_each_chat_once_an_epoch_and_keeps_to_its_size():
    lengths = [20 + 7 * i % 90 for i in range(60)]
    batches, chosen = plan(lengths, 100, 300, seed=2), []
    assert len(batches) == 100 and all(len(batch) * max(lengths[i] for i in batch) <= 300 for batch in batches)
    for batch in batches:
        chosen += batch
    assert sorted(chosen[:60]) == list(range(60)) and batches != plan(lengths, 100, 300, seed=3)


def test_drafts_begin_where_the_next_token_and_the_last_guess_are_the_answers():
    roles = torch.tensor([[GIVEN, USER, GIVEN, GREEDY, GREEDY, GREEDY, GIVEN, GIVEN, SAMPLED, SAMPLED, SAMPLED, SAMPLED, GIVEN]])
    assert drafts_of(roles, 1)[0].nonzero()[:, 0].tolist() == [2, 3, 7, 8, 9]
    assert drafts_of(roles, 2)[0].nonzero()[:, 0].tolist() == [2, 7, 8]
    assert drafts_of(roles, 1).shape == (1, 12) and drafts_of(roles, 2).shape == (1, 11)


@torch.inference_mode()
def test_pieces_are_those_that_the_model_expects_to_write_and_that_users_wrote(llama, chats):
    counts = torch.zeros(60)
    for ids, roles in zip(chats.ids, chats.roles):
        share = torch.softmax(llama(ids.long()[None]).logits[0], dim=-1)
        for t, role in enumerate(roles.tolist()):
            if role >= GREEDY:
                counts += share[t - 1]
            elif role == USER:
                counts[ids[t]] += 1
    few = expected_pieces(chats, llama.lm_head.weight, 8)  # from states in half precision, so that near ties may go the other way
    assert counts[few].sum() > 0.99 * counts.topk(8).values.sum() and few.tolist() == sorted({*few.tolist()})


@pytest.mark.parametrize("mix", [0.0, 0.6, 1.0])
def test_what_the_drafter_cannot_write_counts_as_one_more_token(mix):
    """The loss over all pieces, its gradient by the states of those pieces that it can write: the rest has q = 0."""
    states, matrix = torch.randn(7, 5, dtype=torch.float64, requires_grad=True), torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    p = torch.softmax(2 * torch.randn(7, 7, dtype=torch.float64), dim=-1)  # the seventh is the one that cannot be written
    value = HeadLoss.apply(states, matrix, p[:, :6], mix, 0.5, 3)
    one = torch.autograd.grad(value, (states, matrix))
    q = torch.softmax(states @ matrix.T, dim=-1)
    kl = (p[:, :6] * (p[:, :6] / q).log()).sum(-1)
    q = torch.cat([q, torch.zeros(7, 1, dtype=torch.float64)], dim=-1)
    sharper = [x ** 2 / (x ** 2).sum(-1, keepdim=True) for x in (p, q)]
    loss = ((1 - mix) * kl + mix * 0.5 * ((p - q).abs().sum(-1) + (sharper[0] - sharper[1]).abs().sum(-1))).mean()
    for a, b in zip(one, torch.autograd.grad(loss, (states, matrix)), strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(value, (p - q).abs().sum(-1).mean() / 2)


@pytest.mark.parametrize("shape", [(6, 20), (20, 6)])
def test_muon_is_torchs_but_for_its_precision(shape):
    start, ends = torch.randn(shape), []
    for cls in (Muon, torch.optim.Muon):
        weight = torch.nn.Parameter(start.clone())
        optimizer = cls([weight], lr=0.1, weight_decay=0.1)
        for step in range(3):
            weight.grad = torch.randn(shape, generator=torch.Generator().manual_seed(step))
            optimizer.step()
        ends.append(weight.detach() - start)
    assert (ends[0] - ends[1]).norm() < 0.03 * ends[1].norm()
    values = torch.linalg.svdvals(Muon.orthogonal(torch.randn(shape)))
    assert values.min() > 0.4 and values.max() < 1.3


def test_chat_eagle_learns_goes_on_from_its_checkpoint_and_reads_unscaled_features(llama, chats, tmp_path):
    options = dict(inner=32, pieces=40, layers=LAYERS, tokens=300, every=60)
    texts = [(ids.tolist(), int((roles >= GREEDY).nonzero()[0])) for ids, roles in zip(chats.ids, chats.roles) if (roles == GREEDY).any()]
    with torch.random.fork_rng():
        fresh, _ = train_chat_eagle(llama, chats, 1, tmp_path / "fresh", 2, **options)
        seen = []
        eagle, history = train_chat_eagle(llama, chats, 120, tmp_path, 2, evaluate=lambda drafter: seen.append(drafter) or 0.5, **options)
        again, same = train_chat_eagle(llama, chats, 120, tmp_path, 2, **options)
    assert history == same and [record["step"] for record in history] == [60, 120] and history[-1]["validation"] == 0.5
    for one, two, three in zip(eagle.state_dict().values(), again.state_dict().values(), seen[-1].state_dict().values(), strict=True):
        assert torch.equal(one, two) and torch.equal(one, three)
    before, after = (acceptance_by_depth(llama, drafter, texts, depth=3) for drafter in (fresh, eagle))
    stored = acceptance_on_chats(llama, eagle, chats, GREEDY, depth=3)  # the same but for the marks of the answers' ends
    for one, other in zip(stored["equal"] + stored["sum_min_p_q"], after["greedy_equal"] + after["sum_min_p_q"], strict=True):
        assert abs(one - other) < 0.15
    assert eagle.draft_ids.tolist() == expected_pieces(chats, llama.lm_head.weight.detach(), 40).tolist() and len(eagle.draft_ids) == 40
    matrix = llama.lm_head.weight.detach()[eagle.draft_ids]
    assert 0 < (eagle.lm_head.weight - matrix).norm() < 0.1 * matrix.norm()  # begins as the model's and learns too
    assert all(y > x + 0.1 and y > 0.8 for x, y in zip(before["greedy_equal"], after["greedy_equal"]))


def test_it_learns_after_answers_alone_with_noise_that_falls_to_nothing(llama, chats, tmp_path, monkeypatch):
    noise, learnt, unroll, loss = [], [], EagleDrafter.unroll, chat_eagle.unrolled_loss
    lengths = {tuple(ids.tolist()): int((roles >= GREEDY).sum()) for ids, roles in zip(chats.ids, chats.roles)}

    def seen(self, features, ids, *rest):
        noise.append(features[:, -1].std().item())  # behind a chat the states are nothing else
        learnt.append([sum(lengths[key] for row in ids.tolist() for key in lengths if tuple(row[:len(key)]) == key)])
        return unroll(self, features, ids, *rest)

    def counted(eagle, outputs, targets, *rest):
        learnt[-1].append(len(targets[0]))
        return loss(eagle, outputs, targets, *rest)
    monkeypatch.setattr(EagleDrafter, "unroll", seen)
    monkeypatch.setattr(chat_eagle, "unrolled_loss", counted)
    with torch.random.fork_rng():
        train_chat_eagle(llama, chats, 20, tmp_path, 2, inner=32, pieces=40, layers=LAYERS, tokens=300)
    assert noise == pytest.approx([0.1 * (1 - step / 20) for step in range(20)], rel=0.3)
    assert all(0.8 * answers < rows <= answers for answers, rows in learnt)  # the first token of an answer follows its mark, not a draft


def test_products_of_the_training_are_in_the_dtype_that_is_faster_here_and_its_weights_in_float32(llama, chats, tmp_path, monkeypatch):
    learnt = []
    for dtype in (torch.float32, torch.bfloat16):
        monkeypatch.setattr(chat_eagle, "faster_dtype", lambda model, rows, dtype=dtype: dtype)
        with torch.random.fork_rng():
            eagle, _ = train_chat_eagle(llama, chats, 120, tmp_path / str(dtype), 2, inner=32, pieces=40, layers=LAYERS, tokens=300)
        assert all(weight.dtype == torch.float32 for weight in eagle.parameters())
        assert min(acceptance_on_chats(llama, eagle, chats, GREEDY, depth=3)["equal"]) > 0.8
        learnt.append(eagle)
    one, other = (torch.cat([weight.flatten() for weight in eagle.parameters()]) for eagle in learnt)
    assert 0 < (one - other).norm() < 0.2 * one.norm()


def test_a_run_that_goes_on_keeps_its_pieces_and_learns_towards_these_though_more_chats_have_come(llama, chats, tmp_path):
    options = dict(inner=32, pieces=40, layers=LAYERS, tokens=300, every=60)
    few, matrix = chats.part([*range(4)]), llama.lm_head.weight.detach()
    with torch.random.fork_rng():
        begun, _ = train_chat_eagle(llama, few, 60, tmp_path, 2, **options)
        more, history = train_chat_eagle(llama, chats, 120, tmp_path, 2, **options)
    assert expected_pieces(few, matrix, 40).tolist() != expected_pieces(chats, matrix, 40).tolist()
    assert more.draft_ids.tolist() == begun.draft_ids.tolist() and [record["step"] for record in history] == [60, 120]
    assert (more.lm_head.weight - matrix[more.draft_ids]).norm() < 0.1 * matrix.norm()
    assert min(acceptance_on_chats(llama, more, chats, GREEDY, depth=3)["equal"]) > 0.8  # towards other pieces: never right


def test_command_writes_chats_trains_measures_and_writes_the_card(llama, byte_tokenizer, tmp_path, monkeypatch):
    config = LlamaConfig(vocab_size=len(byte_tokenizer), hidden_size=16, intermediate_size=24, num_hidden_layers=7, num_attention_heads=2,
                         num_key_value_heads=1, max_position_embeddings=700, bos_token_id=1, eos_token_id=3)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = LlamaForCausalLM(config).eval()
    monkeypatch.setattr(byte_tokenizer, "chat_template", "{% for m in messages %}{{ m['content'] }}{% endfor %}:")
    monkeypatch.setattr(smollm2, "load_pair", lambda name, device: ModelPair(None, model, byte_tokenizer, name=name))
    prompts = {"story": ("Tell",), "question": ("Why?",), "summary": ("Sum up: a b",), "code": ("def f",)}
    for module, few in ((smollm2, dict(CHAT_PROMPTS=prompts, HELD_OUT=6, LENGTH=12, CHAIN=replace(smollm2.CHAIN, max_new_tokens=12))),
                        (chat_library, dict(SHARD=16))):
        for name, value in few.items():
            monkeypatch.setattr(module, name, value)
    arguments = ["--work", str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--answers", "100", "--eagle-steps", "3"]
    with torch.random.fork_rng():
        main(["smollm2", *arguments])
    card, weights = (tmp_path / "out" / "MODEL_CARD.md").read_text(encoding="utf-8"), tmp_path / "out" / "eagle" / "model.safetensors"
    measured = json.loads((tmp_path / "out" / "measurements.json").read_text(encoding="utf-8"))
    assert {*measured["tokens_a_pass"]} == {*measured["acceptance"]} == {*prompts} and measured["mean_tokens_a_pass"] >= 1
    assert {*measured["tokens_a_pass_own_pieces"]} == {*prompts} and measured["mean_tokens_a_pass_own_pieces"] >= 1
    assert f"c = **{measured['c']:.3f}** of a verifier step" in card and measured["bytes"] == weights.stat().st_size
    kept = weights.read_bytes()
    with torch.random.fork_rng():
        main(["smollm2-card", *arguments])
    again = json.loads((tmp_path / "out" / "measurements.json").read_text(encoding="utf-8"))
    assert weights.read_bytes() == kept and {**again, "c": 0} == {**measured, "c": 0}
