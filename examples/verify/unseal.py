#!/usr/bin/env python3
"""Reads the answer of one sealed exchange with the stock `age` tool and docs/record-format.md alone.

    unseal.py LEDGER EXCHANGE IDENTITY

EXCHANGE is the request id, IDENTITY an age identity file of one of those the recording was sealed to.
"""

import argparse
import os
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
from verify import Bad, fields, frames, segments

WORD = 0xFFFFFFFF
ROUNDS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
          (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))

def block(key, counter, nonce):
    """64 bytes of ChaCha20 (RFC 8439, section 2.3)."""
    start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *struct.unpack("<8I", key), counter,
             *struct.unpack("<3I", nonce)]
    x = start[:]
    for _ in range(10):
        for a, b, c, d in ROUNDS:
            for into, other, turned, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[into] = (x[into] + x[other]) & WORD
                x[turned] ^= x[into]
                x[turned] = (x[turned] << bits | x[turned] >> 32 - bits) & WORD
    return struct.pack("<16I", *((a + b) & WORD for a, b in zip(x, start)))

def poly1305(key, message):
    """The tag of a message (RFC 8439, section 2.5)."""
    r, s, sum_ = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF, key[16:], 0
    for at in range(0, len(message), 16):
        sum_ = (sum_ + int.from_bytes(message[at : at + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((sum_ + int.from_bytes(s, "little")) % 2**128).to_bytes(16, "little")

def open_box(key, nonce, bound, box):
    """What a box of ChaCha20-Poly1305 holds (RFC 8439, section 2.8)."""
    data, tag = box[:-16], box[-16:]
    padded = lambda text: text + bytes(-len(text) % 16)
    message = padded(bound) + padded(data) + struct.pack("<QQ", len(bound), len(data))
    if poly1305(block(key, 0, nonce)[:32], message) != tag:
        raise Bad("a box does not open")
    stream = b"".join(block(key, 1 + at // 64, nonce) for at in range(0, len(data), 64))
    return bytes(a ^ b for a, b in zip(data, stream))

def opened(ledger, exchange):
    """The *opened* leaf of an exchange, and the retention class of its bodies."""
    for _, path, _, _, data in segments(os.path.join(ledger, "leaves"), 1):
        for _, payload in frames(path, data):
            leaf = fields(payload)
            if fields(leaf.get(3, b"")).get(1) == exchange:
                return fields(leaf[3]), fields(leaf[2])[1].decode()
    raise Bad("no such exchange is in this ledger")

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    for name in ("ledger", "exchange", "identity"):
        parser.add_argument(name)
    given = parser.parse_args()
    exchange = bytes.fromhex(given.exchange.replace("-", ""))
    try:
        leaf, kept_as = opened(given.ledger, exchange)
        if 11 not in leaf:
            raise Bad("this exchange is not sealed")
        age = ["age", "--decrypt", "--identity", given.identity]
        key = subprocess.run(age, input=leaf[11], stdout=subprocess.PIPE, check=True).stdout
        folder = os.path.join(given.ledger, "bodies", kept_as)
        for _, path, _, _, data in segments(folder, 2, kept_as.encode()):
            for _, payload in frames(path, data):
                body = fields(payload)
                if body[1] != exchange:
                    continue
                sequence = body.get(2, 0)
                outside = (sequence, *(body.get(number, 0) for number in (3, 4, 5, 6, 8)))
                bound = exchange + struct.pack("<QqiIiI", *outside)
                plain = open_box(key, bytes(4) + struct.pack("<Q", sequence), bound, body[11])
                inside = fields(plain[4 : 4 + struct.unpack_from("<I", plain)[0]])
                if body.get(4) == 2 and body.get(6) in (2, 5):
                    sys.stdout.buffer.write(inside.get(7, b""))
    except (Bad, OSError, KeyError, ValueError, subprocess.CalledProcessError) as bad:
        sys.exit(f"bad: {bad}")

if __name__ == "__main__":
    main()
