"""Seals random cookies with the reader's functions, as cases that any implementation must call live.

    python3 writer.py COUNT SEED FOLDER
"""

import base64
import json
import pathlib
import random
import struct
import sys

import reader

NOW = 1_795_447_200
TEXT = "abcXYZ 019_-.,:;\"\\/\n\té日🦀\0"


def pack(value):
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        return b"\xcf" + struct.pack(">Q", value) if value >= 0 else b"\xd3" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        return (bytes([0xA0 | len(data)]) if len(data) < 32 else b"\xda" + struct.pack(">H", len(data))) + data
    if isinstance(value, list):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(pack, value))
    members = b"".join(pack(name) + pack(member) for name, member in value.items())
    return b"\xde" + struct.pack(">H", len(value)) + members


def text(chance, longest):
    return "".join(chance.choices(TEXT, k=chance.randrange(longest)))


def some_value(chance, depth):
    kind = chance.randrange(8 if depth else 6)
    if kind < 2:
        return text(chance, 40)
    if kind < 4:
        return chance.choice([None, True, False, 0, 1, 127, 128, -1, -32, -33, 2**64 - 1, -(2**63)])
    if kind < 6:
        return chance.choice([chance.randrange(2**32), -chance.randrange(2**40), chance.randrange(-4000, 4000) / 4])
    if kind == 6:
        return [some_value(chance, depth - 1) for _ in range(chance.randrange(5))]
    return {text(chance, 12): some_value(chance, depth - 1) for _ in range(chance.randrange(5))}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def seal(chance, key, app, cookie, suite, claims, payload):
    header = bytes([suite]) + bytes.fromhex(reader.key_id(key)) + chance.randbytes(12)
    aad = reader.associated(header, app, cookie)
    if suite == 1:
        fresh = chance.randbytes(12)
        cipher = reader.xaes(reader.sub_key(key, "seal", app), header[5:])
        return b64(header + fresh + cipher.encrypt(fresh, claims + payload, aad))
    mac = reader.signature(key, app, aad, claims, payload)
    return ".".join(map(b64, (header + claims, payload, mac)))


def case(chance):
    value = {text(chance, 8): some_value(chance, 3) for _ in range(chance.randrange(6))}
    suite, key = chance.choice([1, 2]), chance.randbytes(32)
    app, cookie = chance.choice(["shop", "blog", "an-app-2"]), chance.choice(["__Host-shop", "sid", "__Secure-x"])
    labels, extras = chance.randrange(5), chance.randbytes(chance.randrange(0, 60) * chance.randrange(2))
    who = chance.randrange(4)
    times = (NOW - chance.randrange(1800) for _ in range(2))
    sealed_at, authenticated_at = times
    numbers = (chance.randrange(NOW * 1000), chance.getrandbits(32), sealed_at, NOW + 1 + chance.randrange(40_000))
    claims = struct.pack(">QIIIIB", *numbers, authenticated_at, who | labels << 2 | bool(extras) << 7)
    claims += chance.randbytes(8 * (labels + who.bit_count())) + struct.pack(">H", chance.getrandbits(16))
    claims += struct.pack(">H", len(extras)) + extras if extras else b""
    payload = pack(value) if suite == 1 else json.dumps(value, ensure_ascii=chance.random() < 0.5).encode()
    sealed = seal(chance, key, app, cookie, suite, claims, payload)
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return (
        f"about: sealed by the writer\nexpect: live\napp: {app}\ncookie: {cookie}\nsuite: {reader.SUITES[suite]}\n"
        f"idle: 1800\nabsolute: 43200\nnow: {NOW}\nkey: {key.hex()}\nlist: clock {NOW * 1000} age 1\n"
        f"payload: {canonical}\n\nCookie: {cookie}={sealed}\n"
    )


def main():
    count, chance, folder = int(sys.argv[1]), random.Random(int(sys.argv[2])), pathlib.Path(sys.argv[3])
    for n in range(count):
        (folder / f"python-{n:05}.txt").write_bytes(case(chance).encode())


if __name__ == "__main__":
    main()
