"""The session of the README with the client that openapi-python-client makes."""

import os
import uuid

# snippet
from stockroom import AuthenticatedClient, Client
from stockroom.api.auth import login, logout, me, register
from stockroom.api.orders import create_order, get_order, update_order
from stockroom.api.products import create_product, delete_product, list_products, update_product
from stockroom.models import (
    Credentials, OrderItemInput, OrderChange, OrderInput, Problem, ProblemCode, ProductChange, ProductInput, Registration, Status,
)
from stockroom.types import UNSET
# end of snippet

api = os.environ["API_URL"]


def expect(what, seen, wanted):
    if seen != wanted:
        raise SystemExit(f"{what}: {seen!r} and not {wanted!r}")
    print(f"ok {what}: {seen}")


name = f"httpx-{uuid.uuid4().hex[:8]}"
email, password = f"{name}@example.com", "Zwetschgenmus mit Zimt"
user = register.sync(client=Client(base_url=api), body=Registration(email=email, username=name, password=password))
expect("registered", user.username, name)

# snippet
anyone = Client(base_url=api)
tokens = login.sync(client=anyone, body=Credentials(email=email, password=password))
customer = AuthenticatedClient(base_url=api, token=tokens.access_token)

# All products, page by page.
products, cursor = [], UNSET
while cursor is not None:
    page = list_products.sync(client=anyone, limit=2, cursor=cursor)
    products += page.products
    cursor = page.next_cursor

# The key makes it safe to send again.
lines = [OrderItemInput(product_id=product.product_id, quantity=1) for product in products[:2]]
key = str(uuid.uuid4())
order = create_order.sync(client=customer, body=OrderInput(items=lines), idempotency_key=key)

# A problem has a code, and what there is to say with it.
too_many = OrderInput(items=[OrderItemInput(product_id=products[0].product_id, quantity=10_000)])
refusal = create_order.sync(client=customer, body=too_many)
available = None
if isinstance(refusal, Problem) and refusal.code == ProblemCode.OUT_OF_STOCK:
    available = refusal.available
# end of snippet

expect("me", me.sync(client=customer), user)
expect("pages", len({product.product_id for product in products}), len(products))
expect("more than one", len(products) >= 4, True)
expect("order", [line.product_id for line in order.items], [line.product_id for line in lines])
expect("409 has a code", available, products[0].quantity - 1)

again = create_order.sync_detailed(client=customer, body=OrderInput(items=lines), idempotency_key=key)
expect("replay", (again.parsed, again.headers["Idempotent-Replayed"]), (order, "true"))

seen = get_order.sync_detailed(order.order_id, client=customer)
known = get_order.sync_detailed(order.order_id, client=customer, if_none_match=seen.headers["ETag"])
expect("known", (known.status_code, known.content), (304, b""))
cancel = OrderChange(status=Status.CANCELLED)
cancelled = update_order.sync(order.order_id, client=customer, body=cancel, if_match=seen.headers["ETag"])
expect("cancelled", cancelled.status, Status.CANCELLED)

credentials = Credentials(email=os.environ["ADMIN_EMAIL"], password=os.environ["ADMIN_PASSWORD"])
admin = AuthenticatedClient(base_url=api, token=login.sync(client=anyone, body=credentials).access_token)
added = create_product.sync_detailed(client=admin, body=ProductInput(name=f"Pencil of {name}", price="0.80", quantity=500))
product_id, etag = added.parsed.product_id, added.headers["ETag"]
changed = update_product.sync(product_id, client=admin, body=ProductChange(price="0.95"), if_match=etag)
expect("price", changed.price, "0.95")
stale = update_product.sync_detailed(product_id, client=admin, body=ProductChange(price="0.99"), if_match=etag)
expect("412 has a code", (stale.status_code, stale.parsed.code), (412, ProblemCode.PRECONDITION_FAILED))
expect("deleted", delete_product.sync_detailed(product_id, client=admin).status_code, 204)

expect("logged out", logout.sync_detailed(client=customer).status_code, 204)
expect("401 has a code", me.sync(client=customer).code, ProblemCode.TOKEN_REVOKED)
