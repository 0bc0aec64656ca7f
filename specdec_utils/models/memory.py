"""What a model remembers of the text: how much of it at most, and whether it can forget the end of it again."""

NO_LIMIT = 2**20  # positions; stands for the limit of models that have none (ALiBi, with biases made for any length)
RECURRENT = {"linear_attention", "conv", "hybrid", "hybrid_sliding", "mamba", "recurrent"}  # in a configuration's `layer_types`


def context_of(model) -> int:
    """How many positions `model` has, or `NO_LIMIT`."""
    for name in ("max_position_embeddings", "max_seq_len"):  # the second is MPT's
        if getattr(model.config, name, None) is not None:
            return getattr(model.config, name)
    return NO_LIMIT


def check_can_forget(model) -> None:
    """Raise ValueError if `model` has recurrent layers: what they have read is mixed into their state, rejected tokens too."""
    if model._is_stateful or RECURRENT & set(getattr(model.config, "layer_types", None) or ()):
        raise ValueError(f"{type(model).__name__} keeps a recurrent state, from which rejected tokens cannot be removed again: "
                         "use a model whose layers all have attention.")
