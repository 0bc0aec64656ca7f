"""How the bundled pair is made, on a verifier small enough to train with in a second."""
import json
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from training.__main__ import main
from training.data import Windows
from training.drafter import distillation_loss, start_from, train_drafter
from training.eagle import STAGES, HeadLoss, new_eagle, train_eagle
from training.eagle_measures import acceptance_by_depth, measured_texts
from training.eagle_texts import TEXTS, Texts, brief_openings, feature_library, openings, runs_of
from training.evaluate import repeated_sentence
from training.heads import head_accuracy, train_heads
from training.library import verifier_library, write_text
from training.loop import products_by_onednn
from training.verifier import new_model

EOS = 0


@pytest.fixture(scope="module")
def verifier():
    with torch.random.fork_rng():
        model = new_model(2, 40, EOS, seed=3, width=16, heads=2).eval()
    with torch.no_grad():
        model.transformer.wte.weight.mul_(30)  # no two logits nearly tie
    return model


@pytest.fixture(scope="module")
def windows():
    rng = torch.Generator().manual_seed(1)
    return Windows([torch.randint(1, 40, (30,), generator=rng).tolist() for _ in range(60)], EOS, seed=1)


@pytest.fixture(scope="module")
def library(verifier, windows, tmp_path_factory):
    with torch.random.fork_rng():
        return verifier_library(verifier, windows, 5, tmp_path_factory.mktemp("runs") / "library.pt", batches=2, rows=4, opening=6, length=24)


def test_library_rows_are_the_verifiers_text_with_the_states_it_had(verifier, library):
    assert library.ids.shape == (8, 24) and library.hidden.shape == (8, 24, 16)
    logits = verifier(library.ids).logits
    torch.testing.assert_close(verifier.lm_head(library.hidden.float()), logits, atol=5e-2, rtol=0)
    greedy = library.ids[0::4]  # every fourth row is written greedily
    assert torch.equal(verifier(greedy).logits[:, 5:-1].argmax(-1), greedy[:, 6:])


