"""What goes wrong on TCP connections, provoked at both ends by one process without any privilege.

Prints a line of JSON: the port at which each thing happened, how often segments were sent again, and the sizes of messages.
"""

import ctypes
import errno
import json
import select
import socket
import struct

REQUEST = b"GET /incident HTTP/1.1\r\nHost: a\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

# From Linux' headers; the module has no names for them.
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
# A filter of one instruction: keep nothing.
NOTHING = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))


def deafen(peer):
    """Lets the kernel throw away all that arrives at a socket."""
    peer.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(NOTHING)))


def listening():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def connected():
    with listening() as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    return client, server


def exchange(client, server, meanwhile=lambda: None):
    client.sendall(REQUEST)
    meanwhile()
    received = b""
    while len(received) < len(REQUEST):
        received += server.recv(len(REQUEST))
    server.sendall(RESPONSE)
    received = b""
    while len(received) < len(RESPONSE):
        received += client.recv(len(RESPONSE))


def retransmits(client):
    return struct.unpack_from("I", client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 100)[0]


def lose():
    """The second request arrives only when it is sent again."""
    client, server = connected()
    with client, server:
        exchange(client, server)
        deafen(server)

        def hear():
            while not retransmits(client):
                pass
            server.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)

        exchange(client, server, hear)
        return {"port": server.getsockname()[1], "times": retransmits(client)}


def reset():
    """The client resets after an exchange."""
    client, server = connected()
    with server:
        exchange(client, server)
        port = server.getsockname()[1]
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        try:
            server.recv(1)
        except ConnectionResetError:
            return {"port": port}
    raise AssertionError("it was not reset")


def fail(listener, expected):
    """Nothing answers, be it that nothing listens or that nothing arrives."""
    with socket.socket() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
        address = listener.getsockname()
        if expected == errno.ECONNREFUSED:
            listener.close()
        # A call that waits would clear the counts at its end.
        client.setblocking(False)
        client.connect_ex(address)
        waiting = select.poll()
        waiting.register(client, select.POLLOUT)
        waiting.poll()
        times = retransmits(client)
        error = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        assert error == expected, error
        return {"port": address[1], "times": times}


def main():
    silent = listening()
    deafen(silent)
    incidents = {
        "lost": lose(),
        "reset": reset(),
        "refused": fail(listening(), errno.ECONNREFUSED),
        "unanswered": fail(silent, errno.ETIMEDOUT),
        "sizes": {"request": len(REQUEST), "response": len(RESPONSE)},
    }
    print(json.dumps(incidents))


if __name__ == "__main__":
    main()
