"""The oracle of notebook 10, the p/q explorer and its static twin, driven without a browser."""
import ast
import html
import re
from fractions import Fraction

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from notebook_rules import NOTEBOOKS, code_cells, python_of, read
from shown_code import DEFINITIONS, bare
from stepping_pages import given_data

from specdec_utils.decode import accept, laws
from specdec_utils.decode.accept import RULES
from specdec_utils.decode.laws import chosen, distinct, exact_law, independent, output_law
from specdec_utils.show import pq_explorer
from specdec_utils.show.pq_explorer import CHOICES, PQExplorer, pq_table

NOTEBOOK = NOTEBOOKS / "10_lossless_sampling.ipynb"
EXACT = [choice for choice in CHOICES if "lossy" not in choice and "mutant" not in choice]
NUMBERS = re.compile(r"[+-]?\d\.\d{3}")
weights = st.lists(st.integers(0, 9), min_size=5, max_size=5).filter(any)


def words(source):
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]+>", " ", source)))


def text(explorer):
    return words(explorer.body.value)


# --- the oracle ------------------------------------------------------------------------------------------------------

@given(weights, weights, st.integers(1, 3), st.sampled_from(EXACT))
def test_lossless_rules_write_exactly_p(p, q, k, draw):
    rule, law = CHOICES[draw]
    p, q = exact_law(p), exact_law(q)
    accepted, drawn = output_law(rule, p, q, law(q, k))
    assert all(accepted + drawn == p)
    if k == 1 and law is not chosen:
        assert accepted.sum() == sum(min(a, b) for a, b in zip(p, q))
    if law is chosen:
        assert accepted.sum() == sum(p[x] for x in next(chosen(q, k))[0])


@pytest.mark.parametrize("draw", [choice for choice in CHOICES if choice not in EXACT])
def test_others_are_caught(draw):
    assert "✗" in pq_table(draw=draw).verdict


@given(weights, st.integers(1, 3))
def test_laws_of_drafting_are_laws(q, k):
    q = exact_law(q)
    for law in (independent, distinct, chosen):
        draws = list(law(q, k))
        assert sum(chance for _, chance in draws) == 1
        assert len({tuple(candidates) for candidates, _ in draws}) == len(draws)
    for candidates, _ in distinct(q, k):
        assert len(set(candidates)) == len(candidates) == min(k, sum(q > 0))
    for candidates, chance in independent(q, k):
        assert len(candidates) == k and chance > 0


def test_draws_without_replacement_are_those_of_multinomial():
    q = torch.tensor([0.5, 0.3, 0.2, 0.0], dtype=torch.float64)
    torch.manual_seed(0)
    drawn = torch.multinomial(q.expand(20_000, -1), 2).tolist()
    for candidates, chance in distinct(q, 2):
        assert abs(drawn.count(candidates) / len(drawn) - chance) < 0.015


def test_no_candidates_means_a_draw_from_p():
    p = exact_law([1, 2])
    accepted, drawn = output_law(RULES["with_replacement"], p, p, [([], 1)])
    assert accepted.sum() == 0 and all(drawn == p)


def test_tensors_and_floats_give_the_same():
    p, q = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)
    for law, rule in ((independent, "with_replacement"), (distinct, "without_replacement"), (chosen, "deterministic")):
        accepted, drawn = output_law(RULES[rule], p, q, law(q, 2))
        exact = output_law(RULES[rule], exact_law([5, 3, 2]), exact_law([1, 2, 7]), law(exact_law([1, 2, 7]), 2))
        assert torch.allclose(accepted, torch.tensor(exact[0].astype(float)))
        assert torch.allclose(drawn, torch.tensor(exact[1].astype(float)))


def test_weights_become_fractions():
    law = exact_law([0.1, 0.2, 0.7])
    assert list(law) == [Fraction(1, 10), Fraction(1, 5), Fraction(7, 10)]
    assert exact_law([3, 1]).sum() == 1 and exact_law([1e-7, 0]).tolist() == [1, 0]
    assert exact_law([numpy.float64(0.5), numpy.float64(1.5)]).tolist() == [Fraction(1, 4), Fraction(3, 4)]


@pytest.mark.parametrize("bad", [[1, -1], [float("nan"), 1], [float("inf"), 1], ["1", 1]])
def test_weights_that_are_none(bad):
    with pytest.raises(ValueError, match="^A weight of q is .* at least 0.$"):
        exact_law(bad, "q")


