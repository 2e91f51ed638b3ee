"""Primes, by the sieve of Eratosthenes, a segment at a time."""

from __future__ import annotations

from math import isqrt


def primes_between(low: int, high: int) -> list[int]:
    """The primes `p` with `low <= p < high`, ascending. Takes a byte for each number in between."""
    low = max(low, 2)
    if high <= low:
        return []
    is_prime = bytearray(b"\x01") * (high - low)
    for factor in _small_primes(isqrt(high - 1)):
        first = max(factor * factor, -(-low // factor) * factor)
        is_prime[first - low :: factor] = bytes(len(range(first - low, high - low, factor)))
    return [low + at for at, prime in enumerate(is_prime) if prime]


def segments(limit: int, count: int) -> list[tuple[int, int]]:
    """`count` ranges `(low, high)` of nearly one length, which cover the numbers from 0 to below `limit`."""
    return [(limit * at // count, limit * (at + 1) // count) for at in range(count)]


def _small_primes(highest: int) -> list[int]:
    """The primes up to and including `highest`."""
    return primes_between(2, highest + 1) if highest >= 2 else []
