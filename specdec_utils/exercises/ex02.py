"""Checks of notebook 02."""
from functools import cache

from transformers import AutoTokenizer

from ..models.load import PAIRS
from . import exercise


@exercise("02.same_vocabulary")
def _(answer):
    base = {"the": 0, "dog": 1, "ball": 2}
    cases = [
        (dict(base), True, "these two vocabularies are equal, so the answer is True."),
        ({"ball": 2, "the": 0, "dog": 1}, True, "the order in which a dictionary lists its entries means nothing; these two are equal."),
        ({"the": 0, "dog": 2, "ball": 1}, False,
         "two vocabularies of the same size, with the same words and the same ids, can still give a word different ids: compare "
         "the id of each word."),
        ({"the": 0, "cat": 1, "ball": 2}, False, "these two have the same size and the same ids, but id 1 is 'dog' for one and 'cat' for "
                                                 "the other: compare the words too."),
        ({**base, "red": 3}, False, "the second vocabulary has a word more, so one model has an id that means nothing to the other."),
    ]
    for other, truth, complaint in cases:
        for one, two in ((base, other), (other, base)):
            got = answer(dict(one), dict(two))
            if not isinstance(got, bool):
                return f"return True or False, not {type(got).__name__}."
            if got != truth:
                return complaint
    return None


@cache
def _tokenizer():
    return AutoTokenizer.from_pretrained(PAIRS["stories"].verifier, local_files_only=True)


@exercise("02.keeps_boundary")
def _(answer):
    tokenizer = _tokenizer()
    cases = [("Tom had a", " big ball"), ("Tom had a ", "big ball"), ("Tom saw a al", "ly"), ("Tom had a ba", "ll"), ("One day", ", a dog"),
             ("Once upon a time", ""), ("Lily had a red ball", ".")]
    for prompt, continuation in cases:
        head, whole = (tokenizer(text)["input_ids"] for text in (prompt, prompt + continuation))
        truth = whole[:len(head)] == head
        got = answer(tokenizer, prompt, continuation)
        if not isinstance(got, bool):
            return f"return True or False, not {type(got).__name__}."
        if got and not truth:
            if len(head) + len(tokenizer(continuation)["input_ids"]) == len(whole):
                return (f"for {prompt!r} + {continuation!r} the numbers of tokens add up, but the tokens are different ones: compare "
                        "the ids themselves.")
            return f"for {prompt!r} + {continuation!r} the text continues but the ids do not: a piece of the whole lies across the cut."
        if truth and not got:
            return f"for {prompt!r} + {continuation!r} the whole begins with the ids of the prompt, so the cut holds."
    return None
