"""The ceiling of the disk for a journal that is laid out before: the same bytes as the other ceiling,
over blocks that were written before, fdatasync, and only then the next.
"""

import os

from systems import disk

NAME = "overwrite"
TITLE = "ceiling: overwrite + fdatasync"
FILE_BYTES = 64 << 20
SETTINGS = {
    "load": f"as the other, over a file of {FILE_BYTES >> 20} MiB that was written and synced, from its start again at its end",
}
UNEQUAL = "No block is new, so a sync changes nothing of the file system: what a journal costs that is laid out beforehand."


class System(disk.System):
    def open(self, room):
        file = os.open(room.path("journal"), os.O_WRONLY | os.O_CREAT)
        piece = os.urandom(1 << 20)
        for _ in range(FILE_BYTES // len(piece)):
            os.write(file, piece)
        os.fsync(file)
        os.lseek(file, 0, os.SEEK_SET)
        return file

    def place(self, file, length):
        if os.lseek(file, 0, os.SEEK_CUR) + length > FILE_BYTES:
            os.lseek(file, 0, os.SEEK_SET)
