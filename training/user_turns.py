"""How users begin: first words of questions, stories, summaries and requests for code. The model writes the rest of the turn.

The words go as far as a subject, so that a model that writes at a low temperature still asks about many things; without one it asks the
same few questions, and at a high temperature nonsense. Half of the subjects are made of words of the model's own vocabulary,
thousands where the lists here have hundreds.
"""
import random
import re
from collections.abc import Sequence
from functools import lru_cache

from transformers import PreTrainedTokenizerBase

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
TOPIC = (
    "animals", "the sea", "lighthouses", "rivers", "mountains", "the moon", "planets", "robots", "machines", "trains", "bicycles", "bread",
    "cooking", "coffee", "tea", "gardens", "trees", "birds", "whales", "cats", "horses", "dinosaurs", "volcanoes", "earthquakes",
    "the weather", "climate change", "electricity", "solar energy", "wind power", "nuclear energy", "computers", "the internet",
    "programming", "mathematics", "prime numbers", "geometry", "statistics", "probability", "physics", "gravity", "magnetism", "sound",
    "light", "heat", "chemistry", "acids", "water", "ice", "salt", "cells", "the heart", "the lungs", "the liver", "the skin", "the eye",
    "muscles", "bones", "sleep", "dreams", "health", "exercise", "running", "swimming", "football", "tennis", "chess", "music", "pianos",
    "guitars", "opera", "painting", "sculpture", "photography", "museums", "novels", "poetry", "libraries", "languages", "grammar",
    "spelling", "public speaking", "school", "homework", "exams", "universities", "teachers", "friendship", "marriage", "children",
    "grandparents", "stress", "anxiety", "anger", "habits", "time management", "teamwork", "leadership", "meetings", "emails", "work",
    "money", "savings", "taxes", "inflation", "insurance", "the stock market", "banks", "trade", "advertising", "small businesses",
    "farming", "soil", "compost", "pesticides", "markets", "cities", "public transport", "traffic", "bridges", "skyscrapers", "houses",
    "castles", "knights", "kings and queens", "ancient Egypt", "ancient Greece", "the Roman Empire", "the Middle Ages", "the Renaissance",
    "the French Revolution", "the Industrial Revolution", "the Cold War", "explorers", "ships", "submarines", "pirates", "islands",
    "deserts", "rainforests", "glaciers", "snow", "storms", "tornadoes", "lightning", "rainbows", "clouds", "stars", "comets", "astronauts",
    "space travel", "black holes", "the sun", "time zones", "memory", "the brain", "learning", "artificial intelligence",
    "machine learning", "neural networks", "databases", "encryption", "passwords", "video games", "smartphones", "social media",
    "medicine", "vaccines", "antibiotics", "allergies", "headaches", "diabetes", "vitamins", "protein", "sugar", "vegetables", "fruit",
    "chocolate", "cheese", "rice", "spices", "restaurants", "travel", "camping", "hiking", "airplanes", "helicopters", "cars",
    "electric cars", "batteries", "engines", "maps", "compasses", "clocks", "calendars", "democracy", "elections", "laws", "human rights",
    "newspapers", "film", "theatre", "dance", "fashion", "cotton", "paper", "glass", "steel", "gold", "oil", "plastic", "recycling",
    "oceans", "coral reefs", "sharks", "dolphins", "penguins", "elephants", "wolves", "foxes", "owls", "bats", "snakes", "frogs", "ants",
    "butterflies", "spiders", "mushrooms", "flowers", "seeds", "photosynthesis", "evolution", "DNA", "bacteria", "the water cycle",
    "food chains", "the universe", "philosophy", "ethics", "religion", "holidays", "weddings", "toys", "kites", "magic tricks")
