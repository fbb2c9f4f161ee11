"""Addresses of folders in buckets, as flags give them."""

import pathlib
import re

EXTRAS = {"gs": "gcs", "s3": "s3"}  # by scheme, what must be installed
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # one letter is a Windows drive


def address(given: pathlib.Path | str) -> str | None:
    """Returns gs://BUCKET/FOLDER or s3://BUCKET/FOLDER; None: it is no address.

    Args:
      given: a path, of which `pathlib` has made one slash of two, or a word, which is
        an address only if it has both.

    Raises:
      ValueError: if it is an address of another kind, or names no bucket.
    """
    if isinstance(given, str) and "://" not in given:
        return None
    path = pathlib.Path(given)
    found = _SCHEME.fullmatch(path.parts[0]) if path.parts else None
    if found is None:
        return None
    scheme, rest = found[1].lower(), "/".join(path.parts[1:])
    if scheme not in EXTRAS:
        raise ValueError(
            f"{found[1]}://{rest} is an address, and of those only gs:// and s3:// are "
            "known; mount it, if it can be mounted, and give the mount."
        )
    if not rest:
        raise ValueError(f"{scheme}:// names no bucket; give {scheme}://BUCKET/FOLDER.")
    return f"{scheme}://{rest}"


def refuse(given: pathlib.Path, flag: str) -> None:
    """Refuses an address where only a directory of this machine will do.

    Raises:
      ValueError: if it is one.
    """
    if (found := address(given)) is not None:
        raise ValueError(
            f"{flag} {found} is an address; give a directory of this machine."
        )
