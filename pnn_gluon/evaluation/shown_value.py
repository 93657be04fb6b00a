"""How a value of a field is told where there is little room: two values never look alike."""

import hashlib

MOST_CHARACTERS = 40


def shown_value(value: str) -> str:
    """A short value as it is; of a longer one the beginning, the end, and six hexadecimal digits of its SHA-256.

    >>> shown_value("news.example")
    'news.example'
    >>> shown_value("https://news.example/2026/11/29/a-long-story?page=1")
    'https://news.example/202…?page=1 #51fb7e'
    """
    if len(value) <= MOST_CHARACTERS:
        return value
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{value[:24]}…{value[-7:]} #{digest[:6]}"
