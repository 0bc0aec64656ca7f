"""Whole turns of users, put together from words given here: what people ask, where a small model that plays the user asks much the same
again and again, and often nonsense."""
import random
import re

from .given_texts import WORDS, given_text

STORY = (
    "Write a short story about {hero} who {deed}.", "Write a story about {hero} who {deed}.", "Tell me a story about {hero} who {deed}.",
    "Tell me a bedtime story about {hero} who {deed}.", "Write a story in which {hero} {deed}.", "Write a tale in which {hero} {deed}.",
    "I would like a story about {hero} who {deed}.", "Can you write a short story about {hero} who {deed}?",
    "Write a story about {hero} and {hero}.", "Tell me a funny story about {hero} and {hero} {place}.",
    "Write a short story that takes place {place}. The main character is {hero}.", "Write a story that begins {place}.",
    "Write the first page of a novel about {hero} who {deed}.", "Write the opening of a {genre} story set {place}.",
    "Make up a fable about {beast} and {beast}, with a moral.", "Write a fable in which {beast} learns that {moral}.",
    "Write a {genre} story about {hero} who {deed}.", "Please write a {genre} story that takes place {place}.",
    "Write a short story about {object} that {wonder}.", "Tell me a story about {object} that {wonder}.",
    "Write a story for young children about {beast} who {deed}.", "Write a story in which {hero} finds {object} {place}.",
    "Tell a story about the day on which {hero} {deed}.", "Write a story with a happy ending about {hero} who {deed}.",
    "Write a story of about 200 words: {hero} {deed}.", "Write a short story with the title \"{title}\".",
    "My daughter wants a story about {beast} who {deed}. Can you help?", "Write a letter that {hero} might write after {deed_ing}.",
    "Continue this story: On a cold morning {hero} stood {place} and waited.", "Write a dialogue between {hero} and {beast}.")
HERO = (
    "an old sailor", "a retired teacher", "a shy violinist", "a night nurse", "a bus driver", "a young glassblower", "a tax inspector",
    "a weather forecaster", "a village doctor", "a bookseller", "a beekeeper", "a mountain guide", "a ferry captain", "a window cleaner",
    "a piano tuner", "a chess champion", "a watchful grandmother", "a boy with a stammer", "a girl who collects stamps", "two cousins",
    "three classmates", "a new neighbor", "a circus acrobat", "a street musician", "a bored prince", "an impatient wizard",
    "a lost tourist", "a shepherd", "a miller's daughter", "a fisherman's son", "a museum guard", "a lonely astronaut", "a small robot",
    "a broken robot", "a nervous actor", "a cook without a kitchen", "a mapmaker", "a toy maker", "a potter", "a shoemaker",
    "a stubborn mayor", "a forgetful professor", "a young reporter", "a tired detective", "a clumsy knight", "a ghost", "a dragon",
    "a giant", "a snow queen", "a taxi driver", "a florist", "a farmer and his son", "a mother of four", "a widower", "an elderly couple",
    "an orphan", "a girl named Clara", "a boy named Ben", "a pilot", "a diver", "a train conductor", "a janitor", "a librarian's assistant",
    "a painter who has gone blind", "a singer without a voice", "a carpenter", "a telephone operator", "a soldier on leave",
    "an apprentice", "a young judge", "an inventor", "a gardener's wife", "a milkman", "a hotel porter", "a locksmith")
BEAST = (
    "a fox", "a crow", "a badger", "a goose", "an old tortoise", "a young wolf", "a mole", "a sparrow", "a frog", "a squirrel", "a donkey",
    "a goat", "a rooster", "a bear cub", "an owl", "a mouse", "a rabbit", "a cat", "a puppy", "a parrot", "a whale", "an otter", "a seal",
    "a crab", "a bat", "a stork", "a camel", "a monkey", "an elephant", "a lion", "a giraffe", "a penguin", "a swan", "a duck", "a horse",
    "a pig", "a lamb", "a beetle", "a spider", "a firefly", "a caterpillar", "a raven", "a lizard", "a salmon", "a kangaroo")
