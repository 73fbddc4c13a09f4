"""Certificates, verdicts, signatures, credentials, OCSP responses and the hooks of a program."""

import base64

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from cases.tools import *
from credential import (ECDSA_P256, ECDSA_P384, ECDSA_SHA1, ED25519, PKCS1_256, PKCS1_SHA1, PSS_256,
                        PSS_384, PSS_512, USUAL)

RSA_SCHEMES = (PSS_256, PSS_384, PSS_512)
ASK, REQUIRE = "-verify-peer", "-require-any-client-certificate"
ORDER = {
    "p256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "p384": int("FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF"
                "581A0DB248B0A77AECEC196ACCC52973", 16),
}


def prefs(flag, schemes):
    return [word for scheme in schemes for word in (flag, str(scheme))]


def requests():
    yield server("a certificate that is required comes", Plan(credential=credential("rsa")),
                 flags=[REQUIRE, "-expect-peer-cert-file", str(credential("rsa").cert_file)])
    yield server("a certificate that is asked for comes", Plan(credential=credential("rsa")),
                 flags=[ASK])
    yield server("a certificate that is asked for does not come", Plan(), flags=[ASK])
    yield server("a certificate that is required does not come", Plan(), flags=[REQUIRE],
                 fails=":PEER_DID_NOT_RETURN_A_CERTIFICATE:", alert=116)
    yield server("nobody asks", Plan(credential=credential("rsa"), check=lambda peer: (
        check_none(peer.got_request))))
    yield client("asked, with a certificate", Plan(asks=True), flags=credential("rsa").flags())
    # RFC 8446 4.4.2: a client without a fitting certificate MUST send an empty one
    yield client("asked, without a certificate", Plan(asks=True, requires=False), flags=[ASK])
    yield client("asked, without a certificate, which the server requires", Plan(asks=True),
                 fails="the peer sent the alert certificate_required")
    yield client("the server's certificate is the file's", Plan(), peer="rsa", flags=[
        ASK, "-expect-peer-cert-file", str(credential("rsa").cert_file)])

    def emptied(peer, item):
        item.entries = []

    # RFC 8446 4.4.2: the Certificate of a server MUST NOT be empty: decode_error
    yield client("a server without a certificate", Plan(shape={"certificate": emptied}), alert=50,
                 fails=":PEER_DID_NOT_RETURN_A_CERTIFICATE:")

    def garbage(peer, item):
        item.entries[0] = (b"\x30\x03\2\1\0", item.entries[0][1])

    yield client("a certificate that is none", Plan(shape={"certificate": garbage}), alert=42,
                 fails=":CANNOT_PARSE_LEAF_CERT:")
    yield server("a certificate that is none", Plan(
        credential=credential("rsa"), shape={"certificate": garbage}), flags=[REQUIRE], alert=42,
        fails=":CANNOT_PARSE_LEAF_CERT:")

    def with_context(peer, item):
        item.context = b"abc"

    # RFC 8446 4.4.2: the context of a server's Certificate is empty
    yield client("a certificate with a context", Plan(shape={"certificate": with_context}),
                 alert=50, fails=":DECODE_ERROR:")
    yield client("a request with a context", Plan(asks=True, shape={"request": with_context}),
                 flags=credential("rsa").flags(), alert=50, fails=":DECODE_ERROR:")
    # RFC 8446 4.3.2: signature_algorithms MUST be in a CertificateRequest
    yield client("a request without signature algorithms", Plan(
        asks=True, shape={"request": drop(h.SCHEMES)}), flags=credential("rsa").flags(), alert=109,
        fails=":DECODE_ERROR:")
    many = [credential("rsa").der] * 9

    def long_chain(peer, item):
        item.entries = [(der, h.Extensions()) for der in many]

    yield client("a chain of nine certificates", Plan(shape={"certificate": long_chain}), alert=42,
                 fails=":EXCESSIVE_MESSAGE_SIZE:")


def check_none(found):
    assert found is None


