"""Loaded by every Python that the tests start: a program that reaches beyond this machine fails instead."""
import sys

LOOPBACK = ("127.", "::1", "localhost")


def refuse_outside(event, args):
    host = None
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        host = args[1][0]
    if isinstance(host, bytes):
        host = host.decode()
    if host and not str(host).startswith(LOOPBACK):
        raise OSError("tests never leave this machine: %s" % host)


sys.addaudithook(refuse_outside)
