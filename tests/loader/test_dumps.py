"""Hashes made here, held to what servers make of them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

from loader.columns.columns import Numbers, Octets, pieces_of, put, sizes_of
from loader.partitions.filling import payloads

if TYPE_CHECKING:
    from tests.servers import Server

Hash = dict[bytes, bytes]

BOUNDS = [1, 61, 62, 63, 64, 65, 124, 125, 126, 127, 128, 150, 4093, 4094, 4095, 4096, 8192]


def made(hashes: list[Hash]) -> list[bytes]:
    """The hashes' payloads."""
    fields = np.frombuffer(b"".join(field for each in hashes for field in each), np.uint8)
    values = [value for each in hashes for value in each.values()]

    def write(into: Octets, places: Numbers) -> None:
        put(into, places, pieces_of(values))

    counts = np.array([len(each) for each in hashes])
    return payloads(counts, fields.reshape(-1, 12), sizes_of(values), write)


def some(source: random.Random, sizes: list[int]) -> Hash:
    """Fields and values of these sizes."""
    return {source.randbytes(12): b"\0" + source.randbytes(size - 1) for size in sizes}


def random_hashes(source: random.Random, count: int) -> list[Hash]:
    return [
        some(source, source.choices(BOUNDS, k=source.choice((1, 2, 67, 511, 512))))
        for _ in range(count)
    ]


def test_a_payload_ends_with_the_crc_of_its_bytes_one_by_one() -> None:
    for payload in made(random_hashes(random.Random(3), 3)):
        crc = 0
        for octet in payload[:-8]:
            crc ^= octet
            for _ in range(8):
                crc = crc >> 1 ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
        assert payload[-8:] == crc.to_bytes(8, "little")


def test_a_server_has_the_hash_that_a_payload_is_made_of(any_server: Server) -> None:
    hashes = random_hashes(random.Random(1), 60)
    with any_server.client() as client:
        for nth, (payload, wanted) in enumerate(zip(made(hashes), hashes, strict=True)):
            client.restore(f"r{nth}", 0, payload)
            assert client.hgetall(f"r{nth}") == wanted
            assert client.object("encoding", f"r{nth}") == b"listpack"


def test_a_server_dumps_the_same_hash_to_the_same_bytes(any_server: Server) -> None:
    hashes = random_hashes(random.Random(2), 30)
    with any_server.client() as client:
        client.config_set("rdbcompression", "no")
        try:
            for payload, wanted in zip(made(hashes), hashes, strict=True):
                client.delete("h")
                client.hset("h", mapping=wanted)
                dumped = client.dump("h")
                assert dumped[:-10] == payload[:-10]  # but for version and CRC
                assert int.from_bytes(dumped[-10:-8], "little") >= 10
                if dumped[-10:-8] == payload[-10:-8]:
                    assert dumped == payload
        finally:
            client.config_set("rdbcompression", "yes")


def test_a_restored_hash_takes_changes_like_any_other(any_server: Server) -> None:
    source = random.Random(3)
    wanted = some(source, BOUNDS * 20)
    (payload,) = made([wanted])
    with any_server.client() as client:
        client.restore("h", 0, payload)
        for field in source.sample([*wanted], 200):
            value = source.randbytes(source.choice(BOUNDS))
            wanted[field] = value
            client.hset("h", field, value)
            assert client.hget("h", field) == value
        for field in source.sample([*wanted], 100):
            del wanted[field]
            client.hdel("h", field)
        wanted |= (more := some(source, [40] * 300))
        client.hset("h", mapping=more)
        assert client.hgetall("h") == wanted


def test_a_server_that_checks_every_element_takes_it(redis7: Server) -> None:
    hashes = random_hashes(random.Random(4), 20)
    with redis7.client() as client:
        client.config_set("sanitize-dump-payload", "yes")  # Valkey 9.1 always does
        try:
            for nth, payload in enumerate(made(hashes)):
                client.restore(f"r{nth}", 0, payload)
        finally:
            client.config_set("sanitize-dump-payload", "no")
        assert client.dbsize() == len(hashes)