def test_all_zero():
    with pytest.raises(ValueError, match="^All weights of p are 0: give at least one token a weight above 0.$"):
        exact_law([0, 0.0])


# --- table -----------------------------------------------------------------------------------------------------------

def test_table_of_the_four_tokens():
    table = pq_table()
    assert table.verdict == "✓ written = p, exactly"
    assert list(table.accepted * 5) == [1, 1, 1, 0] and list(table.drawn * 10) == [3, 1, 0, 0]
    assert list((table.first - table.first_accepted) * 5) == [0, 0, 1, 1]
    lines = repr(table).splitlines()
    assert lines[0] == "independent draws, 1 draft: ✓ written = p, exactly"
    assert lines[1] == "acceptance of the first draft 0.600 | Σ min(p, q) = 1 − TV(p, q) = 0.600"
    assert re.split(r"\s{2,}", lines[5]) == ["bird", "0.200", "0.400", "✓ 0.200", "✗ 0.200", "✓ 0.200", "→ 0.000", "0"]
    assert lines[-1] == "after the rejection (0.400 of all cases) drawn from: dog 0.750 · cat 0.250 · bird 0.000 · car 0.000"


def test_html_says_what_the_text_says():
    for choice in CHOICES:
        for drafts in (1, 2):
            table = pq_table(draw=choice, drafts=drafts)
            shown = words(table.card())
            for line in (table.title, table.summary, table.residual):
                assert line in shown
            rows = re.findall(r'<th scope="row".*?</tr>', table.card())
            for row, line in zip(rows, repr(table).splitlines()[3:7], strict=True):
                assert NUMBERS.findall(words(row)) == NUMBERS.findall(line) and words(row).split()[0] == line.split()[0]
            assert shown.count("▲") == 4 + 1  # a mark a token, and the legend


def test_bars_have_a_sign_a_border_and_the_right_width():
    source = pq_table().card()
    blocks = re.findall(r"width:(\d+)px;border:2px (\w+) [^>]*>(.?)</span>", source)
    wide = round(pq_explorer.BAR * 0.4)  # 0.2 of the largest mass, 0.5
    assert blocks == [(str(wide), "solid", "✓"), (str(wide), "solid", "✓"), ("90", "double", "→"), (str(wide), "solid", "✓"),
                      (str(wide), "solid", "✓"), ("30", "double", "→"), (str(wide), "solid", "✓"), (str(wide), "dashed", "✗"),
                      (str(wide), "solid", "✓"), (str(wide), "dashed", "✗")]


def test_mutant_typical_and_equal_laws():
    assert pq_table(draw="mutant: rejected, drawn from p").verdict == "✗ written differs from p by a total variation of 0.100"
    same = pq_table((1, 1, 1, 1), (1, 1, 1, 1), "mutant: rejected, drawn from p")
    assert same.verdict == "✓ written = p for these numbers, though the rule is not lossless"
    assert same.residual == "no step ends without an accepted draft"
    apart = pq_table((1, 0, 0, 0), (0, 1, 0, 0))
    assert "first draft 0.000" in apart.summary and "dog 1.000" in apart.residual and "exactly" in apart.verdict


def test_fewer_tokens_than_drafts():
    table = pq_table(q=(1, 1, 0, 0), draw="draws without replacement", drafts=3)
    assert "3 drafts (q has only 2 to draw): ✓ written = p" in repr(table)


def test_static_twin_opens_with_its_state_and_the_fields_of_the_explorer():
    options = {"p": (3, 1, 0, 0), "q": (1, 1, 1, 1), "draw": "typical acceptance (lossy)", "drafts": 2}
    table, explorer = pq_table(**options), PQExplorer(**options)
    markup = table._repr_html_()
    assert table.card() in markup.partition("<script>")[0]
    fields = (*explorer.p_fields, *explorer.q_fields, explorer.draw_field, explorer.drafts_field)
    data = given_data(markup)
    assert [(one["label"], one["value"]) for one in data["fields"]] == [(one.description, one.value) for one in fields]
    assert all((one["min"], one["max"], one["step"]) == (field.min, field.max, field.step)
               for one, field in zip(data["fields"], fields) if "min" in one)
    assert data["fields"][8]["options"] == list(explorer.draw_field.options)


