"""Reads one item with Python's own client, which takes the proxy from its environment."""
import json
import urllib.request

with urllib.request.urlopen("http://site.example/item/7", timeout=15) as answer:
    print(answer.status, json.load(answer)["name"])