DEED = (
    "wants to see the ocean", "is afraid of the dark", "finds an old key", "loses a wedding ring", "learns to swim", "saves a forest",
    "cannot stop laughing", "builds a boat in the garden", "misses the last bus", "wins a strange prize", "hears voices in the wind",
    "opens a door that was never there", "forgets a birthday", "receives a letter from the past", "makes a friend in hospital",
    "gets lost in a snowstorm", "discovers an island", "plants a seed that will not grow", "moves to the big city",
    "returns home after years", "steals a painting", "gives away a fortune", "finally tells the truth", "keeps a secret for too long",
    "meets a stranger on a bridge", "learns to forgive", "wakes up in another century", "talks to the moon", "repairs an old radio",
    "finds a baby bird", "wants to fly", "runs away from school", "enters a cooking contest", "must spend a night in a castle",
    "is given three wishes", "sells the family farm", "teaches a neighbor to dance", "solves a riddle", "crosses the desert",
    "hides in a cupboard", "takes the wrong suitcase", "adopts a stray dog", "saves the town from a flood", "finds a message in a bottle",
    "buys a haunted house", "never sleeps", "refuses to grow up", "collects other people's dreams", "is mistaken for someone famous",
    "travels around the world by balloon", "looks for a lost brother", "learns to cook", "makes the rain stop",
    "paints the same picture every day", "finds a hidden room", "breaks a promise", "falls in love with a statue", "rescues a horse",
    "grows younger each year", "wants to become a doctor", "cannot read", "discovers a new color", "loses his shadow",
    "borrows a stranger's umbrella", "spends the winter alone", "has to choose between two friends", "stops all the clocks",
    "hears music under the floor", "finds a photograph of the future", "raises an injured owl", "gets a second chance",
    "starts a newspaper", "outsmarts a thief", "must cross a frozen lake")
DEED_ING = (
    "a long voyage", "a lost battle", "the first day of work", "a wedding", "an unexpected visit", "moving house", "a great storm",
    "winning a race", "meeting an old friend", "a year abroad", "a quarrel with a brother", "a narrow escape")
PLACE = (
    "on a small island", "in an empty theater", "at the edge of a forest", "in a crowded market", "on the roof of a hotel",
    "in a submarine", "at a railway station at midnight", "in a village without roads", "in a desert town", "on a fishing boat",
    "in an abandoned factory", "in a greenhouse", "on the slopes of a volcano", "in a school during the holidays", "in a castle by the sea",
    "in a laundromat", "on the last day of summer", "in a city under water", "on a space station", "at a country fair",
    "in a hospital ward", "at the bottom of a well", "in a tea shop", "on a mountain pass", "during a power cut", "in the year 2300",
    "in an old cinema", "on a farm in winter", "in the back of a truck", "under a bridge", "at the harbor",
    "in a library after closing time")
GENRE = (
    "ghost", "detective", "science fiction", "love", "scary", "funny", "sad", "fantasy", "historical", "Christmas", "western", "spy",
    "mystery", "fairy tale", "survival", "sports")
OBJECT = (
    "a mirror", "a pair of red shoes", "a wooden box", "a broken compass", "an old camera", "a silver whistle", "a teapot",
    "a rocking chair", "a black umbrella", "a pocket watch", "a music box", "a lantern", "a chess piece", "a typewriter", "a blue button",
    "a rusty bicycle", "a snow globe", "a diary", "a lost glove", "a kite", "a coin", "a paintbrush", "a lighthouse lamp", "a ring",
    "a carved bird", "a pencil", "an accordion", "a church bell", "a wool coat", "a suitcase", "a telephone", "a fountain", "a ladder",
    "a staircase")
WONDER = (
    "grants wishes", "remembers everything", "nobody wants to buy", "always comes back", "shows the future", "can only be used once",
    "changes its owner's life", "belonged to a queen", "travels from hand to hand", "whispers at night", "brings bad luck",
    "makes people honest", "never gets old", "turns up in three different countries", "saves a life", "opens every door")
MORAL = (
    "patience pays", "pride comes before a fall", "small friends can be great friends", "it is wise to share",
    "not all that glitters is gold", "a promise must be kept", "help comes from unexpected places", "haste makes waste",
    "lies have short legs", "everyone is good at something", "listening is better than shouting")
