"""Reads one item with Python's own client, which takes the proxy and whom to trust from its surroundings."""
import json
import urllib.request

with urllib.request.urlopen("https://site.example/item/7", timeout=15) as answer:
    print(answer.status, json.load(answer)["name"])
