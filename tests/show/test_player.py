"""The generation player and its static twin, driven without a browser."""
import html
import re
import time

import pytest
from stepping_pages import frames_of, given_data

from specdec_utils import Cfg, generate
from specdec_utils.decode.records import BranchRecord, Generation, Step
from specdec_utils.show.player import GenerationPlayer, moments, player_frames, token_kinds
from specdec_utils.show.style import GOOD, VERIFY

WORDS = [" the", " dog", " <b>", "\n", " ran", " home", ".", "<|end|>"]


class Words:
    def decode(self, ids, **_):
        return "".join(WORDS[i] for i in ids)


TOKENIZER = Words()


def greedy():
    steps = [Step(2 + i, [], None, [token], token, 1) for i, token in enumerate([4, 5, 6, 7])]
    return Generation("", [0, 1], [4, 5, 6, 7], steps, 4, 0, 0.0, "eos", "greedy")


def record(tokens, accepted, mismatched):
    return BranchRecord(tokens, [0.5] * len(tokens), [], [], [], accepted, mismatched, accepted - mismatched)


def original():
    """Two steps, of three verifier passes and of two; the second is accepted whole and adds no token of the verifier's own."""
    steps = [Step(2, [record([2, 5], 0, True), record([4, 3], 1, True)], 1, [4, 5], 5, 3, 3),
             Step(4, [record([6, 7], 2, False)], 0, [6, 7], None, 2, 2)]
    return Generation("", [0, 1], [4, 5, 6, 7], steps, 5, 5, 0.0, "eos", "medusa_lite")


def words(source):
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]+>", " ", source))).strip()


def table(source):
    """Row title -> the text of its cells."""
    rows = re.findall(r'(?s)<tr[^>]*><th scope="row"[^>]*>(.*?)</th>(.*?)</tr>', source)
    return {words(title): [words(cell) for cell in re.findall(r"(?s)<td[^>]*>(.*?)</td>", cells)] for title, cells in rows}


def test_moments_count_verifier_passes():
    found = moments(original())
    assert [moment.verifier for moment in found] == list(range(6))
    assert [moment.written for moment in found] == [0, 0, 0, 2, 2, 4]
    assert [moment.inside for moment in found] == [0, 1, 2, 0, 1, 0]
    assert [moment.drafter for moment in found] == [0, 0, 0, 3, 3, 5]
    assert [moment.written for moment in moments(greedy())] == [0, 1, 2, 3, 4]


def test_kinds_tell_drafts_from_the_verifiers_own_tokens():
    assert [token_kinds(step) for step in original().steps] == [["accepted", "replaced"], ["accepted", "accepted"]]
    assert token_kinds(greedy().steps[0]) == ["replaced"]
    cut = Step(2, [record([4, 5, 6], 2, True)], 0, [4, 5], 3, 3)  # an end of text inside the accepted part
    assert token_kinds(cut) == ["accepted", "accepted"]


def test_each_frame_is_one_verifier_pass():
    player = GenerationPlayer({"alone": greedy(), "drafted": original()}, TOKENIZER)
    assert (player.frame_field.min, player.frame_field.max, player.frame_field.value) == (0, 5, 0)
    expected = [("the prompt", "the prompt"), ("adds 1: → ␣ran", "pass 1 of 3 of this step: still checking"),
                ("adds 1: → ␣home", "pass 2 of 3 of this step: still checking"), ("adds 1: → .", "adds 2: ✓ ␣ran → ␣home"),
                ("adds 1: → <|end|> · finished (eos)", "pass 1 of 2 of this step: still checking"),
                ("finished (eos)", "adds 2: ✓ . ✓ <|end|> · finished (eos)")]
    written = [("0", "0"), ("1", "0"), ("2", "0"), ("3", "2"), ("4", "2"), ("4", "4")]
    for number, (events, counts) in enumerate(zip(expected, written)):
        shown = table(player.body.value)
        assert f"after {number} verifier pass" in words(player.body.value)
        assert shown["this pass"] == list(events)
        assert [cell.split(" of ")[0] for cell in shown["tokens written"]] == list(counts)
        assert [cell.split(" ")[0] for cell in shown["verifier passes"]] == [str(min(number, 4)), str(number)]
        if number < 5:
            player.step_button.click()
    assert shown["verifier passes"] == ["4 (1.00 tokens each)", "5 (0.80 tokens each)"]
    assert shown["drafter passes"] == ["0", "5"]
    assert player.step_button.disabled and player.play_button.disabled


