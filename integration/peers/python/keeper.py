"""Holds listening sockets and restarts a command that takes them over, as systemd does for a socket unit.

keeper.py ADDRESS... -- COMMAND...: each line on standard input restarts the command, its end stops it. Prints "running"
whenever the command was started.
"""

import os
import signal
import socket
import subprocess
import sys

FIRST_DESCRIPTOR = 3
# Out of the way of the descriptors that the command gets.
SPARE_DESCRIPTOR = 100


def listen(addresses):
    opened = []
    for address in addresses:
        host, port = address.rsplit(":", 1)
        opened.append(socket.create_server((host, int(port)), backlog=1024))
    for place, each in enumerate(opened):
        os.dup2(each.fileno(), SPARE_DESCRIPTOR + place)
        each.close()
    for place in range(len(opened)):
        os.dup2(SPARE_DESCRIPTOR + place, FIRST_DESCRIPTOR + place, inheritable=True)
        os.close(SPARE_DESCRIPTOR + place)
    return range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + len(opened))


def start(command, descriptors):
    environment = dict(os.environ, LISTEN_FDS=str(len(descriptors)))
    named = ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *command]
    child = subprocess.Popen(named, env=environment, pass_fds=descriptors, stdin=subprocess.DEVNULL)
    print("running", flush=True)
    return child


def stop(child):
    child.send_signal(signal.SIGTERM)
    return child.wait()


def main():
    divider = sys.argv.index("--")
    descriptors = listen(sys.argv[1:divider])
    command = sys.argv[divider + 1 :]
    child = start(command, descriptors)
    for _ in sys.stdin:
        status = stop(child)
        if status != 0:
            sys.exit(f"the command ended with {status}")
        child = start(command, descriptors)
    sys.exit(stop(child))


main()
