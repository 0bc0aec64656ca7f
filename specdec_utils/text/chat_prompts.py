"""Prompts of four kinds for chat models: what drafters and methods are measured on, none of them learnt from; and others for tuning."""
from collections.abc import Iterable

CHAT_PROMPTS: dict[str, tuple[str, ...]] = {
    "story": (
        "Write a short story about an old clockmaker who repairs more than clocks.",
        "Tell me a bedtime story about a hedgehog who is late for a party.",
        "Write a story in which two sisters find a map in their attic.",
        "I would like a story about a baker whose bread makes people tell the truth.",
        "Write the first page of a mystery that begins on a night train.",
        "Make up a fable with a heron and a snail, and give it a moral."),
    "question": (
        "Why do leaves change their colour in autumn?",
        "How does a refrigerator keep food cold?",
        "What is the difference between a virus and a bacterium?",
        "Can you explain compound interest to a ten-year-old?",
        "Which steps should I take to prepare for a job interview?",
        "Why is the sky blue during the day and red at sunset?"),
    "summary": (
        "Summarize the following text in two sentences:\n\nThe town library reopened on Saturday after two years of repairs. A burst "
        "pipe had damaged the reading room and about four thousand books. Volunteers dried what could be saved, and a local carpenter "
        "built new shelves from oak. The children's section is now twice as large, and the library stays open until eight on weekdays.",
        "Please give me a short summary of this article.\n\nEngineers have tested a bridge made of recycled plastic over a small "
        "river. The beams weigh a fifth of concrete ones and were put in place in three days by a single crane. Sensors will measure "
        "how the bridge bends in heat and under traffic for the next five years. If it holds, the county wants to replace twelve old "
        "wooden bridges in the same way.",
        "What are the main points of the text below?\n\nGood sleep begins long before bedtime. Doctors advise people to get up at the "
        "same hour every day, to avoid coffee after lunch, and to keep screens out of the bedroom. A cool, dark room helps as well. "
        "Those who lie awake for more than twenty minutes should get up, read something calm, and go back to bed when they are tired.",
        "Summarize this email for my manager: Hello, the delivery of the new chairs is delayed because a part from the supplier is "
        "missing. They expect it on Tuesday, so that the chairs should reach us by Friday next week. The price stays the same, and "
        "they offer us free assembly as an apology. Please tell me by tomorrow whether we accept the new date or cancel the order.",
        "Sum up the passage in plain words:\n\nHoney bees tell each other where flowers are by dancing. A bee that has found a good "
        "field returns to the hive and walks in a figure of eight on the comb. The angle of her walk shows the direction of the field "
        "relative to the sun, and the length of her waggle shows the distance. Other bees follow her steps in the dark and then fly "
        "straight to the place.",
        "Write a one-paragraph summary of the following report.\n\nIn the first half of the year the museum counted 48,000 visitors, a "
        "tenth more than in the year before. Most came for the exhibition on early photography. Ticket sales rose by six percent, "
        "while costs for heating fell thanks to new windows. The café lost money and will close on Mondays. A second exhibition, on "
        "old maps, opens in October."),
    "code": (
        "Write a Python function that counts the vowels in a string.",
        "Write a Python function `is_leap_year(year)` and explain how it works.",
        "How do I read a CSV file in Python and print the average of one column?",
        "Write a Python class for a bank account with deposit and withdraw methods.",
        "Write a function in Python that merges two sorted lists into one.",
        "Show me a Python program that asks the user to guess a number between 1 and 100."),
}
CHAT_TUNING: dict[str, tuple[str, ...]] = {  # settings are chosen, and passes timed, on these
    "story": ("Write a short story about a violin that nobody can play.", "Tell me a story about a rescue dog in her first winter."),
    "question": ("How do tides work?", "What should I think about before I adopt a cat?"),
    "summary": (
        "Summarize the following text:\n\nThe school garden was planted in April by the fourth grade. Each pupil looks after one bed. "
        "By June there were radishes, peas and the first strawberries, and the pupils sold them at the summer fair. With the money "
        "they bought a rain barrel, so that the beds can be watered during the holidays.",
        "What does this notice say, in short?\n\nThe lift in building C is out of order until Thursday. Please use the stairs or the lift "
        "in building B, which can be reached through the corridor on the second floor. Deliveries are taken in at the back entrance. "
        "We are sorry for the trouble and will let you know as soon as the repair is finished."),
    "code": ("Write a Python function that reverses the words of a sentence.", "How do I sort a list of dictionaries in Python?"),
}


def as_chats(texts: Iterable[str]) -> list[list[dict[str, str]]]:
    """Each of `texts` as a user's first message."""
    return [[{"role": "user", "content": text}] for text in texts]


def in_turn(prompts: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Prompt -> kind: the first of each kind, then the second of each."""
    return {text: kind for one_of_each in zip(*prompts.values()) for kind, text in zip(prompts, one_of_each)}
