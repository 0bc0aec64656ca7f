"""What every lean pass asks of a model: that it is made of known parts only, and that nothing hangs into them."""
from torch import nn


def is_untouched(module: nn.Module, parts: set[type]) -> bool:
    """Is it one of `parts`, in eval mode, with its own `forward` and no hook? A lean pass would go past all that.

    Hooks that `transformers` leaves behind where hidden states were asked for do nothing in other passes, so they do not count.
    """
    hooks = (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    return (type(module) in parts and not module.training and getattr(module.forward, "__func__", None) is type(module).forward
            and all(getattr(hook, "__module__", None) == "transformers.utils.output_capturing" for hook in hooks))
