"""The owner that a text means (SPEC.md section 1): every client makes the same id of it."""

import re
import uuid

from .tables import OWNER_NAMESPACE

UUID_TEXT = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
MAC_TEXT = re.compile("mac:[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}")


def owner_id(text):
    if UUID_TEXT.fullmatch(text):
        return text.lower()
    if text.startswith("mac:"):
        if not MAC_TEXT.fullmatch(text):
            raise ValueError(f"{text!r} is not like mac:02:00:00:00:00:01")
        text = text.lower().replace("-", ":")
    return str(uuid.uuid5(uuid.UUID(OWNER_NAMESPACE), text))
