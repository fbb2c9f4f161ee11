"""A data-efficiency study of MuZero Unplugged: the system."""