THING = (
    "a bicycle", "a microwave oven", "a washing machine", "a dishwasher", "a vacuum cleaner", "a toaster", "a light bulb",
    "a thermometer", "a compass", "a clock", "a camera", "a telescope", "a microscope", "a television", "a radio", "a telephone",
    "a computer", "a keyboard", "a printer", "a search engine", "a web browser", "a database", "a compiler", "a battery", "a solar panel",
    "a wind turbine", "a dam", "a jet engine", "an airplane", "a helicopter", "a submarine", "a ship", "a rocket", "a satellite",
    "a bridge", "a tunnel", "an elevator", "a lock", "a zipper", "a pair of scissors", "a pencil", "a candle", "a mirror",
    "a pair of glasses", "a magnet", "a piano", "a guitar", "a drum", "a flute", "a violin", "a kite", "a balloon", "a parachute",
    "a vaccine", "a hearing aid", "a bee hive", "a spider web", "a volcano", "a glacier", "a river", "a desert", "a rainforest", "a cell",
    "a gene", "an atom", "a molecule", "a star", "a galaxy", "a comet", "an eclipse", "a rainbow", "a tornado", "an earthquake", "a bank",
    "a budget", "a mortgage", "a credit card", "a company", "a union", "a contract", "a court", "a parliament", "an election",
    "a newspaper", "a novel", "a poem", "a sentence", "a verb", "a fraction", "a triangle", "a circle", "an equation", "a function",
    "a prime number", "an algorithm")
DO = (
    "learn a new language", "sleep better", "save money", "cook rice", "bake a cake", "make good coffee", "plant tomatoes",
    "grow herbs indoors", "train a puppy", "look after a goldfish", "clean a carpet", "remove a stain", "fix a flat tire",
    "paint a room", "hang a picture", "choose a laptop", "write an essay", "write a letter of complaint", "write a good resume",
    "ask for a raise", "give a speech", "take better photos", "learn to draw", "play chess", "learn the guitar", "run five kilometres",
    "start jogging", "lose weight", "build muscle", "eat more vegetables", "drink more water", "stop procrastinating", "stay focused",
    "study for an exam", "remember names", "make new friends", "apologize to a friend", "talk to a shy child", "plan a birthday party",
    "plan a trip", "pack a suitcase", "find cheap flights", "move to a new city", "rent an apartment", "buy a used car",
    "start a small business", "run a meeting", "manage a team", "deal with stress", "calm down", "write a poem", "start a novel",
    "organize a bookshelf", "tidy a desk", "reduce waste", "save electricity", "protect a password", "back up my files",
    "speed up my computer", "learn programming", "teach a child to read", "help a friend who is sad", "care for houseplants",
    "build a campfire", "stay safe in a storm", "treat a small burn", "prepare for winter", "read a map", "fold a shirt", "sharpen a knife")
WHO = (
    "a farmer", "a fisherman", "a young queen", "a lonely king", "a clever fox", "an old wolf", "a small dragon", "a tired wizard",
    "a shy giant", "a talking cat", "a lost puppy", "a brave mouse", "a proud lion", "a curious crow", "a robot", "a forgetful robot",
    "an astronaut", "a pilot", "a sailor", "a pirate captain", "a lighthouse keeper", "a postman", "a librarian", "a teacher",
    "a new student", "a young doctor", "a nurse", "a detective", "a thief", "a spy", "a painter", "a musician", "a dancer", "a carpenter",
    "a tailor", "a blacksmith", "a gardener", "a cook", "a taxi driver", "a train driver", "a scientist", "an inventor", "an explorer",
    "a time traveler", "a ghost", "a witch", "a princess", "a prince", "a knight", "two brothers", "three friends", "a pair of twins",
    "a grandmother", "a grandfather", "a father and his daughter", "a mother and her son", "a boy", "a girl", "a girl named Mia",
    "a boy named Tom", "an orphan", "a village", "a penguin", "an elephant", "a turtle", "an owl", "a bear", "a rabbit", "a squirrel",
    "a whale", "a dolphin", "a snowman", "a scarecrow", "a toy soldier", "a tree", "a cloud", "a star", "a little boat", "an old car",
    "a football team", "a writer", "a photographer", "a beekeeper", "a shepherd", "a merchant", "a monk", "a judge", "a mayor",
    "an actor", "a clown", "a magician", "a chess player", "a runner", "a swimmer", "a mountain climber", "a soldier", "a refugee")
