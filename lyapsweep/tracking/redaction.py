"""Passwords do not belong into files, pages and messages."""

import re

IN_ADDRESS = re.compile(r"(://[^:/?#\s]*):[^/?#\s]*@")  # user:password@host
IN_SETTINGS = re.compile(r"\b(\w*password|\w*token)=[^&\s]+", re.IGNORECASE)  # ?password=...


def hidden(text: str) -> str:
    """The text with *** in place of the passwords of addresses: `postgresql://me:***@host/database`."""
    return IN_SETTINGS.sub(r"\1=***", IN_ADDRESS.sub(r"\1:***@", text))
