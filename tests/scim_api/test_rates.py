"""Rates: what is granted in a minute, by one process and by several, whatever the keys."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from scim_api import rates
from scim_api.rates import SETS, WAYS, Memory, Rate

SECOND = timedelta(seconds=1)


def granted(rate, key, attempts):
    return sum(rate.take(key).wait == 0 for _ in range(attempts))


def test_so_many_are_granted_at_once_and_then_one_of_them_in_its_share_of_a_minute():
    with freeze_time("2026-11-28") as time:
        rate = Rate(6)

        assert granted(rate, "a", 10) == 6
        assert rate.take("a").wait == 10
        time.tick(SECOND * 9.5)
        assert rate.take("a").wait == 0.5
        time.tick(SECOND * 0.5)
        assert granted(rate, "a", 2) == 1
        time.tick(SECOND * 60)
        assert granted(rate, "a", 10) == 6


@given(
    per_minute=st.integers(1, 100),
    pauses=st.lists(st.floats(0, 40, allow_nan=False), min_size=1, max_size=60),
)
def test_waiting_as_long_as_it_says_is_enough_and_in_a_minute_twice_the_rate_is_the_most(
    per_minute, pauses
):
    with freeze_time("2026-11-28") as time:
        rate, now, granted_at = Rate(per_minute), 0.0, []
        for pause in pauses:
            now += pause
            time.tick(timedelta(seconds=pause))
            if wait := rate.take("a").wait:
                time.tick(timedelta(seconds=wait + 0.00001))
                now += wait + 0.00001
                assert rate.take("a").wait == 0
            granted_at.append(now)

        for first in granted_at:
            within = [each for each in granted_at if first <= each < first + 60]
            assert len(within) <= 2 * per_minute


def test_keys_do_not_count_for_each_other():
    rate = Rate(1)

    assert granted(rate, "a", 3) == 1
    assert granted(rate, "b", 3) == 1


def test_the_next_that_is_granted_says_how_many_were_refused():
    with freeze_time("2026-11-28") as time:
        rate = Rate(1)
        answers = [rate.take("a").refused for _ in range(4)]
        time.tick(SECOND * 60)

        assert [*answers, rate.take("a").refused, rate.take("b").refused] == [0, 0, 0, 0, 3, 0]


def test_more_keys_than_there_is_room_for_forget_others_and_refuse_nobody_new():
    rate = Rate(1)

    assert all(granted(rate, f"key {n}", 1) for n in range(2 * SETS * WAYS))


def test_a_count_of_the_future_is_no_count():
    memory = Memory()
    with freeze_time("2030-01-01"):
        Rate(1, memory).take("a")

    with freeze_time("2026-01-01"):
        assert Rate(1, memory).take("a").wait == 0


def test_threads_count_together():
    rate = Rate(500)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: granted(rate, "a", 500), range(8))) in range(500, 520)


def test_processes_count_together_where_the_memory_was_shared_before_the_fork():
    rates.share()
    try:
        [memory, *_] = rates.memories()
        if not (child := os.fork()):
            os._exit(granted(Rate(100, memory), "a", 60))
        in_child = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        others = [Rate(100, each) for each in rates.memories()]

        assert in_child == 60
        assert [granted(rate, "a", 100) for rate in others] == [40, 100, 100]
    finally:
        rates._shared.clear()


def test_a_process_that_shares_nothing_has_memories_of_its_own():
    first, *_ = rates.memories()
    second, *_ = rates.memories()

    assert first is not second
