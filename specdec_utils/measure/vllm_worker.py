"""vLLM in a process of its own: each line that it is given is a request in JSON, and each is answered by one line.

`measure.vllm` starts this file with the Python of another environment, one that has vLLM and need not have this package: it imports
nothing of it. The first line that it writes says which versions run. Requests and their answers:

    {"load": NAME, "model": FOLDER, "speculative": {...} or null, "context": n}  ->  {"seconds": s}
    {"generate": NAME, "ids": [...], "tokens": n, "eos": [...], "penalty": x}    ->  {"ids": [...], "seconds": s, "passes": n}

What goes wrong is answered by {"error": SENTENCE}.
"""
import json
import os
import sys
import time

WARM_UP = {"ids": list(range(1, 17)), "tokens": 16, "eos": [], "penalty": 1.0}


def hide_llvmlite() -> None:
    """For each engine vLLM 0.32 asks all that stands in any module for its `__dict__`. llvmlite's library, there once an engine has looked
    up n-grams (numba), takes every name for a function of its own, so that no further engine would start: it gets an empty answer."""
    lib = getattr(sys.modules.get("llvmlite.binding.ffi"), "lib", None)
    if lib is not None:
        lib._fntab["__dict__"] = {}


def load(vllm, request: dict):
    """An engine for one model and one way of drafting, warmed up; `engine.passes` counts the verifier's passes from now on."""
    hide_llvmlite()
    llm = vllm.LLM(model=request["model"], dtype="float32", max_model_len=request["context"], skip_tokenizer_init=True, enforce_eager=True,
                   max_num_seqs=1, enable_prefix_caching=False, speculative_config=request["speculative"])
    step, llm.passes = llm.llm_engine.step, 0

    def counted():
        llm.passes += 1
        return step()
    llm.llm_engine.step = counted
    for _ in range(2):
        generate(vllm, llm, WARM_UP)
    return llm


def generate(vllm, llm, request: dict) -> dict:
    """The greedy continuation of `ids`, the seconds it took and the passes of the verifier."""
    settings = vllm.SamplingParams(temperature=0, max_tokens=request["tokens"], stop_token_ids=request["eos"], detokenize=False,
                                   ignore_eos=not request["eos"], repetition_penalty=request["penalty"])
    before, began = llm.passes, time.perf_counter()
    out = llm.generate([{"prompt_token_ids": request["ids"]}], settings, use_tqdm=False)[0].outputs[0]
    return {"ids": list(out.token_ids), "seconds": time.perf_counter() - began, "passes": llm.passes - before}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what vLLM prints is no answer

    def answer(line: dict) -> None:
        print(json.dumps(line), file=answers, flush=True)

    try:
        import torch
        import vllm
    except Exception as error:
        answer({"error": f"{sys.executable} cannot import vLLM: {error}"})
        return
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    answer({"vllm": vllm.__version__, "vllm_torch": torch.__version__})
    engines = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "load" in request:
                began = time.perf_counter()
                engines[request["load"]] = load(vllm, request)
                answer({"seconds": time.perf_counter() - began})
            else:
                answer(generate(vllm, engines[request["generate"]], request))
        except Exception as error:
            answer({"error": f"vLLM: {type(error).__name__}: {error}".splitlines()[0]})


if __name__ == "__main__":
    main()
