"""Whether a port can be had."""

import socket


def is_free(port: int) -> bool:
    """Whether a server could listen there on loopback, right now."""
    with socket.socket() as probe:
        # As servers do: connections that linger in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
