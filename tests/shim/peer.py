"""
The runner's side of a connection: a TLS 1.3 client and server that do as they are told.

A case names places of a handshake and what happens there. `shape` gets the message as an object
before it is encoded, `edit` its bytes before they are sent (None: it is left out), `before` and
`after` get the peer and may send what they like. What is sent goes into the transcript as it was
sent, so that a message that was changed can still be followed by a right Finished.
"""

import os

from cryptography import x509

import hello as h
from credential import USUAL, sign, verifies
from record import (DATA, HANDSHAKE, P256, P384, X25519, Broken, Closed, Keys, Schedule,
                    Share, Wire, expand_label, finished, hash_bytes, hash_of, number, vector)

MESSAGE = b"\x42" * 32
ECHO = bytes(byte ^ 0xFF for byte in MESSAGE)


class Plan:
    """What a case asks of the peer."""

    def __init__(self, **settings):
        self.shape, self.edit, self.before, self.after = {}, {}, {}, {}
        self.credential = None        # the peer's certificate
        self.asks = False             # a server sends a CertificateRequest
        self.requires = True          # ... and wants a certificate in answer
        self.authorities = None       # names in that
        self.schemes = USUAL          # that the peer accepts
        self.sign_with = None         # a scheme, whatever the other side accepts
        self.groups = [X25519, P256, P384]
        self.shares = [X25519]        # a client's
        self.suites = [0x1301, 0x1302, 0x1303]
        self.retry = None             # a server asks for this group, or just returns a cookie: 0
        self.cookie = None
        self.tickets = 2              # that a server gives
        self.protocol = None          # a server's choice
        self.staple = None
        self.acknowledges_name = False
        self.psk = True               # a server resumes, a client offers its ticket
        self.pack = False
        self.split = None
        self.record_version = None
        self.data = [MESSAGE]
        self.talk = None              # in place of the usual exchange of data
        self.shim_writes_first = False
        self.closes = True            # by close_notify
        self.check = None             # with the peer, after a good handshake
        self.__dict__.update(settings)


class Session:
    """What one connection leaves for the next one: by a server's ticket."""

    def __init__(self, suite, psk, ticket=b"", age_add=0):
        self.suite, self.psk, self.ticket, self.age_add = suite, psk, ticket, age_add


