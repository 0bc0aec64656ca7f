"""What a user's program does: ask a server that speaks OpenAI's protocol, here vLLM, with the standard `openai` client.

python client.py URL MODEL < wanted.json: {"prompts": [text or messages, ...], "tokens": n, "at_once": m}, m requests being under way
at a time; writes {"texts": [...], "tokens": all that were written, "seconds": what all of it took} as JSON. The environment that
`run.py` makes has the client.
"""
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from openai import OpenAI


def main(url: str, model: str) -> None:
    client, wanted = OpenAI(base_url=url, api_key="none", timeout=600), json.load(sys.stdin)

    def ask(prompt: str | list) -> tuple[str, int]:
        asked = {"model": model, "max_tokens": wanted["tokens"], "temperature": 0}
        if isinstance(prompt, str):
            reply = client.completions.create(prompt=prompt, **asked)
            return reply.choices[0].text, reply.usage.completion_tokens
        reply = client.chat.completions.create(messages=prompt, **asked)
        return reply.choices[0].message.content, reply.usage.completion_tokens

    began = time.perf_counter()
    with ThreadPoolExecutor(wanted["at_once"]) as pool:
        texts, counts = zip(*pool.map(ask, wanted["prompts"]))
    json.dump({"texts": texts, "tokens": sum(counts), "seconds": time.perf_counter() - began}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
