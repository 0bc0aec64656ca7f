"""Propose: how a draft is found, one file a way."""
