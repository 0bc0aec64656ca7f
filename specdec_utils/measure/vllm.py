"""The same work done by vLLM, which lives in an environment and a process of its own: what one would pick in our place."""
import json
import os
import select
import signal
import subprocess
import tempfile
from pathlib import Path

import torch
from transformers import RepetitionPenaltyLogitsProcessor

from ..decode.records import Generation
from ..models.export import vllm_settings, why_not
from ..models.pair import ModelPair
from ..text.config import Cfg
from ..text.processors import check_settings, logits_processors
from ..text.tokens import Prompt, decode_output, encode_prompt

VLLM_PEERS: dict[str, str] = {
    "vllm-greedy": "vLLM, the verifier alone",
    "vllm-draft": "vLLM, the pair's drafter model writes `cfg.draft_span` tokens",
    "vllm-ngram": "vLLM, prompt lookup with a draft of `cfg.draft_span` tokens",
    "vllm-eagle": "vLLM, the pair's eagle drafter writes `cfg.draft_span` tokens, for verifiers of Llama's architecture",
}
DRAFTS = {"vllm-draft": "drafter", "vllm-ngram": "lookup", "vllm-eagle": "eagle"}  # as `export` calls what the peers draft with
ENVIRONMENT = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
               "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
WORKER = Path(__file__).with_name("vllm_worker.py")
PATIENCE = 600  # seconds that the slowest request may take, the first on a machine that has never started vLLM


def vllm_peers_of(pair: ModelPair) -> list[str]:
    """The names of `VLLM_PEERS` that `pair` can serve (see `export.why_not`)."""
    return [peer for peer in VLLM_PEERS if peer not in DRAFTS or why_not(pair, "vllm", DRAFTS[peer]) is None]


class VllmPeer:
    """vLLM's CPU build on `pair`, started with `python`, that of an environment which has it; a context manager that ends it.

    Its threads go on spinning for a while when they have nothing to do, so its process is stopped (SIGSTOP) between requests
    and takes no time from whoever is measured next. It computes in float32, in as many threads as torch is set to here, one
    engine for each way of drafting and each `draft_span`, loaded when first asked for. `versions`: {"vllm": ..., "vllm_torch": ...}.

    Raises OSError for a `python` that is none or a system without SIGSTOP, RuntimeError, one sentence, if vLLM does not run there.
    """

    def __init__(self, python: str | Path, pair: ModelPair):
        if not (Path(python).is_file() and os.access(python, os.X_OK)):
            raise OSError(f"There is no Python at {python}: give that of an environment with vLLM's CPU build, such as .venv/bin/python.")
        if not hasattr(signal, "SIGSTOP"):
            raise OSError("vLLM's CPU build is compared on Linux and macOS only: this system cannot make its process stand still.")
        self.pair, self._engines, self._folder, self._log = pair, set(), tempfile.TemporaryDirectory(), tempfile.TemporaryFile("w+")
        environment = os.environ | ENVIRONMENT | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
        self._process = subprocess.Popen([python, "-I", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
                                         env=environment, text=True)
        try:
            self.versions = self._read()
            for name, model in (("verifier", pair.verifier), ("drafter", pair.drafter), ("eagle", pair.eagle)):
                if model is not None:
                    model.save_pretrained(Path(self._folder.name) / name)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "VllmPeer":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """End the process and remove its files."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            stream.close()
        self._folder.cleanup()

    def _read(self) -> dict:
        """The process's next line; it stands still from then on."""
        answers = self._process.stdout
        line = answers.readline() if select.select([answers], [], [], PATIENCE)[0] else ""
        if not line:
            self._log.seek(0)
            last = (self._log.read().split("\n")[:-1] or ["it said nothing"])[-1].strip()
            raise RuntimeError(f"vLLM's process gave no answer: {last}")
        self._process.send_signal(signal.SIGSTOP)
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def _ask(self, request: dict) -> dict:
        self._process.send_signal(signal.SIGCONT)
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            pass  # it has ended, as reading will tell
        return self._read()

    def _engine(self, peer: str, span: int) -> str:
        """The name of the engine for `peer` and `span`, which is loaded if it is not there."""
        name, folder, drafting = peer, Path(self._folder.name), None
        if peer in DRAFTS:
            name, drafting = f"{peer} {span}", vllm_settings(DRAFTS[peer], span)
            if "model" in drafting:
                drafting["model"] = str(folder / DRAFTS[peer])
        if name not in self._engines:
            self._ask({"load": name, "model": str(folder / "verifier"), "context": self.pair.context, "speculative": drafting})
            self._engines.add(name)
        return name

    def generate(self, pair: ModelPair, prompt: Prompt, cfg: Cfg, peer: str) -> Generation:
        """Continue `prompt` greedily with one of `VLLM_PEERS`: a `Generation` without steps, timed inside vLLM's process.

        A drafter writes `draft_span` tokens after each pass of the verifier, so that its passes are counted as that many.
        Raises ValueError for an unknown peer, another pair than that which the process has, and settings that vLLM does not know.
        """
        if peer not in vllm_peers_of(pair) or pair is not self.pair:
            raise ValueError(f"vLLM does not serve {peer!r} on this pair: use one of {vllm_peers_of(self.pair)} on {self.pair.name!r}.")
        config = pair.verifier.generation_config
        check_settings(config, cfg)
        ids = encode_prompt(pair, prompt)[0].tolist()
        processors = logits_processors(config, cfg, ids, min(len(ids) + cfg.max_new_tokens, pair.context))
        strange = [type(each).__name__ for each in processors if not isinstance(each, RepetitionPenaltyLogitsProcessor)]
        if strange:
            raise ValueError(f"vLLM has no {strange[0]}: compare it without that setting.")
        answer = self._ask({"generate": self._engine(peer, cfg.draft_span), "ids": ids, "tokens": cfg.max_new_tokens,
                            "eos": sorted(pair.eos_ids), "penalty": processors[0].penalty if processors else 1.0})
        new = answer["ids"]
        reason = "eos" if new[-1] in pair.eos_ids else "length" if len(new) == cfg.max_new_tokens else "context"
        drafts = answer["passes"] * cfg.draft_span if peer in ("vllm-draft", "vllm-eagle") else 0
        return Generation(decode_output(pair, prompt, ids + new, len(ids)), ids, new, [], answer["passes"], drafts, answer["seconds"],
                          reason, peer)