TITLE = (
    "The Silent Bell", "A House of Paper", "The Last Apple", "Winter Guests", "The Borrowed Coat", "Two Cups of Tea", "The River Knows",
    "A Map of Nowhere", "The Glass Garden", "Letters from the North", "The Girl on Platform Nine", "The Long Way Home", "Salt and Honey",
    "The Thirteenth Floor", "The Night Market", "What the Crow Saw", "A Door in the Hill", "The Smallest Giant", "Seven Umbrellas",
    "The Sleeping Town", "Before the Rain", "The Unfinished Song")

QUESTION = (
    "{why}", "{why}", "{why}", "{why}", "What is the difference between {pair}?", "What is the difference between {pair}?",
    "Can you explain {concept} to {audience}?", "Explain {concept} to {audience}.", "What is {concept}, in simple terms?",
    "How would you explain {concept} to {audience}?", "Could you tell me how {concept} works?",
    "Please explain {concept} in a few sentences.", "Why does {concept} matter?", "What should I think about before I {plan}?",
    "Which steps should I take to {plan}?", "How do I {plan}?", "I want to {plan}. Where do I start?",
    "What are common mistakes when people {plan}?", "Give me a short checklist for someone who wants to {plan}.",
    "Is it a good idea to {plan}?", "What do I need to {plan}?", "How much time should I allow to {plan}?",
    "Give me some tips: I am about to {plan}.", "Compare {pair}.", "When should I use {pair_or}?", "{why} Explain it to {audience}.")
WHY = (
    "Why do cats purr?", "Why is the sea salty?", "Why do we yawn?", "Why does ice float on water?", "Why do stars twinkle?",
    "Why does bread rise?", "Why do birds migrate?", "Why is it colder on top of a mountain?", "Why do we have leap seconds?",
    "Why does metal feel colder than wood?", "Why do apples turn brown after they are cut?", "Why do we dream?",
    "Why do dogs wag their tails?", "Why does thunder come after lightning?", "Why do some people need glasses?", "Why are flamingos pink?",
    "Why does iron rust?", "Why do we get goosebumps?", "Why does popcorn pop?", "Why do knuckles crack?",
    "Why do mosquitoes bite some people more than others?", "Why is yawning contagious?", "Why do airplanes leave white trails?",
    "Why does hot water sometimes freeze faster than cold water?", "Why do roads get potholes?", "Why do we have seasons?",
    "Why does the moon change its shape?", "Why do trees lose bark?", "Why is gold so valuable?", "Why do prices rise?",
    "Why do volcanoes erupt?", "Why are manhole covers round?", "Why do camels have humps?", "Why does milk boil over?",
    "Why do bees make honey?", "Why do old books smell?", "Why is blood red?", "Why do fish not freeze in winter?",
    "Why do wounds itch when they heal?", "Why do boats float?", "Why does a boomerang come back?", "Why do ears pop in an airplane?",
    "How does a thermostat work?", "How do bats find their way at night?", "How do plants drink water?", "How does a touch screen work?",
    "How is paper made from wood?", "How do spiders make their webs?", "How does a hot air balloon rise?", "How do magnets work?",
    "How does the heart pump blood?", "How do noise-cancelling headphones work?", "How does a seed become a plant?", "How is cheese made?",
    "How do fireflies glow?", "How does a microwave heat food?", "How do glaciers move?", "How does GPS know where I am?",
    "How do bridges carry heavy trucks?", "How does a sewing machine work?", "How do vaccines protect us?",
    "How does a pressure cooker work?", "How do whales breathe?", "How is chocolate made?", "How does an elevator know where to stop?",
    "How do clouds form?", "How do ants find food?", "How does yeast work?", "How do submarines dive?", "How does a bar code work?",
    "How is electricity made from wind?", "How do earthquakes start?", "How do chameleons change color?",
    "How does a bicycle stay upright?", "How do banks make money?", "How do oysters make pearls?", "How does a violin make sound?",
    "How do locks on a canal work?", "How do dams produce electricity?", "How does the stomach digest food?",
    "How do trees know when it is spring?", "How does a battery store energy?", "How do eyes see color?",
    "How was the Grand Canyon formed?", "How do insects breathe?", "How do candles burn?", "How is salt taken from the sea?",
    "What happens to plastic in the ocean?", "What happens when we sneeze?", "What happens inside a star when it dies?",
    "What causes hiccups?", "What causes a rainbow?", "What makes chili peppers hot?", "What makes concrete so strong?",
    "What are the northern lights?", "What are fossils and how do they form?", "What is inside a black hole?",
    "What do worms do for the soil?", "What does the liver do?", "What is the purpose of the appendix?",
    "What was daily life like in a medieval town?", "What led to the fall of the Roman Empire?",
    "What is the oldest language still spoken?", "What do referees do in football?", "What makes a good leader?",
    "What is a healthy breakfast?", "Who built the pyramids and how?", "Who decides what a word means?",
    "When was the printing press invented and why did it matter?", "Where does the wind come from?", "Where do hurricanes form?",
    "Is it safe to eat raw eggs?", "Is tomato a fruit or a vegetable?", "Can fish sleep?", "Can plants feel pain?", "Can we live on Mars?",
    "Do animals have feelings?", "Do we really use only ten percent of our brain?", "Does sugar make children hyperactive?",
    "Should children have homework?", "How many bones does a human have?", "How far away is the sun?", "How old is the Earth?",
    "How long do elephants live?", "How fast does sound travel?", "How deep is the ocean?")