STORIES = (
    "Write a story about {who} who", "Write a short story about {who} who", "Tell me a story about {who} who",
    "Tell me a story about {who} and {who}.", "Write a short story about {who} and {who}.", "Can you write a story in which {who}",
    "Write a funny story about {who}", "Write a fairy tale about {who} and", "Write a bedtime story about {who}",
    "Write a story for children about {topic}.", "Continue this story: Once upon a time there was {who} who",
    "Continue the story: It was a dark night when {who}", "Write a scary story in which {who} finds", "Write a story that begins with",
    "Write the beginning of a novel about {who} who", "I want a story about {who} and {topic}.", "Create a story with {who}, {who} and",
    "Write a tale of {who} in", "Write a fable about {who} and {who}.", "Please write a short story about {who} and",
    "Tell a story of {who} who has never", "Write a paragraph of a story that takes place in", "Write an adventure story about {who}",
    "Write a love story about {who} and", "Write a mystery story about {who} and a missing", "Write a science fiction story about {topic}.",
    "Write a story about {thing} that", "Write a story with a surprising ending about {who}.", "Make up a story about {who} at",
    "Write a story about {who} learning that", "Tell me about the day on which {who}", "Write a short tale about {topic} and {who}.",
    "Write a story where {who} meets {who}", "Invent a legend about how {topic}", "Write a diary entry of {who}",
    "Write a letter from {who} to {who}.")
QUESTIONS = (
    "What is {thing}?", "What are the parts of {thing}?", "How does {thing} work?", "How is {thing} made?", "Who invented {thing}?",
    "Why is {thing}", "What can I do with {thing}", "Explain what {thing} is", "Explain how {thing} works",
    "Describe {thing} to a child.", "What is the difference between {thing} and", "Why are {topic} important?",
    "Why do people like {topic}?", "What is {topic}", "What are {topic}", "How do {topic}", "Why do {topic}",
    "Explain {topic} in simple words.", "Explain the basics of {topic}.", "Tell me about {topic}.",
    "Tell me three interesting facts about {topic}.", "What do you know about {topic}?", "What should everyone know about {topic}?",
    "What are the benefits of {topic}?", "What are the dangers of {topic}?", "What is the history of {topic}?", "How has {topic} changed",
    "Compare {topic} and {topic}.", "How are {topic} and {topic} related?", "What causes", "What happens when", "What would happen if",
    "I have a question about {topic}:", "Is it true that {topic}", "How many", "When did", "Where can I learn more about {topic}?",
    "Which", "Who was the first", "Give me advice about {topic}.", "How do I {do}?", "How can I {do}?", "What is the best way to {do}?",
    "Give me five tips on how to {do}.", "Can you help me {do}?", "I want to {do}. What should I do first?", "Why is it hard to {do}?",
    "How long does it take to {do}?", "List the steps to {do}.", "What do I need to {do}?",
    "My friend wants to {do}. What would you advise?", "Write a short explanation of", "Help me understand {topic}.",
    "What is the difference between", "Why is", "Why does", "Name some", "Give an example of", "What are the main causes of",
    "Write an email about {topic}", "Write a paragraph about {topic}.", "What is your opinion on {topic}?", "Solve", "Translate", "")
TEXTS = (
    "Summarize the following text:\n\n", "Summarize the text below in two sentences.\n\n", "Please summarize this article:\n\n",
    "Give a short summary of this text: ", "Sum up the following paragraph in one sentence:\n\n", "Summarize:\n\n",
    "What are the main points of this text?\n\n", "Read the text and write a summary.\n\nText: ", "Summarise this passage: ",
    "Can you summarize the following for me?\n\n", "Write a brief summary of the passage:\n\n", "TL;DR of this text:\n\n",
    "Summarize the following article in a few sentences.\n\n", "Please give me the key points of this text:\n\n",
    "Summarize this news story:\n\n", "Put this text into your own words, briefly:\n\n", "Summarize this letter:\n\n",
    "What is this text about?\n\n", "Shorten the following text:\n\n", "Summarize this report for my colleagues:\n\n")
