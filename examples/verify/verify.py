#!/usr/bin/env python3
"""A second verifier of Portcullis ledgers, written from docs/record-format.md and ledger.proto alone.

    verify.py LEDGER [--against CHECKPOINTS]

Needs Python 3.9 and, for compressed segments, `zstd`. Exits 0 when all holds, else 1 at the first fault.
"""

import argparse, base64, hashlib, os, re, struct, subprocess, sys

MAX_PAYLOAD = 32 << 20

class Bad(Exception):
    """Something that does not hold, and where."""

def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

CRC = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    CRC.append(byte)

def crc32c(data):
    """CRC32C (Castagnoli)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P

def point(data):
    """A point from its 32 bytes, in extended coordinates."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x * pow(2, (P - 1) // 4, P) % P if (x * x - square) % P else x
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        raise Bad("a point is not on the curve")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P

def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P

def times(scalar, p):
    total = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = add(total, p)
        p, scalar = add(p, p), scalar >> 1
    return total

BASE = point(bytes([0x58] + [0x66] * 31))

def signed_by(public, message, signature):
    """Ed25519 (RFC 8032, section 5.1.7)."""
    try:
        a, r, s = point(public), point(signature[:32]), int.from_bytes(signature[32:], "little")
    except Bad:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    one, two = times(s, BASE), add(r, times(k, a))
    equal = all(not (one[n] * two[2] - two[n] * one[2]) % P for n in (0, 1))
    return len(signature) == 64 and s < L and equal

def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value, at, shift = value | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128:
            return value, at

def fields(data):
    """Number to the last value of a message's fields: a number, or bytes."""
    found, at = {}, 0
    try:
        while at < len(data):
            key, at = varint(data, at)
            if key & 7 == 0:
                found[key >> 3], at = varint(data, at)
            elif key & 7 == 2:
                length, at = varint(data, at)
                if at + length > len(data):
                    raise IndexError
                found[key >> 3], at = data[at : at + length], at + length
            else:
                raise IndexError
    except IndexError:
        raise Bad("a frame does not hold the message it should") from None
    return found

def content(path):
    """The segment at `path`, or the one that lies compressed beside it."""
    if os.path.exists(path):
        with open(path, "rb") as file:
            return file.read()
    try:
        return subprocess.run(["zstd", "-dcq", path + ".zst"], stdout=subprocess.PIPE, check=True).stdout
    except subprocess.CalledProcessError:
        raise Bad(f"{path}.zst: the compressed segment is damaged") from None

def segments(folder, family, name=b""):
    """Number, path, node, first leaf and data of each segment that is there."""
    names = " ".join(os.listdir(folder)) if os.path.isdir(folder) else ""
    for number in sorted(set(map(int, re.findall(r"(?<!\S)(\d{8,})\.seg(?:\.zst)?(?!\S)", names)))):
        path = os.path.join(folder, f"{number:08}.seg")
        data = content(path)
        if len(data) < 128 or crc32c(data[:124]) != struct.unpack_from("<I", data, 124)[0]:
            raise Bad(f"{path}: the segment's header is damaged")
        magic, version, kind, length, _, stated = struct.unpack_from("<8sHBBIQ", data)
        if (magic, version, kind, stated, data[56 : 56 + length]) != (b"\x89PCLEDG\n", 1, family, number, name):
            raise Bad(f"{path}: the segment's header is another's")
        yield number, path, data[24:40], struct.unpack_from("<Q", data, 48)[0], data

def frames(path, data):
    """Offset and payload of every frame, up to the end or to where a write was torn."""
    at = 128
    while len(data) - at >= 8 and (any(data[at : at + 8]) or any(data[at:])):
        length, crc = struct.unpack_from("<II", data, at)
        if not 0 < length <= MAX_PAYLOAD:
            raise Bad(f"{path}: byte {at}: a frame states an impossible length of {length} bytes")
        if at + 8 + length > len(data):
            return
        payload = data[at + 8 : at + 8 + length]
        if crc32c(data[at : at + 4] + payload) != crc:
            raise Bad(f"{path}: byte {at}: a frame's checksum is wrong")
        yield at, payload
        at += 8 + length

# The tree (RFC 6962, section 2.1) as the heads of its perfect subtrees, and its checkpoints.
def push(peaks, size, node):
    """Adds the hash of the leaf that makes the tree one of `size`."""
    while not size & 1:
        node, size = sha256(b"\1", peaks.pop(), node), size >> 1
    peaks.append(node)

def root(peaks):
    total = peaks[-1]
    for peak in reversed(peaks[:-1]):
        total = sha256(b"\1", peak, total)
    return total

def base64_of(text):
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("not the one way to write it")
    return data

def checkpoints(path):
    """Origin, size, root, signed text and signatures of each checkpoint in a file."""
    with open(path, encoding="utf-8", newline="") as file:
        text = file.read()
    found, at = [], 0
    while at < len(text):
        try:
            match = re.compile(r"((?:[^\n]+\n){3,})\n((?:\u2014 [^ \n]+ [^ \n]+\n)+)").match(text, at)
            origin, size, stated = match[1].split("\n")[:3]
            lines = [line.split(" ") for line in match[2].splitlines()]
            signatures = [(name, base64_of(value)) for _, name, value in lines]
            found.append((origin, int(size), base64_of(stated), match[1].encode(), signatures))
            at = match.end()
        except (TypeError, ValueError):
            raise Bad(f"{path}: character {at}: a checkpoint is malformed") from None
    return found