PAIR = (
    "a crocodile and an alligator", "a comet and an asteroid", "weather and climate", "a simile and a metaphor", "mass and weight",
    "a frog and a toad", "a moth and a butterfly", "speed and velocity", "a debit card and a credit card", "stocks and bonds",
    "a lake and a pond", "a tornado and a hurricane", "an opera and a musical", "baking soda and baking powder", "a fruit and a vegetable",
    "an ape and a monkey", "arteries and veins", "a novel and a novella", "a lawyer and a judge", "jazz and blues", "a mean and a median",
    "a donkey and a mule", "empathy and sympathy", "a gas and a liquid", "latitude and longitude", "a city and a town",
    "a turtle and a tortoise", "a cold and the flu", "an acid and a base", "a planet and a star", "cement and concrete",
    "a university and a college", "a violin and a viola", "gross and net salary", "a republic and a monarchy", "RAM and storage",
    "Wi-Fi and the internet", "a list and a tuple in Python", "a compiler and an interpreter", "a leopard and a cheetah", "fog and mist",
    "wheat and rye", "a hotel and a hostel", "an introvert and an extrovert", "physics and chemistry", "renewable and fossil energy",
    "marketing and advertising", "a canal and a river", "a seal and a sea lion", "a bus and a tram", "an import and an export",
    "a vitamin and a mineral", "a rumor and a fact", "sushi and sashimi", "a raven and a crow", "astronomy and astrology",
    "a square and a rhombus", "a biography and an autobiography", "magma and lava")
CONCEPT = (
    "photosynthesis", "inflation", "gravity", "the water cycle", "supply and demand", "evolution", "the greenhouse effect", "a black hole",
    "the immune system", "blockchain", "a mortgage", "an algorithm", "natural selection", "the food chain", "electricity", "a prime number",
    "the Pythagorean theorem", "an eclipse", "the big bang", "a budget", "probability", "the stock market", "democracy", "plate tectonics",
    "insurance", "a vaccine", "friction", "a fraction", "osmosis", "peer pressure", "a computer virus", "cloud computing", "encryption",
    "machine learning", "a search engine", "the speed of light", "an atom", "radioactivity", "DNA", "the ozone layer", "taxes", "recycling",
    "a metaphor", "irony", "the placebo effect", "a hypothesis", "the scientific method", "jet lag", "a balanced diet", "blood pressure",
    "the Doppler effect", "a lever", "a rainforest", "erosion", "a constitution", "the separation of powers", "a loan", "bankruptcy",
    "a password manager", "open source software", "a variable in programming", "recursion", "the internet of things", "a coral reef",
    "biodiversity", "hibernation", "camouflage", "echo", "static electricity", "the tides of history", "absolute zero", "a catalyst")
AUDIENCE = (
    "a child", "a six-year-old", "my grandmother", "a teenager", "a high school student", "someone who hates science", "a beginner",
    "a class of ten-year-olds", "a friend who is not a native speaker", "my colleagues", "a complete novice", "my little brother")
