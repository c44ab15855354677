"""A way to the server that counts requests by their first line and can keep an answer back."""

import contextlib
import re
import socket
import threading

REQUEST = re.compile(rb"(?m)^(GET|POST|PUT|DELETE) (\S+) HTTP/1.1\r$")


class Proxy:
    """Forwards connections to a port. `lines` are the requests that came; the `hold`-th POST gets no answer."""

    def __init__(self, port):
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.lines = []
        self.hold = None
        self.held = threading.Event()
        self._lock = threading.Lock()
        self._open = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def count(self, method, path):
        return sum(line.split("?")[0] == f"{method} {path}" for line in self.lines)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                keep = threading.Event()
                self._open += [client, server]
                threading.Thread(target=self._requests, args=(client, server, keep), daemon=True).start()
                threading.Thread(target=self._answers, args=(client, server, keep), daemon=True).start()

    def _requests(self, client, server, keep):
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                with self._lock:
                    for method, path in REQUEST.findall(data):
                        self.lines.append(f"{method.decode()} {path.decode()}")
                        if self.hold is not None and self.count("POST", "/v1/stt") == self.hold:
                            keep.set()
                server.sendall(data)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _answers(self, client, server, keep):
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if keep.is_set():
                    self.held.set()
                    return  # the connection stays open, and silent
                client.sendall(data)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)

    def go(self):
        """Break all connections and refuse others, as a server that stops."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        self._listener = socket.socket()  # bound, so that nobody else gets the port, but not listening
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def come_back(self):
        """Listen again, at the same port."""
        self._listener.listen()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self):
        self._listener.close()
