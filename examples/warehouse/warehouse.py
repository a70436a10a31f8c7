#!/usr/bin/env python3
"""A warehouse that keeps its own copy of stock and orders, made of nothing but the events that the shop sends.

    python3 warehouse.py serve FOLDER [PORT]     takes events at http://127.0.0.1:PORT/hook (9000), and keeps them in FOLDER
    python3 warehouse.py compare FOLDER API      asks the shop whether it sees the same: needs ADMIN_EMAIL and ADMIN_PASSWORD

Each event is written down before it is answered, and counts once however often it comes: kill it at any time, and start it again.
"""
import collections
import http.server
import json
import os
import pathlib
import sys
import urllib.request


def serve(journal, port):
    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            event = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with journal.open("a") as file:
                file.write(json.dumps(event) + "\n")
                file.flush()
                os.fsync(file.fileno())
            self.send_response(204)
            self.end_headers()

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Hook).serve_forever()


def fold(journal):
    """The latest event of each subject. A line that was half written when the power went was never answered, and comes again."""
    latest = {}
    for line in journal.read_text().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if event["version"] >= latest.get(event["subject"], event)["version"]:
            latest[event["subject"]] = event
    return latest


def warehouse(latest):
    """Orders as they are now; and of each product the pieces that came in, and those that orders hold or have taken away."""
    orders, stock = {}, collections.defaultdict(collections.Counter)
    gone = {path for path, event in latest.items() if event["type"] == "product.deleted"}
    for path, event in latest.items():
        kind, _, _ = event["type"].partition(".")
        if "/movements/" in path:
            stock[event["data"]["product_id"]]["received"] += event["data"]["amount"]
        elif kind == "order":
            order, effects = event["data"], [entry["stock"] for entry in event["data"]["history"]]
            is_deleted = event["type"] == "order.deleted"
            if not is_deleted:
                orders[path] = order
            held = order["status"] in ("PENDING", "CONFIRMED") and not is_deleted
            where = "reserved" if held else "shipped" if "shipped" in effects and "restocked" not in effects else None
            for line in order["items"] if where else []:
                stock[line["product_id"]][where] += line["quantity"]
    books = {}
    for product, pieces in stock.items():
        if f"/products/{product}" not in gone:
            pieces["quantity"] = pieces["received"] - pieces["reserved"] - pieces["shipped"]
            books[f"/products/{product}/stock"] = {name: pieces[name] for name in ("received", "quantity", "reserved", "shipped")}
    return orders, books


def ask(api, path, token=None, body=None):
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(api + path, body and json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def compare(journal, api):
    login = {"email": os.environ["ADMIN_EMAIL"], "password": os.environ["ADMIN_PASSWORD"]}
    token = ask(api, "/auth/login", body=login)["access_token"]
    orders, books = warehouse(fold(journal))
    different = [path for path, mine in orders.items() if ask(api, path, token) != mine]
    for path, mine in books.items():
        theirs = ask(api, path, token)
        different += [path] if any(theirs[name] != pieces for name, pieces in mine.items()) else []
    print(f"{len(orders)} orders and the stock of {len(books)} products, {len(different)} different", *different, sep="\n")
    return 1 if different else 0


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("serve", "compare") or (sys.argv[1] == "compare" and len(sys.argv) < 4):
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    if sys.argv[1] == "serve":
        serve(folder / "journal", int(sys.argv[3]) if len(sys.argv) > 3 else 9000)
    else:
        sys.exit(compare(folder / "journal", sys.argv[3]))
