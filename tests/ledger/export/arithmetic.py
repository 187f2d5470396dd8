"""verify.py within this process, for tests that call it very often."""

import functools
import importlib.util
import io

from tests.ledger.export.notary import VERIFIER

_spec = importlib.util.spec_from_file_location("verifier_of_exports", VERIFIER)
program = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(program)
program.signed = functools.lru_cache(1000)(program.signed)  # slow, and asked for the same again


def audit(content, head, key, part=None):
    """Check an export that is at hand as bytes, like main does."""
    found = program.Audit([program.key_given(key)])
    try:
        found.heads.append(program.parsed(text(head), program.head_of))
        part = part and program.parsed(text(part), program.part_of)
        found.export(text(content), part)
    except program.Unreadable as error:
        found.unreadable = str(error)
    except Exception as error:
        found.findings.append((None, str(error)))
    return found


def text(content):
    return program.text_in(io.BufferedReader(io.BytesIO(content)))
