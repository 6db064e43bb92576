"""Text of files and of errors, made safe to be shown in a terminal."""


def printable(text: str) -> str:
    r"""The text in one line, with control characters, terminal escapes and the like as Python writes them.

    >>> printable("mal\x1b[2Jice")
    'mal\\x1b[2Jice'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def first_line(error: BaseException) -> str:
    """What an error says, in one line of at most 500 characters; its class where it says nothing."""
    lines = str(error).strip().splitlines()
    return printable(lines[0])[:500] if lines else type(error).__name__
