"""The limit of an upload: a socket read into SHA-256 and a file, synced and renamed, with nothing between.

`python -m bench.bare PORT FOLDER` answers HTTP just as far as the client of this benchmark speaks it.
"""

import hashlib
import itertools
import os
import re
import socket
import sys
import threading
from pathlib import Path

BUFFER_BYTES = 1024**2
LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 64\r\n\r\n"


class BareServer:
    """One thread per connection."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def listen(self, port: int) -> None:
        """Serve for good."""
        with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = bytearray(BUFFER_BYTES)
        view = memoryview(buffer)
        with connection:
            while self._receive(connection, buffer, view):
                pass

    def _receive(self, connection: socket.socket, buffer: bytearray, view: memoryview) -> bool:
        filled, end = 0, -1
        while end < 0:
            count = connection.recv_into(view[filled:])
            if count == 0:
                return False
            filled += count
            end = buffer.find(b"\r\n\r\n", 0, filled)
        found = LENGTH.search(buffer, 0, end)
        missing = int(found[1]) if found else 0
        connection.sendall(ANSWER + self._store(connection, view, (end + 4, filled), missing).encode())
        return True

    def _store(self, connection: socket.socket, view: memoryview, held: tuple[int, int], missing: int) -> str:
        draft = self._folder / f"{next(self._numbers)}.draft"
        digest = hashlib.sha256()
        with draft.open("xb", buffering=0) as file:
            piece = view[slice(*held)]
            while True:
                digest.update(piece)
                file.write(piece)
                missing -= len(piece)
                if missing <= 0:
                    break
                piece = view[: connection.recv_into(view)]
            os.fsync(file.fileno())
        draft.rename(draft.with_suffix(".blob"))
        os.fsync(self._directory)
        return digest.hexdigest()


if __name__ == "__main__":
    BareServer(Path(sys.argv[2])).listen(int(sys.argv[1]))
