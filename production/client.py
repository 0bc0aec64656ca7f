"""What a user's program does: ask a server that speaks OpenAI's protocol, here vLLM, with the standard `openai` client.

python client.py URL MODEL < prompts.json: prompts is {"tokens": n, "prompts": [text or messages, ...]}; writes one JSON object with the
replies, their tokens, and the seconds of each. The environment that `run.py` makes has the client.
"""
import json
import sys
import time

from openai import OpenAI


def main(url: str, model: str) -> None:
    client, wanted = OpenAI(base_url=url, api_key="none", timeout=600), json.load(sys.stdin)
    replies = []
    for prompt in wanted["prompts"]:
        began = time.perf_counter()
        if isinstance(prompt, str):
            reply = client.completions.create(model=model, prompt=prompt, max_tokens=wanted["tokens"], temperature=0)
            text = reply.choices[0].text
        else:
            reply = client.chat.completions.create(model=model, messages=prompt, max_tokens=wanted["tokens"], temperature=0)
            text = reply.choices[0].message.content
        replies.append({"text": text, "tokens": reply.usage.completion_tokens, "seconds": time.perf_counter() - began})
    json.dump(replies, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
