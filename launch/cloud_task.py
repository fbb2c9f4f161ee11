"""What is to be run on a cloud, whatever the provider."""

import dataclasses
import re
import shlex

from launch import cloud_machines
from scaling import targets

# What these may consist of, so that they can stand in scripts and YAML unquoted.
_GRAMMAR = {
    "name": (r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", "up to 40 of a-z, 0-9 and -"),
    "bucket": (
        r"(gs|s3)://[a-z0-9][\w.-]*[a-z0-9](/[\w.-]+)*",
        "gs://BUCKET/FOLDER or s3://…",
    ),
    "share": (r"[\w.-]+:(/[\w.-]+)+", "HOST:/EXPORT, as 10.0.0.2:/studies"),
    "image": (
        r"[a-z0-9][\w.:-]*(/[\w.-]+)*(:[\w.-]+)?(@sha256:[0-9a-f]+)?",
        "an image",
    ),
    "project": (r"[a-z][-a-z0-9:.]*[a-z0-9]", "a project's id"),
    "zone": (r"[a-z]+-[a-z]+\d+-[a-z]", "a zone, as us-west4-a"),
}
_KEY = re.compile(r"@([A-Z_]+)@")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A sweep on a target."""

    target: targets.Target
    sweep: tuple[str, ...]
    """Flags of `sweep.py`, checked, without --out."""
    name: str
    """Of all that is made on the cloud."""
    bucket: str | None
    """Folder in a bucket, which the output is copied to."""
    share: str | None
    """HOST:/EXPORT of an NFS server, which the output is written to."""
    image: str | None
    """A container image of this project that the machines can pull."""
    spot: bool
    """Whether cheaper machines are asked for, which may be taken away."""
    project: str | None
    zone: str | None

    @property
    def machines(self) -> int:
        """Virtual machines, each with one process of every run."""
        return cloud_machines.machines(self.target)

    def command(self, python: str, out: str) -> list[str]:
        """Returns the sweep's words, for a shell or an exec, with its output in `out`.

        Args:
          python: interpreter in which the project is installed.
          out: directory for the results.
        """
        return [python, "launch/sweep.py", *self.sweep, "--out", out]


def check(task: Task) -> None:
    """Refuses names that could not stand in a script.

    Raises:
      ValueError: naming the flag.
    """
    for field, (grammar, meant) in _GRAMMAR.items():
        value = getattr(task, field)
        if value is not None and not re.fullmatch(grammar, value, re.ASCII):
            raise ValueError(f"--{field} is {value!r}; give {meant}.")


def check_shared(task: Task) -> None:
    """Refuses several machines without a directory that they share.

    Raises:
      ValueError: saying what to give.
    """
    if task.machines > 1 and task.share is None:
        raise ValueError(
            f"{task.target.name} is {task.machines} machines, whose processes write "
            "into one directory, and a bucket is none, not even mounted (no locks); "
            "give --share HOST:/EXPORT of an NFS server, such as Filestore."
        )


def fill(template: str, values: dict[str, str]) -> str:
    """Returns a text with `@KEY@` replaced, and lines that became empty taken out.

    A line that consists of one key takes the indentation of all lines of its value.

    Raises:
      KeyError: if a key has no value.
    """
    lines = []
    for line in template.splitlines():
        alone = _KEY.fullmatch(line.strip())
        if alone:
            indent = line[: len(line) - len(line.lstrip())]
            value = values[alone[1]].rstrip("\n")
            new = value.split("\n") if value else []
            lines += [f"{indent}{each}" if each else "" for each in new]
        else:
            lines.append(_KEY.sub(lambda found: values[found[1]], line))
    return "\n".join(lines) + "\n"


def shell(words: list[str], indent: str = "    ") -> str:
    """Returns a command for a shell, a line for each flag with its value."""
    lines, line = [], ""
    for word in map(shlex.quote, words):
        if word.startswith("--") and line:
            lines.append(line)
            line = ""
        line += f" {word}" if line else word
    return f" \\\n{indent}".join([*lines, line])


def comment(text: str) -> str:
    """Returns a text as comment lines."""
    return "\n".join(f"# {line}".rstrip() for line in text.strip().splitlines())


def count(number: int, what: str) -> str:
    """Returns `1 machine`, `2 machines`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
