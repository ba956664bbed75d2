"""An independent reader of sealjar's cookies, written from the README beside it.

    python3 reader.py FOLDER      prints `name<TAB>verdict<TAB>payload` for every case in the folder
"""

import base64
import datetime
import hashlib
import hmac
import json
import pathlib
import re
import struct
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SUITES = {1: "encrypted", 2: "signed"}
SKEW, LOST = 60, 60
MAX_DEPTH = 32


class Refused(Exception):
    """Carries the verdict's code."""


def require(condition, verdict):
    if not condition:
        raise Refused(verdict)


class Case:
    def __init__(self, text):
        head, body = text.split("\n\n", 1)
        self.all = [tuple(line.split(": ", 1)) for line in head.split("\n")]
        self.one = dict(self.all)
        self.fields = [unescape(line.removeprefix("Cookie:").removeprefix(" ")) for line in body.split("\n")[:-1]]
        self.keys = {key_id(key): key for key in map(bytes.fromhex, self.values("key"))}
        self.states = dict(value.split(" ") for value in self.values("key-state"))
        self.now = int(self.one["now"])

    def values(self, name):
        return [value for found, value in self.all if found == name]


def unescape(text):
    return re.sub(rb"\\x(..)", lambda found: bytes.fromhex(found[1].decode()), text.encode())


def key_id(key):
    return hashlib.sha256(b"sealjar v1 key id\0" + key).hexdigest()[:8]


# Keys and seals


def prefixed(fields, form):
    return b"".join(struct.pack(form, len(field)) + field for field in fields)


def sub_key(key, purpose, app):
    info = prefixed([b"sealjar v1", purpose.encode(), app.encode()], ">Q")
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(key)


def xaes(key, nonce):
    """The AES-256-GCM cipher that XAES-256-GCM derives for the first half of its nonce."""
    ecb = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    mask = int.from_bytes(ecb.update(bytes(16)), "big") << 1
    mask = (mask ^ 0x87 if mask >> 128 else mask) & (1 << 128) - 1
    blocks = [b"\0" + bytes([n]) + b"X\0" + nonce[:12] for n in (1, 2)]
    return AESGCM(b"".join(ecb.update((int.from_bytes(b, "big") ^ mask).to_bytes(16, "big")) for b in blocks))


def associated(header, app, cookie):
    fields = [header[:1], header[1:5], header[5:17], app.encode(), cookie.encode(), b"session"]
    return prefixed(fields, ">H")


def signature(key, app, aad, claims, payload):
    message = prefixed([aad, claims, payload], ">Q")
    return hmac.digest(sub_key(key, "sign", app), message, "sha256")


def unbase64(text):
    require(re.fullmatch(rb"[A-Za-z0-9_-]*", text) and len(text) % 4 != 1, "malformed")
    data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    require(base64.urlsafe_b64encode(data).rstrip(b"=") == text, "malformed")
    return data


class Claims:
    def __init__(self, data, whole):
        """Raises struct.error or IndexError for data that is too short."""
        self.born, self.generation, self.sealed_at, self.expires, _, shape = struct.unpack_from(">QIIIIB", data)
        labels, at = shape >> 2 & 7, 25
        require(not shape & 0x60 and labels <= 4, "malformed")
        kinds = ["subject"] * (shape & 1) + ["tenant"] * (shape >> 1 & 1) + ["label"] * labels
        self.tags = []
        for kind in kinds:
            self.tags.append((kind, data[at : at + 8].hex()))
            at += 8
        struct.unpack_from(">H", data, at)
        at += 2
        if shape & 0x80:
            (length,) = struct.unpack_from(">H", data, at)
            at += 2 + length
            require(length and at <= len(data), "malformed")
        require(not whole or at == len(data), "malformed")
        self.rest = data[at:]


class Opened:
    def __init__(self, case, value):
        app, cookie = case.one["app"], case.one["cookie"]
        require(len(value) <= 4096, "too_large")
        parts = value.split(b".")
        head = unbase64(parts[0])
        require(head, "malformed")
        require(head[0] in SUITES, "wrong_suite")
        if head[0] == 1:
            require(len(parts) == 1 and len(head) >= 72, "malformed")
        else:
            require(len(parts) == 3, "malformed")
            payload, mac = unbase64(parts[1]), unbase64(parts[2])
            require(len(head) >= 44 and len(mac) == 32, "malformed")
        self.suite = SUITES[head[0]]
        require(self.suite == case.one["suite"], "wrong_suite")
        name = head[1:5].hex()
        state = case.states.get(name)
        require(state != "compromised", "compromised_key")
        require(state not in ("retired", "destroyed"), "retired_key")
        require(name in case.keys, "unknown_key")
        key, aad, self.session = case.keys[name], associated(head, app, cookie), head[5:17]
        if head[0] == 1:
            try:
                data = xaes(sub_key(key, "seal", app), self.session).decrypt(head[17:29], head[29:], aad)
            except InvalidTag:
                raise Refused("bad_seal") from None
        else:
            data = head[17:]
            require(hmac.compare_digest(signature(key, app, aad, data, payload), mac), "bad_seal")
        try:
            self.claims = Claims(data, whole=head[0] == 2)
        except struct.error:
            raise Refused("malformed") from None
        self.payload = payload if head[0] == 2 else self.claims.rest

    def late(self, case):
        now, claims = case.now, self.claims
        end = claims.sealed_at + int(case.one["idle"])
        if now >= end and end <= claims.expires:
            return "idle_expired"
        if now >= claims.expires:
            return "absolute_expired"
        return "from_the_future" if claims.sealed_at > now + SKEW else None

    def denied(self, case, clock):
        claims, short = self.claims, self.session[:8].hex()
        if claims.born > clock + SKEW * 1000:
            return "from_the_future"
        day = str(datetime.datetime.fromtimestamp(claims.expires, datetime.timezone.utc).date())
        records = [value.split(" ") for value in case.values("revoked")]
        if ["session", short, day] in records:
            return "revoked_session"
        for record in records:
            if record[:2] == ["floor", short] and record[3] == day and claims.generation < int(record[2]):
                return "superseded"
        for kind, tag in claims.tags:
            if any(r[:2] == ["tag", tag] and claims.born <= int(r[2]) for r in records):
                return f"revoked_{kind}"
        if any(r[0] == "all" and claims.born <= int(r[1]) for r in records):
            return "revoked_all"
        forgotten = any(r[0] == "forgotten" and day < r[1] and claims.born <= int(r[2]) for r in records)
        return "absolute_expired" if forgotten else None


