"""The top floor: the commands of `python -m specdec_utils`."""
