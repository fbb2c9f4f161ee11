"""Headless Chromium through its debugging pipe, with the standard library only."""

import base64
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from typing import IO, Any

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-sync"),
    *("--disable-component-update", "--hide-scrollbars", "--remote-debugging-pipe"),
)
LONGEST = 60.0  # seconds that Chromium may take for everything


def chromium() -> str | None:
    """Returns the path of Chromium or Chrome, None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


class Page:
    """One tab: commands are sent and waited for, events are kept."""

    def __init__(self, reader: IO[bytes], writer: IO[bytes]):
        self._reader, self._writer = reader, writer
        self._buffer, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Sends a command and returns its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": arguments}
        if self._session:
            message["sessionId"] = self._session
        self._writer.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise ValueError(f"{method}: {answer['error']['message']}.")
                return answer["result"]
            self.events.append(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            more = self._reader.read(1 << 16)
            if not more:
                raise ValueError("Chromium closed its pipe before it had answered.")
            self._buffer += more
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def open(self, path: pathlib.Path, width: int, height: int, scheme: str) -> None:
        """Opens a file at this width, in a light or dark scheme, and waits for it."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height},
            **{"deviceScaleFactor": 1, "mobile": width < 600},
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", features=features)
        self.events.clear()
        self.send("Page.navigate", url=path.as_uri())
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self._receive())

    def evaluate(self, expression: str) -> Any:
        """Returns the value of a JavaScript expression."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in found:
            raise ValueError(f"{found['exceptionDetails']}.")
        return found["result"]["value"]

    def screenshot(self, path: pathlib.Path) -> None:
        """Writes the whole page as a PNG."""
        found = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def pdf(self) -> bytes:
        """Returns the page as it prints on A4."""
        found = self.send(
            "Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=True
        )
        return base64.b64decode(found["data"])


@contextlib.contextmanager
def page() -> Iterator[Page]:
    """A tab of a Chromium of its own, with a fresh profile; both go at the end."""
    program = chromium()
    assert program is not None
    to_read, to_write = os.pipe(), os.pipe()  # of Chromium: commands, answers
    child = (to_read[0], to_write[1])
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        script = f'exec "$0" "$@" 3<&{child[0]} 4>&{child[1]}'
        process = subprocess.Popen(
            ["bash", "-c", script, program, *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=child,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in child:
            os.close(end)
        alarm = threading.Timer(LONGEST, process.kill)
        alarm.start()
        try:
            with (
                os.fdopen(to_write[0], "rb", buffering=0) as reader,
                os.fdopen(to_read[1], "wb", buffering=0) as writer,
            ):
                yield Page(reader, writer)
        finally:
            alarm.cancel()
            process.kill()
            process.wait()