# Payloads


def msgpack(data):
    value, at = unpack(data, 0, 0)
    require(at == len(data), "undecodable")
    return value


def unpack(data, at, depth):
    require(at < len(data), "undecodable")
    byte, at = data[at], at + 1
    fixed = {0xC0: None, 0xC2: False, 0xC3: True}
    numbers = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q"}
    numbers |= {0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
    lengths = {0xD9: ("text", ">B"), 0xDA: ("text", ">H"), 0xDB: ("text", ">I")}
    lengths |= {0xDC: ("list", ">H"), 0xDD: ("list", ">I"), 0xDE: ("map", ">H"), 0xDF: ("map", ">I")}
    if byte < 0x80 or byte >= 0xE0:
        return byte - 256 if byte >= 0xE0 else byte, at
    if byte in fixed:
        return fixed[byte], at
    if byte in numbers:
        return struct.unpack_from(numbers[byte], data, at)[0], at + struct.calcsize(numbers[byte])
    if byte in lengths:
        kind, form = lengths[byte]
        (length,) = struct.unpack_from(form, data, at)
        at += struct.calcsize(form)
    else:
        require(byte < 0xC0, "undecodable")
        kind = "map" if byte < 0x90 else "list" if byte < 0xA0 else "text"
        length = byte & (0x1F if kind == "text" else 0x0F)
    if kind == "text":
        require(at + length <= len(data), "undecodable")
        return data[at : at + length].decode(), at + length
    require(depth < MAX_DEPTH, "undecodable")
    members = []
    for _ in range(length * (2 if kind == "map" else 1)):
        member, at = unpack(data, at, depth + 1)
        members.append(member)
    if kind == "list":
        return members, at
    require(all(isinstance(name, str) for name in members[::2]), "undecodable")
    return dict(zip(members[::2], members[1::2])), at


def parse_json(data):
    depth = 0
    for byte in re.sub(rb'"(\\.|[^"\\])*"', b"", data, flags=re.DOTALL):
        depth += (byte in b"[{") - (byte in b"]}")
        require(depth <= MAX_DEPTH, "undecodable")

    def refuse(_):
        raise ValueError

    return json.loads(data.decode(), parse_constant=refuse)


def decode(case, opened):
    try:
        value = msgpack(opened.payload) if opened.suite == "encrypted" else parse_json(opened.payload)
        if case.one.get("type") == "account":
            value = {name: value[name] for name in ("level", "name")}
            right = isinstance(value["name"], str) and type(value["level"]) is int and 0 <= value["level"] < 1 << 32
            require(right, "undecodable")
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    except (ValueError, KeyError, TypeError, struct.error):
        raise Refused("undecodable") from None


# The pipeline


def candidates(case):
    name, found, size, pairs = case.one["cookie"].encode() + b"=", [], 0, 0
    for field in case.fields:
        size += len(field)
        require(size <= 64 * 1024, "too_large")
        for pair in field.split(b";"):
            pairs += 1
            require(pairs <= 512, "too_large")
            pair = pair.strip(b" \t")
            if pair.startswith(name):
                require(len(found) < 16, "duplicate")
                found.append(pair.removeprefix(name).strip(b" \t"))
    require(found, "no_cookie")
    return found


def judge(case):
    copies, reasons = [], []
    for value in candidates(case):
        try:
            copies.append(Opened(case, value))
        except Refused as refused:
            reasons.append(str(refused))
    require(copies, reasons and reasons[0])
    require(len({copy.session for copy in copies}) == 1, "duplicate")
    copies.sort(key=lambda copy: (copy.claims.generation, copy.claims.sealed_at), reverse=True)
    late = [copy.late(case) for copy in copies]
    require(None in late, late[0])
    copies = [copy for copy, reason in zip(copies, late) if reason is None]
    require(case.one["list"] != "none", "list_unavailable")
    _, clock, _, age = case.one["list"].split(" ")
    require(int(age) <= LOST, "list_unavailable")
    denied = [copy.denied(case, int(clock) + int(age) * 1000) for copy in copies]
    require(None in denied, denied[0])
    return decode(case, copies[denied.index(None)])


def main():
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.txt"), key=lambda path: path.stem):
        case = Case(path.read_bytes().decode())
        try:
            verdict, payload = "live", judge(case)
        except Refused as refused:
            verdict, payload = str(refused), ""
        print(path.stem, verdict, payload, sep="\t")


if __name__ == "__main__":
    main()