def verdicts():
    failed = {"fails": ":CERTIFICATE_VERIFY_FAILED:"}
    custom = ["-use-custom-verify-callback"]
    for mode in ([], ["-async"]):
        tail = ", async" if mode else ""
        for flags, alert in (([], 40), (custom, 46)):
            what = "custom verdict" if flags else "verdict"
            base = [*mode, *flags]
            yield client(f"a {what} of yes{tail}", Plan(),
                         flags=[*base, ASK, "-expect-verify-result"])
            yield client(f"a {what} of no{tail}", Plan(), flags=[*base, ASK, "-verify-fail"],
                         alert=alert, **failed)
            yield server(f"a {what} of yes{tail}", Plan(credential=credential("rsa")),
                         flags=[*base, REQUIRE, "-expect-verify-result"])
            yield server(f"a {what} of no{tail}", Plan(credential=credential("rsa")),
                         flags=[*base, REQUIRE, "-verify-fail"], alert=alert, **failed)
        yield client(f"a verdict of no that is ignored{tail}", Plan(),
                     flags=[*mode, "-verify-fail", "-expect-verify-result"])
        yield client(f"the verdict is remembered on resumption{tail}", Plan(), Plan(), flags=[
            *mode, ASK, "-expect-verify-result", "-on-resume-verify-fail"])
        yield client(f"the verdict is asked again and is yes{tail}", Plan(), Plan(), flags=[
            *mode, ASK, "-reverify-on-resume", "-expect-verify-result"])
        yield client(f"the verdict is asked again and is no{tail}", Plan(), Plan(), flags=[
            *mode, ASK, "-reverify-on-resume", "-on-resume-verify-fail"], alert=40, **failed)
        yield server(f"the verdict is remembered on resumption{tail}",
                     Plan(credential=credential("rsa")), Plan(credential=credential("rsa")),
                     flags=[*mode, REQUIRE, "-on-resume-verify-fail", "-expect-verify-result"])


def key_usages():
    allowed = credential("rsa", "rsa-signs", "digital_signature")
    denied = credential("rsa", "rsa-encrypts", "key_encipherment")
    yield client("key usage digitalSignature", Plan(credential=allowed))
    # RFC 8446 4.4.2.2: a certificate with key usages MUST allow digitalSignature
    yield client("key usage keyEncipherment", Plan(credential=denied), alert=43,
                 fails=":KEY_USAGE_BIT_INCORRECT:")
    yield server("key usage digitalSignature", Plan(credential=allowed), flags=[REQUIRE])
    yield server("key usage keyEncipherment", Plan(credential=denied), flags=[REQUIRE], alert=43,
                 fails=":KEY_USAGE_BIT_INCORRECT:")


def verifying():
    """Signatures of the peer."""
    all_known = prefs("-verify-prefs", USUAL)
    wrong = {"fails": ":WRONG_SIGNATURE_TYPE:", "alert": 47}
    pairs = [("rsa", scheme) for scheme in RSA_SCHEMES]
    pairs += [("p256", ECDSA_P256), ("p384", ECDSA_P384), ("ed25519", ED25519)]
    flips = {"verify": lambda peer, raw: raw[:-1] + bytes([raw[-1] ^ 1])}
    for kind, scheme in pairs:
        expect = [*all_known, "-expect-peer-signature-algorithm", str(scheme)]
        yield client(f"{kind} signs with {scheme:#06x}", Plan(sign_with=scheme), peer=kind,
                     flags=expect)
        yield server(f"{kind} signs with {scheme:#06x}", Plan(
            sign_with=scheme, credential=credential(kind)), flags=[*expect, REQUIRE])
        bad = {"fails": ":BAD_SIGNATURE:", "alert": 51}
        # RFC 8446 4.4.3: a client MUST refuse a signature that does not verify with decrypt_error
        yield client(f"{kind} signs with {scheme:#06x}, changed", Plan(
            sign_with=scheme, edit=flips), peer=kind, flags=all_known, **bad)
        yield server(f"{kind} signs with {scheme:#06x}, changed", Plan(
            sign_with=scheme, edit=flips, credential=credential(kind)), flags=[*all_known, REQUIRE],
            **bad)
        others = [other for other in USUAL if other != scheme]
        # RFC 8446 4.4.3: a server MUST sign with an algorithm that the client offered
        yield client(f"{kind} signs with {scheme:#06x}, which was not offered", Plan(
            sign_with=scheme), peer=kind, flags=prefs("-verify-prefs", others), **wrong)
    never = (("rsa", PKCS1_256), ("rsa", PKCS1_SHA1), ("p256", ECDSA_SHA1), ("p256", ECDSA_P384),
             ("p384", ECDSA_P256), ("rsa", ECDSA_P256), ("p256", PSS_256), ("p256", ED25519))
    for kind, scheme in never:
        for extra in ([], [scheme] if scheme not in USUAL else None):
            if extra is None:
                continue
            tail = ", though we offered it" if extra else ""
            flags = prefs("-verify-prefs", [*USUAL, *extra])
            # RFC 8446 4.4.3: PKCS#1 v1.5 and SHA-1 MUST NOT sign a CertificateVerify
            yield client(f"{kind} signs with {scheme:#06x} for TLS 1.3{tail}", Plan(
                sign_with=scheme), peer=kind, flags=flags, **wrong)
            yield server(f"{kind} signs with {scheme:#06x} for TLS 1.3{tail}", Plan(
                sign_with=scheme, credential=credential(kind)), flags=[*flags, REQUIRE], **wrong)
    yield client("Ed25519 is not accepted by default", Plan(), peer="ed25519", **wrong)