PLAN = (
    "buy a house", "adopt a rabbit", "change careers", "learn to drive", "run a marathon", "start a garden", "plan a wedding",
    "write a novel", "move abroad", "buy a used bicycle", "start a podcast", "learn Spanish", "paint the kitchen", "give a speech",
    "prepare for an exam", "ask my boss for a raise", "host a dinner for eight", "go camping with children", "train a puppy",
    "quit smoking", "invest a little money", "open a cafe", "build a bookshelf", "rent out a room", "travel by train through Europe",
    "keep chickens", "make my own bread", "learn the piano", "repair a dripping tap", "take a year off", "go back to university",
    "write a cover letter", "sell my car", "choose a new phone", "organize a school reunion", "set up an aquarium", "lose ten pounds",
    "learn to code", "start composting", "insulate an old house", "become a vegetarian", "teach a child to ride a bicycle",
    "photograph birds", "volunteer at a shelter", "grow tomatoes on a balcony", "hike for a week", "freelance as a designer",
    "apologize to a friend", "sleep better", "cut my electricity bill", "clean out the attic")
PAIR_OR = (
    "a comma or a semicolon", "butter or oil", "a loan or my savings", "a list or a dictionary in Python", "'who' or 'whom'",
    "email or the phone", "a bar chart or a line chart", "ice or heat for an injury", "'fewer' or 'less'", "a nail or a screw")

SUMMARY = (
    "Summarize the following text in two sentences:\n\n{text}", "Summarize the following text:\n\n{text}", "Summarize this text:\n\n{text}",
    "Please give me a short summary of this article.\n\n{text}", "What are the main points of the text below?\n\n{text}",
    "Summarize this message for my colleagues: {text}", "Sum up the passage in plain words:\n\n{text}",
    "Please sum up this article.\n\n{text}", "Write a one-paragraph summary of the following report.\n\n{text}",
    "Give me the main points of this text:\n\n{text}", "What is this message about?\n\n{text}",
    "What does this notice say, in short?\n\n{text}", "Summarize in one sentence:\n\n{text}", "Can you shorten this text for me?\n\n{text}",
    "{text}\n\nSummarize the text above.", "{text}\n\nWhat is the most important point here?",
    "Give me a brief summary of the following passage:\n\n{text}", "I have no time to read this. What does it say?\n\n{text}",
    "Summarize this for a ten-year-old:\n\n{text}", "Write a headline and a one-sentence summary for this text:\n\n{text}")
CODING = (
    "Write a Python function that {job}.", "Write a Python function that {job}.", "Write a Python function that {job}.",
    "Write a function in Python that {job}.", "Write a Python function that {job} and explain how it works.",
    "How do I write a Python function that {job}?", "Show me a Python program that {job}.", "Write a Python function `{name}` that {job}.",
    "Write a Python function `{signature}`.", "Write a Python function `{signature}` and explain how it works.",
    "Write a Python class for {model} with {method} and {method} methods.", "Write a Python class for {model}.",
    "Write a class `{cls}` in Python.", "How do I {howto} in Python?", "How can I {howto} in Python?",
    "What is the easiest way to {howto} in Python?", "Show me how to {howto} in Python, with an example.",
    "Show me a Python program that {program}.", "Write a Python script that {program}.", "Write a small Python program that {program}.",
    "Write a JavaScript function that {job}.", "Write a short Java method that {job}.", "Write an SQL query that {query}.",
    "Give me a regular expression that matches {pattern}.")
