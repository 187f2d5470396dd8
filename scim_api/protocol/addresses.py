"""Filters over the URIs that this service makes: as clients see them -> as the projections do.

In the projections they begin with the resource type's endpoint, without the base URL.
"""

from dataclasses import replace

from projections.query.model import And, Compare, Filter, Not, Operator, Or, Present

_OWN = ("meta", "members", "groups")
_URIS = ("location", "$ref")
_ENDS = (Operator.CO, Operator.EW)


def on_stored(compare: Compare, base_url: str) -> Filter:
    """Return what finds by the stored URIs what a comparison finds by those that are shown.

    A URI without the base URL is taken for one of them, too. Other comparisons stay as they are.
    """
    path, value = compare.path, compare.value
    own = path.key in _OWN and path.sub in _URIS
    if not own or not base_url or not isinstance(value, str):
        return compare
    operator = compare.operator
    if value.startswith(base_url):
        return replace(compare, value=value.removeprefix(base_url))
    if operator is Operator.SW and base_url.startswith(value):
        return Present(path)
    if operator is Operator.CO and value in base_url:
        return Present(path)
    if operator in _ENDS:
        return _with_ends(compare, base_url)
    if operator in (Operator.EQ, Operator.NE, Operator.SW) or value.startswith("/"):
        return compare
    return _by_base(compare, base_url)


def _with_ends(compare: Compare, base_url: str) -> Filter:
    """Find also a text that begins within the base URL and ends after it."""
    text = str(compare.value)
    test = Operator.SW if compare.operator is Operator.CO else Operator.EQ
    longest = min(len(text), len(base_url) + 1)
    rests = (text[at:] for at in range(1, longest) if base_url.endswith(text[:at]))
    within = [replace(compare, operator=test, value=rest) for rest in rests if rest[0] == "/"]
    return Or((compare, *within)) if within else compare


def _by_base(compare: Compare, base_url: str) -> Filter:
    """Decide the order by the base URL: the text does not begin with it."""
    later = base_url > str(compare.value)
    found = later == (compare.operator in (Operator.GT, Operator.GE))
    present = Present(compare.path)
    return present if found else And((present, Not(present)))
