"""Stories in, batches of token windows out."""
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import PreTrainedTokenizerFast

END = "<|endoftext|>"
DATASET, DATASET_FILE = "roneneldan/TinyStories", "TinyStories-valid.txt"  # 19 MB of the public data set
PUBLIC_STORIES = 5_061


def read_stories(path: Path) -> list[str]:
    """Stories of a text file in which a line `<|endoftext|>` closes each one."""
    parts = Path(path).read_text(encoding="utf-8").split(END)
    stories = [part.strip() for part in parts if part.strip()]
    if not stories:
        raise ValueError(f"{path} holds no story; expected text with a line {END} after each story.")
    return stories


def load_stories(text: Path | None, validation: Path | None, held_out: int = 100) -> tuple[list[str], list[str]]:
    """(training stories, validation stories) from files, or from the public data set when `text` is None.

    Without a validation file the last `held_out` stories are set aside.
    """
    if text is None:
        from huggingface_hub import hf_hub_download

        text = Path(hf_hub_download(DATASET, DATASET_FILE, repo_type="dataset"))
        stories = read_stories(text)[:PUBLIC_STORIES]
    else:
        stories = read_stories(text)
    if validation is not None:
        return stories, read_stories(validation)
    if len(stories) <= held_out:
        raise ValueError(f"{text} holds {len(stories)} stories; more than {held_out} are needed to set some aside.")
    return stories[:-held_out], stories[-held_out:]


def train_tokenizer(stories: list[str], pieces: int = 2048) -> PreTrainedTokenizerFast:
    """Byte-level BPE (Sennrich et al. 2016; bytes as in GPT-2), `<|endoftext|>` = id 0 = bos = eos = pad."""
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(stories, vocab_size=pieces, min_frequency=2, special_tokens=[END], show_progress=False)
    return PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, bos_token=END, eos_token=END, pad_token=END,
                                   clean_up_tokenization_spaces=False)


class Windows:
    """Endless batches of fixed windows; the batch of a step depends on the seed and the step alone, so a resumed run sees
    exactly what an uninterrupted one would have seen."""

    def __init__(self, stories: list[list[int]], eos: int, seed: int):
        self.stories, self.eos, self.seed = stories, eos, seed
        self.tokens_per_epoch = sum(len(story) + 1 for story in stories)
        self._epoch, self._stream = None, None

    def _stream_of(self, epoch: int) -> torch.Tensor:
        if epoch != self._epoch:
            rng = torch.Generator().manual_seed(self.seed * 1_000 + epoch)
            order = torch.randperm(len(self.stories), generator=rng).tolist()
            self._stream = torch.tensor([t for i in order for t in (self.eos, *self.stories[i])])
            self._epoch = epoch
        return self._stream

    def batch(self, step: int, rows: int, length: int) -> torch.Tensor:
        """LongTensor [rows, length] of training step `step`, stories in a new order each epoch."""
        per_epoch = self.tokens_per_epoch // (rows * length)
        epoch, within = divmod(step, per_epoch)
        start = within * rows * length
        return self._stream_of(epoch)[start : start + rows * length].view(rows, length)


def fixed_windows(stories: list[list[int]], eos: int, length: int) -> torch.Tensor:
    """[N, length]: the stories in their order, one after another, cut into windows (a last partial one is dropped)."""
    stream = torch.tensor([t for story in stories for t in (eos, *story)])
    return stream[: len(stream) // length * length].view(-1, length)
