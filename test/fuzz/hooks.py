"""What schemathesis has to know of Mimeo: bodies that are archives, names and ids that exist, and what must stay hidden."""

import json
import os
import zlib

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection

KNOWN = json.loads(os.environ["FUZZ_KNOWN"])
MARKER = os.environ["FUZZ_MARKER"]


@schemathesis.serializer("application/gzip")
def gzip_serializer(ctx, value):
    """As it was generated: mostly no archive at all."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Every other value is one that exists, chosen by what was generated, so that a seed replays a run."""
    for name, value in (path_parameters or {}).items():
        known = KNOWN.get(name)
        chance = zlib.crc32(repr(value).encode())
        if known and chance % 2 == 0:
            path_parameters[name] = known[chance // 2 % len(known)]
    return path_parameters


@schemathesis.check
def hides_other_accounts(ctx, response, case):
    """Everything private that belongs to the other account carries the marker."""
    assert MARKER == "" or MARKER not in response.text, "it shows what belongs to another account"


@schemathesis.check
def rejects_invalid_data(ctx, response, case):
    """But in a form, whose fields are text whatever they were made from: none can have the wrong type."""
    if case.operation.label != "POST /v1/files":
        negative_data_rejection(ctx, response, case)
