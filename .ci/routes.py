"""Compute the minutes of the routes through the course and write them into instructor/routes.md, or check that they stand there.

    python .ci/routes.py            write
    python .ci/routes.py --check    change nothing; exit 1 if the tables differ

Which parts a route takes stands in instructor/routes.toml. Minutes come from the notebooks: reading and running from the line under
the title, exercises from their headings. A section takes the share of the reading time that its words, code included, have in its
notebook; exercises are counted apart.
"""
import json
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADING = re.compile(r"(?m)^(#{2,3}) +(.+?)\s*$")
EXERCISE = re.compile(r"^Exercise\b.*\(.*?(\d+) min\)$")


@dataclass(frozen=True)
class Section:
    """A heading, the id of its cell, the words up to the next heading of its level or above it."""
    level: int
    title: str
    cell: str
    words: int


class Notebook:
    """What the routes need of a notebook: its minutes, its sections, its exercises."""

    def __init__(self, path: Path):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        self.name, self.number = path.name, path.name[:2]
        sources = ["".join(cell["source"]) for cell in cells]
        head = next(source for source in sources if "**Reading**" in source)
        self.title = re.search(r"(?m)^# +(.+)$", head)[1]
        self.reading = int(re.search(r"\*\*Reading\*\* (\d+) min", head)[1])
        amount, unit = re.search(r"\*\*Running\*\* about (\d+) (s|minutes?)\b", head).groups()
        self.running = int(amount) * (1 if unit == "s" else 60)
        parts = []                                              # (level, title, cell, words), in order
        for cell, source in zip(cells, sources):
            text = re.sub(r"(?s)<details.*?</details>", "", source)
            starts = list(HEADING.finditer(text)) if cell["cell_type"] == "markdown" else []
            before = text[:starts[0].start()] if starts else text
            if parts:
                parts[-1][3] += len(before.split())
            for here, after in zip(starts, [*starts[1:], None]):
                words = len(text[here.end():after.start() if after else None].split())
                parts.append([len(here[1]), here[2], cell["id"], words])
        own = [0 if EXERCISE.match(title) else words for _, title, _, words in parts]
        self.words = sum(own)
        self.sections = {}
        for i, (level, title, cell, _) in enumerate(parts):
            end = next((j for j in range(i + 1, len(parts)) if parts[j][0] <= level), len(parts))
            self.sections[title] = Section(level, title, cell, sum(own[i:end]))
        self.exercises = {}                                     # name -> (title, minutes, cell id)
        heading = None
        for cell, source in zip(cells, sources):
            for found in HEADING.finditer(source) if cell["cell_type"] == "markdown" else ():
                heading = found[2] if EXERCISE.match(found[2]) else heading
            name = cell["metadata"].get("specdec", {}).get("exercise")
            if name:
                self.exercises[name] = (heading.partition(" (")[0], int(EXERCISE.match(heading)[1]), cell["id"])

    def link(self, text: str, cell: str | None = None) -> str:
        """A Markdown link from instructor/ to the notebook, or to one of its cells as JupyterLab finds it."""
        return f"[{text}](../notebooks/{self.name}{f'#cell-id={cell}' if cell else ''})"

    def section_minutes(self, title: str) -> int:
        return max(1, round(self.reading * self.sections[title].words / self.words))

    def exercise_minutes(self) -> int:
        return sum(minutes for _, minutes, _ in self.exercises.values())


def item_row(item: str, notebooks: dict[str, Notebook]) -> tuple[str, int]:
    """(what, minutes) of one item of routes.toml. Raises ValueError for a part that the course does not have."""
    number, sign, rest = (*item.split(" ", 2), "", "")[:3]
    if sign == "·":
        return rest, int(number)
    notebook = notebooks.get(number)
    if notebook is None or (sign == "#" and rest not in notebook.sections) or (sign == "!" and rest not in notebook.exercises):
        raise ValueError(f"instructor/routes.toml: the course has no part {item!r}")
    if sign == "#":
        return notebook.link(f"{number}, {rest}", notebook.sections[rest].cell), notebook.section_minutes(rest)
    if sign == "!":
        title, minutes, cell = notebook.exercises[rest]
        return f"{notebook.link(f'{number}, {title}', cell)} *(exercise)*", minutes
    return f"{notebook.link(notebook.title)}, all of it", notebook.reading + notebook.exercise_minutes()


def route_table(route: dict, notebooks: dict[str, Notebook]) -> str:
    """The sessions of a route as Markdown tables. Raises ValueError for a session that takes longer than its limit."""
    lines = []
    for session in route["session"]:
        rows = [item_row(item, notebooks) for item in session["items"]]
        total = sum(minutes for _, minutes in rows)
        if total > route["limit"]:
            raise ValueError(f"instructor/routes.toml: {route['name']}, {session['title']} takes {total} minutes, "
                             f"more than {route['limit']}")
        lines += [f"**{session['title']}** · {total} minutes", "", "| what | minutes |", "|---|---:|",
                  *(f"| {what} | {minutes} |" for what, minutes in rows), ""]
    return "\n".join(lines).rstrip()


def notebook_table(notebooks: dict[str, Notebook]) -> str:
    """Minutes of every notebook as a Markdown table."""
    lines = ["| notebook | reading | exercises | running it all |", "|---|---:|---:|---:|"]
    for one in notebooks.values():
        lines.append(f"| {one.link(one.title)} | {one.reading} min | {one.exercise_minutes()} min | {one.running} s |")
    reading, doing = (sum(getattr(one, what)() if what == "exercise_minutes" else one.reading for one in notebooks.values())
                      for what in ("reading", "exercise_minutes"))
    running = sum(one.running for one in notebooks.values())
    return "\n".join([*lines, f"| **all** | **{reading / 60:.1f} h** | **{doing / 60:.1f} h** | **{running / 60:.0f} min** |"])


def filled(text: str, notebooks: dict[str, Notebook], routes: list[dict]) -> str:
    """routes.md with the table between `<!-- NAME -->` and `<!-- /NAME -->` filled in for each route, and for `notebooks`."""
    blocks = {"notebooks": notebook_table(notebooks)} | {route["name"]: route_table(route, notebooks) for route in routes}
    for name, block in blocks.items():
        text, count = re.subn(rf"<!-- {re.escape(name)} -->.*?<!-- /{re.escape(name)} -->",
                              lambda _, name=name, block=block: f"<!-- {name} -->\n{block}\n<!-- /{name} -->", text, flags=re.DOTALL)
        if count != 1:
            raise ValueError(f"instructor/routes.md: exactly one block <!-- {name} -->…<!-- /{name} --> is needed, found {count}")
    return text


def read_notebooks(root: Path = ROOT) -> dict[str, Notebook]:
    """Number -> notebook, in the order of the course."""
    return {path.name[:2]: Notebook(path) for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))}


def main(arguments: list[str], root: Path = ROOT) -> int:
    if arguments not in ([], ["--check"]):
        print("usage: python .ci/routes.py [--check]", file=sys.stderr)
        return 2
    path = root / "instructor" / "routes.md"
    text = path.read_text("utf-8")
    try:
        routes = tomllib.loads((root / "instructor" / "routes.toml").read_text("utf-8"))["route"]
        wanted = filled(text, read_notebooks(root), routes)
    except ValueError as error:
        print(f"error: {error}")
        return 1
    if wanted == text:
        return 0
    print(f"{'differs' if arguments else 'written'}: instructor/routes.md")
    if not arguments:
        path.write_text(wanted, "utf-8", newline="\n")
    return 1 if arguments else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
