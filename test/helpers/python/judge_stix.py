"""Judges STIX objects, one JSON text per line of standard input: OASIS' stix2-validator, and a parse by stix2.

Writes one line per object: {"id", "errors", "warnings", "parse"}; parse is stix2's complaint or null. With the argument
"musts" what is only recommended is not looked at, and nothing is parsed.
"""
import json
import sys

import stix2
from stix2validator import ValidationOptions, validate_instance

only_musts = "musts" in sys.argv[1:]
options = ValidationOptions(version="2.1", strict=False, disabled="all" if only_musts else "")

for line in sys.stdin:
    if not line.strip():
        continue
    thing = json.loads(line)
    try:
        result = validate_instance(thing, options)
    except Exception as error:
        if not only_musts:
            raise
        # What the validator itself stumbles over, other readers do as well.
        print(json.dumps({"id": thing.get("id"), "errors": [repr(error)], "warnings": [], "parse": None}))
        continue
    parse = None
    try:
        if not only_musts:
            stix2.parse(thing, allow_custom=False)
    except Exception as error:
        parse = "%s: %s" % (type(error).__name__, error)
    finding = {
        "id": thing.get("id"),
        "errors": [str(error) for error in result.errors or []],
        "warnings": [str(warning) for warning in result.warnings or []],
        "parse": parse,
    }
    print(json.dumps(finding))
