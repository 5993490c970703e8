"""An internet in one process: one public host, and two hosts, each behind a NAT of its own.

Every host is a network namespace whose only way out is a TUN device; this program reads what they send and delivers it. It
carries UDP over IPv4 and nothing else. A NAT gives each inner address and port one outer port, whoever is called, and lets in
only those that were called (RFC 4787: endpoint-independent mapping, address- and port-dependent filtering).

Usage: world.py PUBLIC LEFT RIGHT   (namespaces that exist; it says `ready` when all is set up)
"""

import fcntl
import os
import select
import socket
import struct
import subprocess
import sys

PUBLIC, LEFT, RIGHT = "203.0.113.1", "198.51.100.2", "192.0.2.2"
INNER = {"left": "192.168.1.2", "right": "192.168.2.2"}


def tun(name, namespace, address):
    """A TUN device in a namespace, with an address and the route to everywhere."""
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH", name.encode(), 0x1001))  # TUNSETIFF, IFF_TUN | IFF_NO_PI

    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True)

    ip("link", "set", name, "netns", namespace)
    for arguments in (
        ["link", "set", "lo", "up"],
        ["address", "add", f"{address}/32", "dev", name],
        ["link", "set", name, "mtu", "1400", "up"],
        ["route", "add", "default", "dev", name],
    ):
        ip("-n", namespace, *arguments)
    return fd


def packet(source, target, payload):
    """A UDP packet; without the checksum that IPv4 leaves out if one likes."""
    (source_ip, source_port), (target_ip, target_port) = source, target
    udp = struct.pack("!HHHH", source_port, target_port, 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0)
    head += socket.inet_aton(source_ip) + socket.inet_aton(target_ip)
    total = sum(struct.unpack("!10H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:] + udp


class Nat:
    def __init__(self, outer):
        self.outer = outer
        self.port_of, self.inner_of, self.called = {}, {}, set()

    def out(self, source, target):
        if source not in self.port_of:
            port = 20000 + len(self.port_of)
            self.port_of[source], self.inner_of[port] = port, source
        port = self.port_of[source]
        self.called.add((port, target))
        return self.outer, port

    def into(self, source, port):
        return self.inner_of.get(port) if (port, source) in self.called else None


def main():
    public, left, right = sys.argv[1:]
    pid = os.getpid()
    fds = {
        "public": tun(f"tp{pid}", public, PUBLIC),
        "left": tun(f"tl{pid}", left, INNER["left"]),
        "right": tun(f"tr{pid}", right, INNER["right"]),
    }
    nats = {"left": Nat(LEFT), "right": Nat(RIGHT)}
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([*fds.values(), sys.stdin], [], [])
        if sys.stdin in readable:
            return  # whoever started us has gone
        for host, fd in fds.items():
            if fd not in readable:
                continue
            data = os.read(fd, 65536)
            if len(data) < 28 or data[0] != 0x45 or data[9] != 17:
                continue
            source_ip, target_ip = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
            source_port, target_port = struct.unpack("!HH", data[20:24])
            source, target, payload = (source_ip, source_port), (target_ip, target_port), data[28:]
            if host in nats:
                source = nats[host].out(source, target)
            if target_ip == PUBLIC:
                os.write(fds["public"], packet(source, target, payload))
            for side, nat in nats.items():
                if target_ip == nat.outer and (inner := nat.into(source, target_port)):
                    os.write(fds[side], packet(source, inner, payload))


main()
