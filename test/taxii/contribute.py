"""Adds to a TAXII collection and removes from it with the OASIS client and stix2. Arguments: base URL, keys of who may read and write and of
who may write only, collection alias. Standard input: objects. Tells, as JSON, what came back."""
import json
import sys

import requests
from stix2 import Indicator, TAXIICollectionStore
from taxii2client.exceptions import AccessError
from taxii2client.v21 import Collection, Server

base, key, writer, alias = sys.argv[1:]
objects = json.load(sys.stdin)
root = Server(f"{base}/taxii2/", user="apikey", password=key).api_roots[0]
collection = next(c for c in root.collections if c.title == alias)
report = {"can_read": collection.can_read, "can_write": collection.can_write, "most": root.max_content_length}


def counts(status):
    return [status.status, status.total_count, status.success_count, status.failure_count, status.pending_count]


status = collection.add_objects({"objects": objects})
report["added"] = counts(status)
report["failures"] = [[one["id"], one["message"]] for one in status.failures]
status.refresh()
report["asked"] = counts(root.get_status(status.id)) + [len(status.successes)]
report["object"] = collection.get_object(objects[0]["id"])["objects"][0]
collection.delete_object(objects[0]["id"])
try:
    collection.get_object(objects[0]["id"])
except requests.HTTPError as error:
    report["removed"] = error.response.status_code

only = Collection(f"{base}/api/taxii2/api/collections/{alias}/", user="apikey", password=writer)
report["writer"] = [only.can_read, only.can_write, counts(only.add_objects({"objects": objects[1:2]}))]
try:
    only.get_objects()
except AccessError:
    report["unread"] = True

store = TAXIICollectionStore(collection)
mine = Indicator(pattern="[domain-name:value = 'stix2.example']", pattern_type="stix")
store.add(mine)
report["stix2"] = store.get(mine.id).id == mine.id
json.dump(report, sys.stdout)
