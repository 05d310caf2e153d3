"""A link between two network namespaces that loses and delays packets, as `tc netem` does where the kernel has it.

    link.py NAME ADDRESS/BITS NAMESPACE NAME ADDRESS/BITS NAMESPACE

Makes a TUN device in each namespace (`-` is the one it runs in) and carries every packet between them. A line of
JSON on the standard input, `{"delay": SECONDS, "loss": SHARE}`, changes what happens to packets from then on; it is
answered by `{"set": true}`. Ends when the standard input does.
"""

import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
# Packets that wait at most, each way: more are lost, as in any queue.
LONGEST_QUEUE = 4000

# Where it runs, and goes back to.
HOME = f"/proc/{os.getppid()}/ns/net"

libc = ctypes.CDLL(None, use_errno=True)


def enter(path):
    file = os.open(path, os.O_RDONLY)
    if libc.setns(file, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"cannot enter {path}")
    os.close(file)


def device(name, address, namespace):
    if namespace != "-":
        enter(f"/run/netns/{namespace}")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH14x", name.encode(), IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "address", "add", address, "dev", name], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    if namespace != "-":
        enter(HOME)
    return tun


def main():
    one, other = device(*sys.argv[1:4]), device(*sys.argv[4:7])
    towards = {one: other, other: one}
    chance = random.Random(7)
    delay, loss = 0.0, 0.0
    # When, in which order, to whom, what.
    waiting, order, typed = [], 0, b""
    print(json.dumps({"ready": True}), flush=True)
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, to, packet = heapq.heappop(waiting)
            try:
                os.write(to, packet)
            except OSError:
                pass  # Its queue is full: the packet is lost.
        patience = max(0.0, waiting[0][0] - now) if waiting else None
        ready, _, _ = select.select([0, one, other], [], [], patience)
        for source in ready:
            if source == 0:
                more = os.read(0, 4096)
                if not more:
                    return
                typed += more
                while b"\n" in typed:
                    line, typed = typed.split(b"\n", 1)
                    told = json.loads(line)
                    delay, loss = told["delay"], told["loss"]
                    print(json.dumps({"set": True}), flush=True)
                continue
            for _ in range(64):
                try:
                    packet = os.read(source, 65536)
                except BlockingIOError:
                    break
                if len(waiting) < 2 * LONGEST_QUEUE and chance.random() >= loss:
                    order += 1
                    heapq.heappush(waiting, (time.monotonic() + delay, order, towards[source], packet))


main()
