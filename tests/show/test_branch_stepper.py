"""The branch stepper and its static twin, driven without a browser."""
import html
import re
import time

import pytest
from stepping_pages import frames_of, given_data

from specdec_utils.decode.records import BranchRecord, Generation, Step
from specdec_utils.show.branch_stepper import BranchStepper, branch_table, step_html, verdict_frames
from specdec_utils.show.style import BAD, GOOD, NEUTRAL, VERIFY

WORDS = [" the", " dog", " <b>", "\n", " ran", " home", ".", "<|end|>"]


class Words:
    def decode(self, ids, **_):
        return "".join(WORDS[i] for i in ids)


TOKENIZER = Words()


def branch(tokens, choices, accepted, mismatched):
    n = len(tokens)
    return BranchRecord(tokens, [0.5, 0.25, 0.125][:n], choices, [0.625] * len(choices), [0.375] * min(len(choices), n), accepted,
                        mismatched, accepted - mismatched)


def matched_step():
    """Branch 2 keeps two of three tokens, branches 1 and 3 none."""
    return Step(2, [branch([2, 3, 6], [4], 0, True), branch([4, 5, 3], [4, 5, 6], 2, True), branch([7, 6, 6], [4], 0, True)],
                1, [4, 5, 6], 6, 5, 9)


def second_step():
    return Step(5, [branch([1], [1], 1, False)], 0, [1], None, 1, 1)


def generation():
    return Generation("", [0, 1], [4, 5, 6, 1], [matched_step(), second_step()], 6, 10, 0.0, "length")


def words(source):
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]+>", " ", source)))


def text(stepper):
    return words(stepper.body.value)


def wait_until(condition, seconds=5.0):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.005)
    assert condition()


def test_frames_follow_the_order_of_the_verdicts():
    assert verdict_frames(matched_step()) == [(0, 0), (1, 0), (1, 1), (1, 2), (2, 0)]


def test_each_frame_reveals_one_more_verdict():
    stepper = BranchStepper(generation(), TOKENIZER)
    total = (5 + 2) + (1 + 2)
    assert stepper.frame_field.max == total
    expected = ["3 branches proposed, nothing checked yet", "branch 1, token 1: ✗ ␣<b> rejected, → ␣ran in its place",
                "branch 2, token 1: ✓ ␣ran accepted", "branch 2, token 2: ✓ ␣home accepted",
                "branch 2, token 3: ✗ ↵ rejected, → . in its place", "branch 3, token 1: ✗ <|end|> rejected, → ␣ran in its place",
                "branch 2 wins with score 1 and adds 3 tokens: ␣ran ␣home .", "1 branch proposed, nothing checked yet",
                "branch 1, token 1: ✓ ␣dog accepted", "branch 1 wins with score 1 and adds 1 token: ␣dog"]
    for number, event in enumerate(expected, 1):
        step = 1 if number <= 7 else 2
        assert f"frame {number} of {total} · step {step} · {event}" in text(stepper)
        verdicts = step_html(generation().steps[step - 1], TOKENIZER).count(">· ")
        assert stepper.body.value.count(">· ") >= verdicts
        if number < total:
            stepper.step_button.click()


def test_unchecked_turns_into_accepted_and_rejected_in_sign_and_colour():
    stepper = BranchStepper(matched_step(), TOKENIZER)
    chips = re.compile(r"border:2px \w+ (#\w+);[^>]*>(✓|✗|→|·) ")
    sign_color = {"✓": GOOD, "✗": BAD, "→": VERIFY, "·": NEUTRAL}

    def signs():
        found = chips.findall(stepper.body.value)
        assert all(sign_color[sign] == color for color, sign in found)
        return "".join(sorted(sign for _, sign in found))

    assert signs() == "·" * 9
    assert "p 0.38" not in text(stepper) and "q 0.50" in text(stepper)
    stepper.step_button.click()
    assert signs() == "".join(sorted("·" * 8 + "✗→"))
    assert "p 0.38" in text(stepper)
    stepper.frame_field.value = 7
    assert signs() == "".join(sorted("✓✓✗✗✗→→→" + "·" * 4))


def test_back_and_reset_and_disabled_buttons():
    stepper = BranchStepper(generation(), TOKENIZER)
    assert stepper.back_button.disabled and stepper.reset_button.disabled and not stepper.step_button.disabled
    first = stepper.body.value
    stepper.step_button.click()
    assert not stepper.back_button.disabled and stepper.body.value != first
    stepper.back_button.click()
    assert stepper.body.value == first
    stepper.frame_field.value = 10
    assert stepper.step_button.disabled and stepper.play_button.disabled and not stepper.reset_button.disabled
    stepper.step_button.click()  # a click that was on its way already
    assert stepper.frame_field.value == 10
    stepper.reset_button.click()
    assert stepper.body.value == first
    stepper.back_button.click()
    assert stepper.frame_field.value == 1