class Ledger:
    """Reads a ledger once, leaf by leaf, with the bodies beside it."""

    def __init__(self, folder, against):
        self.folder, self.peaks, self.size, self.keys = folder, [], 0, []
        # Exchange: the chains of request and answer (frames, bytes, link), and whether it was opened.
        self.open = {}
        # Class: where the last frame that was read ends, and the frames.
        self.bodies = {}
        # Class and number of body segments that are not there: whether a leaf says why.
        self.missing = {}
        own = os.path.join(folder, "checkpoints")
        self.own = checkpoints(own) if os.path.exists(own) else []
        self.against = [note for path in against for note in checkpoints(path)]

    def verify(self):
        expected = 1
        for number, path, node, first, data in segments(os.path.join(self.folder, "leaves"), 1):
            if number == 1:
                self.node, self.origin = node, "portcullis/" + node.hex()
            if number != expected or node != self.node or first != self.size:
                raise Bad(f"{path}: the segment does not follow the one before")
            expected += 1
            for at, payload in frames(path, data):
                try:
                    self.leaf(payload)
                except Bad as bad:
                    raise Bad(f"{path}: byte {at}: leaf {self.size}: {bad}") from None
        for note in self.own + self.against:
            if note[1] > self.size:
                raise Bad(f"a checkpoint covers {note[1]} leaves, and there are {self.size}: rolled back")
        for reader in self.bodies.values():
            reader[0] = max(reader[1], default=reader[0])
        for (name, number), dropped in self.missing.items():
            if not dropped:
                raise Bad(f"bodies/{name}: segment {number} is missing")

    def leaf(self, payload):
        leaf = fields(payload)
        span = fields(leaf.get(2, b""))
        if span:
            self.read_to(span[1].decode(), (span[4], span[5]))
        for kind, request, response in ((3, 9, None), (4, 3, 4), (5, 4, 5)):
            if kind in leaf:
                self.compare(kind, fields(leaf[kind]), (request, response), span)
        key, dropped = fields(leaf.get(9, b"")), fields(leaf.get(10, b""))
        if key.get(1) == b"checkpoint" and key.get(2) == b"Ed25519":
            self.keys.append(key[3])
        self.missing.update({(dropped[1].decode(), dropped[2]): True} if dropped else {})
        self.size += 1
        push(self.peaks, self.size, sha256(b"\0", payload))
        for note in self.own + self.against:
            if note[1] == self.size:
                self.checkpoint(note, any(note is own for own in self.own))

    def checkpoint(self, note, ours):
        origin, size, stated, text, signatures = note
        known = {sha256(origin.encode(), b"\n\1", key)[:4]: key for key in self.keys}
        good = [value[:4] for name, value in signatures if name == origin
                and value[:4] in known and signed_by(known[value[:4]], text, value[4:])]
        if origin != self.origin or not known or list(known)[-1] not in good or (ours and len(good) < len(signatures)):
            raise Bad(f"the checkpoint of {size} leaves is not signed by the key in the record: forged")
        if stated != root(self.peaks):
            raise Bad(f"the checkpoint of {size} leaves has another root: leaves were changed")

    def exchange(self, name):
        return self.open.setdefault(name, [[0, 0, bytes(32)], [0, 0, bytes(32)], False])

    def compare(self, kind, told, numbers, span):
        """Whether the frames of an exchange so far are those that its leaf states."""
        entry = self.exchange(told[1])
        if (kind == 3) == entry[2]:
            raise Bad(f"exchange {told[1].hex()} is opened twice, or goes on without being open")
        entry[2] = True
        across = range(span.get(2, 0), span.get(4, 0) + 1)
        gone = not span or any((span[1].decode(), number) in self.missing for number in across)
        for chain, number in zip(entry, numbers):
            stated = fields(told.get(number, b""))
            if stated and not gone and chain != [stated.get(1, 0), stated.get(2, 0), stated[3]]:
                raise Bad(f"the body frames of exchange {told[1].hex()} are not those the leaf was written over")
        if kind == 5:
            del self.open[told[1]]

    def read_to(self, name, end):
        """Takes body frames into their exchanges' chains, up to where a leaf says that it covers them."""
        reader = self.bodies.setdefault(name, [(0, 0), self.walk(name)])
        while reader[0] < end:
            reader[0] = next(reader[1], None) or end
            if reader[0] > end and (name, end[0]) not in self.missing:
                raise Bad(f"bodies/{name}: no frame ends at byte {end[1]} of segment {end[0]}, as a leaf says")

    def walk(self, name):
        """Reads a retention class frame by frame, and tells where each ends."""
        last = 0
        for number, path, node, _, data in segments(os.path.join(self.folder, "bodies", name), 2, name.encode()):
            self.missing.update({(name, n): self.missing.get((name, n), False) for n in range(last + 1, number)})
            last = number
            if node != self.node:
                raise Bad(f"{path}: the segment is another node's")
            yield number, 128
            for at, payload in frames(path, data):
                body = fields(payload)
                chain = self.exchange(body[1])[0 if body.get(4) == 1 else 1]
                chain[0] += 1
                chain[1] += len(body.get(7, b"")) + fields(body.get(10, b"")).get(2, 0)
                chain[1] += len(body.get(11, b"")) if body.get(6) in (2, 5, 6, 7) else 0
                chain[2] = sha256(chain[2], sha256(payload))
                yield number, at + 8 + len(payload)

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("ledger")
    parser.add_argument("--against", action="append", default=[], help="a file of checkpoints kept elsewhere")
    given = parser.parse_args()
    if not os.path.isdir(os.path.join(given.ledger, "leaves")):
        sys.exit(f"{given.ledger} holds no ledger")
    try:
        ledger = Ledger(given.ledger, given.against)
        ledger.verify()
    except (Bad, OSError, KeyError, ValueError) as bad:
        print(f"bad: {bad}")
        return 1
    print(f"ok: {ledger.size} leaves of {ledger.origin}, root {root(ledger.peaks).hex()}")
    return 0

if __name__ == "__main__":
    sys.exit(main())
