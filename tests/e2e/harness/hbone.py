"""A client and a server of HBONE made of Python's ssl and h2, which can also misbehave."""

import contextlib
import socket
import ssl
import threading

import h2.config
import h2.connection
import h2.events

from harness import wait

HBONE_PORT = 15008
READ_BYTES = 65536


def tls_context(identity, is_server):
    """TLS 1.3 with ALPN h2; the chain is checked against the roots, the name by the tests."""
    protocol = ssl.PROTOCOL_TLS_SERVER if is_server else ssl.PROTOCOL_TLS_CLIENT
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(identity.roots)
    context.set_alpn_protocols(["h2"])
    if identity.chain is not None:
        context.load_cert_chain(identity.chain, identity.key)
    return context


def h2_connection(is_client):
    """h2 4.1 takes the missing :path of a CONNECT for a mistake, so it must not judge headers."""
    return h2.connection.H2Connection(
        h2.config.H2Configuration(
            client_side=is_client,
            validate_outbound_headers=False,
            validate_inbound_headers=False,
        )
    )


def peer_uris(tls):
    """The URI names in the certificate of the other side."""
    names = tls.getpeercert().get("subjectAltName", ())
    return [value for kind, value in names if kind == "URI"]


class Stream:
    """One CONNECT as the client sees it."""

    def __init__(self, number):
        self.number = number
        self.status = None
        self.headers = {}
        self.data = b""
        self.is_ended = False
        self.reset_code = None


class Client:
    """A tunnel to somebody's 15008. Every wait has a deadline."""

    def __init__(self, namespace, ip, identity, port=HBONE_PORT, source=None):
        raw = namespace.connect(ip, port, timeout=wait.DEADLINE_S, source=source)
        try:
            self.tls = tls_context(identity, is_server=False).wrap_socket(raw)
            self.tls.settimeout(wait.DEADLINE_S)
            self.h2 = h2_connection(is_client=True)
            self.h2.initiate_connection()
            self.streams = {}
            self.goaway_code = None
            self.flush()
        except BaseException:
            raw.close()
            raise

    def close(self):
        self.tls.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def flush(self):
        self.tls.sendall(self.h2.data_to_send())

    def connect(self, authority, extra=(), method="CONNECT"):
        """Sends a CONNECT and waits for nothing."""
        number = self.h2.get_next_available_stream_id()
        self.streams[number] = Stream(number)
        self.h2.send_headers(number, [(":method", method), (":authority", authority), *extra])
        self.flush()
        return self.streams[number]

    def send(self, stream, data, end=False):
        """Sends all of `data` as the peer's windows allow."""
        while data:
            room = min(
                self.h2.local_flow_control_window(stream.number),
                self.h2.max_outbound_frame_size,
                len(data),
            )
            if room == 0:
                self.read_once()
                continue
            self.h2.send_data(stream.number, data[:room])
            data = data[room:]
            self.flush()
        if end:
            self.h2.end_stream(stream.number)
            self.flush()

    def read_once(self, credit=True):
        """Reads what one recv brings; `credit` gives it back to the peer's windows."""
        data = self.tls.recv(READ_BYTES)
        if not data:
            raise ConnectionResetError("the peer closed the tunnel")
        for event in self.h2.receive_data(data):
            self._take(event, credit)
        self.flush()

    def _take(self, event, credit):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ResponseReceived):
            stream.headers = {name.decode(): value.decode() for name, value in event.headers}
            stream.status = int(stream.headers[":status"])
        elif isinstance(event, h2.events.DataReceived):
            stream.data += event.data
            if credit and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            stream.is_ended = True
        elif isinstance(event, h2.events.StreamReset) and stream is not None:
            stream.reset_code = event.error_code
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway_code = event.error_code

    def until(self, condition):
        """Reads until the condition holds."""
        while not condition():
            self.read_once()

    def status_of(self, authority, extra=(), method="CONNECT"):
        """The status that a CONNECT to `authority` is answered with, or None for a reset."""
        stream = self.connect(authority, extra, method)
        self.until(lambda: stream.status is not None or stream.reset_code is not None)
        return stream.status


class Server:
    """Somebody's 15008 in a pod: accepts tunnels and answers each CONNECT with `status`; what it is
    sent on a stream it sends back. Keeps what it saw. Nobody's handshake begins before the event
    `gate` is set, if there is one."""

    def __init__(self, namespace, ip, identity, status=200, gate=None):
        self.context = tls_context(identity, is_server=True)
        self.status = status
        self.listener = namespace.listen(ip, HBONE_PORT)
        self.gate = gate
        self.accepted = 0
        self.requests = []  # header dictionaries
        self.callers = []  # URI names of the tunnels' clients
        self.failures = []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw):
        if self.gate is not None:
            self.gate.wait(wait.DEADLINE_S)
        try:
            with self.context.wrap_socket(raw, server_side=True) as tls:
                self.callers.append(peer_uris(tls))
                self._serve_tunnel(tls)
        except (OSError, h2.exceptions.ProtocolError) as error:
            self.failures.append(error)

    def _serve_tunnel(self, tls):
        tunnel = h2_connection(is_client=False)
        tunnel.initiate_connection()
        tls.sendall(tunnel.data_to_send())
        waiting = {}  # stream number: [bytes to send back, whether its end is to follow]
        while data := tls.recv(READ_BYTES):
            for event in tunnel.receive_data(data):
                self._answer(tunnel, event, waiting)
            for number in list(waiting):
                self._send_back(tunnel, number, waiting)
            tls.sendall(tunnel.data_to_send())

    def _answer(self, tunnel, event, waiting):
        if isinstance(event, h2.events.RequestReceived):
            headers = {name.decode(): value.decode() for name, value in event.headers}
            self.requests.append(headers)
            tunnel.send_headers(event.stream_id, [(":status", str(self.status))])
            waiting[event.stream_id] = [b"", False]
        elif isinstance(event, h2.events.DataReceived):
            tunnel.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            waiting[event.stream_id][0] += event.data
        elif isinstance(event, h2.events.StreamEnded):
            waiting[event.stream_id][1] = True
        elif isinstance(event, h2.events.StreamReset):
            waiting.pop(event.stream_id, None)

    @staticmethod
    def _send_back(tunnel, number, waiting):
        data, is_ended = waiting[number]
        while data:
            room = min(
                tunnel.local_flow_control_window(number),
                tunnel.max_outbound_frame_size,
                len(data),
            )
            if room == 0:
                break
            tunnel.send_data(number, data[:room])
            data = data[room:]
        waiting[number][0] = data
        if is_ended and not data:
            tunnel.end_stream(number)
            del waiting[number]
