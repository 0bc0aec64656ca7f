"""Fixtures: tiny models whose behaviour is known, a byte tokenizer, and the bundled pair."""
import math
import shutil
from copy import deepcopy
from importlib.util import find_spec

import lab
import machines
import pytest
import torch
from hypothesis import settings
from notebook_rules import notebook_paths
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model, PreTrainedTokenizerFast
from transformers.pytorch_utils import Conv1D

from specdec_utils import EagleDrafter, MedusaHeads, ModelPair, load_pair
from specdec_utils.decode import advance

torch.set_num_threads(1)
settings.register_profile("suite", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=5)


NOT_QUICK = {"browser",  # folders, files and tests that take long
             "test_notebook_tampering.py", "test_nbval_guard.py", "test_grading.py", "test_quick.py", "test_greedy_equality.py", "test_sampled_output.py",
             "test_gpt2_loads_by_its_hub_names_from_the_local_cache", "test_missing_hub_is_one_sentence_that_names_stories",
             "test_eagle_drafter_learns_and_goes_on_from_its_checkpoint", "test_a_machine_of_known_prices_is_foretold_within_one_percent",
             "test_command_trains_the_eagle_drafter_alone_resumes_and_writes_its_part_of_the_card", "test_shell_run_writes_json",
             "test_chat_eagle_learns_goes_on_from_its_checkpoint_and_reads_unscaled_features",
             "test_command_writes_chats_trains_measures_and_writes_the_card",
             "test_bench_compares_methods_and_peers_and_writes_json_and_picture",
             "test_the_folder_installs_with_no_index", "test_a_failure_of_pip_is_one_sentence", "test_the_archive_is_laid_out_as_githubs",
             "test_neither_hub_nor_wheel_is_one_sentence_that_names_both", "test_pair_loads_by_its_hub_name_from_the_local_cache",
             "test_real_model_greedy_equals_transformers_packed_and_not",
             "test_real_model_packed_logits_are_those_of_before_and_its_reply_ends_with_its_turn"}
WHOLLY_QUICK = {"test_notebook_contract.py", "test_rooms.py"}


def pytest_configure(config):
    settings.load_profile("quick" if config.option.markexpr == "quick" else "suite")


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items):
    """Mark as `quick` the first case of every test in this folder, and every case of the files in `WHOLLY_QUICK`."""
    begun = set()
    for item in items:
        function = getattr(item, "function", None)
        if function is None or NOT_QUICK & {*item.path.parts, item.originalname}:
            continue
        if item.path.name in WHOLLY_QUICK or function not in begun:
            item.add_marker("quick")
        begun.add(function)


@pytest.fixture(autouse=True)
def invented_machine(monkeypatch):
    """Where method "auto" would measure the machine first, an invented one is taken: at once, and the same everywhere."""
    def invent(pair, cfg=None):
        machines.run_on(pair, cfg, "all")
    monkeypatch.setattr(advance, "calibrate", invent)


class _Undrawn(GPT2Model):
    """Draws no weights, and notes where in the stream of random numbers they would begin."""
    begin = None

    def _init_weights(self, module):
        self.begin = torch.get_rng_state() if self.begin is None else self.begin


def _draw_weights(model):
    """Draw them in the order of today's `transformers`, whatever version runs: projections back into the residual stream twice."""
    config = model.config

    def draw(module):
        if isinstance(module, nn.Linear):
            nn.Linear(module.in_features, module.out_features, bias=False)  # the output matrix is made after the rest is drawn
        if isinstance(module, (nn.Linear, nn.Embedding, Conv1D)):
            nn.init.normal_(module.weight, std=config.initializer_range)
        if hasattr(module, "c_proj"):
            nn.init.normal_(module.c_proj.weight, std=config.initializer_range / math.sqrt(2 * config.n_layer))
    model.apply(draw)


def _gpt2(vocab_size, context, **sizes):
    config = GPT2Config(vocab_size=vocab_size, n_positions=context, tie_word_embeddings=False, bos_token_id=0,
                        eos_token_id=0, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, **sizes)
    body = _Undrawn(config)
    model = GPT2LMHeadModel(config).float().eval()
    torch.set_rng_state(body.begin)
    _draw_weights(model)
    model.generation_config.eos_token_id = None  # runs go on to their length unless a test sets an EOS
    model.generation_config.pad_token_id = 0
    return model