class Peer(Wire):
    def __init__(self, sock, plan, memory, shim_is_client):
        super().__init__(sock, shim_is_client)
        self.plan, self.memory = plan, memory
        self.split = plan.split or self.split
        self.record_version = plan.record_version
        self.transcript = b""
        self.schedule = None
        self.was_retried = self.is_resumed = False
        self.got_request = self.shim_certificate = self.shim_scheme = None
        self.tickets_got, self.updates = [], []

    # ---- places of the plan

    def emit(self, place, item):
        """Sends one message, bent as the plan says. `item` is an object with encode(), or bytes."""
        plan = self.plan
        if place in plan.before:
            plan.before[place](self)
        if place in plan.shape:
            item = plan.shape[place](self, item) or item
        raw = item if isinstance(item, bytes) else item.encode()
        if place in plan.edit:
            raw = plan.edit[place](self, raw)
        if raw is not None:
            self.transcript += raw
            self.send_message(raw)
        if place in plan.after:
            plan.after[place](self)

    def expect(self, kind):
        raw = self.read_message()
        if raw[0] != kind:
            raise Broken(f"a message of type {raw[0]} instead of {kind}")
        self.transcript += raw
        return raw

    # ---- keys

    def begin_schedule(self, suite, psk=None):
        self.suite = suite
        self.schedule = Schedule(suite, psk)

    def handshake_keys(self, secret):
        self.schedule.advance(secret)
        self.client_secret = self.schedule.derive(b"c hs traffic", self.transcript)
        self.server_secret = self.schedule.derive(b"s hs traffic", self.transcript)

    def application_keys(self):
        self.schedule.advance()
        self.client_data = self.schedule.derive(b"c ap traffic", self.transcript)
        self.server_data = self.schedule.derive(b"s ap traffic", self.transcript)
        self.exporter = self.schedule.derive(b"exp master", self.transcript)

    def resumption_psk(self, nonce):
        return expand_label(self.suite, self.resumption, b"resumption", nonce,
                            hash_bytes(self.suite))

    def export(self, label, context, size):
        secret = expand_label(self.suite, self.exporter, label, hash_of(self.suite, b""),
                              hash_bytes(self.suite))
        return expand_label(self.suite, secret, b"exporter", hash_of(self.suite, context), size)

    def retry_transcript(self):
        """The first hello becomes a hash of itself (RFC 8446, 4.4.1)."""
        self.transcript = h.message(254, hash_of(self.suite, self.transcript))
        self.was_retried = True

    # ---- authentication, the same for both parts

    def proof(self, signer):
        label = b"TLS 1.3, " + signer + b" CertificateVerify\0"
        return b" " * 64 + label + hash_of(self.suite, self.transcript)

    def send_certificate(self, context=b""):
        credential, signer = self.plan.credential, b"client" if self.is_client else b"server"
        chain = [credential.der] if credential else []
        self.emit("certificate", h.CertificateMessage(chain, self.plan.staple, context))
        if credential is None:
            return
        accepted = self.accepted_schemes()
        usable = [scheme for scheme in credential.schemes if scheme in accepted]
        scheme = self.plan.sign_with or (usable or credential.schemes)[0]
        signature = sign(credential.key, scheme, self.proof(signer))
        self.emit("verify", h.message(h.VERIFY, number(scheme, 2) + vector(2, signature)))

    def read_certificate(self, context=b""):
        self.shim_certificate = h.CertificateMessage.read(self.expect(h.CERTIFICATE))
        if self.shim_certificate.context != context:
            raise Broken("a Certificate with another context")
        if not self.shim_certificate.entries:
            return False
        signer = b"server" if self.is_client else b"client"
        proof = self.proof(signer)
        reader = h.Reader(self.expect(h.VERIFY)[4:])
        self.shim_scheme, signature = reader.number(2), reader.vector(2)
        reader.end()
        if self.shim_scheme not in self.plan.schemes:
            raise Broken(f"a signature of scheme {self.shim_scheme:#06x}, which was not offered")
        leaf = x509.load_der_x509_certificate(self.shim_certificate.entries[0][0])
        if not verifies(leaf.public_key(), self.shim_scheme, signature, proof):
            raise Broken("a signature that does not verify")
        return True

    def check_finished(self, secret):
        wanted = finished(self.suite, secret, hash_of(self.suite, self.transcript))
        raw = self.expect(h.FINISHED)
        if raw[4:] != wanted:
            raise Broken("a wrong Finished")

    def send_finished(self, secret):
        data = finished(self.suite, secret, hash_of(self.suite, self.transcript))
        self.emit("finished", h.message(h.FINISHED, data))
        self.flush()

    # ---- behind the handshake

    def read_data(self, size):
        """That many bytes of application data; other messages are looked at on the way."""
        found = b""
        while len(found) < size:
            kind, body = self.read_content()
            if kind == DATA:
                found += body
            elif kind == HANDSHAKE:
                self.take_late(body)
            else:
                raise Broken(f"a record of type {kind} behind the handshake")
        if len(found) != size:
            raise Broken(f"{len(found)} bytes of data instead of {size}")
        return found

    def take_late(self, body):
        self.messages += body
        while len(self.messages) >= 4 and len(self.messages) >= 4 + self.message_size():
            raw = self.read_message()
            if raw[0] == h.KEY_UPDATE:
                self.read_keys = self.read_keys.next()
                self.updates.append(raw[4])
            elif raw[0] == h.TICKET and self.is_client:
                self.take_ticket(raw)
            else:
                raise Broken(f"a message of type {raw[0]} behind the handshake")

    def exchange(self):
        if self.plan.shim_writes_first and self.read_data(5) != b"hello":
            raise Broken("no hello")
        for data in self.plan.data:
            for start in range(0, len(data), 1 << 14):
                self.send_data(data[start : start + (1 << 14)])
            if self.read_data(len(data)) != bytes(byte ^ 0xFF for byte in data):
                raise Broken("an echo that is wrong")

    def update_keys(self, asks=0):
        self.send_record(HANDSHAKE, h.message(h.KEY_UPDATE, bytes([asks])))
        self.write_keys = self.write_keys.next()

    def run(self):
        """The whole connection; returns whether the shim closed cleanly."""
        self.is_packing = self.plan.pack
        self.handshake()
        self.flush()
        self.is_packing = False
        if self.plan.check is not None:
            self.plan.check(self)
        (self.plan.talk or Peer.exchange)(self)
        if self.plan.closes:
            self.send_alert(0, level=1)
        try:
            self.sock.shutdown(1)
        except OSError:
            pass
        return self.read_until_end()


