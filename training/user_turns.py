"""How users begin: first words of questions, stories, summaries and requests for code. The model writes the rest of the turn."""
import random

SYSTEMS = (
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face",  # the template's own, first
    "You are a helpful assistant.",
    "You are a friendly teacher. Answer briefly.",
    "You are an experienced programmer. Write short, clear code.",
    "You are a writer of stories for children.",
    "You answer in plain English and in a few sentences.",
    "You are an editor who sums up texts.",
    "You are an assistant for students.",
)
TOPICS = (
    "animals", "the sea", "a lighthouse", "rivers", "mountains", "a dragon", "the moon", "planets", "a robot", "machines", "trains",
    "bicycles", "bread", "cooking", "coffee", "gardens", "trees", "bees", "birds", "whales", "a cat", "a dog", "horses", "dinosaurs",
    "volcanoes", "earthquakes", "weather", "climate", "electricity", "batteries", "solar energy", "computers", "the internet",
    "programming", "mathematics", "prime numbers", "geometry", "statistics", "physics", "gravity", "light", "chemistry", "water",
    "cells", "the heart", "sleep", "health", "exercise", "football", "chess", "music", "a piano", "painting", "museums", "books",
    "a library", "languages", "grammar", "writing", "school", "teachers", "a new student", "friendship", "a brother and a sister",
    "grandparents", "a family", "work", "money", "banks", "trade", "farming", "a farmer", "markets", "cities", "a village", "bridges",
    "houses", "castles", "kings", "a princess", "ancient Egypt", "Rome", "the Middle Ages", "the Industrial Revolution", "explorers",
    "a ship", "pirates", "islands", "deserts", "forests", "snow", "winter", "spring", "a storm", "the night", "stars", "astronauts",
    "a time machine", "a secret door", "a lost key", "a letter", "a detective", "a ghost", "magic", "a wizard", "a giant", "dreams",
    "memory", "the brain", "learning", "artificial intelligence", "medicine", "vaccines", "doctors", "vegetables", "fruit", "chocolate",
    "travel", "airplanes", "cars", "roads", "maps", "clocks", "the calendar", "democracy", "laws", "human rights", "newspapers",
    "film", "theatre", "dance", "fashion", "paper", "glass", "gold", "oil", "plastic", "recycling", "oceans", "coral reefs", "fish",
    "insects", "spiders", "plants", "photosynthesis", "evolution", "genes", "bacteria", "the universe", "black holes", "the sun")
STORIES = (
    "Write a story about {}", "Write a short story about {}", "Tell me a story about {}", "Can you write a story in which",
    "Write a funny story", "Write a fairy tale about {}", "Write a bedtime story for", "Continue this story:", "Write a scary story",
    "Write the beginning of a novel about {}", "I want a story about {}", "Create a story with", "Write a tale of", "Write a fable",
    "Please write a short story about {} and", "Tell a story of a", "Write a paragraph of a story that", "Write an adventure story")
QUESTIONS = (
    "What is", "What are", "Why is", "Why do", "How does", "How do I", "How can I", "Who was", "When did", "Where is", "Explain",
    "Explain how {}", "What is the difference between", "Tell me about {}", "What do you know about {}?", "Can you explain", "Describe",
    "Give me three", "List five", "What are the benefits of", "What happens when", "I have a question about {}", "Which", "Is it true",
    "How many", "What causes", "Give me advice", "What should I", "Name some", "What is the history of {}", "Compare", "How is {}",
    "What would happen if", "Write a short explanation of", "Help me understand {}", "Solve", "Translate", "")
TEXTS = (
    "Summarize the following text:\n\n", "Summarize the text below in two sentences.\n\n", "Please summarize this article:\n\n",
    "Give a short summary of this text: ", "Sum up the following paragraph in one sentence:\n\n", "Summarize:\n\n",
    "What are the main points of this text?\n\n", "Read the text and write a summary.\n\nText: ", "Summarise this passage: ",
    "Can you summarize the following for me?\n\n", "Write a brief summary of the passage:\n\n", "TL;DR of this text:\n\n")
TEXT_STARTS = ("", "", "The", "In", "Scientists", "Last year,", "Many people", "A new study of {}", "The history of {}", "For centuries,",
               "In the town of", "{} ", "Researchers at", "Today,", "When", "On Monday,", "The company", "Over the past", "Although")
CODE = (
    "Write a Python function that", "Write a Python function to", "Write a function that", "Write a Python program that",
    "Write a Python script that", "Write a Python class", "How do I write code", "Write code in Python that", "Implement",
    "Write a JavaScript function that", "Write a program in C", "Write an SQL query", "Fix this code:\n\n```python\ndef",
    "What does this code do?\n\n```python\n", "Explain this Python code:\n\n```python\nfor", "Complete this function:\n\ndef",
    "In Python, how do I", "Write a recursive function", "Write a unit test for", "Write a Python function `", "Create an HTML page",
    "Give me an example of Python code that", "Write a Python function called", "Write a bash script", "Write a Java method that")
CODE_TASKS = ("", "", "", "", " returns the", " checks whether", " counts", " takes a list", " takes a string and", " reads a file",
              " sorts", " computes the", " finds the", " removes", " converts", " prints", " adds", " splits", " merges two")


def user_opening(rng: random.Random) -> tuple[str, int]:
    """The first words of a user's turn, drawn from `rng`, and how many tokens the model may add to them."""
    kind = rng.choices(("story", "question", "summary", "code"), (5, 6, 4, 5))[0]
    topic = rng.choice(TOPICS)
    if kind == "story":
        return rng.choice(STORIES).format(topic), 40
    if kind == "question":
        return rng.choice(QUESTIONS).format(topic), 40
    if kind == "summary":
        start = rng.choice(TEXT_STARTS).format(topic)
        return (rng.choice(TEXTS) + (start[:1].upper() + start[1:]).strip()).rstrip(" "), rng.choice((70, 120, 160))
    words = rng.choice(CODE)
    return words + (rng.choice(CODE_TASKS) if words.endswith("that") else ""), 60