@pytest.fixture(scope="session")
def random_model():
    """random_model(seed, ...): a GPT-2 with random weights, wide enough spread that no two logits nearly tie."""
    def make(seed, vocab_size=29, context=64, layers=2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return _gpt2(vocab_size, context, n_layer=layers, n_head=2, n_embd=16, initializer_range=0.5)
    return make


@pytest.fixture(scope="session")
def rule_model():
    """rule_model([2, 0, 1]): a GPT-2 that always continues token 0 with 2, 1 with 0, 2 with 1; other tokens are less likely."""
    def make(following, context=64, sharpness=1.0):
        size = len(following)
        model = _gpt2(size, context, n_layer=1, n_head=1, n_embd=size)
        with torch.no_grad():
            for weight in model.parameters():
                weight.zero_()
            model.transformer.wte.weight.copy_(torch.eye(size))
            model.transformer.ln_f.weight.fill_(sharpness)
            for token, after in enumerate(following):
                model.lm_head.weight[after, token] = 1.0
        return model
    return make


def _counting_heads(size, draft, count=8):
    """Heads for a counting verifier of `size` tokens that guess by the rule `draft`, from the next token's embedding alone."""
    heads = MedusaHeads(size, heads=count, inner=size).eval()
    with torch.no_grad():
        guesses = list(range(size))
        for head in heads.h:
            head.into.weight.copy_(torch.cat([torch.zeros(size, size), torch.eye(size)], dim=1))
            head.into.bias.zero_()
            guesses = [draft(guess) % size for guess in guesses]
            for token, guess in enumerate(guesses):
                head.out.weight[guess - 1, token] = 1000.0  # the verifier turns a hidden state at i into token i + 1
    return heads


def _counting_eagle(size, draft, context):
    """An eagle drafter for a counting verifier of `size` tokens that guesses by the rule `draft`, from the embedding alone: each slot
    attends to itself, and its output is what the token there leads to, whatever the state was."""
    eagle = EagleDrafter(size, size, (0, 1), heads=1, inner=1, context=context).eval()
    attention, unit = eagle.midlayer.self_attn, size ** -0.5  # a norm makes of a unit vector one of length 1 / unit
    with torch.no_grad():
        for weight in eagle.parameters():
            if weight.ndim == 2:
                weight.zero_()
        attention.q_proj.weight[0, :size] = attention.k_proj.weight[0, :size] = 1000.0  # sharpest where both stand in one place
        for token in range(size):
            attention.v_proj.weight[draft(token) % size, token] = 1000.0 * unit
            attention.v_proj.weight[token, size + token] -= 1000.0 * unit  # the state, taken away again
        attention.o_proj.weight.copy_(torch.eye(size))
        eagle.lm_head.weight.copy_(9.0 * torch.eye(size))
    return eagle


@pytest.fixture
def counting(rule_model):
    """counting(draft=...): a verifier that counts 0, 1, 2 ... 29, 0 ..., with a drafter (and, if asked for, heads and eagle)
    that counts by a rule of its own; `eos` is the verifier's."""
    def make(draft=lambda token: token + 1, size=30, context=64, sharpness=1.0, tokenizer=None, heads=False, eagle=False, eos=None):
        verifier = rule_model([(t + 1) % size for t in range(size)], context, sharpness)
        verifier.generation_config.eos_token_id = eos
        return ModelPair(rule_model([draft(t) % size for t in range(size)], context, sharpness), verifier, tokenizer,
                         heads=_counting_heads(size, draft) if heads else None,
                         eagle=_counting_eagle(size, draft, context) if eagle else None)
    return make


@pytest.fixture(scope="session")
def random_heads():
    """random_heads(...): Medusa heads with random weights in every layer, for a verifier of `random_model`."""
    def make(width=16, heads=3, **options):
        with torch.random.fork_rng():
            torch.manual_seed(4)
            made = MedusaHeads(width, heads, **options).eval()
            for head in made.h:
                torch.nn.init.normal_(head.out.weight, std=0.5)
        return made
    return make


@pytest.fixture(scope="session")
def random_eagle():
    """random_eagle(...): an eagle drafter with random weights for a verifier of `random_model`."""
    def make(width=16, vocab_size=29, layers=(0, 1, -1), heads=2, inner=24, context=64, seed=5, **options):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            made = EagleDrafter(width, vocab_size, layers, heads=heads, inner=inner, context=context, **options).eval()
            for weight in made.parameters():
                torch.nn.init.normal_(weight, mean=float(weight.ndim == 1), std=0.5)
        return made
    return make


@pytest.fixture(scope="session")
def random_pairs(random_model, random_heads, random_eagle):
    """Three pairs over one random verifier: the drafter is random, always right (the verifier itself), always wrong. All have
    random Medusa heads and a random eagle drafter."""
    verifier = random_model(seed=1)
    wrong = deepcopy(verifier)
    with torch.no_grad():
        wrong.lm_head.weight.neg_()  # its best token is the verifier's worst
    drafters = {"random": random_model(seed=2, layers=1), "right": verifier, "wrong": wrong}
    return {name: ModelPair(drafter, verifier, heads=random_heads(), eagle=random_eagle()) for name, drafter in drafters.items()}


@pytest.fixture
def reference():
    """reference(model, ids, n, ...): the new tokens that `transformers` generates greedily."""
    def generate(model, ids, n, **options):
        out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, num_beams=1, max_new_tokens=n,
                             pad_token_id=0, **options)
        return out[0, ids.shape[1]:].tolist()
    return generate


