"""Errors as a user should read them: in one line."""

import traceback


def is_sentence(error: BaseException) -> bool:
    """Tells a refusal, written for the user, from a failure inside some library."""
    return isinstance(error, ValueError) and str(error).endswith(".")


def one_line(error: BaseException) -> str:
    """Returns the reason of a failure in one line, as a row's note has it."""
    text = str(error)
    if not is_sentence(error):
        text = "".join(traceback.format_exception_only(error))
    return " ".join(text.split())[:500]


def row_status(error: BaseException) -> str:
    """Returns the status of the row of a run that raised `error`.

    An exception says it by an attribute `status`, such as `diverged`.
    """
    return getattr(error, "status", "failed")
