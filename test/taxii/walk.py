"""Walks a TAXII server with the OASIS client and tells, as JSON, what came back. Arguments: base URL, key, collection alias."""
import json
import sys

import requests
from taxii2client.v21 import Server, as_pages

base, key, alias, *modes = sys.argv[1:]
server = Server(f"{base}/taxii2/", user="apikey", password=key)
root = server.api_roots[0]
collection = next(c for c in root.collections if c._raw.get("alias") == alias) if hasattr(
    root.collections[0], "_raw"
) else next(c for c in root.collections if c.title == alias)
report = {"title": server.title, "root": root.title, "collections": len(root.collections)}

for mode in modes:
    how, limit = mode.split(":")
    limit = int(limit)
    versions = []
    if how == "next":
        for page in as_pages(collection.get_objects, per_request=limit):
            versions += [[o["id"], o.get("modified", o.get("created"))] for o in page.get("objects", [])]
    elif how == "manifest":
        for page in as_pages(collection.get_manifest, per_request=limit):
            versions += [[o["id"], o["version"]] for o in page.get("objects", [])]
    else:
        session = requests.Session()
        session.auth = ("apikey", key)
        after = {}
        while True:
            reply = session.get(f"{collection.objects_url}", params={"limit": limit, **after}, timeout=30)
            reply.raise_for_status()
            page = reply.json()
            versions += [[o["id"], o.get("modified", o.get("created"))] for o in page["objects"]]
            after = {"added_after": reply.headers["X-TAXII-Date-Added-Last"]}
            if not page["more"]:
                break
    report[mode] = versions

first = next(id for id, _ in report[modes[0]] if id.startswith("indicator--"))
try:
    report["object"] = len(collection.get_object(first)["objects"])
    report["versions"] = len(collection.object_versions(first)["versions"])
except requests.HTTPError as error:
    report["object"] = str(error)

# The call of SOC Defenders' Elastic guide, with only the host changed.
guide = requests.get(
    f"{base}/api/v1/iocs",
    headers={"Authorization": f"Bearer {key}"},
    params={"type": "ipv4", "limit": 1000},
    timeout=30,
)
guide.raise_for_status()
report["iocs"] = [[i["type"], i["value"], i.get("confidence"), i["source"]["feed_name"]] for i in guide.json()["data"]]
json.dump(report, sys.stdout)
