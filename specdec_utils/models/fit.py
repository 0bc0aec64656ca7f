"""Whether a model can serve in a pair, and how long a text it can read."""
import inspect

NO_LIMIT = 2**20  # positions; stands for the limit of models that have none (ALiBi, with biases made for any length)
RECURRENT = {"linear_attention", "conv", "hybrid", "hybrid_sliding", "mamba", "recurrent"}  # types of layer in a configuration


def context_of(model) -> int:
    """How many positions `model` has, or `NO_LIMIT`."""
    for name in ("max_position_embeddings", "max_seq_len"):  # the second is MPT's
        if getattr(model.config, name, None) is not None:
            return getattr(model.config, name)
    return NO_LIMIT


def check_fit(model) -> None:
    """Raise ValueError, one sentence, if no method can be exact with `model`.

    Recurrent layers mix all that they have read into their state, rejected tokens too. RoBERTa and its kin number positions from
    their padding token on, and from 0 when `generate` calls them.
    """
    layers = {*(getattr(model.config, "layer_types", None) or ()), *(getattr(model.config, "block_types", None) or ())}
    if model._is_stateful or RECURRENT & layers:
        raise ValueError(f"{type(model).__name__} keeps a recurrent state, from which rejected tokens cannot be removed again: "
                         "use a model whose layers all have attention.")
    own_numbers = any(hasattr(part, "create_position_ids_from_input_ids") for part in model.modules())
    if own_numbers and "position_ids" in inspect.signature(type(model).forward).parameters:
        raise ValueError(f"{type(model).__name__} numbers positions in one way by itself and in another under `generate`, so that "
                         "it has no greedy output to be equal to: use a model made for generation.")