class Client(Peer):
    """The shim is the server."""

    is_client = True

    def make_hello(self):
        plan, hello = self.plan, h.ClientHello()
        hello.suites = list(plan.suites)
        self.pairs = {group: Share(group) for group in plan.shares}
        hello.extensions += [
            (h.VERSIONS, vector(1, h.pack([0x0304]))),
            (h.GROUPS, vector(2, h.pack(plan.groups))),
            (h.SCHEMES, vector(2, h.pack(plan.schemes))),
            (h.SHARES, self.share_list()),
            (h.PSK_MODES, vector(1, b"\1")),
        ]
        return hello

    def share_list(self):
        return vector(2, b"".join(number(group, 2) + vector(2, pair.public)
                                  for group, pair in self.pairs.items()))

    def offered(self):
        return self.memory.get("session") if self.plan.psk else None

    def encode_bound(self, hello, session):
        """With one identity, and the binder over everything before it."""
        if session is None:
            return hello.encode()
        size = hash_bytes(session.suite)
        age = (session.age_add + self.memory.get("age_ms", 0)) % (1 << 32)
        offer = vector(2, vector(2, session.ticket) + number(age, 4))
        hello.extensions.drop(h.PSK)
        hello.extensions.append((h.PSK, offer + vector(2, vector(1, bytes(size)))))
        raw = hello.encode()
        schedule = Schedule(session.suite, session.psk)
        key = schedule.derive(b"res binder", b"")
        digest = hash_of(session.suite, self.transcript + raw[: -size - 3])
        return raw[:-size] + finished(session.suite, key, digest)

    def accepted_schemes(self):
        return self.got_request.schemes()

    def send_hello(self, place, session):
        plan = self.plan
        if place in plan.before:
            plan.before[place](self)
        if place in plan.shape:
            plan.shape[place](self, self.hello)
        raw = self.encode_bound(self.hello, session)
        if place in plan.edit:
            raw = plan.edit[place](self, raw)
        self.transcript += raw
        self.record_version = plan.record_version or (0x0301 if place == "hello" else 0x0303)
        self.send_message(raw)
        self.flush()
        self.record_version = plan.record_version
        if place in plan.after:
            plan.after[place](self)

    def handshake(self):
        self.hello = self.make_hello()
        session = self.offered()
        self.send_hello("hello", session)
        answer = h.ServerHello.read(self.read_server_hello())
        if answer.is_retry():
            self.follow_retry(answer, session)
            answer = h.ServerHello.read(self.read_server_hello())
        self.take_server_hello(answer, session)
        self.read_flight()
        self.answer_flight()

    def read_server_hello(self):
        """Its transcript's hash is not known before it was read."""
        raw = self.read_message()
        if raw[0] != h.SERVER_HELLO:
            raise Broken(f"a message of type {raw[0]} instead of ServerHello")
        answer = h.ServerHello.read(raw)
        if answer.session_id != self.hello.session_id:
            raise Broken("a session id that is not the client's")
        allowed = {h.VERSIONS, h.SHARES, h.COOKIE if answer.is_retry() else h.PSK}
        if not {kind for kind, _ in answer.extensions} <= allowed:
            raise Broken("a ServerHello with an extension that may not stand there")
        self.suite = answer.suite
        if answer.is_retry():
            self.retry_transcript()
        self.transcript += raw
        return raw

    def follow_retry(self, answer, session):
        group = answer.extensions.get(h.SHARES)
        if group is not None:
            group = int.from_bytes(group, "big")
            self.retry_group = group
            self.pairs = {group: Share(group)}
            self.hello.extensions.put(h.SHARES, self.share_list())
        cookie = answer.extensions.get(h.COOKIE)
        if cookie is not None:
            self.hello.extensions.put(h.COOKIE, cookie)
        self.hello.extensions.drop(h.EARLY_DATA)
        self.send_hello("second_hello", session)

    def take_server_hello(self, answer, session):
        share = h.Reader(answer.extensions.get(h.SHARES))
        self.group = share.number(2)
        self.is_resumed = answer.extensions.get(h.PSK) is not None
        if self.is_resumed and session is None:
            raise Broken("a resumption of nothing")
        self.begin_schedule(answer.suite, session.psk if self.is_resumed else None)
        self.handshake_keys(self.pairs[self.group].agree(share.vector(2)))
        self.read_keys = Keys(self.suite, self.server_secret)
        if "server_hello" in self.plan.after:
            self.plan.after["server_hello"](self)

    def read_flight(self):
        self.extensions = h.EncryptedExtensions.read(self.expect(h.EXTENSIONS)).extensions
        known = {h.SERVER_NAME, h.ALPN, h.GROUPS, h.RECORD_LIMIT}
        offered = {kind for kind, _ in self.hello.extensions}
        if not {kind for kind, _ in self.extensions} <= known & (offered | {h.GROUPS}):
            raise Broken("an extension that nobody asked for")
        if not self.is_resumed:
            raw = self.peek()
            if raw[0] == h.REQUEST:
                self.got_request = h.RequestMessage.read(self.expect(h.REQUEST))
            self.read_certificate()
        self.check_finished(self.server_secret)
        self.application_keys()

    def peek(self):
        raw = self.read_message()
        self.messages = raw + self.messages
        return raw

    def answer_flight(self):
        self.write_keys = Keys(self.suite, self.client_secret)
        if "flight" in self.plan.before:
            self.plan.before["flight"](self)
        if self.got_request is not None:
            self.send_certificate(self.got_request.context)
        self.send_finished(self.client_secret)
        self.resumption = self.schedule.derive(b"res master", self.transcript)
        self.write_keys = Keys(self.suite, self.client_data)
        self.read_keys = Keys(self.suite, self.server_data)
        if "handshake" in self.plan.after:
            self.plan.after["handshake"](self)

    def take_ticket(self, raw):
        ticket = h.TicketMessage.read(raw)
        if not ticket.ticket or ticket.lifetime_s == 0:
            raise Broken("a ticket that is empty or dead")
        self.tickets_got.append(ticket)
        self.memory["session"] = Session(self.suite, self.resumption_psk(ticket.nonce),
                                         ticket.ticket, ticket.age_add)


