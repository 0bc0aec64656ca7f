"""Openings of small stories: what the benchmark continues when it is given no prompts of its own."""

OPENINGS = (
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