def test_words_are_escaped():
    shown = pq_table(words=("<b>", "a", "b", "c")).card()
    assert "&lt;b&gt;" in shown and 'row" style' in shown and "><b><" not in shown


@pytest.mark.parametrize("options, sentence", [
    ({"draw": "by chance"}, "^There is no way of drafting 'by chance': use one of "), ({"drafts": 0}, "at least 1.$"),
    ({"p": (1, 2)}, "^p, q and words must have one entry a token; they have 2, 4 and 4.$"),
    ({"q": (0, 0, 0, 0)}, "^All weights of q are 0")])
def test_unusable_tables(options, sentence):
    for make in (pq_table, PQExplorer):
        with pytest.raises(ValueError, match=sentence):
            make(**options)


# --- explorer --------------------------------------------------------------------------------------------------------

def test_explorer_follows_its_fields():
    explorer = PQExplorer()
    assert explorer.body.value == pq_table().card() == explorer._repr_html_()
    assert "specdec-pq" in explorer._dom_classes and "specdec-body" in explorer.body._dom_classes
    explorer.q_fields[3].value = 0.0
    assert explorer.body.value == pq_table(q=(0.2, 0.2, 0.4, 0.0)).card()
    assert "first draft 0.700" in text(explorer)
    explorer.p_fields[0].value = 1.5
    explorer.draw_field.value, explorer.drafts_field.value = "draws without replacement", 2
    assert explorer.body.value == pq_table((1.5, 0.3, 0.2, 0.0), (0.2, 0.2, 0.4, 0.0), "draws without replacement", 2).card()
    explorer.reset_button.click()
    assert explorer.body.value == pq_table().card() and explorer.drafts_field.value == 1


def test_explorer_says_what_is_impossible_and_recovers():
    explorer = PQExplorer(p=(1, 0, 0, 0))
    explorer.p_fields[0].value = 0.0
    assert text(explorer).strip() == "✗ All weights of p are 0: give at least one token a weight above 0."
    explorer.p_fields[2].value = 0.5
    assert "✓ written = p, exactly" in text(explorer)
    explorer.p_fields[1].value = -3  # the field itself lets nothing below 0 pass
    assert explorer.p_fields[1].value == 0.0 and "written = p" in text(explorer)


def test_reset_goes_back_to_the_state_it_was_opened_with():
    start = {"p": (3, 1, 0, 0), "q": (1, 1, 1, 1), "draw": "typical acceptance (lossy)", "drafts": 2}
    explorer = PQExplorer(**start)
    explorer.p_fields[0].value, explorer.drafts_field.value, explorer.draw_field.value = 0, 1, "independent draws"
    explorer.reset_button.click()
    assert explorer.body.value == pq_table(**start).card()


def test_fields_have_labels_and_bounds():
    explorer = PQExplorer()
    assert [field.description for field in explorer.p_fields] == ["p(dog)", "p(cat)", "p(bird)", "p(car)"]
    assert [field.description for field in explorer.q_fields] == ["q(dog)", "q(cat)", "q(bird)", "q(car)"]
    assert all(field.min == 0 for field in (*explorer.p_fields, *explorer.q_fields))
    assert (explorer.drafts_field.min, explorer.drafts_field.max) == (1, 3)


# --- what notebook 10 shows ------------------------------------------------------------------------------------------

def test_notebook_shows_the_oracle_and_the_helpers_as_they_are():
    """Names that the package does not export, and so test_shown_code does not compare."""
    wanted = {name: laws for name in ("independent", "distinct", "chosen", "output_law", "resample_from_p")}
    wanted |= {name: accept for name in ("_normalised", "_without", "_acceptance", "with_replacement", "single_draft",
                                             "without_replacement", "deterministic")}
    shown = {node.name: node for cell in code_cells(read(NOTEBOOK)) for node in ast.parse(python_of(cell.source)).body
             if isinstance(node, DEFINITIONS) and node.name in wanted}
    assert shown.keys() == wanted.keys()
    for name, module in wanted.items():
        with open(module.__file__, encoding="utf-8") as source:
            original = next(node for node in ast.parse(source.read()).body if getattr(node, "name", None) == name)
        assert bare(shown[name]) == bare(original), name
