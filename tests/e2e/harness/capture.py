"""Listening on an interface for bytes that must not be there."""

import socket
import threading

ETH_P_ALL = 3
FRAME_BYTES_MAX = 1 << 16


class Capture:
    """Counts the packets on an interface, and those that hold `marker`, until it is closed."""

    def __init__(self, namespace, interface, marker):
        with namespace.entered():
            self.socket = socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)
            )
        self.socket.bind((interface, 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.settimeout(0.05)
        self.marker = marker
        self.packets = 0
        self.packets_with_marker = 0
        self.is_closing = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            try:
                frame = self.socket.recv(FRAME_BYTES_MAX)
            except TimeoutError:
                if self.is_closing:
                    return  # only once the queue is empty
                continue
            self.packets += 1
            if self.marker in frame:
                self.packets_with_marker += 1

    def close(self):
        """Reads what has been captured to its end."""
        self.is_closing = True
        self.thread.join(timeout=30)
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