def bad_ecdsa():
    bad = {"fails": ":BAD_SIGNATURE:", "alert": 51}
    for kind, scheme in (("p256", ECDSA_P256), ("p384", ECDSA_P384)):
        order = ORDER[kind]
        for what, pair in (("r zero", (0, 1)), ("s zero", (1, 0)), ("both zero", (0, 0)),
                           ("r the order", (order, 1)), ("s the order", (1, order)),
                           ("r above the order", (order + 1, 1)), ("s huge", (1, order << 64))):
            signature = encode_dss_signature(*pair)
            edit = {"verify": lambda peer, raw, n=scheme, s=signature: h.message(
                h.VERIFY, number(n, 2) + vector(2, s))}
            yield client(f"ECDSA on {kind} with {what}", Plan(edit=edit), peer=kind, **bad)
            yield server(f"ECDSA on {kind} with {what}", Plan(
                edit=edit, credential=credential(kind)), flags=[REQUIRE], **bad)
        edit = {"verify": lambda peer, raw, n=scheme: h.message(
            h.VERIFY, number(n, 2) + vector(2, b""))}
        yield client(f"an empty signature, {kind}", Plan(edit=edit), peer=kind, **bad)


def signing():
    """Our own signatures."""
    def used(scheme):
        return lambda peer: check_scheme(peer, scheme)

    for kind, schemes in (("rsa", RSA_SCHEMES), ("p256", [ECDSA_P256]), ("p384", [ECDSA_P384]),
                          ("ed25519", [ED25519])):
        for scheme in schemes:
            yield server(f"{scheme:#06x} of {kind}, the only one accepted", Plan(
                schemes=[scheme], check=used(scheme)), own=kind)
            yield client(f"{scheme:#06x} of {kind}, the only one accepted", Plan(
                schemes=[scheme], asks=True, check=used(scheme)), flags=credential(kind).flags())
    for scheme in RSA_SCHEMES:
        flags = prefs("-signing-prefs", [scheme, *(s for s in RSA_SCHEMES if s != scheme)])
        yield server(f"{scheme:#06x} preferred", Plan(check=used(scheme)), own="rsa", flags=flags)
        yield client(f"{scheme:#06x} preferred", Plan(asks=True, check=used(scheme)),
                     flags=[*credential("rsa").flags(), *flags])
    none = {"fails": ":NO_COMMON_SIGNATURE_ALGORITHMS:", "alert": 40}
    for kind, schemes in (("rsa", [ECDSA_P256]), ("p256", [PSS_256, ECDSA_P384]),
                          ("p384", [ECDSA_P256]), ("ed25519", [PSS_256]), ("rsa", [PKCS1_256])):
        name = "".join(f" {scheme:#06x}" for scheme in schemes)
        yield server(f"{kind} for a client that accepts{name}", Plan(schemes=schemes), own=kind,
                     **none)
        yield client(f"{kind} for a server that accepts{name}", Plan(
            asks=True, shape={"request": put(h.SCHEMES, vector(2, h.pack(schemes)))}),
            flags=credential(kind).flags(), **none)
    yield server("a key whose preferences are none of TLS 1.3's", Plan(
        schemes=[*USUAL, PKCS1_256]), own="rsa", flags=["-signing-prefs", str(PKCS1_256)], **none)
    yield server("a client without signature algorithms", Plan(shape={"hello": drop(h.SCHEMES)}),
                 fails=":NO_COMMON_SIGNATURE_ALGORITHMS:", alert=109)
    yield server("the client's list", Plan(schemes=[PSS_256, ECDSA_P256]), flags=prefs(
        "-expect-peer-verify-pref", [PSS_256, ECDSA_P256]))
    yield client("the server's list", Plan(asks=True, schemes=[PSS_256, ECDSA_P256]), flags=[
        *credential("rsa").flags(), *prefs("-expect-peer-verify-pref", [PSS_256, ECDSA_P256])])


