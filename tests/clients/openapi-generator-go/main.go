// The session of the README with the client that OpenAPI Generator makes for Go.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"reflect"

	"github.com/google/uuid"
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
func success[T any](answer T, response *http.Response, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return answer
}

// header takes a header of what a call returned.
func header[T any](name string) func(answer T, response *http.Response, err error) string {
	return func(_ T, response *http.Response, err error) string {
		if err != nil || response.Header.Get(name) == "" {
			log.Fatalf("no %s: %v", name, err)
		}
		return response.Header.Get(name)
	}
}

// refused takes the status and the code that a call was refused with.
func refused[T any](_ T, response *http.Response, err error) string {
	return fmt.Sprint(response.StatusCode, " ", problemOf(err).Code)
}

// snippet
// as makes a context whose requests have this access token.
func as(token string) context.Context {
	return context.WithValue(context.Background(), stockroom.ContextAccessToken, token)
}

// allProducts reads them page by page.
func allProducts(shop *stockroom.APIClient) ([]stockroom.Product, error) {
	var products []stockroom.Product
	for request := shop.ProductsAPI.ListProducts(context.Background()).Limit(2); ; {
		page, _, err := request.Execute()
		if err != nil {
			return nil, err
		}
		products = append(products, page.Products...)
		if !page.NextCursor.IsSet() || page.NextCursor.Get() == nil {
			return products, nil
		}
		request = request.Cursor(*page.NextCursor.Get())
	}
}

// problemOf is what went wrong: a problem has a code, and what there is to say with it.
func problemOf(err error) (problem stockroom.Problem) {
	var refusal *stockroom.GenericOpenAPIError
	if errors.As(err, &refusal) {
		problem, _ = refusal.Model().(stockroom.Problem)
	}
	return problem
}

// order places an order; the key makes it safe to send again.
func order(ctx context.Context, shop *stockroom.APIClient, key string, lines ...stockroom.OrderItemInput) (*stockroom.OrderDetails, *http.Response, error) {
	order, response, err := shop.OrdersAPI.CreateOrder(ctx).IdempotencyKey(key).OrderInput(stockroom.OrderInput{Items: lines}).Execute()
	if problem := problemOf(err); problem.Code == stockroom.OUT_OF_STOCK {
		return nil, response, fmt.Errorf("only %d left: %w", problem.GetAvailable(), err)
	}
	return order, response, err
}

// end of snippet

func main() {
	name := "go-" + uuid.NewString()[:8]
	email, password := name+"@example.com", "Zwetschgenmus mit Zimt"
	anyone := context.Background()

	// snippet
	configuration := stockroom.NewConfiguration()
	configuration.Servers = stockroom.ServerConfigurations{{URL: os.Getenv("API_URL")}}
	shop := stockroom.NewAPIClient(configuration)
	// end of snippet

	registration := stockroom.NewRegistration(email, password, name)
	user := success(shop.AuthAPI.Register(anyone).Registration(*registration).Execute())
	expect("registered", user.Username, name)
	login := func(email, password string) context.Context {
		credentials := stockroom.Credentials{Email: &email, Password: password}
		return as(success(shop.AuthAPI.Login(anyone).Credentials(credentials).Execute()).AccessToken)
	}
	customer := login(email, password)
	expect("me", success(shop.AuthAPI.Me(customer).Execute()), user)

	products, err := allProducts(shop)
	met := map[string]bool{}
	for _, product := range products {
		met[product.ProductId] = true
	}
	expect("pages", err, nil)
	expect("no product twice", len(met), len(products))
	expect("more than one", len(products) >= 4, true)

	lines := []stockroom.OrderItemInput{{ProductId: products[0].ProductId, Quantity: 1}, {ProductId: products[1].ProductId, Quantity: 1}}
	placed := success(order(customer, shop, name, lines...))
	expect("order", []string{placed.Items[0].ProductId, placed.Items[1].ProductId}, []string{lines[0].ProductId, lines[1].ProductId})
	expect("replay", success(order(customer, shop, name, lines...)), placed)
	expect("replayed", header[*stockroom.OrderDetails]("Idempotent-Replayed")(order(customer, shop, name, lines...)), "true")
	_, _, refusal := order(customer, shop, name+"-2", stockroom.OrderItemInput{ProductId: products[0].ProductId, Quantity: 10_000})
	problem := problemOf(refusal)
	expect("409 has a code", problem.Code, stockroom.OUT_OF_STOCK)
	expect("and what there is", problem.GetAvailable(), products[0].Quantity-1)

	etag := header[*stockroom.OrderDetails]("ETag")(shop.OrdersAPI.GetOrder(customer, placed.OrderId).Execute())
	_, known, _ := shop.OrdersAPI.GetOrder(customer, placed.OrderId).IfNoneMatch(etag).Execute()
	expect("known", known.StatusCode, http.StatusNotModified)
	cancel := *stockroom.NewOrderChange()
	cancel.SetStatus(stockroom.CANCELLED)
	cancelled := success(shop.OrdersAPI.UpdateOrder(customer, placed.OrderId).IfMatch(etag).OrderChange(cancel).Execute())
	expect("cancelled", cancelled.Status, stockroom.CANCELLED)

	admin := login(os.Getenv("ADMIN_EMAIL"), os.Getenv("ADMIN_PASSWORD"))
	pencil, response, err := shop.ProductsAPI.CreateProduct(admin).ProductInput(*stockroom.NewProductInput("Pencil of "+name, "0.80", 500)).Execute()
	expect("added", err, nil)
	change := func(price string) (*stockroom.Product, *http.Response, error) {
		change := *stockroom.NewProductChange()
		change.SetPrice(price)
		return shop.ProductsAPI.UpdateProduct(admin, pencil.ProductId).IfMatch(response.Header.Get("ETag")).ProductChange(change).Execute()
	}
	expect("price", success(change("0.95")).Price, "0.95")
	expect("412 has a code", refused(change("0.99")), "412 precondition-failed")
	deleted, err := shop.ProductsAPI.DeleteProduct(admin, pencil.ProductId).Execute()
	expect("deleted", []any{deleted.StatusCode, err}, []any{http.StatusNoContent, nil})

	ended, err := shop.AuthAPI.Logout(customer).Execute()
	expect("logged out", []any{ended.StatusCode, err}, []any{http.StatusNoContent, nil})
	expect("401 has a code", refused(shop.AuthAPI.Me(customer).Execute()), "401 token-revoked")
}
