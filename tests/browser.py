"""A headless Chromium, over the pipes of its DevTools protocol."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome')
# Seconds that an answer of the browser may take.
PATIENCE = 60
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
# No profile of the user, no sandbox (it does not work for root in a container), and nothing that calls home.
SWITCHES = (
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--hide-scrollbars',
    '--disable-background-networking', '--disable-component-update', '--disable-extensions',
)  # fmt: skip


class Browser:
    """Opens one page at a time. `events` are those of the protocol since the page was opened."""

    def __init__(self, profile: Path) -> None:
        assert BROWSER
        to_browser, ours = os.pipe()
        theirs, from_browser = os.pipe()
        # The protocol has 3 and 4 as the descriptors of the browser.
        command = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        argv = [BROWSER, *SWITCHES, f'--user-data-dir={profile}', '--remote-debugging-pipe', 'about:blank']
        self._process = subprocess.Popen(
            ['bash', '-c', command, 'bash', *argv],
            pass_fds=(to_browser, from_browser), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._out, self._in = open(ours, 'wb', buffering=0), open(theirs, 'rb')
        self._waiting = b''
        self._number = 0
        self._session = ''
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Browser:
        target = self.ask('Target.createTarget', url='about:blank')['targetId']
        self._session = self.ask('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.ask(f'{domain}.enable')
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._out.close()
        self._process.terminate()
        self._process.wait()
        self._in.close()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        message: dict[str, Any] = {'id': self._number, 'method': method, 'params': params}
        if self._session:
            message['sessionId'] = self._session
        self._out.write(json.dumps(message).encode() + b'\0')
        while True:
            answer = self._next()
            if answer.get('id') == self._number:
                assert 'error' not in answer, answer
                result: dict[str, Any] = answer['result']
                return result

    def _next(self) -> dict[str, Any]:
        while b'\0' not in self._waiting:
            ready, _, _ = select.select([self._in], [], [], PATIENCE)
            assert ready, 'the browser does not answer'
            data = os.read(self._in.fileno(), 1 << 20)
            assert data, 'the browser has gone away'
            self._waiting += data
        line, _, self._waiting = self._waiting.partition(b'\0')
        message: dict[str, Any] = json.loads(line)
        if 'method' in message:
            self.events.append(message)
        return message

    def open(self, page: Path, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Open a file, and wait until it is loaded and drawn."""
        scheme = {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}
        self.ask('Emulation.setEmulatedMedia', features=[scheme])
        self.ask(
            'Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.events.clear()
        self.ask('Page.navigate', url=page.as_uri())
        while 'Page.loadEventFired' not in {event['method'] for event in self.events}:
            self._next()
        # Plotly draws the last of a chart in a later turn.
        self.value('new Promise((done) => setTimeout(done, 300))')

    def value(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        result = self.ask('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        assert 'exceptionDetails' not in result, result
        return result['result'].get('value')

    def print(self, path: Path) -> None:
        """Print the page on A4, as PDF."""
        path.write_bytes(b64decode(self.ask('Page.printToPDF', paperWidth=8.27, paperHeight=11.69)['data']))