def test_chips_carry_sign_and_colour_and_only_the_newest_step_is_underlined():
    player = GenerationPlayer([original()], TOKENIZER)
    player.frame_field.value = 3
    chip = re.compile(r"border:2px \w+ (#\w+);[^>]*>(✓|→) ([^<]+)<")
    assert chip.findall(player.body.value) == [(GOOD, "✓", "␣ran"), (VERIFY, "→", "␣home")]
    assert player.body.value.count("border-bottom:4px") == 1
    player.frame_field.value = 4  # inside the next step nothing is new
    assert player.body.value.count("border-bottom:4px") == 0
    player.frame_field.value = 5
    underlined = re.search(r'(?s)border-bottom:4px[^>]*>(.*?)</span>', player.body.value)[1]
    assert words(underlined) == "✓ . ✓ <|end|>"
    assert "<|end|>" not in player.body.value


def test_controls_are_those_of_the_stepper():
    player = GenerationPlayer([greedy(), original()], TOKENIZER, seconds=0.01)
    first = player.body.value
    assert player.back_button.disabled and player.reset_button.disabled
    player.step_button.click()
    player.back_button.click()
    assert player.body.value == first
    player.play_button.click()
    until = time.monotonic() + 5
    while player.frame_field.value < 5 and time.monotonic() < until:
        time.sleep(0.005)
    assert player.frame_field.value == 5 and player.play_button.description == "Play"
    player.reset_button.click()
    assert player.body.value == first
    assert player.step_button.tooltip == "Show the next verifier pass"


def test_opened_unrun_it_shows_its_last_frame():
    player = GenerationPlayer([greedy(), original()], TOKENIZER)
    shown = table(player._repr_html_())
    assert [cell.split(" ")[0] for cell in shown["tokens written"]] == ["4", "4"]


def test_static_twin_has_the_frames_of_the_player():
    player, seen = GenerationPlayer([greedy(), original()], TOKENIZER), []
    for passes in range(6):
        player.frame_field.value = passes
        seen.append(player.body.value)
    data = given_data(player_frames([greedy(), original()], TOKENIZER))
    assert frames_of(data) == seen and (data["first"], data["label"], data["unit"]) == (0, "Pass", "verifier pass")


def folded_table(page):
    """The table under the frames."""
    return table(re.search("(?s)<details>(.*)</details>", page._repr_html_())[1])


def test_static_twin_has_a_table_with_a_row_a_pass():
    frames = player_frames([greedy(), original()], TOKENIZER)
    assert repr(frames) == ("Played side by side: greedy: 4 tokens in 4 verifier and 0 drafter passes; "
                            "medusa_lite: 4 tokens in 5 verifier and 5 drafter passes")
    assert folded_table(frames) == {
        "1": ["→ ␣ran 1", "…"], "2": ["→ ␣home 2", "…"], "3": ["→ . 3", "✓ ␣ran → ␣home 2"], "4": ["→ <|end|> 4", "…"],
        "5": ["", "✓ . ✓ <|end|> 4"]}


def test_static_twin_merges_passes_that_bring_nothing():
    assert folded_table(player_frames([original()], TOKENIZER)) == {
        "1 to 3": ["✓ ␣ran → ␣home 2"], "4 to 5": ["✓ . ✓ <|end|> 4"]}


def test_names_come_from_the_methods():
    heads = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', GenerationPlayer([greedy(), greedy(), original()], None).body.value)
    assert heads == ["greedy 1", "greedy 2", "medusa_lite"]
    heads = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', GenerationPlayer({"<b>": greedy()}, None).body.value)
    assert heads == ["&lt;b&gt;"]
    assert "<5>" in words(GenerationPlayer(greedy(), None)._repr_html_())


def test_unusable_records():
    for nothing in ([], {}):
        with pytest.raises(ValueError, match="nothing to play"):
            GenerationPlayer(nothing, TOKENIZER)
    with pytest.raises(TypeError, match="shows Generations"):
        GenerationPlayer(["a text"], TOKENIZER)
    for steps in ([], [Step(1, [], None, [2], 2)]):
        with pytest.raises(ValueError, match="at least one verifier pass"):
            player_frames([Generation("", [0], [], steps, 0, 0, 0.0, "context")], TOKENIZER)


@pytest.mark.parametrize("method", ["greedy", "medusa_lite", "one_pass", "tree", "lookup"])
def test_every_method_can_be_played(stories, method):
    run = generate(stories, "Tom had a big red ball.", Cfg(max_new_tokens=9), method)
    found = moments(run)
    assert (found[-1].written, found[-1].verifier, found[-1].drafter) == (len(run.new_ids), run.verifier_calls, run.drafter_calls)
    for step in run.steps:
        own = token_kinds(step).count("replaced")
        assert own == (step.extra is not None) and len(token_kinds(step)) == len(step.new_ids)
    shown = table(GenerationPlayer([run], stories.tokenizer)._repr_html_())
    assert shown["tokens written"] == [f"{len(run.new_ids)} of {len(run.new_ids)}"]
