"""Tiny models of many architectures, with random weights spread widely enough that no two logits nearly tie."""
from copy import deepcopy

import torch
import transformers
from torch import nn

COMMON = {"vocab_size": 29, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
          "tie_word_embeddings": False, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
SHARED = {"num_key_value_heads": 1, "head_dim": 8}
EXPERTS = {"num_local_experts": 2, "num_experts_per_tok": 1}
MIXED = {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}

# name -> (class of the model, of its configuration, options besides COMMON)
WINDOWED = {
    "Mistral": ("MistralForCausalLM", "MistralConfig", {**SHARED, "sliding_window": 8}),
    "Mixtral with a window": ("MixtralForCausalLM", "MixtralConfig", {**SHARED, **EXPERTS, "sliding_window": 8}),
    "Phi-3 with a window": ("Phi3ForCausalLM", "Phi3Config", {"sliding_window": 8}),
    "Qwen2, mixed layers": ("Qwen2ForCausalLM", "Qwen2Config", {**SHARED, **MIXED, "use_sliding_window": True}),
    "Gemma 2": ("Gemma2ForCausalLM", "Gemma2Config", {**SHARED, **MIXED}),
    "Gemma 3": ("Gemma3ForCausalLM", "Gemma3TextConfig", {**SHARED, **MIXED}),
    "Cohere 2": ("Cohere2ForCausalLM", "Cohere2Config", {**SHARED, **MIXED, "logit_scale": 1.0}),
}
UNFOLDED = {
    "Bloom": ("BloomForCausalLM", "BloomConfig", {"n_layer": 2, "n_head": 2}),
    "MPT": ("MptForCausalLM", "MptConfig", {"d_model": 16, "n_heads": 2, "n_layers": 2, "expansion_ratio": 2, "max_seq_len": 128}),
    "Falcon with ALiBi": ("FalconForCausalLM", "FalconConfig", {"alibi": True}),
    "GPT-Neo": ("GPTNeoForCausalLM", "GPTNeoConfig", {"num_layers": 2, "num_heads": 2, "window_size": 8,
                                                      "attention_types": [[["global", "local"], 1]]}),
}
PLAIN = {
    "GPT-2": ("GPT2LMHeadModel", "GPT2Config", {}),
    "Llama": ("LlamaForCausalLM", "LlamaConfig", SHARED),
    "Qwen2": ("Qwen2ForCausalLM", "Qwen2Config", SHARED),
    "Qwen3": ("Qwen3ForCausalLM", "Qwen3Config", SHARED),
    "Gemma": ("GemmaForCausalLM", "GemmaConfig", SHARED),
    "Phi": ("PhiForCausalLM", "PhiConfig", {}),
    "Phi-3": ("Phi3ForCausalLM", "Phi3Config", {}),
    "OPT": ("OPTForCausalLM", "OPTConfig", {"ffn_dim": 32, "word_embed_proj_dim": 16}),
    "GPT-NeoX": ("GPTNeoXForCausalLM", "GPTNeoXConfig", {}),
    "GPT-J": ("GPTJForCausalLM", "GPTJConfig", {"rotary_dim": 4}),
    "Falcon": ("FalconForCausalLM", "FalconConfig", {}),
    "Mixtral": ("MixtralForCausalLM", "MixtralConfig", {**SHARED, **EXPERTS}),
    "StableLM": ("StableLmForCausalLM", "StableLmConfig", {"num_key_value_heads": 2}),
    "BigCode": ("GPTBigCodeForCausalLM", "GPTBigCodeConfig", {}),
    "OLMo 2": ("Olmo2ForCausalLM", "Olmo2Config", {}),
    "Granite": ("GraniteForCausalLM", "GraniteConfig", {}),
    "Cohere": ("CohereForCausalLM", "CohereConfig", {"logit_scale": 1.0}),
}
RECURRENT = {
    "Mamba": ("MambaForCausalLM", "MambaConfig", {"state_size": 4}),
    "RWKV": ("RwkvForCausalLM", "RwkvConfig", {"attention_hidden_size": 16}),
    "RecurrentGemma": ("RecurrentGemmaForCausalLM", "RecurrentGemmaConfig", {"lru_width": 16}),
    "LFM2": ("Lfm2ForCausalLM", "Lfm2Config", {"num_key_value_heads": 1, "layer_types": ["conv", "full_attention"]}),
}
ROBERTA = ("RobertaForCausalLM", "RobertaConfig", {"is_decoder": True})


def tiny_model(kind: tuple[str, str, dict], seed: int = 5, **options):
    """A model of one of the kinds above, in eval mode, whose texts go on to their length. Its weights are drawn here, so that they
    are the same under every version of `transformers`."""
    model_class, config_class, own = kind
    model = getattr(transformers, model_class)(getattr(transformers, config_class)(**{**COMMON, **own, **options})).eval()
    generator = torch.Generator().manual_seed(seed)
    for _, weight in sorted(model.named_parameters()):
        if weight.ndim > 1:
            nn.init.normal_(weight, std=0.5, generator=generator)
    model.generation_config.eos_token_id = None
    return model


def with_noise(verifier):
    """A drafter that is right in part: the verifier, with noise in its output matrix."""
    drafter = deepcopy(verifier)
    with torch.no_grad():
        weight = drafter.get_output_embeddings().weight
        weight += 0.1 * weight.std() * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    return drafter
