"""Outputs that work in the page itself: their frames, their escaping, and that they are the same in every run."""
import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stepping_pages import frames_of, given_data

from specdec_utils.show.controls import Frames
from specdec_utils.show.page import exploring, fill, folded, stepping

PIECES = st.lists(st.sampled_from(["<b>", "</b>", "a", "<td>", "</td>", "ä ✓", "&lt;"]), max_size=12).map("".join)


def numbered(drawn: list[str], **options) -> Frames:
    return Frames(lambda number: drawn[number - 1], len(drawn), "thing", **options)


class Seen(HTMLParser):
    """The text that is left where a sanitiser drops scripts, and every other tag that is opened."""

    def __init__(self, page):
        super().__init__()
        self.text, self.tags, self.inside = "", [], False
        self.feed(page.markup)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.inside = tag == "script"

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        self.text += "" if self.inside else data


@given(st.lists(PIECES, min_size=1, max_size=8))
def test_frames_come_back_as_they_were_drawn(drawn):
    assert frames_of(given_data(stepping(numbered(drawn), "name", "text"))) == drawn


def test_without_its_script_the_last_frame_is_all_there_is():
    seen = Seen(stepping(numbered(["<b>one</b>", "<b>two</b>", "<b>three</b>"]), "name", "text"))
    assert seen.text == "three" and seen.tags == ["div", "div", "b", "script"]  # no button, no field, no style that nothing works
    other = Seen(stepping(numbered(["<b>one</b>"]), "name", "text", still="<i>a picture</i>", below=folded("more & more", "<p>table</p>")))
    assert other.text == "a picturemore & moretable"


def test_nothing_in_a_frame_ends_the_script():
    drawn = ["<b>1</b>", f"<b>{html.escape('</script><!-- <script>')}</b> </script><!--", "<b>3</b>"]
    page = stepping(numbered(drawn), "</script>", "text")
    assert page.markup.count("</script>") == 1 and "<!--" not in page.markup
    assert frames_of(given_data(page)) == drawn


def test_the_same_frames_give_the_same_page_and_others_another_key():
    one, same, other = (stepping(numbered(drawn), "name", "text").markup for drawn in (["<b>a</b>"], ["<b>a</b>"], ["<b>b</b>"]))
    keys = [re.search(r'data-specdec="(\w+)"', markup)[1] for markup in (one, same, other)]
    assert one == same and keys[0] == keys[1] != keys[2]
    assert keys[0] == re.search(r'data-specdec="(\w+)"', stepping(numbered(["<b>a</b>"]), "name", "text", still="x").markup)[1]


def test_what_all_frames_share_is_stored_once():
    shared = "".join(f"<td style='color:red'>{i}</td>" for i in range(300))
    drawn = [f"<b>{i}</b>{shared}" for i in range(50)]
    alone = len(stepping(numbered(drawn[:1]), "name", "text").markup)
    assert len(stepping(numbered(drawn), "name", "text").markup) < alone + 50 * 60


def test_nothing_is_fetched_and_nothing_is_timed_or_drawn_by_lot():
    pages = stepping(numbered(["<b>a</b>"]), "name", "text"), exploring("pq", [], "", {}, "name", "text", "still"), exploring(
        "cost", [], "", {}, "name", "text", "still")
    for page in pages:
        assert not re.search(r"https?:|\bsrc=|\bimport\b|@import|url\(|fetch\(|XMLHttp|Math\.random|Date\b", page.markup)
        assert repr(page) == "text"


@pytest.mark.parametrize("template, values, filled", [
    ("{a} and {b}", {"a": "<x>", "b": 2}, "&lt;x&gt; and 2"),
    ("{#rows}[{name}{#cells} {mark}{value}{/cells}]{/rows}", {"mark": "'", "rows": [{"name": "r", "cells": [{"value": 1}, {"value": 2}]},
                                                                              {"name": "s", "cells": []}]}, "[r &#x27;1 &#x27;2][s]"),
    ("{#rows}{#rows}{/rows}", {"rows": []}, ""),
])
def test_templates(template, values, filled):
    assert fill(template, values) == filled


def test_a_template_without_its_value_fails():
    with pytest.raises(KeyError):
        fill("{missing}", {})
