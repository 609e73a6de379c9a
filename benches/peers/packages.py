"""Brings the programs that are measured: what is installed is used; what is missing is unpacked
from Debian's packages, or installed from PyPI, into one folder of its own (target/peers).

The system is not changed: no package is installed into it and no service is started.
"""

import os
import pathlib
import shutil
import subprocess

from room import Failed


class Packages:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder).absolute()
        self.root = self.folder / "root"

    def find(self, program):
        """Where a program is, or None: unpacked by us, on the path, or in a folder of its server."""
        places = [self.root / part for part in ("usr/sbin", "usr/bin")]
        for root in (self.root, pathlib.Path("/")):
            places += sorted(root.glob("usr/lib/postgresql/*/bin"), reverse=True)
        for place in places:
            if os.access(place / program, os.X_OK):
                return str(place / program)
        return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

    def need(self, packages, programs):
        """Each program's path, by name; the packages are unpacked if one of them is missing."""
        missing = [program for program in programs if not self.find(program)]
        if missing:
            self.unpack(packages, missing)
        found = {program: self.find(program) for program in programs}
        missing = [program for program, path in found.items() if not path]
        if missing:
            raise Failed(f"the Debian packages {' '.join(packages)} hold no {', '.join(missing)}")
        return found

    def unpack(self, packages, missing):
        if not shutil.which("apt-get") or not shutil.which("dpkg"):
            raise Failed(f"{', '.join(missing)} missing, and there is no apt-get to bring "
                         f"{' '.join(packages)}: install them yourself")
        debs = self.folder / "debs"
        (debs / "partial").mkdir(parents=True, exist_ok=True)
        command = ["apt-get", "install", "-y", "--download-only", "--no-install-recommends",
                   "-o", f"Dir::Cache::archives={debs}", *packages]
        for is_last in (False, True):
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            if done.returncode == 0:
                break
            if is_last:
                raise Failed(f"{', '.join(missing)} missing, and apt-get does not bring "
                             f"{' '.join(packages)}: {done.stderr.strip()[-400:]}")
            # Lists that were never fetched, or are old.
            subprocess.run(["apt-get", "update"], capture_output=True, stdin=subprocess.DEVNULL)
        for deb in sorted(debs.glob("*.deb")):
            subprocess.run(["dpkg", "-x", deb, self.root], check=True)

    def environment(self):
        """Variables with which unpacked programs find their libraries."""
        libraries = [str(path) for path in self.root.glob("usr/lib/*-linux-gnu")]
        return {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries), "LC_ALL": "C"}

    def python(self, name, requirements):
        """The interpreter of a virtual environment with these packages of PyPI."""
        place = self.folder / name
        python, mark = place / "bin/python", place / "installed"
        if mark.is_file() and mark.read_text() == " ".join(requirements):
            return str(python)
        for command in (["python3", "-m", "venv", place],
                        [python, "-m", "pip", "install", "-q", *requirements]):
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            if done.returncode != 0:
                said = (done.stderr + done.stdout).strip()[-400:]
                raise Failed(f"{' '.join(map(str, command))[:200]}: {said}")
        mark.write_text(" ".join(requirements))
        return str(python)
