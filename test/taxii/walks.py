"""Reads two collections to their end as one client does, and tells what came back as JSON: for each collection, how many objects and
a hash of their ids. Arguments: the client, base URL, key, ids of the collections, their aliases."""
import hashlib
import json
import sys

import stix2.datastore.taxii as stix2_taxii
from cytaxii2 import cytaxii2
from taxii2client.v21 import ApiRoot, Collection, Server, as_pages

how, base, key, *names = sys.argv[1:]
ids, aliases = names[: len(names) // 2], names[len(names) // 2 :]
sign_in = {"user": "apikey", "password": key}
root = f"{base}/api/taxii2/api/"


def paged(collection, limit):
    return [o for page in as_pages(collection.get_objects, per_request=limit) for o in page["objects"]]


def by_discovery():
    by_id = {c.id: c for c in Server(f"{base}/taxii2/", **sign_in).default.collections}
    return [paged(by_id[id], 1000) for id in ids]


def by_hundreds():
    """Cortex XSOAR's TAXII 2 feed, which pages by 100 unless told otherwise."""
    by_id = {c.id: c for c in ApiRoot(root, **sign_in).collections}
    return [paged(by_id[id], 100) for id in ids]


def by_alias():
    return [paged(Collection(f"{root}collections/{alias}/", **sign_in), 1000) for alias in aliases]


def by_manifest():
    collections = [Collection(f"{root}collections/{id.upper()}", **sign_in) for id in ids]
    return [[o for page in as_pages(c.get_manifest, per_request=1000) for o in page["objects"]] for c in collections]


def stix2_source():
    # Its parser needs a minute for so many and knows nothing of pages.
    stix2_taxii.parse = lambda found, **_: found
    sources = [stix2_taxii.TAXIICollectionSource(Collection(f"{root}collections/{id}/", **sign_in)) for id in ids]
    return [source.query() for source in sources]


def cyware():
    client = cytaxii2.cytaxii2(f"{base}/taxii2/", "apikey", key)
    listed = client.collection_request()["response"]["collections"]
    found = []
    for id in ids:
        assert any(c["id"] == id for c in listed)
        objects, following = [], None
        while True:
            reply = client.poll_request(id, limit=1000, next=following)
            assert reply["status"] is True, reply
            objects += reply["response"]["objects"]
            following = reply["response"].get("next")
            if not reply["response"]["more"]:
                break
        found.append(objects)
    return found


def opencti():
    """OpenCTI's taxii2 connector with `*`: one set of filters for all collections, the last `next` in it."""
    filters, found = {"limit": 1000}, []
    by_id = {c.id: c for c in ApiRoot(root, **sign_in).collections}
    for id in ids:
        objects = []
        while True:
            page = by_id[id].get_objects(**filters)
            objects += page["objects"]
            if "next" in page:
                filters["next"] = page["next"]
            if not page["more"]:
                break
        found.append(objects)
    return found


def one_page():
    """IntelMQ's TAXII collector: what the first page doesn't hold is never asked for."""
    return [Collection(f"{root}collections/{id}/", **sign_in).get_objects()["objects"] for id in ids]


def tell(objects):
    text = "\n".join(sorted(o["id"] for o in objects))
    return [len(objects), hashlib.sha256(text.encode()).hexdigest()]


clients = (by_discovery, by_hundreds, by_alias, by_manifest, stix2_source, cyware, opencti, one_page)
json.dump([tell(objects) for objects in {each.__name__: each for each in clients}[how]()], sys.stdout)