TEXT_STARTS = (
    "", "Scientists who study {topic} have", "Last year, {who}", "Many people think that {topic}", "A new study of {topic} shows that",
    "The history of {topic} began", "For centuries, {topic}", "In the town of", "{topic} are", "{topic} is",
    "Researchers have found that {topic}", "Today, {topic}", "When {who}", "Dear customers, {thing}", "{thing} was found in",
    "Good morning, {who}", "The team that works on {topic} will", "At the end of the season, {topic}", "Anyone who wants to {do} should",
    "{who} won", "On Monday, the city council", "The company announced that", "Over the past ten years, {topic}", "Although {topic}",
    "The museum of {topic} opened", "A school in", "Experts say that {topic}", "To {do}, you need", "If you want to {do},",
    "The first time that {who}", "There are many ways to {do}.", "The price of", "Every summer, {who}", "Our team has", "A fire in",
    "The new train line", "Visitors to", "The weather this week", "Doctors recommend", "The bank said", "The club will meet",
    "Thanks to {topic},", "A group of students", "The festival", "How {thing} works is")
CODE = (
    "Write a Python function that {task}.", "Write a Python function that {task}.", "Write a Python function that {task} and",
    "Write a function in Python that {task}.", "Write a function that {task}.", "Write a Python program that {task}.",
    "Write a Python script that {task}.", "Can you write Python code that {task}?", "How do I write a Python function that {task}?",
    "Show me Python code that {task}, with comments.", "Write a Python function that {task} and explain how it works.",
    "Write a Python class for {thing}", "Write a Python class that represents", "Implement", "Write a JavaScript function that {task}.",
    "Write a C program that {task}.", "Write a Java method that {task}.", "Write an SQL query that", "Write a bash script that",
    "Fix this code:\n\n```python\ndef", "What does this code do?\n\n```python\n", "Explain this Python code:\n\n```python\nfor",
    "Complete this function:\n\ndef", "In Python, how do I", "Write a recursive function that {task}.", "Write a unit test for",
    "Write a Python function `", "Create an HTML page with", "Give me an example of", "Write a Python function called",
    "What is the difference between", "How do I use", "Write a program that asks the user for")
TASK = (
    "returns the largest of three numbers", "checks whether a number is prime", "checks whether a number is even",
    "computes the factorial of a number", "returns the n-th Fibonacci number", "computes the greatest common divisor of two numbers",
    "reverses a list", "sorts a list of names", "removes duplicates from a list", "finds the second largest number of a list",
    "computes the average of a list", "computes the median", "counts the words in a text", "counts how often each letter occurs",
    "finds the longest word of a sentence", "checks whether a word is a palindrome", "checks whether two words are anagrams",
    "capitalizes every word", "replaces spaces by underscores", "splits a string at commas", "joins two dictionaries",
    "inverts a dictionary", "finds the most frequent element", "flattens a nested list", "rotates a list by k places",
    "merges two dictionaries", "multiplies two matrices", "transposes a matrix", "computes the dot product",
    "finds an element by binary search", "sorts a list with bubble sort", "sorts a list with quicksort", "reads a text file line by line",
    "writes a list to a file", "reads a JSON file", "counts the lines of a file", "renames all files in a folder",
    "lists the files of a folder", "downloads a web page", "sends an email", "prints a multiplication table",
    "prints a triangle of stars", "prints the numbers from 1 to 100", "converts Celsius to Fahrenheit", "converts miles to kilometres",
    "converts a number to binary", "converts seconds to hours and minutes", "converts Roman numerals to numbers",
    "computes the area of a circle", "computes the distance between two points", "computes the number of days between two dates",
    "returns the day of the week", "generates a random password", "rolls two dice", "shuffles a deck of cards", "draws a bar chart",
    "simulates a queue", "simulates a traffic light", "implements a stack", "implements a linked list", "implements a binary tree",
    "keeps a shopping list", "keeps a to-do list", "computes the total of an invoice", "validates an email address",
    "checks the strength of a password", "encrypts a text with the Caesar cipher", "finds all prime factors",
    "finds all pairs with a given sum", "finds the intersection of two lists", "returns the common elements of two sets",
    "groups words by their first letter", "removes punctuation from a text", "finds the missing number", "plays rock, paper, scissors",
    "asks for a name and prints a greeting", "sums the digits of a number", "counts down from ten", "adds two numbers")
