"""Redaction of passwords and tokens in addresses, for files, pages and messages."""

import re

USER_INFO = re.compile(r"(://[^:/?#\s]*):[^/?#\s]*@")  # user:password@host
QUERY_SECRET = re.compile(r"\b(\w*password|\w*token)=[^&\s]+", re.IGNORECASE)  # ?password=...


def redact(text: str) -> str:
    """Replace the passwords and tokens of the addresses in a text by `***`.

    Args:
        text: Any text, for example a URL, a shell command or an error message.

    Returns:
        The text with `***` in place of each password of `user:password@host` and of each value of a query
        parameter whose name ends in `password` or `token`.

    Example:
        >>> redact("postgresql://me:secret@host/database?sslpassword=other")
        'postgresql://me:***@host/database?sslpassword=***'
    """
    return QUERY_SECRET.sub(r"\1=***", USER_INFO.sub(r"\1:***@", text))
