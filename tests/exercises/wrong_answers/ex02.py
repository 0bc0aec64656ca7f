"""Usual mistakes in the exercises of notebook 02; every one must be refused."""
WRONG = {
    "02.same_vocabulary": [
        """def same_vocabulary(one, two):
    return len(one) == len(two)""",
        """def same_vocabulary(one, two):
    return one.keys() == two.keys()""",
        """def same_vocabulary(one, two):
    return sorted(one.values()) == sorted(two.values())""",
        """def same_vocabulary(one, two):
    return list(one.items()) == list(two.items())""",
        """def same_vocabulary(one, two):
    return all(two.get(piece) == i for piece, i in one.items())""",
    ],
    "02.keeps_boundary": [
        """def keeps_boundary(tokenizer, prompt, continuation):
    return (prompt + continuation).startswith(prompt)""",
        """def keeps_boundary(tokenizer, prompt, continuation):
    ids = [tokenizer(text)["input_ids"] for text in (prompt, continuation, prompt + continuation)]
    return len(ids[0]) + len(ids[1]) == len(ids[2])""",
        """def keeps_boundary(tokenizer, prompt, continuation):
    return tokenizer(prompt)["input_ids"] == tokenizer(prompt + continuation)["input_ids"]""",
        """def keeps_boundary(tokenizer, prompt, continuation):
    return not prompt.endswith(" ")""",
    ],
}
