"""Base58 of any bytes, as Solana writes transactions and instruction data (solders has it for keys and hashes only)."""

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}


def encode(data: bytes) -> str:
    """Bytes to text; leading zero bytes become leading ones."""
    number = int.from_bytes(data, "big")
    letters = []
    while number:
        number, rest = divmod(number, 58)
        letters.append(_ALPHABET[rest])
    zeroes = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeroes + "".join(reversed(letters))


def decode(text: str) -> bytes:
    """Text to bytes.

    Raises:
        ValueError: a character that is not of the alphabet.
    """
    number = 0
    for position, letter in enumerate(text):
        if letter not in _VALUES:
            raise ValueError(f"provided string contained invalid character {letter!r} at byte {position}")
        number = number * 58 + _VALUES[letter]
    zeroes = len(text) - len(text.lstrip("1"))
    return bytes(zeroes) + number.to_bytes((number.bit_length() + 7) // 8, "big")
