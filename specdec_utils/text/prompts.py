"""Openings of small stories: what the benchmark continues, and others on which it first chooses settings."""
from pathlib import Path

from .chat_prompts import as_chats, in_turn
from .tokens import Prompt, takes_chats, those_that_fit

OPENINGS = (  # test prompts: speeds are measured on these
    "Once upon a time there was a little girl who", "Tom had a big red ball.", "One day, a small dog",
    "Anna and her mom went to the beach.", "The little bird could not fly.", "Sam found a shiny key in the grass.",
    "There was a cat who loved to sleep", "It was raining and Mia was bored.", "The old man had a very long beard.",
    "Max wanted to build a tower with his blocks.", "In the forest there lived a brown bear", "Lucy got a new bike for her birthday.",
    "A frog sat on a green leaf and", "Dad made a cake, but", "The moon was very bright that night.",
    "Two friends were playing in the sand", "Ella lost her favorite doll.", "One morning, a rabbit woke up and",
    "There was a magic tree in the garden.", "Jack was afraid of the dark.", "The duck and the fish were friends.",
    "Mom said, \"Please clean your room.\"", "A little boy named Leo saw a rainbow", "Grandma had a big box full of",
    "The train was late, so", "Once there was a king who", "Sara heard a strange noise outside.",
    "The puppy ran after the butterfly and", "Every day, Nina went to the pond to", "A kind bee wanted to help",
    "The snow was deep and cold.", "Peter and Jane were looking for their kite.",
)
TUNING = (  # settings are chosen, and passes timed, on these
    "A little mouse lived under the kitchen floor.", "Emma planted a seed in a pot.", "The boy and his uncle went fishing.",
    "On a windy hill there stood a house", "Lily wanted to learn how to swim.", "A young fox saw the snow for the first time.",
)


def prompts_for(pair, openings: tuple[str, ...], chats: dict[str, tuple[str, ...]], tokens: int) -> list[Prompt]:
    """What to ask `pair`: `openings`; a model that takes chats those of `chats` that leave room for `tokens`, the kinds in turn, unless
    they are fewer than the kinds."""
    fitting = those_that_fit(pair, as_chats(in_turn(chats)), tokens) if takes_chats(pair) else []
    return fitting if len(fitting) >= len(chats) else [*openings]


def read_prompts(path: Path) -> list[str]:
    """The prompts in the text file `path`, one a line, empty lines left out.

    Raises ValueError, one sentence, if there is no such file, if it cannot be read as text, or if no prompt stands in it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise ValueError(f"There is no file {path}: name a text file with one prompt a line.") from None
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{path} cannot be read as text: name a file of UTF-8 text with one prompt a line.") from None
    prompts = [line for line in lines if line.strip()]
    if not prompts:
        raise ValueError(f"{path} holds no prompt: write one prompt a line into it.")
    return prompts
