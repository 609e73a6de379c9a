"""What a run needs for a while and leaves nothing of: folders, processes, ports, network namespaces.

Everything is made in a Room and is gone when the room is left, whichever way: processes are ended
by their id, never by name, and have a session of their own, so that Ctrl-C reaches only this
program, which then ends them in order. Measures nothing.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30


class Failed(Exception):
    """What went wrong, for a person to read."""


class Interruption:
    """Ctrl-C and SIGTERM: the first one ends the run, others don't disturb the end. One that comes
    while a process is being started waits until it is known, so that it is ended too."""

    def __init__(self):
        self.is_held, self.has_come = False, False

    def listen(self):
        # SIGINT too: a shell starts what it puts into the background without it.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.come)

    def come(self, *_):
        is_first, self.has_come = not self.has_come, True
        if is_first and not self.is_held:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def held(self):
        had_come, self.is_held = self.has_come, True
        try:
            yield
        finally:
            self.is_held = False
        if self.has_come and not had_come:
            raise KeyboardInterrupt


INTERRUPTION = Interruption()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Room(contextlib.ExitStack):
    """A temporary folder and all that is started in it."""

    def __enter__(self):
        super().__enter__()
        with INTERRUPTION.held():
            self.folder = pathlib.Path(tempfile.mkdtemp(prefix="addrd-peers-"))
            self.callback(shutil.rmtree, self.folder, ignore_errors=True)
        return self

    def path(self, name):
        return self.folder / name

    def give(self, user):
        """The folder to the user that a server runs as, if it may not run as root."""
        if user is not None:
            os.chown(self.folder, user, -1)

    def start(self, command, stop=signal.SIGTERM, **options):
        """A server, ended with this signal when the room is left. Its output is kept in the room."""
        log = open(self.path(f"{pathlib.Path(command[0]).name}.log"), "ab")
        self.callback(log.close)
        options = {"stdout": log, "stderr": log, "stdin": subprocess.DEVNULL, **options}
        with INTERRUPTION.held():
            process = subprocess.Popen(
                [str(word) for word in command], cwd=self.folder, start_new_session=True, **options
            )
            self.callback(end, process, stop)
        process.log = pathlib.Path(log.name)
        return process

    def run(self, command, allowed=(0,), **options):
        """A program that ends by itself: what it printed."""
        options = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, **options}
        process = None
        try:
            with INTERRUPTION.held():
                process = subprocess.Popen(
                    [str(word) for word in command], cwd=self.folder, start_new_session=True,
                    text=True, stdout=subprocess.PIPE, **options
                )
            out, err = process.communicate()
        except BaseException:
            if process is not None:
                # With what it has started itself: the session is its own.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                end(process, signal.SIGTERM)
            raise
        if process.returncode not in allowed:
            said = ((err or "") + out).strip()[-800:]
            raise Failed(f"{' '.join(map(str, command))[:200]} ended with {process.returncode}: {said}")
        return out

    def namespaces(self):
        """Two network namespaces with a pair of links between them: their names. Needs root."""
        names = [f"addrd-peers-{end}-{os.getpid()}" for end in ("s", "c")]
        for name in names:
            # First the way out: Ctrl-C may come between any two lines.
            self.callback(subprocess.run, ["ip", "netns", "del", name], stderr=subprocess.DEVNULL)
            self.run(["ip", "netns", "add", name])
            self.run(["ip", "-n", name, "link", "set", "lo", "up"])
        self.run(["ip", "link", "add", "peer-s", "netns", names[0], "type", "veth",
                  "peer", "name", "peer-c", "netns", names[1]])
        return names


def end(process, stop):
    if process.poll() is not None:
        return
    process.send_signal(stop)
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def until(ready, process):
    """Waits until the server is ready, or says how it ended."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            said = process.log.read_text(errors="replace").strip()[-800:]
            raise Failed(f"{process.args[0]} did not start: {said}")
        time.sleep(0.02)
