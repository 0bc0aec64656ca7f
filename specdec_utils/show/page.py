"""Outputs that work in the page itself, without a kernel: one piece of HTML that brings its frames and its script along."""
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from importlib.resources import files

from .controls import Frames, Html


def _edits(frames: Sequence[str]) -> tuple[list[str], list]:
    """(parts, edits): every piece of `frames` once, and each frame as changes of the one before it, [place, pieces dropped, numbers
    of the parts put there], from the end to the beginning, so that the places hold while they are made."""
    numbers, edits, before = {}, [], []
    for frame in frames:
        now = [numbers.setdefault(part, len(numbers)) for part in re.findall("<[^>]*>|[^<]+|<", frame)]
        changes = SequenceMatcher(None, before, now, autojunk=False).get_opcodes()
        edits.append([[at, end - at, now[start:stop]] for kind, at, end, start, stop in reversed(changes) if kind != "equal"])
        before = now
    return list(numbers), edits


def _scripted(still: str, call: str, data: dict, scripts: Sequence[str], text: str, below: str = "", more: str = "") -> Html:
    """`still` as it reads without scripts, then the script that calls `call(data, more)` to bring it to life."""
    key = hashlib.sha256(json.dumps(data).encode()).hexdigest()[:12]  # not of `still`: a picture differs between machines
    given = json.dumps({"key": key, **data}, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/").replace("<!--", "\\u003c!--")
    source = "".join((files(__package__) / name).read_text(encoding="utf-8") for name in scripts)
    return Html(f'<div class="specdec-twin" data-specdec="{key}"><div>{still}</div>{below}</div>'
                f'<script>(() => {{\n"use strict";\n{source}{call}({given}{more});\n}})();</script>', text)


def stepping(frames: Frames, name: str, text: str, still: str | None = None, below: str = "") -> Html:
    """All `frames` as one piece of HTML with the controls of `FrameStepper`, for places without a kernel.

    Where scripts are off it is `still`, by default the last frame. `name` tells screen readers what it is, `text` stands where no
    HTML is shown; `below` is HTML under the frame. Two calls with equal frames give equal HTML.
    """
    drawn = [frames.draw(number) for number in range(frames.first, frames.last + 1)]
    parts, edits = _edits(drawn)
    data = {"name": name, "first": frames.first, "label": frames.label, "unit": frames.unit, "names": list(frames.names), "parts": parts,
            "edits": edits}
    return _scripted(drawn[-1] if still is None else still, "steps", data, ["page.js"], text, below)


def fill(template: str, values: Mapping) -> str:
    """`template` with {name} replaced by the escaped value, and {#name}…{/name} by its inside once for each entry (a mapping) of that
    list. `page.js` fills the same templates."""
    def part(found: re.Match) -> str:
        if found["list"]:
            return "".join(fill(found["inside"], {**values, **entry}) for entry in values[found["list"]])
        return html.escape(str(values[found["one"]]))

    return re.sub(r"(?s)\{#(?P<list>\w+)\}(?P<inside>.*?)\{/(?P=list)\}|\{(?P<one>\w+)\}", part, template)


def exploring(script: str, fields: Sequence[Mapping], template: str, given: Mapping, name: str, text: str, still: str) -> Html:
    """`fields` over `template`, filled in the page itself with what `script` computes; where scripts are off, it is `still`.

    script: the name NAME of a file NAME.js beside this one with a function `NAME_values(state, given)`, state being the values of the
    fields. A field has a `label` and a `value`, and `options` or `min`, `max` and `step` (1 for whole numbers); it may begin a `row`.
    `name` and `text` as in `stepping`.
    """
    data = {"name": name, "fields": list(fields), "template": template, "given": dict(given)}
    return _scripted(still, "explore", data, ["page.js", f"{script}.js"], text, more=f", {script}_values")


def folded(title: str, markup: str) -> str:
    """`markup` under a line that opens and closes it."""
    return f"<details><summary>{html.escape(title)}</summary>{markup}</details>"
