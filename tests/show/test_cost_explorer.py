"""The alpha-c-gamma explorer: what the card says, what the curve shows, and how the fields move both."""
import re
import xml.etree.ElementTree as xml

import ipywidgets
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stepping_pages import given_data

from specdec_utils.measure.cost import best_gamma, expected_tokens, predicted_speedup
from specdec_utils.show.cost_explorer import MOST, CostCard, CostExplorer, cost_figure, rising

UNIT, RATIO = st.floats(0, 1), st.floats(0, 3)


def picture(card: CostCard):
    return xml.fromstring(re.search(r"<svg.*</svg>", card.card())[0])


def circles(card: CostCard) -> list[tuple[float, float]]:
    """Centres of the small circles of the curve and, last, of the large one at the chosen gamma."""
    return [(float(c.get("cx")), float(c.get("cy"))) for c in picture(card).iter("circle")]


@given(UNIT, RATIO, st.integers(0, MOST), RATIO)
def test_the_card_is_the_formula(alpha, c, gamma, slope):
    card, v = CostCard(alpha, c, gamma, slope), rising(slope)
    assert card.tokens == expected_tokens(alpha, gamma) and card.cost == pytest.approx(gamma * c + 1 + slope * gamma)
    assert card.speedup == predicted_speedup(alpha, gamma, c, v) == pytest.approx(card.tokens / card.cost)
    assert card.best == best_gamma(alpha, c, v) and card.curve[card.best] == max(card.curve) and len(card.curve) == MOST + 1
    assert ("✓" in card.verdict) == (card.speedup >= 1.005) and ("✗" in card.verdict) == (card.speedup <= 0.995)


@pytest.mark.parametrize("state, words, border", [
    ((0.8, 0.2, 4, 0.05), "✓ pays: 1.68 × the speed of the verifier alone at γ = 4", "solid"),
    ((0.3, 0.5, 6, 0.05), "✗ does not pay: 0.33 × the speed of the verifier alone at γ = 6", "dashed"),
    ((0.5, 0.5, 1, 0.0), "= changes nothing: 1.00 × the speed of the verifier alone at γ = 1", "dotted"),
])
def test_verdict_in_words_sign_colour_and_border(state, words, border):
    card = CostCard(*state)
    assert card.verdict == words and words in card.card() and words in repr(card)
    chip = re.search(r"<b style=\"([^\"]*)\"", card.card())[1]
    assert f"2px {border}" in chip and "background-color" in chip


def test_advice():
    assert CostCard(0.8, 0.2, 4, 0.05).advice == "best γ: 3, 1.69 ×"
    assert CostCard(0.1, 0.5).advice == "best γ: 0, do not draft with this drafter"
    assert CostCard(1.0, 0.0, 4, 0.0).advice == "best γ: 16 (the longest shown), 17.00 ×"


@pytest.mark.parametrize("speedup, words", [(1.5, "1.50 × at γ = 4, 11 % below the curve"), (1.85, "1.85 × at γ = 4, 10 % above the curve"),
                                            (1.681, "1.68 × at γ = 4, on the curve")])
def test_measured_point_in_words(speedup, words):
    card = CostCard(0.8, 0.2, 7, 0.05, measured=(4, speedup))
    assert card.comparison == f"measured: {words}" and card.comparison in card.card() and card.comparison in repr(card)
    assert CostCard().comparison == "" and "measured:" not in CostCard().card()


@given(UNIT, RATIO, st.integers(0, MOST), RATIO, st.one_of(st.none(), st.tuples(st.integers(0, MOST), st.floats(0.01, 40))))
def test_the_curve_is_drawn_to_scale(alpha, c, gamma, slope, measured):
    card = CostCard(alpha, c, gamma, slope, measured)
    root, (*points, chosen) = picture(card), circles(card)
    assert len(points) == MOST + 1 and chosen == points[gamma]
    _, _, width, height = map(float, root.get("viewBox").split())
    assert all(0 < x < width and 0 < y < height for x, y in points)
    level = float(next(line for line in root.iter("line") if line.get("stroke-dasharray")).get("y1"))  # speedup 1
    floor = float([line for line in root.iter("line") if line.get("stroke-width") == "2"][-1].get("y2"))  # speedup 0
    for (_, y), value in zip(points, card.curve):
        assert (floor - y) / (floor - level) == pytest.approx(value, abs=0.1 / (floor - level) + 0.01 * value)
    assert sum(text.text == "★" for text in root.iter("text")) == 1
    marks = list(root.iter("path"))
    assert len(marks) == (measured is not None)
    if measured:
        a, b = map(float, marks[0].get("d").split()[1:3])
        assert a == points[int(measured[0])][0]
        assert (floor - b - 7) / (floor - level) == pytest.approx(measured[1], abs=0.1 / (floor - level) + 0.01 * measured[1])


