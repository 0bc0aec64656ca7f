"""Propose: how a draft is found, one file per way."""
