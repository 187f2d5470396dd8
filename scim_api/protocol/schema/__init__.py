"""Attributes, resource types and schemas, ours and operators'."""
