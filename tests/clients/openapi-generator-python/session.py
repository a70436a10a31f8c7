"""The session of the README with the client that OpenAPI Generator makes for Python."""

import os
import uuid

from stockroom.exceptions import ApiException

# snippet
from stockroom import ApiClient, AuthApi, Configuration, OrdersApi, ProductsApi
from stockroom.exceptions import ConflictException
from stockroom.models import Credentials, OrderItemInput, OrderChange, OrderInput, ProductChange, ProductInput, Registration, Status
# end of snippet

api = os.environ["API_URL"]


def expect(what, seen, wanted):
    if seen != wanted:
        raise SystemExit(f"{what}: {seen!r} and not {wanted!r}")
    print(f"ok {what}: {seen}")


def refused(status, call):
    """What a call was refused with."""
    try:
        call()
    except ApiException as error:
        expect("status", error.status, status)
        return error
    raise SystemExit(f"a call that must be refused with {status} was not")


def header(response, name):
    """A header of an answer, whose names the client keeps as they came."""
    return {key.lower(): value for key, value in response.headers.items()}[name.lower()]


name = f"python-{uuid.uuid4().hex[:8]}"
email, password = f"{name}@example.com", "Zwetschgenmus mit Zimt"
auth = AuthApi(ApiClient(Configuration(host=api)))
user = auth.register(Registration(email=email, username=name, password=password))
expect("registered", user.username, name)

# snippet
anyone = ApiClient(Configuration(host=api))
tokens = AuthApi(anyone).login(Credentials(email=email, password=password))
customer = ApiClient(Configuration(host=api, access_token=tokens.access_token))
orders = OrdersApi(customer)

# All products, page by page.
products, cursor = [], None
while True:
    page = ProductsApi(anyone).list_products(limit=2, cursor=cursor)
    products += page.products
    cursor = page.next_cursor
    if cursor is None:
        break

# The key makes it safe to send again.
lines = [OrderItemInput(product_id=product.product_id, quantity=1) for product in products[:2]]
key = str(uuid.uuid4())
placed = orders.create_order_with_http_info(OrderInput(items=lines), idempotency_key=key)
order = placed.data

# A problem has a code, and what there is to say with it.
available = None
try:
    orders.create_order(OrderInput(items=[OrderItemInput(product_id=products[0].product_id, quantity=10_000)]))
except ConflictException as error:
    if error.data.code == "out-of-stock":
        available = error.data.available
# end of snippet

expect("me", AuthApi(customer).me(), user)
expect("pages", len({product.product_id for product in products}), len(products))
expect("more than one", len(products) >= 4, True)
expect("order", [line.product_id for line in order.items], [line.product_id for line in lines])
expect("409 has a code", available, products[0].quantity - 1)

again = orders.create_order_with_http_info(OrderInput(items=lines), idempotency_key=key)
expect("replay", (again.data, header(again, "Idempotent-Replayed")), (order, "true"))

etag = header(orders.get_order_with_http_info(order.order_id), "ETag")
refused(304, lambda: orders.get_order(order.order_id, if_none_match=etag))
cancelled = orders.update_order(order.order_id, OrderChange(status=Status.CANCELLED), if_match=etag)
expect("cancelled", cancelled.status, Status.CANCELLED)

login = auth.login(Credentials(email=os.environ["ADMIN_EMAIL"], password=os.environ["ADMIN_PASSWORD"]))
admin = ProductsApi(ApiClient(Configuration(host=api, access_token=login.access_token)))
added = admin.create_product_with_http_info(ProductInput(name=f"Pencil of {name}", price="0.80", quantity=500))
product_id, etag = added.data.product_id, header(added, "ETag")
expect("price", admin.update_product(product_id, ProductChange(price="0.95"), if_match=etag).price, "0.95")
stale = refused(412, lambda: admin.update_product(product_id, ProductChange(price="0.99"), if_match=etag))
expect("412 has a code", stale.data.code, "precondition-failed")
admin.delete_product(product_id)

AuthApi(customer).logout()
expect("401 has a code", refused(401, AuthApi(customer).me).data.code, "token-revoked")
