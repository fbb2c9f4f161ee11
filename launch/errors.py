"""Errors as a user should read them: in one line."""

import errno
import os
import pathlib
import traceback
from collections.abc import Iterator

# No fault of a run: all runs share the disk.
_FULL = {errno.ENOSPC: "free some space", errno.EDQUOT: "free some of your quota"}
_UNWRITABLE = {
    errno.EROFS: "make it writable",
    errno.EACCES: "make it writable",
    errno.EPERM: "make it writable",
    errno.ENOTDIR: "move the file that is in the way",
    errno.EEXIST: "move the file that is in the way",
}


def is_sentence(error: BaseException) -> bool:
    """Tells a refusal, written for the user, from a failure inside some library."""
    return isinstance(error, ValueError) and str(error).endswith(".")


def one_line(error: BaseException) -> str:
    """Returns the reason of a failure in one line, as a row's note has it."""
    text = str(error)
    said = row_status(error) != "failed" and text.endswith(".")  # by one of ours
    if not (said or is_sentence(error)):
        text = "".join(traceback.format_exception_only(error))
    return " ".join(text.split())[:500]


def row_status(error: BaseException) -> str:
    """Returns the status of the row of a run that raised `error`.

    An exception says it by an attribute `status`, such as `diverged`.
    """
    status = getattr(error, "status", None)  # a library's may mean anything
    return status if status in ("diverged", "interrupted") else "failed"


def of_the_disk(error: BaseException, directory: pathlib.Path) -> str | None:
    """Returns a sentence if the disk is what failed, None for any other error.

    Libraries wrap what the system says of a full disk, so causes and text are read.

    Args:
      error: that was raised.
      directory: that is written to; another one's is the run's own affair.
    """
    for each in _causes(error):
        if (way := _way_out(each, directory)) is not None:
            return (
                f"Nothing more can be written ({one_line(each).rstrip('.')}); {way}, "
                "and use the same command again: what is finished or saved is kept."
            )
    return None


def _way_out(error: BaseException, directory: pathlib.Path) -> str | None:
    """Returns what to do about an error of the disk, None for any other."""
    if os.strerror(errno.ENOSPC) in str(error):
        return _FULL[errno.ENOSPC]
    if not isinstance(error, OSError) or error.errno is None:
        return None
    ways = _UNWRITABLE if _is_in(error.filename, directory) else {}
    return (_FULL | ways).get(error.errno)


def _is_in(name: object, directory: pathlib.Path) -> bool:
    if not isinstance(name, str | os.PathLike):
        return False
    return pathlib.Path(os.path.abspath(name)).is_relative_to(directory.absolute())


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and those that it arose from."""
    following: BaseException | None = error
    while following is not None:
        yield following
        following = following.__cause__ or following.__context__
