"""The commands: each file is one `python launch/NAME.py`."""
