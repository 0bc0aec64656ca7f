"""Every field of a verifier's generation_config is honoured, without effect, or refused (equality of outputs: tests/decode)."""
import pytest
import torch
from transformers import GenerationConfig

from specdec_utils import Cfg, penalize
from specdec_utils.text.processors import (
    ABOUT_EOS,
    CUTS,
    HONOURED,
    REFUSED,
    UNUSED,
    check_settings,
    eos_ids,
    logits_processors,
    process_logits,
)

PROMPT = [4, 9, 2, 9]
FIELDS = [field for field in vars(GenerationConfig()) if not field.startswith("_")]
GREEDY, SAMPLED = Cfg(), Cfg(do_sample=True)


def config(**settings):
    made = GenerationConfig()
    for field, value in settings.items():  # past the constructor, which refuses some values itself
        setattr(made, field, value)
    return made


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_of_the_class_has_one_of_four_fates(field):
    assert [field in table for table in (HONOURED, REFUSED, CUTS, UNUSED)].count(True) == 1


def test_default_configuration_asks_for_nothing():
    assert len(logits_processors(GenerationConfig(), GREEDY, PROMPT, 9)) == 0
    defaults = GenerationConfig._get_default_generation_params()  # what `generate` puts in the place of None
    for cfg in (GREEDY, SAMPLED):
        check_settings(config(**defaults), cfg)
    assert len(logits_processors(config(**defaults), GREEDY, PROMPT, 9)) == 0


@pytest.mark.parametrize("field", REFUSED)
def test_refused_setting_is_named_in_one_sentence(field):
    with pytest.raises(ValueError, match=rf"generation_config sets {field}=7, which asks for .*: set it to None\.$"):
        check_settings(config(**{field: 7}), GREEDY)


def test_unknown_setting_is_refused():
    with pytest.raises(ValueError, match="sets wobble=0.5, which is unknown here, so that its effect cannot be kept: set it to None"):
        check_settings(config(wobble=0.5), GREEDY)
    check_settings(config(wobble=None), GREEDY)


def test_quantized_cache_is_refused_and_the_others_are_not():
    with pytest.raises(ValueError, match="quantized cache, which changes its output: set cache_implementation to None"):
        check_settings(config(cache_implementation="quantized"), GREEDY)
    check_settings(config(cache_implementation="hybrid"), GREEDY)


@pytest.mark.parametrize("field", CUTS)
def test_cuts_of_the_distribution_are_refused_where_it_is_sampled_from(field):
    check_settings(config(**{field: 0.3}), GREEDY)
    with pytest.raises(ValueError, match=f"sets {field}=0.3, but a sampled run draws from temperature and top_p alone"):
        check_settings(config(**{field: 0.3}), SAMPLED)


@pytest.mark.parametrize("eos, ids", [(None, []), (7, [7]), ([7, 3], [7, 3])])
def test_eos_ids_are_none_one_or_several(eos, ids):
    assert eos_ids(config(eos_token_id=eos)) == ids


@pytest.mark.parametrize("field", ABOUT_EOS)
def test_settings_about_the_eos_do_nothing_where_there_is_none(field):
    value = (3, 1.9) if field == "exponential_decay_length_penalty" else 5
    for eos, count in ((None, 0), (7, 1)):
        assert len(logits_processors(config(eos_token_id=eos, **{field: value}), GREEDY, PROMPT, 9)) == count


@pytest.mark.parametrize("own, given, written", [
    (dict(repetition_penalty=1.7), {}, (1.7, 0)), (dict(repetition_penalty=1.7), dict(repetition_penalty=1.2), (1.2, 0)),
    (dict(no_repeat_ngram_size=3), {}, (1.0, 3)), (dict(no_repeat_ngram_size=3), dict(no_repeat_ngram_size=2), (1.0, 2)),
    (dict(repetition_penalty=1.7), dict(no_repeat_ngram_size=2), (1.7, 2)), ({}, dict(repetition_penalty=1.2), (1.2, 0))])
def test_cfg_overrides_what_the_configuration_says_of_penalties(own, given, written):
    logits = torch.randn(1, 29, generator=torch.Generator().manual_seed(0))
    found = process_logits(logits, [PROMPT], logits_processors(config(**own), Cfg(**given), PROMPT, 9))
    assert torch.equal(found[0], penalize(logits[0], torch.tensor([PROMPT]), *written))


def test_each_row_is_processed_behind_its_own_context():
    logits, contexts = torch.zeros(2, 5), [[0, 1, 0], [0, 1, 2, 3, 2]]
    found = process_logits(logits, contexts, logits_processors(config(), Cfg(no_repeat_ngram_size=2), [0], 9))
    assert [(row == float("-inf")).nonzero().flatten().tolist() for row in found] == [[1], [3]]
    assert torch.equal(logits, torch.zeros(2, 5))


def test_without_processors_the_logits_themselves_come_back_and_no_context_is_read():
    logits = torch.zeros(2, 5)
    assert process_logits(logits, iter(()), logits_processors(config(), Cfg(), [0], 9)) is logits


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_processed_in_single_precision_as_generate_does(dtype):
    logits = torch.randn(1, 29, generator=torch.Generator().manual_seed(0)).to(dtype)
    found = process_logits(logits, [PROMPT], logits_processors(config(), Cfg(repetition_penalty=1.3), PROMPT, 9))
    assert torch.equal(found[0], penalize(logits[0].float(), torch.tensor([PROMPT]), 1.3)) and found.dtype == torch.float32
