"""Who has a slot where servers say different things of it."""

from __future__ import annotations

from roster.redis.slots import COUNT, Claim, NodeView, SlotMap, merged, read_view, whole

A, B, C = ("a", 1), ("b", 2), ("c", 3)
WHERE = {"a": A, "b": B, "c": C}
LAST = COUNT - 1


def says(me: str, *claims: Claim) -> NodeView:
    return NodeView(me, frozenset(claims), WHERE)


def owners(found: SlotMap | None, *slots: int) -> list[tuple[str, int] | None]:
    assert found is not None
    return [found.owner(slot) for slot in slots]


def test_one_server_has_everything() -> None:
    assert owners(whole(A), 0, 7, LAST) == [A, A, A]
    assert whole(A).servers == {A}


def test_a_slot_that_nobody_has_is_nobodys() -> None:
    found = merged([says("a", Claim(1, 10, 20, "a"))], None)
    assert owners(found, 9, 10, 20, 21) == [None, A, A, None]


def test_the_newer_epoch_has_the_slot_in_whatever_order_it_is_heard() -> None:
    old, new = says("c", Claim(1, 0, LAST, "a")), says("b", Claim(2, 0, LAST, "b"))
    for views in ([old, new], [new, old]):
        assert owners(merged(views, None), 0, LAST) == [B, B]


def test_a_primary_that_was_replaced_and_says_otherwise_is_not_believed() -> None:
    views = [says("a", Claim(1, 0, LAST, "a")), says("b", Claim(2, 0, LAST, "b"))]
    assert owners(merged(views, None), 0) == [B]


def test_what_a_server_says_of_itself_counts_more_than_what_others_say_of_it() -> None:
    views = [
        says("a", Claim(5, 0, 99, "a"), Claim(3, 100, LAST, "b")),
        says("b", Claim(3, 50, LAST, "b")),
        says("c", Claim(9, 0, LAST, "b")),
    ]
    assert owners(merged(views, None), 0, 50, 99, 100) == [A, A, A, B]


def test_a_newer_map_is_not_replaced_by_an_older_view() -> None:
    before = merged([says("b", Claim(2, 0, LAST, "b"))], None)
    found = merged([says("c", Claim(1, 0, LAST, "a"))], before)
    assert owners(found, 0, LAST) == [B, B]


def test_a_cluster_that_was_made_anew_is_believed() -> None:
    before = merged([says("b", Claim(9, 0, LAST, "b"))], None)
    fresh = NodeView("x", frozenset({Claim(1, 0, LAST, "x")}), {"x": A})
    assert owners(merged([fresh], before), 0) == [A]


def test_without_views_the_map_stays() -> None:
    before = whole(A)
    assert merged([], before) is before


SLOTS = [
    [0, 99, [b"10.0.0.1", 7001, b"m1", []], [b"10.0.0.4", 7004, b"r1", []]],
    [100, LAST, [b"", 7002, b"m2", []]],
]
NODES = (
    b"m1 10.0.0.1:7001@17001 master - 0 0 3 connected 0-99\n"
    b"m2 10.0.0.2:7002@17002 myself,master - 0 0 7 connected 100-16383\n"
    b"r1 10.0.0.4:7004@17004 slave m1 0 0 3 connected\n"
)


def test_a_nodes_answers_are_read_and_an_empty_host_is_the_one_asked() -> None:
    view = read_view(SLOTS, NODES, ("seed", 6379))
    assert view.me == "m2"
    assert view.claims == {Claim(3, 0, 99, "m1"), Claim(7, 100, LAST, "m2")}
    assert view.addresses == {
        "m1": ("10.0.0.1", 7001),
        "r1": ("10.0.0.4", 7004),
        "m2": ("seed", 7002),
    }


def test_a_host_name_that_is_not_known_gives_way_to_the_address() -> None:
    unnamed = [[0, LAST, [b"?", 7001, b"m1", [b"ip", b"10.0.0.1"]]]]
    assert read_view(unnamed, NODES, ("seed", 1)).addresses["m1"] == ("10.0.0.1", 7001)


def test_a_slot_on_its_way_is_where_it_was_until_somebody_says_that_it_has_it() -> None:
    before = merged([says("a", Claim(1, 0, 99, "a")), says("b", Claim(2, 100, LAST, "b"))], None)
    given = says("a", Claim(1, 0, 6, "a"), Claim(1, 8, 99, "a"))
    on_its_way = merged([given, says("b", Claim(2, 100, LAST, "b"))], before)
    assert owners(on_its_way, 6, 7, 8, 100) == [A, A, A, B]
    taken = says("b", Claim(3, 7, 7, "b"), Claim(3, 100, LAST, "b"))
    assert owners(merged([given, taken], on_its_way), 6, 7, 8, 100) == [A, B, A, B]