def test_play_runs_to_the_end_and_can_be_stopped():
    stepper = BranchStepper(generation(), TOKENIZER, seconds=0.01)
    stepper.play_button.click()
    wait_until(lambda: stepper.frame_field.value == 10 and stepper.play_button.disabled)
    assert stepper.play_button.description == "Play"
    for stopper in ("play_button", "step_button"):
        slow = BranchStepper(generation(), TOKENIZER, seconds=0.1)
        slow.play_button.click()
        assert slow.play_button.description == "Stop"
        wait_until(lambda slow=slow: slow.frame_field.value > 1)
        getattr(slow, stopper).click()
        assert slow.play_button.description == "Play"
        here = slow.frame_field.value
        time.sleep(0.3)
        assert slow.frame_field.value == here < 10


def test_context_chips_grow_with_the_steps():
    stepper = BranchStepper(generation(), TOKENIZER)
    assert "context: ␣the ␣dog branch" in text(stepper)
    stepper.frame_field.value = 7
    assert "context: ␣the ␣dog + ␣ran ␣home . branch" in text(stepper)
    stepper.frame_field.value = 8
    assert "context: ␣the ␣dog ␣ran ␣home . branch" in text(stepper)
    assert "context: 2 tokens" in text(BranchStepper(matched_step(), TOKENIZER))
    long = Step(40, [branch([4], [4], 1, False)], 0, [4], None)
    assert "16 earlier tokens …" in words(step_html(long, TOKENIZER, [1] * 40))


def test_static_twin_equals_the_last_frame():
    step = matched_step()
    table = branch_table(step, TOKENIZER)
    stepper = BranchStepper(step, TOKENIZER)
    last = stepper._repr_html_()
    assert last in table._repr_html_().partition("<script>")[0]
    stepper.frame_field.value = stepper.frame_field.max
    assert stepper.body.value == last
    assert branch_table(step, TOKENIZER)._repr_html_() == table._repr_html_()
    assert "★ 2 winner" in words(last)
    assert "specdec-stepper" in stepper._dom_classes and "specdec-body" in stepper.body._dom_classes


def test_static_twin_has_the_frames_of_the_widget():
    for record in (generation(), matched_step()):
        stepper, seen = BranchStepper(record, TOKENIZER), []
        for number in range(1, stepper.frame_field.max + 1):
            stepper.frame_field.value = number
            seen.append(stepper.body.value)
        assert frames_of(given_data(branch_table(record, TOKENIZER))) == seen
    assert repr(branch_table(generation(), TOKENIZER)).count("wins with score") == 2


def test_text_twin():
    lines = repr(branch_table(matched_step(), TOKENIZER)).splitlines()
    assert lines[0] == "after 2 tokens: branch 2 wins with score 1 and adds 3 tokens: ␣ran ␣home ."
    assert re.split(r"  +", lines[1]) == ["branch", "token 1", "token 2", "token 3", "score", "adds"]
    assert re.split(r"  +", lines[3]) == ["★ 2", "✓ ␣ran (q 0.50, p 0.38)", "✓ ␣home (q 0.25, p 0.38)",
                                          "✗ ↵ (q 0.12, p 0.38) → . (p 0.62)", "1", "3"]
    assert re.split(r"  +", lines[2].strip())[1:] == ["✗ ␣<b> (q 0.50, p 0.38) → ␣ran (p 0.62)", "· ↵ (q 0.25, p –)",
                                                      "· . (q 0.12, p –)", "-1", "1"]


def test_token_text_is_escaped():
    out = branch_table(matched_step(), TOKENIZER, [2, 7])._repr_html_()
    assert "&lt;b&gt;" in out and "&lt;|end|&gt;" in out
    assert "␣<b>" not in out and "<|end|>" not in out


def test_greedy_steps_ends_of_text_and_bonus_tokens():
    greedy = Step(2, [], None, [4], 4, 1)
    assert repr(branch_table(greedy, TOKENIZER)) == "after 2 tokens: the verifier adds 1 token: ␣ran"
    assert "no draft" in text(BranchStepper(greedy, TOKENIZER))
    cut = Step(2, [branch([4, 7, 5], [4, 7, 5], 3, False)], 0, [4, 7], None)
    assert "adds 2 tokens, cut at the end of the text" in repr(branch_table(cut, TOKENIZER))
    bonus = Step(2, [branch([4, 5], [4, 5, 6], 2, False)], 0, [4, 5, 6], 6)
    assert verdict_frames(bonus) == [(0, 0), (0, 1), (0, 2)]
    assert "→ . (p 0.62)" in repr(branch_table(bonus, TOKENIZER))
    assert "(bonus)" in branch_table(bonus, TOKENIZER)._repr_html_()
    assert repr(branch_table(Step(2, [branch([4], [4], 1, False)], 0, [4], None), None)).count("<4>") == 2


def test_choices_behind_a_mismatch_stay_unchecked():
    """A verifier that answers all positions in one pass knows more than it may use."""
    step = Step(2, [branch([4, 5, 3], [1, 5, 3, 6], 0, True)], 0, [1], 1)
    assert verdict_frames(step) == [(0, 0)]
    assert repr(branch_table(step, TOKENIZER)).count("·") == 2


def test_unusable_records():
    with pytest.raises(TypeError, match="Generation or a Step"):
        BranchStepper("a text", TOKENIZER)
    with pytest.raises(ValueError, match="no steps"):
        BranchStepper(Generation("", [0], [], [], 0, 0, 0.0, "context"), TOKENIZER)
