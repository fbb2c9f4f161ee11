"""Where the numbered files of a lease are: a folder here, or elsewhere."""

import abc
import os
import pathlib

_NAME = "{:08d}"


class Entries(abc.ABC):
    """The numbered files of a lease, wherever they are; compared by place."""

    @abc.abstractmethod
    def numbers(self) -> list[int]:
        """Returns those that are there."""

    @abc.abstractmethod
    def read(self, number: int) -> bytes:
        """Returns what one says.

        Raises:
          FileNotFoundError: if it is not there.
        """

    @abc.abstractmethod
    def create(self, number: int, text: bytes) -> bool:
        """Makes one; of several processes that try, one alone is told True."""

    @abc.abstractmethod
    def rewrite(self, number: int, text: bytes) -> None:
        """Changes one that this process made; at no moment is it empty."""

    @abc.abstractmethod
    def remove(self, number: int) -> None:
        """Deletes one, if it is there."""

    @staticmethod
    def name(number: int) -> str:
        """Returns the name of an entry."""
        return _NAME.format(number)


class Folder(Entries):
    """Entries that are files of a folder, on a local disk or NFS."""

    def __init__(self, path: pathlib.Path):
        self._path = path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Folder) and other._path == self._path

    def __hash__(self) -> int:
        return hash(self._path)

    def numbers(self) -> list[int]:
        """Returns those that are there."""
        try:
            return [int(name) for name in os.listdir(self._path) if name.isdigit()]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read(self, number: int) -> bytes:
        """Returns what one says.

        Raises:
          FileNotFoundError: if it is not there.
        """
        return self._of(number).read_bytes()

    def create(self, number: int, text: bytes) -> bool:
        """Makes one (O_CREAT | O_EXCL, which one of several wins, on NFS too)."""
        path = self._of(number)
        try:
            file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        try:
            os.write(file, text)
            os.fsync(file)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(file)
        return True

    def rewrite(self, number: int, text: bytes) -> None:
        """Changes one in place; texts are equally long."""
        with self._of(number).open("r+b", buffering=0) as file:
            file.write(text)
            os.fsync(file.fileno())

    def remove(self, number: int) -> None:
        """Deletes one, if it is there."""
        self._of(number).unlink(missing_ok=True)

    def _of(self, number: int) -> pathlib.Path:
        return self._path / self.name(number)
