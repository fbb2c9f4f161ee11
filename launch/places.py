"""Where a study may lie: in a directory of a file system, not in a bucket.

Leases are files that one process alone creates, checkpoints are folders that are
renamed into place, and the table is written under a lock; an object store offers none
of the three. Taken for a path, `gs://bucket` would be a local folder called `gs:`.
"""

import pathlib
import re

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # one letter is a Windows drive
_COPIED = ("gs", "s3")  # what `launch/cloud.py` can copy to


def check(directory: pathlib.Path, flag: str) -> None:
    """Refuses an address, such as gs://bucket/folder, where a directory is needed.

    Args:
      directory: as it was given; `pathlib` has made one slash of two.
      flag: that gave it, as `--out`.

    Raises:
      ValueError: if it is an address.
    """
    found = _SCHEME.fullmatch(directory.parts[0]) if directory.parts else None
    if found is None:
        return
    address = f"{found[1]}://{'/'.join(directory.parts[1:])}"
    if found[1].lower() in _COPIED:
        way = (
            f"the files of python launch/cloud.py --bucket {address} keep a copy of "
            "one in the bucket"
        )
    else:
        way = "mount it, if it can be mounted as one, and give the mount"
    raise ValueError(
        f"{flag} {address} is an address, and a study needs a directory, with renames "
        f"and locks; use one on a local disk or NFS; {way}."
    )
