// The session of the README with the client that oapi-codegen makes.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"reflect"

	"github.com/google/uuid"
	openapi_types "github.com/oapi-codegen/runtime/types"
)

// snippet
import "stockroom.example/client/stockroom"

// end of snippet

func expect(what string, seen, wanted any) {
	if !reflect.DeepEqual(seen, wanted) {
		log.Fatalf("%s: %v and not %v", what, seen, wanted)
	}
	fmt.Printf("ok %s: %v\n", what, seen)
}

// success takes what a call returned, which must not be an error.
func success[T any](answer T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return answer
}

func header(answer *http.Response, name string) string {
	value := answer.Header.Get(name)
	if value == "" {
		log.Fatalf("%s without %s", answer.Status, name)
	}
	return value
}

func pointer[T any](value T) *T { return &value }

// snippet
// as makes a client whose requests have this access token.
func as(api, token string) (*stockroom.ClientWithResponses, error) {
	return stockroom.NewClientWithResponses(api, stockroom.WithRequestEditorFn(
		func(_ context.Context, request *http.Request) error {
			request.Header.Set("Authorization", "Bearer "+token)
			return nil
		}))
}

// allProducts reads them page by page.
func allProducts(ctx context.Context, shop *stockroom.ClientWithResponses) ([]stockroom.Product, error) {
	var products []stockroom.Product
	limit := stockroom.Limit(2)
	for params := (stockroom.ListProductsParams{Limit: &limit}); ; {
		page, err := shop.ListProductsWithResponse(ctx, &params)
		if err != nil {
			return nil, err
		}
		if page.JSON200 == nil {
			return nil, fmt.Errorf("products: %s", page.Status())
		}
		products = append(products, page.JSON200.Products...)
		if page.JSON200.NextCursor == nil {
			return products, nil
		}
		params.Cursor = page.JSON200.NextCursor
	}
}

// order places an order; the key makes it safe to send again. A problem has a code, and what there is to say with it.
func order(ctx context.Context, shop *stockroom.ClientWithResponses, key string, lines ...stockroom.OrderItemInput) (*stockroom.CreateOrderResponse, error) {
	placed, err := shop.CreateOrderWithResponse(ctx, &stockroom.CreateOrderParams{IdempotencyKey: &key}, stockroom.OrderInput{Items: &lines})
	if err != nil {
		return nil, err
	}
	if problem := placed.ApplicationproblemJSON409; problem != nil && problem.Code == stockroom.ProblemCodeOutOfStock {
		return nil, fmt.Errorf("only %d left", *problem.Available)
	}
	return placed, nil
}

// end of snippet

func main() {
	ctx := context.Background()
	api := os.Getenv("API_URL")
	name := "oapi-codegen-" + uuid.NewString()[:8]
	email, password := name+"@example.com", "Zwetschgenmus mit Zimt"

	anyone := success(stockroom.NewClientWithResponses(api))
	registration := stockroom.Registration{Email: openapi_types.Email(email), Username: name, Password: password}
	user := success(anyone.RegisterWithResponse(ctx, registration)).JSON201
	expect("registered", user.Username, name)
	tokens := success(anyone.LoginWithResponse(ctx, stockroom.Credentials{Email: &email, Password: password})).JSON200
	customer := success(as(api, tokens.AccessToken))
	expect("me", success(customer.MeWithResponse(ctx)).JSON200, user)

	products := success(allProducts(ctx, anyone))
	met := map[stockroom.Id]bool{}
	for _, product := range products {
		met[product.ProductId] = true
	}
	expect("pages", len(met), len(products))
	expect("more than one", len(products) >= 4, true)

	lines := []stockroom.OrderItemInput{{ProductId: products[0].ProductId, Quantity: 1}, {ProductId: products[1].ProductId, Quantity: 1}}
	placed := success(order(ctx, customer, name, lines...)).JSON201
	expect("order", []stockroom.Id{placed.Items[0].ProductId, placed.Items[1].ProductId}, []stockroom.Id{lines[0].ProductId, lines[1].ProductId})
	again := success(order(ctx, customer, name, lines...))
	expect("replay", again.JSON201, placed)
	expect("replayed", header(again.HTTPResponse, "Idempotent-Replayed"), "true")
	_, refusal := order(ctx, customer, name+"-2", stockroom.OrderItemInput{ProductId: products[0].ProductId, Quantity: 10_000})
	expect("409 has a code", refusal.Error(), fmt.Sprintf("only %d left", products[0].Quantity-1))

	seen := success(customer.GetOrderWithResponse(ctx, placed.OrderId, &stockroom.GetOrderParams{}))
	etag := header(seen.HTTPResponse, "ETag")
	known := success(customer.GetOrderWithResponse(ctx, placed.OrderId, &stockroom.GetOrderParams{IfNoneMatch: &etag}))
	expect("known", known.StatusCode(), http.StatusNotModified)
	cancel := stockroom.OrderChange{Status: pointer(stockroom.CANCELLED)}
	cancelled := success(customer.UpdateOrderWithResponse(ctx, placed.OrderId, &stockroom.UpdateOrderParams{IfMatch: &etag}, cancel))
	expect("cancelled", cancelled.JSON200.Status, stockroom.CANCELLED)

	adminEmail := os.Getenv("ADMIN_EMAIL")
	login := success(anyone.LoginWithResponse(ctx, stockroom.Credentials{Email: &adminEmail, Password: os.Getenv("ADMIN_PASSWORD")})).JSON200
	admin := success(as(api, login.AccessToken))
	pencil := stockroom.ProductInput{Name: "Pencil of " + name, Price: "0.80", Quantity: 500}
	added := success(admin.CreateProductWithResponse(ctx, &stockroom.CreateProductParams{}, pencil))
	id, tag := added.JSON201.ProductId, header(added.HTTPResponse, "ETag")
	ifMatch := stockroom.UpdateProductParams{IfMatch: &tag}
	changed := success(admin.UpdateProductWithResponse(ctx, id, &ifMatch, stockroom.ProductChange{Price: pointer("0.95")}))
	expect("price", changed.JSON200.Price, "0.95")
	stale := success(admin.UpdateProductWithResponse(ctx, id, &ifMatch, stockroom.ProductChange{Price: pointer("0.99")}))
	expect("412 has a code", stale.ApplicationproblemJSON412.Code, stockroom.ProblemCodePreconditionFailed)
	expect("deleted", success(admin.DeleteProductWithResponse(ctx, id, &stockroom.DeleteProductParams{})).StatusCode(), http.StatusNoContent)

	expect("logged out", success(customer.LogoutWithResponse(ctx, stockroom.LogoutRequest{})).StatusCode(), http.StatusNoContent)
	expect("401 has a code", success(customer.MeWithResponse(ctx)).ApplicationproblemJSON401.Code, stockroom.ProblemCodeTokenRevoked)
}