def test_text_is_written_greedily_at_temperature_zero_and_otherwise_not(verifier):
    opening = torch.tensor([[EOS, 5, 6]] * 2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ids, _ = write_text(verifier, opening, 12, torch.tensor([0.0, 5.0]))
    assert ids.shape == (2, 15) and not torch.equal(ids[0], ids[1])


def test_a_librarys_batch_depends_on_its_seed_alone(library):
    assert torch.equal(library.batch(3, 7)[0], library.batch(3, 7)[0])
    assert not torch.equal(library.batch(3, 7)[0], library.batch(3, 8)[0])


def test_distillation_loss_goes_from_kl_to_twice_the_total_variation():
    p, q = torch.randn(5, 9), torch.randn(5, 9)
    one, two = torch.softmax(p, -1), torch.softmax(q, -1)
    kl = (one * (one / two).log()).sum(-1).mean()
    torch.testing.assert_close(distillation_loss(p, q, 0.0), kl)
    torch.testing.assert_close(distillation_loss(p, q, 1.0), 2 * (1 - torch.minimum(one, two).sum(-1).mean()))
    assert distillation_loss(p, p, 0.5).abs() < 1e-6


def test_drafter_starts_with_the_mlps_of_two_blocks_side_by_side(verifier):
    drafter = new_model(2, 40, EOS, seed=4, width=16, heads=2, inner=128)
    start_from(drafter, verifier)
    x = torch.randn(3, 16)
    first, second = verifier.transformer.h[0].mlp, verifier.transformer.h[1].mlp
    torch.testing.assert_close(drafter.transformer.h[0].mlp(x), first(x) + second(x))
    assert torch.equal(drafter.transformer.wte.weight, verifier.transformer.wte.weight)


def test_drafter_and_heads_learn_and_go_on_from_their_checkpoint(verifier, windows, library, tmp_path):
    with torch.random.fork_rng():
        _, history = train_drafter(verifier, library, windows, 6, tmp_path, seed=2, rows=4)
        assert history[-1]["step"] == 6 and (tmp_path / "drafter.pt").exists()
        heads, history = train_heads(verifier, library, 40, tmp_path, seed=2, rows=4)
        again, same = train_heads(verifier, library, 40, tmp_path, seed=2, rows=4)
    assert history == same and history[-1]["step"] == 40
    assert all(torch.equal(a, b) for a, b in zip(heads.state_dict().values(), again.state_dict().values()))
    accuracy = head_accuracy(verifier, heads, library.ids, library.hidden, 6)
    assert len(accuracy) == 4 and all(0 <= share <= 1 for share in accuracy)


@pytest.mark.parametrize("text, repeats", [("He ran. He sat. He ran.", True), ("He ran. He sat!", False), ("Yes. Yes. Yes.", False)])
def test_repeated_sentences_are_found_word_for_word(text, repeats):
    assert repeated_sentence(text) is repeats


# -- the eagle drafter

STORIES = [f"{'ABCDEFGHIJ'[i % 10]}{i} ran to the big house number {i}. It was {i + 7} days old then. Mia{i} said so, too, to {i} friends!"
           for i in range(40)]


def letters(text):
    return [1 + ord(letter) % 39 for letter in text]


def test_openings_differ_vary_in_length_and_leave_out_what_is_kept_for_measuring():
    begun = openings(STORIES, letters, EOS, seed=3, avoid=["A0 ran away", "It was a dark night"])
    inner = [ids[ids[0] == EOS:] for ids in begun]
    assert len({tuple(ids[:6]) for ids in inner}) == len(inner) > 60
    assert {*range(4, 25)} >= {len(ids) for ids in inner} and len({len(ids) for ids in inner}) > 12
    assert 0.2 < sum(ids[0] == EOS for ids in begun) / len(begun) < 0.6
    assert not any(ids[:5] in (letters("A0 ra"), letters("It wa")) for ids in inner)
    assert openings(STORIES, letters, EOS, seed=3) != openings(STORIES, letters, EOS, seed=4)


def test_brief_openings_differ_are_short_and_begin_as_no_benchmark_does():
    begun = brief_openings(STORIES, letters, EOS, seed=3, avoid=["A0 ran to the big house", "B1"])
    inner = [ids[ids[0] == EOS:] for ids in begun]
    assert len({tuple(ids) for ids in inner}) == len(inner) > 60 and {len(ids) for ids in inner} == {*range(4, 13)}
    assert 0.1 < sum(ids[0] == EOS for ids in begun) / len(begun) < 0.35
    assert not any(ids == letters("A0 ran to the big house")[:len(ids)] or ids[:2] == letters("B1") for ids in inner)


FEW = {"short": Texts(3, 20, 4, (0.0, 1.0)), "long": Texts(2, 30, 4, (0.0, 1.0)), "brief": Texts(2, 24, 4, (1.0,), brief=True)}


@pytest.fixture(scope="module")
def turning(verifier):
    """The verifier with an output matrix of its own: token t + 1 is likely after t."""
    model = deepcopy(verifier)
    model.lm_head.weight = torch.nn.Parameter(model.transformer.wte.weight.detach().roll(1, dims=0))
    return model


@pytest.fixture(scope="module")
def features(turning, tmp_path_factory):
    begun = [ids[:5] for ids in openings(STORIES, letters, EOS, seed=3)]
    file = tmp_path_factory.mktemp("runs") / "features.pt"
    with torch.random.fork_rng():
        made = feature_library(turning, begun, begun, [], 5, file, FEW, 6, (0, 1, 2))
    read = feature_library(turning, [], [], [], 5, file)
    assert all(torch.equal(made[name].hidden, read[name].hidden) for name in FEW)
    return made


def test_features_are_the_states_of_the_layers_that_the_drafter_reads(turning, features):
    assert features["short"].ids.shape == (18, 20) and features["long"].hidden.shape == (12, 30, 3 * 16)
    states = turning(features["short"].ids, output_hidden_states=True).hidden_states
    expected = torch.cat([states[layer] for layer in (0, 1, 2)], dim=-1)
    torch.testing.assert_close(features["short"].hidden.float(), expected, atol=2e-2, rtol=1e-2)


def test_what_is_measured_on_is_left_out_of_the_brief_texts_and_too_few_stories_are_one_sentence(turning, features, tmp_path):
    begun, measured = [ids[:5] for ids in openings(STORIES, letters, EOS, seed=3)], features["brief"].ids[:4].tolist()
    with torch.random.fork_rng():
        made = feature_library(turning, begun, begun, measured, 5, tmp_path / "features.pt", FEW, 6, (0, 1, 2))
    assert 0 < len(features["brief"].ids) - len(made["brief"].ids) and len(made["short"].ids) == 18
    assert runs_of(made["brief"].ids.tolist()).isdisjoint(runs_of(measured))
    with pytest.raises(ValueError, match="The openings give 0 batches of 6 and 2 are needed: give more stories"):
        feature_library(turning, begun, [], [], 5, tmp_path / "other.pt", FEW, 6, (0, 1, 2))


def test_stages_have_the_rates_turns_and_mixes_of_the_recipe():
    first, second = STAGES
    assert [first.factor(step) for step in (0, 39, 800)] == pytest.approx([1 / 40, 1, 1]) and first.factor(2000) == pytest.approx(0.02)
    assert second.factor(39) == pytest.approx(0.3, rel=0.02) and second.factor(2400) == pytest.approx(0.0045)
    assert [first.mix(step) for step in (600, 1100, 1600)] == pytest.approx([0, 0.5, 1]) and second.mix(0) == 1
    for stage in STAGES:
        seen = {name: [] for name in TEXTS}
        for step in range(40):
            name, turn = stage.turn(step)
            seen[name].append(turn)
        assert all(turns == [*range(len(turns))] for turns in seen.values())


@pytest.mark.parametrize("mix, sharp", [(0.0, 0.5), (1.0, 0.0), (0.6, 0.5)])
def test_gradients_of_the_blockwise_loss_are_those_of_its_formula(mix, sharp):
    states, matrix = torch.randn(7, 5, dtype=torch.float64, requires_grad=True), torch.randn(9, 5, dtype=torch.float64, requires_grad=True)
    p = torch.softmax(3 * torch.randn(7, 9, dtype=torch.float64), dim=-1)
    value = HeadLoss.apply(states, matrix, p, mix, sharp, 3)
    one = torch.autograd.grad(value, (states, matrix))
    q = torch.softmax(states @ matrix.T, dim=-1)
    kl, distance = (p * (p / q).log()).sum(-1), (p - q).abs().sum(-1)
    sharper = [x ** 2 / (x ** 2).sum(-1, keepdim=True) for x in (p, q)]
    loss = ((1 - mix) * kl + mix * ((1 - sharp) * distance + sharp * (sharper[0] - sharper[1]).abs().sum(-1))).mean()
    for a, b in zip(one, torch.autograd.grad(loss, (states, matrix)), strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(value, distance.mean() / 2)


def test_autocast_rounds_the_gradients_of_the_blockwise_loss_and_not_its_probabilities():
    states, matrix = (20 * torch.randn(40, 32)).requires_grad_(), torch.randn(50, 32, requires_grad=True)
    p = torch.softmax(states.detach() @ matrix.detach().T + torch.randn(40, 50), dim=-1)
    exact = HeadLoss.apply(states, matrix, p, 0.5, 0.5)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = HeadLoss.apply(states, matrix, p, 0.5, 0.5)
    assert rounded == exact and rounded.dtype == torch.float32
    for a, b in zip(torch.autograd.grad(rounded, (states, matrix)), torch.autograd.grad(exact, (states, matrix)), strict=True):
        assert a.dtype == torch.float32 and 1e-5 < (a - b).norm() / b.norm() < 1e-2


def test_eagle_drafter_learns_and_goes_on_from_its_checkpoint(turning, features, tmp_path):
    texts = [(row.tolist(), 5) for row in features["long"].ids]
    with torch.random.fork_rng():
        options = dict(inner=24, layers=(0, 1, 2))
        eagle, history = train_eagle(turning, features, 400, tmp_path, 2, **options)
        again, same = train_eagle(turning, features, 400, tmp_path, 2, **options)
        fresh = new_eagle(turning, 1.0, 2, **options)
    assert history == same and history[-1]["step"] == 400
    assert all(torch.equal(a, b) for a, b in zip(eagle.state_dict().values(), again.state_dict().values()))
    before, after = (acceptance_by_depth(turning, drafter, texts, depth=3) for drafter in (fresh, eagle))
    for name in ("greedy_equal", "sum_min_p_q"):
        assert len(after[name]) == 3 and all(0 <= x < y - 0.1 <= 1 for x, y in zip(before[name], after[name]))


@pytest.fixture
def exported(tmp_path, byte_tokenizer, monkeypatch):
    """Folder and arguments of a toy: a random verifier as exported, texts of 30 tokens, measurements of everything else."""
    with torch.random.fork_rng():
        new_model(2, len(byte_tokenizer), len(byte_tokenizer) - 1, seed=3, width=16, heads=2).save_pretrained(tmp_path / "verifier")
    byte_tokenizer.save_pretrained(tmp_path / "verifier")
    shipped = Path("specdec_utils/pairs/stories/measurements.json")
    (tmp_path / "measurements.json").write_text(shipped.read_text(encoding="utf-8"), encoding="utf-8")
    for name, part in (("text", STORIES), ("validation", STORIES[:6])):
        (tmp_path / name).write_text("\n<|endoftext|>\n".join(part), encoding="utf-8")
    few = {name: replace(text, length=40) for name, text in FEW.items()}
    monkeypatch.setattr("training.__main__.feature_library", partial(feature_library, texts=few, rows=4, layers=(0, 1, 2)))
    monkeypatch.setattr("training.__main__.train_eagle", partial(train_eagle, inner=24, layers=(0, 1, 2)))
    monkeypatch.setattr("training.__main__.measured_texts", partial(measured_texts, length=80, count=4))
    monkeypatch.setattr("training.__main__.OPENINGS", ["A dog ran", "The cat sat on a mat"])
    arguments = ["--text", tmp_path / "text", "--validation", tmp_path / "validation", "--work", tmp_path / "runs", "--out", tmp_path]
    return tmp_path, [*map(str, arguments), "--eagle-steps", "6"]


def test_command_trains_the_eagle_drafter_alone_resumes_and_writes_its_part_of_the_card(exported):
    folder, arguments = exported
    shipped, threads = json.loads((folder / "measurements.json").read_text()), torch.get_num_threads()
    with torch.random.fork_rng():
        main(["eagle", *arguments])
        weights, first = (folder / "eagle" / "model.safetensors").read_bytes(), json.loads((folder / "measurements.json").read_text())
        (folder / "eagle" / "model.safetensors").unlink()
        main(["eagle", *arguments])  # from the checkpoint, which is at its end
        assert (folder / "eagle" / "model.safetensors").read_bytes() == weights
        main(["card", *arguments])
    measured = json.loads((folder / "measurements.json").read_text())
    eagle, before = measured.pop("eagle"), first.pop("eagle")
    shipped.pop("eagle", None)
    assert measured == first == shipped and eagle["acceptance"] == before["acceptance"] and eagle["history"] == before["history"]
    assert eagle["parameters"] * 2 == eagle["bytes"] and eagle["c"] > 0 and eagle["steps"] == 6
    assert {*eagle["acceptance"]} == {"benchmark_greedy", "benchmark_sampled", "held_out_greedy", "held_out_sampled"}
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"c = **{eagle['c']:.3f}** of a verifier step" in card and "Eagle drafter: 6 steps" in card
    assert torch.get_num_threads() == threads


def test_training_leaves_the_precision_of_products_as_it_found_it():
    before = torch.get_float32_matmul_precision()
    with pytest.raises(KeyError), products_by_onednn():
        assert torch.get_float32_matmul_precision() == "medium"
        raise KeyError
    assert torch.get_float32_matmul_precision() == before
