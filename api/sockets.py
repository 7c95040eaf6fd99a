"""The server's protocol for WebSockets: uvicorn's, which tells the application how to drop a connection."""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from api.connections import CONNECTION


class Sockets(WebSocketsSansIOProtocol):
    """uvicorn's protocol. What is no text ends the connection with its code, and no traceback."""

    def handle_connect(self, event: Request) -> None:
        """Begin, and say what else the connection can do."""
        super().handle_connect(event)
        if not self.close_sent:  # else it was no handshake, and has been answered
            self.scope["extensions"][CONNECTION] = {"abort": self.transport.abort}

    def send_receive_event_to_app(self) -> None:
        """Hand a message over, unless it is not what it says it is."""
        if self.curr_msg_data_type == "text" and not _is_text(b"".join(self.frames)):
            self.frames = []
            self.conn.send_close(1007)
            self.handle_parser_exception()
        else:
            super().send_receive_event_to_app()


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
