"""Bytes of image files without their headers, by format: what is left is what the codec spends on the pixels.

Every function raises ValueError where the bytes are not a file of its format.
"""

import re

_SCAN_END = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""A marker that is neither a stuffed byte nor a restart."""


def jpeg(data: bytes) -> int:
    """Bytes of the scans, without markers and tables, although the Huffman tables were made for the image."""
    count, at = 0, 2
    while marker := data[at : at + 2]:
        if marker == b"\xff\xd9":  # EOI.
            return count
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == b"\xff\xda" and (end := _SCAN_END.search(data, at)):  # SOS.
            count, at = count + end.start() - at, end.start()
    raise ValueError("not a whole JPEG file")


def jpeg2000(data: bytes) -> int:
    """Bytes after the SOD markers of all tile-parts (ISO/IEC 15444-1, annex A)."""
    count, at, end = 0, 2, 0
    while marker := data[at : at + 2]:
        if marker == b"\xff\xd9":  # EOC.
            return count
        if marker == b"\xff\x93" and end > at:  # SOD.
            count, at = count + end - (at + 2), end
            continue
        if marker == b"\xff\x90":  # SOT, with the length of its tile-part; 0: up to the end.
            length = int.from_bytes(data[at + 6 : at + 10], "big")
            end = at + length if length else len(data) - 2
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise ValueError("not a whole JPEG 2000 codestream")


def webp(data: bytes) -> int:
    """Bytes of the VP8 chunk."""
    at = 12
    while chunk := data[at : at + 4]:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if chunk == b"VP8 ":
            return length
        at += 8 + length + length % 2
    raise ValueError("not a lossy WebP file")


def avif(data: bytes) -> int:
    """Bytes in the mdat boxes (ISO/IEC 14496-12)."""
    count, at = 0, 0
    while at < len(data):
        length, header = int.from_bytes(data[at : at + 4], "big"), 8
        if length == 1:
            length, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        length = length or len(data) - at  # 0: to the end.
        count += (length - header) * (data[at + 4 : at + 8] == b"mdat")
        at += max(length, header)
    if not count:
        raise ValueError("not an AVIF file")
    return count