def check_scheme(peer, scheme):
    assert peer.shim_scheme == scheme, f"{peer.shim_scheme:#06x}"


def selection():
    """Several credentials: in order, the default one last."""
    def pick(*kinds, default="p384", extra=()):
        flags = []
        for kind in kinds:
            flags += ["-new-x509-credential", *credential(kind).flags(), *extra]
        return [*credential(default).flags(), *flags]

    def chosen(index):
        return ["-expect-selected-credential", str(index)]

    for part, asked in ((server, {}), (client, {"asks": True})):
        for schemes, index in ((USUAL, 0), ([PSS_256], 1), ([ECDSA_P384], -1), ([ECDSA_P256], 0)):
            name = "".join(f" {scheme:#06x}" for scheme in schemes)
            more = {"own": None} if part is server else {}
            yield part(f"of three credentials the one for{name}", Plan(schemes=schemes, **asked),
                       flags=[*pick("p256", "rsa"), *chosen(index)], **more)
    issuer = credential("rsa").issuer
    by_issuer = pick("p256", "rsa", extra=["-must-match-issuer"])
    yield client("a credential by its issuer", Plan(asks=True, authorities=[issuer]),
                 flags=[*by_issuer, *chosen(1)])
    yield client("no credential of that issuer but the default", Plan(
        asks=True, authorities=[credential("ed25519").issuer]), flags=[*by_issuer, *chosen(-1)])
    yield client("no issuer named", Plan(asks=True), flags=[*by_issuer, *chosen(-1)])
    yield server("a credential by its issuer", Plan(shape={
        "hello": put(h.AUTHORITIES, vector(2, vector(2, issuer)))}), own=None,
        flags=[*by_issuer, *chosen(1)])
    only = ["-new-x509-credential", *credential("rsa").flags(), "-must-match-issuer"]
    for part, plan in ((server, Plan()), (client, Plan(asks=True))):
        more = {"own": None} if part is server else {}
        yield part("no credential of an issuer that is named", plan, flags=only, alert=40,
                   fails=":NO_MATCHING_ISSUER:", **more)
    names = [credential("rsa").issuer, credential("p256").issuer]
    listed = ",".join(name.hex() for name in names)
    yield client("the authorities of the request", Plan(asks=True, authorities=names), flags=[
        *credential("rsa").flags(), "-expect-client-ca-list", listed])

    def named(wanted):
        return lambda peer: check_authorities(peer, wanted)

    yield server("authorities in our request", Plan(
        credential=credential("rsa"), check=named(names)),
        flags=[REQUIRE, "-use-client-ca-list", listed])
    for word in ("<EMPTY>", "<NULL>"):
        yield server(f"authorities in our request: {word}", Plan(
            credential=credential("rsa"), check=named(None)),
            flags=[REQUIRE, "-use-client-ca-list", word])


def check_authorities(peer, wanted):
    body = peer.got_request.extensions.get(h.AUTHORITIES)
    expected = vector(2, b"".join(vector(2, name) for name in wanted)) if wanted else None
    assert body == expected, body