JOB = (
    "counts the consonants in a string", "returns the middle character of a string", "removes all vowels from a text",
    "finds the shortest word in a list", "checks whether a string contains only digits", "returns every second element of a list",
    "adds up the squares of a list", "finds the two smallest numbers in a list", "checks whether a list is sorted",
    "splits a list in two halves", "returns the difference between the largest and the smallest number", "rounds all numbers in a list",
    "removes None values from a list", "turns a list of pairs into a dictionary", "sorts words by their length",
    "counts the even numbers in a list", "zips two lists together", "finds all numbers divisible by three",
    "computes the power of a number without using **", "checks whether a number is a perfect square", "converts inches to centimeters",
    "converts a decimal number to hexadecimal", "converts a time such as 14:30 to minutes", "returns the number of days in a month",
    "checks whether a date is valid", "computes the age of a person from a birth date", "returns the last digit of a number",
    "checks whether three sides form a triangle", "computes the volume of a cylinder", "computes the hypotenuse of a triangle",
    "solves a quadratic equation", "computes compound growth over n years", "finds all divisors of a number",
    "checks whether a number is perfect", "prints Pascal's triangle", "returns the sum of all odd numbers up to n",
    "generates n random numbers", "picks a random winner from a list of names", "counts how many times a word occurs in a text",
    "replaces a word in a text", "removes extra spaces from a sentence", "wraps a text at 40 characters",
    "makes the first letter of each sentence a capital", "turns snake_case into camelCase",
    "compresses a string by counting repeated characters", "finds the first character that is not repeated",
    "checks whether brackets are balanced", "returns the longest common prefix of a list of strings", "encodes a text in Morse code",
    "shifts each letter of a word by three", "reads a text file and counts its words", "writes a dictionary to a JSON file",
    "finds the largest file in a folder", "returns the extension of a file name", "merges several text files",
    "removes empty lines from a file", "adds a line number to each line of a file", "parses a log line with a date and a message",
    "groups a list of people by age", "calculates the average grade of each student", "computes a shopping total with discount",
    "splits a bill among friends", "computes the tip for a meal", "converts a temperature from Fahrenheit to Kelvin",
    "finds the most expensive item in a dictionary of prices", "swaps the keys and values of a dictionary",
    "removes a key from a dictionary if it exists", "merges two dictionaries by adding their values",
    "returns the union of two lists without duplicates", "computes the running total of a list", "finds the index of the largest number",
    "moves all zeros to the end of a list", "searches a sorted list", "returns the n largest elements", "flips a matrix",
    "sums the diagonal of a matrix", "creates an n by n identity matrix", "counts the islands in a grid",
    "rotates a string by n characters", "checks whether two lists share an element", "sorts a list of tuples by the second element",
    "chunks a list into groups of n", "interleaves two lists", "caches the results of another function",
    "measures how long another function takes", "retries another function three times", "prints a calendar of a month",
    "draws a square of asterisks", "prints the first n prime numbers", "returns the Collatz sequence of a number", "checks an ISBN number",
    "validates a credit card number", "masks all but the last four digits of a number", "extracts all links from a web page",
    "extracts all numbers from a string", "counts the lines, words and characters of a text", "returns the most common letter",
    "translates a word into Pig Latin")
NAME = ("count_items", "is_valid", "transform", "find_best", "normalize", "summarize", "process", "solve", "check", "collect")
SIGNATURE = (
    "clamp(value, low, high)", "is_prime(n)", "fahrenheit(celsius)", "word_count(text)", "factorial(n)", "flatten(items)", "unique(items)",
    "is_palindrome(word)", "gcd(a, b)", "fibonacci(n)", "chunks(items, size)", "area(radius)", "distance(p, q)", "median(numbers)",
    "title_case(text)", "days_between(start, end)", "to_binary(n)", "mode(values)", "invert(mapping)", "repeat(text, times)",
    "sum_digits(n)", "parse_time(text)", "bmi(weight, height)", "most_common(words)", "second_largest(numbers)", "transpose(matrix)",
    "range_sum(a, b)", "truncate(text, length)", "is_anagram(a, b)", "roman(n)", "password(length)", "percent(part, whole)",
    "mean(numbers)", "slugify(title)")
MODEL = (
    "a library", "a student", "a shopping cart", "a traffic light", "a deck of cards", "a stack", "a queue", "a rectangle", "a circle",
    "a car", "a playlist", "a to-do list", "an address book", "a restaurant menu", "a hotel room", "a vending machine", "an elevator",
    "a coffee machine", "a chess board", "a timer", "a thermometer", "an inventory", "an employee", "a fraction", "a vector", "a matrix",
    "a linked list", "a binary tree", "a movie ticket", "a pet", "a book", "a recipe", "a phone contact", "a train", "a zoo", "a dice game",
    "a calendar event", "a wallet", "a blog post")
