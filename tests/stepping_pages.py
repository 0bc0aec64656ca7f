"""What stands in an output that steps in the page itself: the data of its script, and its frames."""
import json
import re


def given_data(page) -> dict:
    """What the script of `page`, an `Html` or its markup, is called with."""
    markup = getattr(page, "markup", page)
    return json.loads(re.search(r'\n\}\n(?:steps|explore)\((\{"key".*\})(?:, \w+)?\);\n\}\)\(\);</script>$', markup)[1])


def frames_of(data: dict) -> list[str]:
    """The frames as the script puts them together."""
    pieces, frames = [], []
    for changes in data["edits"]:
        for at, drop, add in changes:
            pieces[at:at + drop] = add
        frames.append("".join(data["parts"][number] for number in pieces))
    return frames
