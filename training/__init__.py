"""How the bundled pair was made: `python -m training --text FILE`."""
