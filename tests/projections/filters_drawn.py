"""Filters drawn at random from terms."""

from hypothesis import strategies as st


def combined(terms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return filters of up to four of the terms, joined by and, or and not."""
    return st.recursive(
        terms,
        lambda inner: st.one_of(
            st.builds("({}) and ({})".format, inner, inner),
            st.builds("({}) or ({})".format, inner, inner),
            st.builds("not ({})".format, inner),
        ),
        max_leaves=4,
    )
