"""HTTP/2 frames by hand, for what no library would send (RFC 9113, RFC 7541)."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = range(5)
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(5, 10)

ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8

PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL = 5, 6, 7, 8
COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 9, 11


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def integer(value, prefix_bits, first=0):
    """An integer of HPACK (RFC 7541, 5.1)."""
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes([first | value])
    out = bytearray([first | limit])
    value -= limit
    while value >= 128:
        out.append(128 | value % 128)
        value //= 128
    return bytes([*out, value])


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return integer(len(value), 7) + value


def field(name, value):
    """A literal field that no table keeps."""
    return b"\x00" + text(name) + text(value)


def kept_field(name, value):
    """A literal field that goes into the dynamic table."""
    return b"\x40" + text(name) + text(value)


def indexed(index):
    return integer(index, 7, 0x80)


def connect_fields(authority):
    return field(":method", "CONNECT") + field(":authority", authority)


def connect(stream, authority, flags=END_HEADERS, extra=b""):
    return frame(HEADERS, flags, stream, connect_fields(authority) + extra)


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def setting(identifier, value):
    return struct.pack(">HI", identifier, value)


def window_update(stream, size):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", size))
