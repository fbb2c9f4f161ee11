"""What every command does alike: flags over a preset, and errors as sentences."""

import argparse
import dataclasses
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn, TypeVar, cast

import tyro

from launch import errors, interruption
from scaling import config, peers, presets

CRASHED, USAGE_ERROR = 1, 2
DEFAULT_PRESET = "paper"
BROKEN_PIPE = 141  # and for a reader that has gone

PresetName = Annotated[
    str, tyro.conf.arg(metavar="{" + ",".join(presets.PRESETS) + "}")
]
FlatSettings = Annotated[config.Settings, tyro.conf.arg(name="")]
T = TypeVar("T")


def parse(kind: type[T], argv: Sequence[str], description: str) -> T:
    """Returns the arguments of a command, with a preset's values as defaults.

    Args:
      kind: dataclass with the fields `preset` and `settings: FlatSettings`.
      argv: the flags, without the program's name.
      description: what `--help` begins with.

    Raises:
      ValueError: if there is no such preset.
      SystemExit: after `--help` (0), and with a message after a bad flag (2).
    """
    name = _preset_name(argv)
    defaults: dict[str, Any] = {
        field.name: tyro.MISSING
        for field in dataclasses.fields(cast(Any, kind))
        if field.default is dataclasses.MISSING
    }
    defaults |= {"preset": name, "settings": presets.preset(name).settings}
    return tyro.cli(
        kind, args=list(argv), default=kind(**defaults), description=description
    )


def _preset_name(argv: Sequence[str]) -> str:
    """Returns the preset that the flags name, read before all other flags."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", nargs="?")
    return parser.parse_known_args(list(argv))[0].preset or DEFAULT_PRESET


def run(command: Callable[[Sequence[str]], int], how_to_go_on: str) -> NoReturn:
    """Runs a command with the flags of this process and exits with its status.

    A ValueError that is a sentence is the user's to mend: it goes to standard
    error, with status 2. Anything else that is raised keeps its traceback. After
    Ctrl-C the status is 130, after SIGTERM 75, which asks to be started again.

    Args:
      command: takes the flags, returns the exit status.
      how_to_go_on: for a user who pressed Ctrl-C.
    """
    signal.signal(signal.SIGTERM, interruption.on_sigterm)
    try:
        status = _status_of(command, how_to_go_on)
    except Exception:
        traceback.print_exc()
        status = CRASHED
    peers.group().abandon(status)
    sys.exit(status)


def _status_of(command: Callable[[Sequence[str]], int], how_to_go_on: str) -> int:
    """Returns the exit status of a command after telling what ended it."""
    try:
        return command(sys.argv[1:])
    except ValueError as error:
        if not errors.is_sentence(error):
            raise
        print(f"Error: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt as interrupt:
        print(f"\nInterrupted. {how_to_go_on}", file=sys.stderr)
        return interruption.status_of(interrupt)
    except BrokenPipeError:  # the reader of our output, say `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
