"""A client of addrd, written from protocol/SPEC.md and protocol/vectors alone.

The package shares nothing with the server or with its own client: what both understand in the same way is what the
page says.
"""