def stapling():
    response = b"an OCSP response"
    text = base64.b64encode(response).decode()
    ask = put(h.STATUS_REQUEST, b"\1\0\0\0\0")

    def stapled(wanted):
        return lambda peer: check_staple(peer, wanted)

    own = ["-ocsp-response", text]
    enable = ["-enable-ocsp-stapling"]
    failed = {"fails": ":OCSP_CB_ERROR:"}
    for mode in ([], ["-async"], ["-use-ocsp-callback"]):
        tail = "".join(f", {word[1:]}" for word in mode)
        yield server(f"a staple{tail}", Plan(shape={"hello": ask}, check=stapled(response)),
                     flags=[*mode, *own])
        yield server(f"a staple declined{tail}", Plan(shape={"hello": ask}, check=stapled(None)),
                     flags=[*mode, *own, "-decline-ocsp-callback"])
        yield server(f"a staple that fails{tail}", Plan(shape={"hello": ask}), alert=80,
                     flags=[*mode, *own, "-fail-ocsp-callback"], **failed)
        yield client(f"a staple{tail}", Plan(staple=response),
                     flags=[*mode, *enable, "-expect-ocsp-response", text])
        yield client(f"a staple that is refused{tail}", Plan(staple=response), alert=113,
                     flags=[*mode, *enable, ASK, "-fail-ocsp-callback"], **failed)
        yield client(f"no staple, which is refused{tail}", Plan(), alert=113,
                     flags=[*mode, *enable, ASK, "-fail-ocsp-callback"], **failed)
    yield server("a staple that nobody asks for", Plan(check=stapled(None)), flags=own)
    yield client("a staple, still known on resumption", Plan(staple=response), Plan(),
                 flags=[*enable, "-expect-ocsp-response", text])
    yield client("no staple in answer", Plan(), flags=enable)
    yield client("an empty staple", Plan(staple=b""), flags=enable, alert=50,
                 fails=":DECODE_ERROR:")


def check_staple(peer, wanted):
    body = peer.shim_certificate.entries[0][1].get(h.STATUS_REQUEST)
    assert body == (b"\1" + vector(3, wanted) if wanted else None), body


def hooks():
    for mode in ([], ["-async"]):
        tail = ", async" if mode else ""
        yield server(f"the hook on ClientHello says no{tail}", Plan(), alert=40,
                     flags=[*mode, "-fail-early-callback"], fails=":CONNECTION_REJECTED:")
        yield server(f"the second hook says no{tail}", Plan(), alert=80,
                     flags=[*mode, "-fail-ddos-callback"], fails=":CONNECTION_REJECTED:")
        yield server(f"the second hook says no on resumption{tail}", Plan(), Plan(), alert=80,
                     flags=[*mode, "-on-resume-fail-ddos-callback"], fails=":CONNECTION_REJECTED:")
        yield server(f"the choice of a certificate fails{tail}", Plan(), alert=80,
                     flags=[*mode, "-fail-cert-callback"], fails=":CERT_CB_ERROR:")
        yield client(f"the choice of a certificate fails{tail}", Plan(asks=True), alert=80,
                     flags=[*mode, "-fail-cert-callback"], fails=":CERT_CB_ERROR:")


def small_records(peer):
    assert max(peer.plain_sizes) <= 512, max(peer.plain_sizes)


def talk_small(peer):
    type(peer).exchange(peer)
    small_records(peer)


def limits():
    small = ["-max-send-fragment", "512", "-read-size", "5000"]
    yield client("records of at most 512 bytes", Plan(
        asks=True, data=[b"a" * 5000], talk=talk_small), flags=[*credential("rsa").flags(), *small])
    yield server("records of at most 512 bytes", Plan(data=[b"a" * 5000], talk=talk_small),
                 own="rsa", flags=small)
    yield client("a Certificate message above a limit", Plan(), peer="rsa",
                 flags=["-max-cert-list", "200"], alert=47, fails=":EXCESSIVE_MESSAGE_SIZE:")
    yield client("a Certificate message below a limit", Plan(), peer="rsa",
                 flags=["-max-cert-list", "20000"])


CASES = [case for table in (requests, verdicts, key_usages, verifying, bad_ecdsa, signing,
                            selection, stapling, hooks, limits) for case in table()]
