"""The order in which the operations of a bulk request run."""

from hypothesis import example, given
from hypothesis import strategies as st

from scim_api.service.bulk import in_order


@st.composite
def needs(draw):
    size = draw(st.integers(0, 9))
    anyone = st.sets(st.integers(0, max(size - 1, 0)), max_size=3)
    return [draw(anyone) - {index} for index in range(size)]


def reached(needs, start):
    """Return all that an operation needs, directly or through others."""
    found, left = set(), [start]
    while left:
        new = needs[left.pop()] - found
        found |= new
        left.extend(new)
    return found


@given(needs())
def test_every_operation_goes_once(needs):
    assert sorted(in_order(needs)) == list(range(len(needs)))


@given(needs())
def test_referenced_operations_run_first_unless_in_a_circle(needs):
    turn = {index: number for number, index in enumerate(in_order(needs))}

    for index, found in enumerate(needs):
        outside = {need for need in found if index not in reached(needs, need)}
        assert all(turn[need] < turn[index] for need in outside)


@given(needs())
@example([{1}, {0}])
def test_in_every_circle_one_goes_before_what_it_needs(needs):
    turn = {index: number for number, index in enumerate(in_order(needs))}

    for index in range(len(needs)):
        circle = {other for other in reached(needs, index) if index in reached(needs, other)}
        early = [other for other in circle if any(turn[n] > turn[other] for n in needs[other])]
        assert bool(early) == bool(circle)


@given(needs())
def test_without_forward_references_the_order_is_that_of_the_request(needs):
    backward = [{need for need in found if need < i} for i, found in enumerate(needs)]

    assert in_order(backward) == list(range(len(needs)))


@given(needs())
def test_an_operation_goes_earlier_only_for_one_that_needs_it(needs):
    order = in_order(needs)

    for at, index in enumerate(order):
        overtaken = {i for i in range(index) if i not in order[:at]}
        waiting = {i for i in overtaken if index in reached(needs, i)}
        assert waiting or not overtaken or any(index in reached(needs, i) for i in range(index))


def test_a_chain_of_the_greatest_length_is_no_trouble():
    chain = [{index + 1} for index in range(999)] + [set()]

    assert in_order(chain) == list(reversed(range(1000)))


def test_a_circle_of_the_greatest_length_is_no_trouble():
    circle = [{(index + 1) % 1000} for index in range(1000)]

    assert sorted(in_order(circle)) == list(range(1000))
