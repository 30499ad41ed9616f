"""Judges STIX objects, one JSON text per line of standard input: OASIS' stix2-validator, and a parse by stix2.

Writes one line per object: {"id", "errors", "warnings", "parse"}; parse is stix2's complaint or null.
"""
import json
import sys

import stix2
from stix2validator import ValidationOptions, validate_instance

options = ValidationOptions(version="2.1", strict=False)

for line in sys.stdin:
    if not line.strip():
        continue
    thing = json.loads(line)
    result = validate_instance(thing, options)
    try:
        stix2.parse(thing, allow_custom=False)
        parse = None
    except Exception as error:
        parse = "%s: %s" % (type(error).__name__, error)
    finding = {
        "id": thing.get("id"),
        "errors": [str(error) for error in result.errors or []],
        "warnings": [str(warning) for warning in result.warnings or []],
        "parse": parse,
    }
    print(json.dumps(finding))