@pytest.fixture
def real_calls(monkeypatch):
    """real_calls(pair): a dict that counts the forward passes of verifier and drafters, by a way of its own."""
    def watch(pair):
        counts = {"drafter": 0, "verifier": 0}
        for role, model in (("drafter", pair.drafter), ("drafter", pair.eagle), ("verifier", pair.verifier)):
            if model is None:
                continue

            def counted(*args, _forward=model.forward, _role=role, **kwargs):
                counts[_role] += 1
                return _forward(*args, **kwargs)
            monkeypatch.setitem(vars(model), "forward", counted)  # undone, no trace of it is left on the model
        return counts
    return watch


@pytest.fixture(scope="session")
def byte_tokenizer():
    """A byte-level tokenizer: 256 bytes, the merged piece of 'é', and <|endoftext|> as its last id."""
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "Ã©", "<|endoftext|>"]
    core = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[("Ã", "©")]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<|endoftext|>", eos_token="<|endoftext|>")


@pytest.fixture(scope="session")
def saved_models(random_model, byte_tokenizer, tmp_path_factory):
    """Folders of two tiny models with one tokenizer, as `save_pretrained` writes them: (drafter, verifier)."""
    folders = []
    for seed, name in enumerate(("drafter", "verifier")):
        folder = tmp_path_factory.mktemp("models") / name
        random_model(seed, vocab_size=len(byte_tokenizer), layers=1 + seed).save_pretrained(folder)
        byte_tokenizer.save_pretrained(folder)
        folders.append(folder)
    return tuple(folders)


@pytest.fixture(scope="session")
def stories():
    """The bundled pair. Its weights change between releases: no test may depend on what it writes."""
    return load_pair("stories", device="cpu")


@pytest.fixture(scope="session")
def lab_address(tmp_path_factory):
    """The address of a JupyterLab that serves copies of all notebooks."""
    if find_spec("jupyterlab") is None:
        lab.missing("JupyterLab is not installed")
    folder, private = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("lab")
    for path in notebook_paths():
        shutil.copy(path, folder)
    with lab.running_lab(folder, private) as address:
        yield address


@pytest.fixture
def page(request):
    """A page of a headless Chromium, no session running; fails if the page asked any host but the Lab."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lab.missing("playwright is not installed")
    chromium = lab.find_chromium()
    address = request.getfixturevalue("lab_address")  # start the server only where there is a browser for it
    lab.end_sessions(address)
    outside = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=lab.CHROMIUM_ARGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1200}, device_scale_factor=1.5)
        page.set_default_timeout(120_000)  # patient: the machine may be busy
        page.on("request", lambda r: None if r.url.startswith((address, address.replace("http", "ws"), "data:", "blob:"))
                else outside.append(r.url))
        yield page
        browser.close()
    assert not outside, f"the page asked other hosts: {outside[:3]}"
