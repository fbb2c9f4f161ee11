"""A store of objects in this process, which fsspec takes for Google's."""

import hashlib
import pathlib
from typing import Any

import fsspec

FOLDER = "bucket/study/"


class Store(fsspec.AbstractFileSystem):
    """Keeps what is done to it, and fails when a test wants it to."""

    protocol = ("gs",)
    cachable = False
    objects: dict[str, bytes] = {}  # noqa: RUF012 all instances have the same
    done: list[tuple[str, str]] = []  # noqa: RUF012
    fails_after: int | None = None  # so many changes that succeed
    is_gone = False

    @classmethod
    def empty(cls) -> None:
        cls.objects.clear()
        cls.done.clear()
        cls.fails_after, cls.is_gone = None, False

    @classmethod
    def kept(cls) -> dict[str, str]:
        """Returns the texts of the study by name, but for the lease."""
        return {
            path.removeprefix(FOLDER): content.decode()
            for path, content in cls.objects.items()
            if path.startswith(FOLDER) and "/.owner/" not in path
        }

    def find(self, path: str, detail: bool = False, **_: Any) -> Any:  # pyright: ignore
        self._check()
        found = {
            name: {
                "name": name,
                "type": "file",
                "size": len(content),
                "etag": hashlib.md5(content).hexdigest(),
            }
            for name, content in sorted(self.objects.items())
            if name == path or name.startswith(f"{path}/")
        }
        return found if detail else list(found)

    def get_file(self, rpath: str, lpath: str, **_: Any) -> None:  # pyright: ignore
        pathlib.Path(lpath).write_bytes(self.cat_file(rpath))

    def cat_file(self, path: str, **_: Any) -> bytes:  # pyright: ignore
        self._check()
        if path not in self.objects:
            raise FileNotFoundError(path)
        return self.objects[path]

    def put_file(self, lpath: str, rpath: str, **_: Any) -> None:  # pyright: ignore
        content = pathlib.Path(lpath).read_bytes()
        self._change("put", rpath)
        self.objects[rpath] = content

    def pipe_file(self, path: str, value: bytes, mode: Any = "overwrite", **_: Any):
        self._check()
        if mode == "create" and path in self.objects:
            raise FileExistsError(path)
        self.objects[path] = value

    def rm(self, path: list[str], **_: Any) -> None:  # pyright: ignore
        if missing := set(path) - set(self.objects):
            raise FileNotFoundError(missing)  # and deletes none, as gcsfs
        for each in path:
            self._change("rm", each)
            self.objects.pop(each)

    def _change(self, verb: str, path: str) -> None:
        self._check()
        if "/.owner/" in path:
            return
        if self.fails_after is not None and len(self.done) >= self.fails_after:
            raise RuntimeError("503 from the store")
        self.done.append((verb, path.removeprefix(FOLDER)))

    def _check(self) -> None:
        if self.is_gone:
            raise RuntimeError("no route to the store")