METHOD = (
    "add", "remove", "find", "update", "print", "reset", "start", "stop", "open", "close", "count", "sort", "sell", "rename", "display",
    "search", "move", "save", "describe", "compare")
CLS = (
    "Stack", "Queue", "Point", "Temperature", "Clock", "Counter", "Polynomial", "Money", "Graph", "LinkedList", "Robot", "Book", "Player",
    "Logger")
HOWTO = (
    "read a text file line by line", "write a list to a file", "reverse a string", "merge two dictionaries",
    "remove duplicates from a list", "sort a dictionary by value", "format a date", "round a number to two decimals",
    "convert a string to an integer", "check if a key exists", "loop over two lists at once", "catch an exception",
    "make a virtual environment", "download a file", "parse JSON", "plot a line chart", "generate random numbers",
    "find the length of a list", "join a list of strings", "copy a list", "split a string", "count the items in a list",
    "get the current time", "create a directory", "list all files with a certain extension", "use a lambda function",
    "write a list comprehension", "read user input", "add an element to a set", "iterate over a dictionary", "check the type of a variable",
    "measure the time of a function", "make an HTTP request", "sort a list in descending order", "read an Excel file",
    "pick a random element", "define a default argument", "use a decorator", "write a unit test", "find a substring",
    "convert a list to a tuple", "get the last element of a list")
PROGRAM = (
    "asks for a name and greets the user", "prints the multiplication table of a number", "plays hangman", "plays tic-tac-toe",
    "rolls a die until a six comes", "converts currencies", "keeps a diary in a text file", "counts down from a number",
    "calculates the area of different shapes", "prints the lyrics of 'Ten Green Bottles'", "quizzes the user on capitals",
    "simulates a coin toss 100 times", "draws a spiral with turtle", "manages a list of tasks", "renames photos by date",
    "finds duplicate files", "backs up a folder", "prints the weather from a dictionary", "lets the user choose from a menu",
    "calculates a loan", "tracks expenses", "scrambles a word", "tests typing speed", "prints a chessboard", "sorts names alphabetically",
    "makes a histogram of dice rolls", "searches a phone book", "converts a text to upper case", "asks ten sums and counts the right ones",
    "reads numbers until the user types 'done'", "prints the FizzBuzz sequence", "checks the spelling of a word against a list")
QUERY = (
    "returns all customers from Spain", "counts the orders of each customer", "finds the five most expensive products",
    "joins orders and customers", "returns the average salary by department", "deletes all users who never logged in",
    "finds duplicate email addresses", "lists employees hired after 2015", "sums the sales of each month",
    "returns the second highest salary")
PATTERN = (
    "an email address", "a date like 2024-05-17", "a phone number", "a hexadecimal color", "a word that ends in 'ing'", "an IP address",
    "a price in dollars", "a postal code", "a time in 24-hour format", "a URL")

LISTS = {
    "hero": HERO, "beast": BEAST, "deed": DEED, "deed_ing": DEED_ING, "place": PLACE, "genre": GENRE, "object": OBJECT, "wonder": WONDER,
    "moral": MORAL, "title": TITLE, "why": WHY, "pair": PAIR, "concept": CONCEPT, "audience": AUDIENCE, "plan": PLAN, "pair_or": PAIR_OR,
    "job": JOB, "name": NAME, "signature": SIGNATURE, "model": MODEL, "method": METHOD, "cls": CLS, "howto": HOWTO, "program": PROGRAM,
    "query": QUERY, "pattern": PATTERN} | WORDS


def whole_turn(rng: random.Random) -> str:
    """A user's turn, drawn from `rng`. A subject that comes twice is another one each time."""
    text, left = rng.choice(rng.choices((STORY, QUESTION, SUMMARY, CODING), (6, 7, 6, 6))[0]), {}

    def subject(name: re.Match) -> str:
        rest = left.setdefault(name[1].lower(), [*LISTS[name[1].lower()]])
        word = rest.pop(rng.randrange(len(rest)))
        return word[0].upper() + word[1:] if name[1][0].isupper() else word
    text = text.replace("{text}", given_text(rng))
    while "{" in text:  # a subject may hold others
        text = re.sub(r"{(\w+)}", subject, text)
    return text
