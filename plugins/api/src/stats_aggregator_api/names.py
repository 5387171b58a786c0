"""The names of entry-point groups, and what a name of a series may be."""

from __future__ import annotations

import re

STATS_WRITER_GROUP = "stats_aggregator.stats_writer"
"""The entry-point group in which plugins register `{name}={module}:{function}`."""
ML_AGENTS_STATS_WRITER = "mlagents.stats_writer"
"""ML-Agents' own group; its plugins are found too."""
ADAPTER_GROUP = "stats_aggregator.adapter"
"""Entry points named like a group of another system, whose plugins they adapt to this contract."""

MAX_NAME_BYTES = 512
"""The longest category, key, run or worker, in bytes of UTF-8."""

_CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
# Format characters of which nothing is seen: they turn the direction of writing, or only make names differ.
# Joiners (U+200C, U+200D) and variation selectors stay, words and emoji are written with them, and so do tags
# after a black flag, which make other flags of it. Fillers of Hangul and the empty cell of Braille are no
# format characters to Unicode, but as blank as those.
_FORMAT = (
    "[\u00ad\u034f\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\u2800\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a]"
    "|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0000-\U000e007f]+"
)
UNSEEN = re.compile(f"{_CONTROL}|{_FORMAT}")
"""What no name may have, and what no text of others should bring to a screen."""

_UNSAFE = '(?i:[\x00-\x1f\x7f%/\\\\:*"<>|]|^\\.|[. ]$|\\.(?=(?:csv|jsonl)$))'
_RESERVED = "(?i:(con|prn|aux|nul|com[0-9]|lpt[0-9])(\\.|$))"
_MAX_PART_BYTES = 180


def name_fault(name: str) -> str | None:
    """Return what is wrong with a category, key, run or worker, or None where nothing is."""
    if not name:
        return "is empty"
    if UNSEEN.search(name):
        if re.search(_CONTROL, name):
            return f"{name[:80]!r} has control characters"
        return f"{name[:80]!r} has format characters, which let one name pass for another"
    size = len(name.encode())
    if size > MAX_NAME_BYTES:
        return f"{name[:40]!r}... is {size} bytes of UTF-8; at most {MAX_NAME_BYTES} are allowed"
    return None


def path_part(name: str) -> str:
    """Return `name` as one part of a path, different for different names.

    Letters, digits, spaces and most signs stay; what a file system or a sibling file could take amiss becomes
    `%XX`, and what would be too long for a file name ends in a hash. The result is never empty, `.` or `..`,
    and never leads out of its directory.
    """
    part = re.sub(_UNSAFE, lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name)
    if re.match(_RESERVED, part):
        part = f"%{ord(part[0]):02X}{part[1:]}"
    encoded = part.encode("utf-8", "surrogatepass")
    if len(encoded) > _MAX_PART_BYTES:
        import hashlib  # which brings OpenSSL with it; every worker imports this package

        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:24]
        part = f"{encoded[: _MAX_PART_BYTES - 26].decode('utf-8', 'ignore')}%~{digest}"
    return part or "%"