SUBJECTS = {"topic": TOPIC, "thing": THING, "who": WHO, "do": DO, "task": TASK}
OF_WORDS = {  # subjects made of any words
    "topic": ("{word}", "{word}", "{word} and {word}", "the {word} of {word}", "a {word}", "the {word}"),
    "thing": ("a {word}", "a {word}", "a {word} {word}", "the {word}", "{word}"),
    "who": ("a {word}", "a {word}", "the {word}", "a {word} {word}", "a boy with a {word}", "a woman who loved {word}", "my {word}"),
    "do": ("find a {word}", "choose a {word}", "make a {word}", "fix a broken {word}", "learn about {word}", "take care of a {word}",
           "understand {word}", "clean a {word}", "store a {word}", "talk about {word}", "avoid {word}", "draw a {word}", "become a {word}",
           "measure {word}", "improve my {word}", "use a {word}", "paint a {word}", "explain {word} to my class", "prepare for a {word}"),
    "task": ("computes the {word} of a list of numbers", "checks whether a {word} is valid", "prints a {word}", "finds the shortest {word}",
             "finds all {word} in a text", "keeps track of {word} in a dictionary", "simulates a {word}", "converts {word} to {word}",
             "counts the {word} in a list", "reads {word} from a file", "stores {word} in a list and prints it",
             "returns the {word} of a {word}",
             "sorts objects by {word}", "filters a list by {word}", "computes the price of a {word}", "draws a {word}", "parses a {word}",
             "models a {word} with attributes {word} and {word}", "takes a {word} and a {word} and returns the {word}",
             "asks the user for a {word} and prints the {word}", "removes every {word} from a string", "splits a {word} into parts",
             "checks whether a {word} contains a {word}", "updates the {word} of each {word}", "logs every {word}", "validates a {word}",
             "returns the first {word} that is larger than a limit", "plays a game about a {word}", "groups {word} by {word}",
             "computes the sum of every {word}", "plots the {word} over time", "returns a random {word}", "merges a {word} with a {word}")}


@lru_cache(maxsize=4)
def whole_words(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """Words that are one piece of the tokenizer's vocabulary, also with a capital, which parts of words seldom are; in the order of their
    ids, of four letters or more, none of those that end as verbs in the past, adverbs and plurals do."""
    pieces = tokenizer.get_vocab()
    words = [piece for piece in sorted(pieces, key=pieces.get) if re.fullmatch("[\u0120\u2581][a-z]{4,}", piece)]  # behind a space
    return tuple(piece[1:] for piece in words
                 if piece[0] + piece[1:].capitalize() in pieces and not piece.endswith(("ed", "ing", "ly", "s")))


def filled(text: str, rng: random.Random, words: Sequence[str] = ()) -> str:
    """`text` with each {name} in it replaced by one of its `SUBJECTS`, drawn from `rng`; where `words` are given, half of the time by
    some of these."""
    def subject(name: re.Match) -> str:
        if name[1] == "word":
            return rng.choice(words)
        if words and rng.random() < 0.5:
            return re.sub(r"\ba (?=[aeio])", "an ", filled(rng.choice(OF_WORDS[name[1]]), rng, words))
        return rng.choice(SUBJECTS[name[1]])
    return re.sub(r"{(\w+)}", subject, text)


def user_opening(rng: random.Random, words: Sequence[str] = ()) -> tuple[str, int, int]:
    """The first words of a user's turn, drawn from `rng`, and how many tokens the model must and may add to them: a text to be summed up
    is not to end after its first sentence. `words`: the model's own, to make subjects of (`whole_words`)."""
    kind = rng.choices(("story", "question", "summary", "code"), (5, 8, 5, 6))[0]
    if kind == "summary":
        start, least = filled(rng.choice(TEXT_STARTS), rng, words), rng.choice((40, 60, 80))
        return (rng.choice(TEXTS) + start[:1].upper() + start[1:]).rstrip(" "), least, least + 50
    openings = {"story": STORIES, "question": QUESTIONS, "code": CODE}[kind]
    return filled(rng.choice(openings), rng, words), 0, 60 if kind == "code" else 40
