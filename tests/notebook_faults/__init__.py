"""Notebooks spoiled on purpose: for each rule of `notebook_rules` the faults that it must notice, by the same subjects."""
from . import anatomy, outputs, page
from .sound import TAMPERINGS, png, sound_notebook

__all__ = ["TAMPERINGS", "anatomy", "outputs", "page", "png", "sound_notebook"]