class Server(Peer):
    """The shim is the client."""

    is_client = False

    def accepted_schemes(self):
        return self.hello.schemes()

    def read_hello(self):
        raw = self.read_message()
        if raw[0] != h.CLIENT_HELLO:
            raise Broken(f"a message of type {raw[0]} instead of ClientHello")
        self.hello = h.ClientHello.read(raw)
        if self.hello.compressions != b"\0" or self.hello.random == bytes(32):
            raise Broken("a ClientHello with compression, or without randomness")
        self.transcript += raw
        return raw

    def choose(self):
        """The first suite and group of the shim that the peer has, share or not."""
        plan = self.plan
        self.suite = next(suite for suite in self.hello.suites if suite in plan.suites)
        self.group = next(group for group in self.hello.groups() if group in plan.groups)

    def make_hello(self):
        answer = h.ServerHello()
        answer.session_id, answer.suite = self.hello.session_id, self.suite
        answer.extensions.append((h.VERSIONS, number(0x0304, 2)))
        return answer

    def handshake(self):
        first = self.read_hello()
        if "client_hello" in self.plan.after:
            self.plan.after["client_hello"](self)
        self.choose()
        if self.plan.retry is not None or self.group not in self.hello.shares():
            self.ask_again(first)
        self.answer_hello()
        self.send_flight()
        self.read_answer()
        self.give_tickets()

    def ask_again(self, first):
        self.retry_transcript()
        answer = self.make_hello()
        answer.random = h.RETRY_RANDOM
        self.group = self.plan.retry or self.group
        if self.plan.retry != 0:
            answer.extensions.append((h.SHARES, number(self.group, 2)))
        if self.plan.cookie is not None:
            answer.extensions.append((h.COOKIE, vector(2, self.plan.cookie)))
        self.emit("retry", answer)
        self.flush()
        before = h.ClientHello.read(first)
        self.read_hello()
        self.check_second(before)

    def check_second(self, first):
        """RFC 8446, 4.1.2: the same hello but for what a retry changes."""
        second, moving = self.hello, {h.SHARES, h.COOKIE, h.PSK, h.EARLY_DATA, 21}
        same = [item for item in first.extensions if item[0] not in moving]
        if same != [item for item in second.extensions if item[0] not in moving]:
            raise Broken("a second ClientHello with other extensions")
        if (first.random, first.session_id, first.suites) != (
            second.random, second.session_id, second.suites,
        ):
            raise Broken("a second ClientHello that is not the first one")
        if self.plan.retry != 0 and list(second.shares()) != [self.group]:
            raise Broken("a second ClientHello without the share that was asked for")
        wanted = vector(2, self.plan.cookie) if self.plan.cookie is not None else None
        if second.extensions.get(h.COOKIE) != wanted:
            raise Broken("a cookie that was not returned as it was")
        if self.ccs_count != 1:
            raise Broken("no change_cipher_spec before the second ClientHello")

    def find_session(self):
        """The session of the first identity that is known, its binder checked."""
        items, binders = self.hello.psks()
        self.offered_psks = items
        known = self.memory.get("tickets", {})
        if not items or not self.plan.psk or items[0][0] not in known:
            return None
        session = known[items[0][0]]
        if hash_bytes(session.suite) != hash_bytes(self.suite):
            return None
        size = len(binders[0])
        total = 2 + sum(1 + len(binder) for binder in binders)
        digest = hash_of(session.suite, self.transcript[:-total])
        key = Schedule(session.suite, session.psk).derive(b"res binder", b"")
        if size != hash_bytes(session.suite) or binders[0] != finished(session.suite, key, digest):
            raise Broken("a wrong binder")
        return session

    def answer_hello(self):
        session = self.find_session()
        pair = Share(self.group)
        answer = self.make_hello()
        answer.extensions.append((h.SHARES, number(self.group, 2) + vector(2, pair.public)))
        if session is not None:
            self.is_resumed = True
            answer.extensions.append((h.PSK, number(0, 2)))
        secret = pair.agree(self.hello.shares()[self.group])
        self.emit("server_hello", answer)
        self.flush()
        self.begin_schedule(self.suite, session.psk if session else None)
        self.handshake_keys(secret)
        self.write_keys = Keys(self.suite, self.server_secret)
        self.read_keys = Keys(self.suite, self.client_secret)

    def make_extensions(self):
        found = h.EncryptedExtensions()
        if self.plan.acknowledges_name:
            found.extensions.append((h.SERVER_NAME, b""))
        if self.plan.protocol is not None:
            found.extensions.append((h.ALPN, vector(2, vector(1, self.plan.protocol))))
        return found

    def send_flight(self):
        self.emit("extensions", self.make_extensions())
        if not self.is_resumed:
            if self.plan.asks:
                self.emit("request", h.RequestMessage(self.plan.schemes, self.plan.authorities))
            self.send_certificate()
        self.send_finished(self.server_secret)
        self.application_keys()
        self.write_keys = Keys(self.suite, self.server_data)
        if "flight" in self.plan.after:
            self.plan.after["flight"](self)

    def read_answer(self):
        if self.plan.asks and not self.is_resumed:
            if not self.read_certificate() and self.plan.requires:
                self.send_alert(116)
                self.read_until_end()
                raise Closed(False)
        self.check_finished(self.client_secret)
        self.resumption = self.schedule.derive(b"res master", self.transcript)
        self.read_keys = Keys(self.suite, self.client_data)
        if self.messages:
            raise Broken("bytes behind Finished")

    def give_tickets(self):
        for count in range(self.plan.tickets):
            nonce, label = bytes([count]), os.urandom(24)
            ticket = h.TicketMessage(label, 7200, int.from_bytes(os.urandom(4), "big"), nonce)
            shape = self.plan.shape.get("ticket")
            if shape is not None:
                ticket = shape(self, ticket) or ticket
            raw = ticket.encode()
            if "ticket" in self.plan.edit:
                raw = self.plan.edit["ticket"](self, raw)
            self.send_record(HANDSHAKE, raw)
            session = Session(self.suite, self.resumption_psk(nonce), label, ticket.age_add)
            self.memory.setdefault("tickets", {})[label] = session