def test_the_picture_has_a_text_alternative():
    root = picture(CostCard(measured=(4, 1.5)))
    assert root.get("role") == "img"
    for words in ("✓ pays: 1.68 ×", "best γ: 3", "measured: 1.50 ×"):
        assert words in root.get("aria-label")


@pytest.mark.parametrize("wrong, complaint", [
    ({"alpha": 1.2}, "alpha=1.2"), ({"alpha": -0.1}, "alpha=-0.1"), ({"alpha": "much"}, "alpha='much'"), ({"c": -1}, "c=-1"),
    ({"c": float("inf")}, "c=inf"), ({"slope": -0.5}, "slope=-0.5"), ({"gamma": MOST + 1}, "gamma=17"), ({"gamma": 2.5}, "gamma=2.5"),
    ({"gamma": -1}, "gamma=-1"), ({"measured": (4, 0)}, "measured="), ({"measured": (99, 1.0)}, "gamma=99"), ({"measured": (4,)}, "measured="),
])
def test_impossible_states_are_refused(wrong, complaint):
    for make in (CostCard, CostExplorer, cost_figure):
        with pytest.raises(ValueError, match=re.escape(complaint)):
            make(**wrong)


def test_figure_is_the_static_twin(capsys):
    drawn = cost_figure(0.8, 0.2, 4, 0.05, measured=(4, 1.5))
    card = CostCard(0.8, 0.2, 4, 0.05, measured=(4, 1.5))
    assert capsys.readouterr().out.strip() == drawn.alt == f"{card.verdict} | {card.advice} | {card.comparison}"
    assert drawn.png.startswith(b"\x89PNG")
    still, _, script = drawn._repr_html_().partition("<script>")
    assert f'<img alt="{drawn.alt}" src="data:image/png;base64,' in still and "data:image" not in script
    data, explorer = given_data(drawn._repr_html_()), CostExplorer(0.8, 0.2, 4, 0.05, measured=(4, 1.5))
    assert [(one["label"], one["value"], one["min"], one["max"], one["step"]) for one in data["fields"]] == [
        (field.description, field.value, field.min, field.max, field.step) for field in explorer._fields]
    assert data["given"]["measured"] == [4, 1.5]
    assert cost_figure().alt == f"{CostCard().verdict} | {CostCard().advice}"


class TestExplorer:
    def test_opens_with_what_it_is_given(self):
        explorer = CostExplorer(alpha=0.7, c=0.1, gamma=5, slope=0.02, measured=(5, 1.9))
        assert [field.value for field in explorer._fields] == [0.7, 0.1, 5, 0.02]
        assert explorer.body.value == CostCard(0.7, 0.1, 5, 0.02, (5, 1.9)).card()
        assert explorer._repr_html_() == explorer.body.value

    def test_fields_move_the_card(self):
        explorer = CostExplorer(measured=(4, 1.5))
        explorer.alpha_field.value = 0.1
        assert explorer.body.value == CostCard(0.1, measured=(4, 1.5)).card() and "✗ does not pay" in explorer.body.value
        explorer.c_field.value, explorer.gamma_field.value, explorer.slope_field.value = 0.01, 1, 0.0
        assert explorer.body.value == CostCard(0.1, 0.01, 1, 0.0, (4, 1.5)).card() and "✓ pays" in explorer.body.value
        assert explorer._repr_html_() == explorer.body.value

    def test_fields_keep_their_ranges(self):
        explorer = CostExplorer()
        for field, value, kept in ((explorer.alpha_field, 7.0, 1.0), (explorer.alpha_field, -1.0, 0.0), (explorer.c_field, -2.0, 0.0),
                                   (explorer.gamma_field, 99, MOST), (explorer.slope_field, -1.0, 0.0)):
            field.value = value
            assert field.value == kept
        assert "<svg" in explorer.body.value
        assert CostExplorer(c=9.0).c_field.value == 9.0  # a measured ratio outside the usual range is shown as it is

    def test_reset(self):
        explorer, drawings = CostExplorer(alpha=0.6, gamma=2), []
        first = explorer.body.value
        explorer.alpha_field.value, explorer.gamma_field.value = 0.9, 9
        assert explorer.body.value != first
        explorer.body.observe(lambda change: drawings.append(change.new), names="value")
        explorer.reset_button.click()
        assert explorer.body.value == first and drawings == [first]

    def test_what_a_browser_finds_it_by(self):
        explorer = CostExplorer()
        assert "specdec-cost" in explorer._dom_classes and "specdec-body" in explorer.body._dom_classes
        assert [field.description for field in explorer._fields] == ["α", "c", "γ", "slope of v(n)"]
        assert not any(isinstance(field, (ipywidgets.FloatSlider, ipywidgets.IntSlider)) for field in explorer._fields)
