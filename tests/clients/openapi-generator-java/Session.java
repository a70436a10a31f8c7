// The session of the README with the client that OpenAPI Generator makes for Java.

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
// snippet
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.ApiResponse;
import org.openapitools.client.api.*;
import org.openapitools.client.model.*;
// end of snippet

public class Session {
    private interface Call {
        void run() throws ApiException;
    }

    private static void expect(String what, Object seen, Object wanted) {
        if (!Objects.equals(seen, wanted)) {
            throw new AssertionError(what + ": " + seen + " and not " + wanted);
        }
        System.out.println("ok " + what + ": " + String.valueOf(seen).replaceAll("\\s+", " "));
    }

    /** What a call was refused with. */
    private static ApiException refused(int status, Call call) {
        try {
            call.run();
        } catch (ApiException error) {
            expect("status", error.getCode(), status);
            return error;
        }
        throw new AssertionError("a call that must be refused with " + status + " was not");
    }

    private static String header(ApiResponse<?> response, String name) {
        for (Map.Entry<String, List<String>> header : response.getHeaders().entrySet()) {
            if (header.getKey().equalsIgnoreCase(name)) {
                return header.getValue().get(0);
            }
        }
        throw new AssertionError("no " + name);
    }

    // snippet
    /** A client, whose requests have this access token if there is one. */
    static ApiClient client(String api, String token) {
        ApiClient client = new ApiClient();
        client.updateBaseUri(api);
        if (token != null) {
            client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + token));
        }
        return client;
    }

    /** All products, page by page. */
    static List<Product> allProducts(ApiClient client) throws ApiException {
        List<Product> products = new ArrayList<>();
        String cursor = null;
        do {
            ProductPage page = new ProductsApi(client).listProducts(null, 2, cursor);
            products.addAll(page.getProducts());
            cursor = page.getNextCursor();
        } while (cursor != null);
        return products;
    }

    /** What went wrong: a problem has a code, and what there is to say with it. */
    static Problem problem(ApiException error) throws Exception {
        return ApiClient.createDefaultObjectMapper().readValue(error.getResponseBody(), Problem.class);
    }
    // end of snippet

    public static void main(String[] arguments) throws Exception {
        String api = System.getenv("API_URL");
        String name = "java-" + UUID.randomUUID().toString().substring(0, 8);
        String email = name + "@example.com", password = "Zwetschgenmus mit Zimt";
        ApiClient anyone = client(api, null);
        User user = new AuthApi(anyone).register(new Registration().email(email).username(name).password(password));
        expect("registered", user.getUsername(), name);

        // snippet
        Tokens tokens = new AuthApi(anyone).login(new Credentials().email(email).password(password));
        ApiClient customer = client(api, tokens.getAccessToken());
        OrdersApi orders = new OrdersApi(customer);
        List<Product> products = allProducts(anyone);

        // The key makes it safe to send again.
        OrderInput input = new OrderInput()
            .addItemsItem(new OrderItemInput().productId(products.get(0).getProductId()).quantity(1L))
            .addItemsItem(new OrderItemInput().productId(products.get(1).getProductId()).quantity(1L));
        String key = UUID.randomUUID().toString();
        OrderDetails order = orders.createOrder(input, key);

        OrderItemInput tooMany = new OrderItemInput().productId(products.get(0).getProductId()).quantity(10_000L);
        Long available = null;
        try {
            orders.createOrder(new OrderInput().addItemsItem(tooMany), null);
        } catch (ApiException error) {
            Problem problem = problem(error);
            if (problem.getCode() == ProblemCode.OUT_OF_STOCK) {
                available = problem.getAvailable();
            }
        }
        // end of snippet

        expect("me", new AuthApi(customer).me(), user);
        HashSet<UUID> met = new HashSet<>();
        products.forEach(product -> met.add(product.getProductId()));
        expect("pages", met.size(), products.size());
        expect("more than one", products.size() >= 4, true);
        expect("order", order.getItems().get(1).getProductId(), products.get(1).getProductId());
        expect("409 has a code", available, products.get(0).getQuantity() - 1);

        ApiResponse<OrderDetails> again = orders.createOrderWithHttpInfo(input, key);
        expect("replay", again.getData(), order);
        expect("replayed", header(again, "Idempotent-Replayed"), "true");

        UUID id = order.getOrderId();
        String etag = header(orders.getOrderWithHttpInfo(id, null), "ETag");
        refused(304, () -> orders.getOrder(id, etag));
        OrderDetails cancelled = orders.updateOrder(id, new OrderChange().status(Status.CANCELLED), etag);
        expect("cancelled", cancelled.getStatus(), Status.CANCELLED);

        Credentials credentials = new Credentials().email(System.getenv("ADMIN_EMAIL")).password(System.getenv("ADMIN_PASSWORD"));
        ProductsApi admin = new ProductsApi(client(api, new AuthApi(anyone).login(credentials).getAccessToken()));
        ApiResponse<Product> added =
            admin.createProductWithHttpInfo(new ProductInput().name("Pencil of " + name).price("0.80").quantity(500L), null);
        UUID pencil = added.getData().getProductId();
        String seen = header(added, "ETag");
        expect("price", admin.updateProduct(pencil, new ProductChange().price("0.95"), seen).getPrice(), "0.95");
        ApiException stale = refused(412, () -> admin.updateProduct(pencil, new ProductChange().price("0.99"), seen));
        expect("412 has a code", problem(stale).getCode(), ProblemCode.PRECONDITION_FAILED);
        admin.deleteProduct(pencil, null);

        new AuthApi(customer).logout(new LogoutRequest());
        ApiException revoked = refused(401, () -> new AuthApi(customer).me());
        expect("401 has a code", problem(revoked).getCode(), ProblemCode.TOKEN_REVOKED);
    }
}
