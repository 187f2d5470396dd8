"""Signed tree heads: notes, keys, tiles, proofs, and the heads that others hold."""
