"""The HTTP side of the fake AWS: threads, kept connections, answers that end early."""

import json
import socket
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.fake.wire import Reply

Answer = Callable[[str, str, dict[str, str], bytes], tuple[Reply, Callable[[], None]]]
Control = Callable[[dict[str, str]], object]


class Server(ThreadingHTTPServer):
    """Hands each request to `answer`; GET /_fake goes to `control` and shows what that returns as JSON."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, answer: Answer, control: Control):
        super().__init__(('127.0.0.1', port), _Handler)
        self.answer, self.control = answer, control
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close the connections that clients keep alive."""
        for request in list(self._open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is not an error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        if self.path.startswith('/_fake'):
            return self._control()
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get('content-length', 0)))
        reply, done = self.server.answer(self.command, self.path, headers, body)
        try:
            self._send(reply)
        finally:
            done()

    do_POST = do_HEAD = do_PUT = do_DELETE = do_GET

    def _send(self, reply: Reply) -> None:
        if reply.status == 0:
            self.close_connection = True
            return
        self.send_response_only(reply.status)
        size = reply.size
        fields = {'Content-Type': reply.content_type, 'Content-Length': str(reply.length or size), **reply.headers}
        for name, value in {'x-amzn-RequestId': '00000000-0000-4000-8000-000000000000', **fields}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != 'HEAD':
            for part in reply.parts:
                self.wfile.write(part)
        if reply.length not in (None, size):
            self.close_connection = True

    def _control(self) -> None:
        answer = self.server.control(dict(parse_qsl(urlsplit(self.path).query)))
        self._send(Reply([json.dumps(answer).encode()], content_type='application/json'))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the record tells."""
