"""The course as a static site: `python -m docs` builds it from the executed notebooks, README.md and the docstrings."""
