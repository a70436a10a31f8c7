// The session of the README with the client that ogen makes.
package main

import (
	"context"
	"fmt"
	"log"
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

// the answer of this type, which a call must have returned.
func the[Answer any](answer any, err error) Answer {
	if expected, ok := answer.(Answer); ok && err == nil {
		return expected
	}
	log.Fatalf("%T %+v %v and not %T", answer, answer, err, *new(Answer))
	panic("unreachable")
}

// snippet
// token is the access token of requests; without one, only what anyone may do succeeds.
type token string

func (t token) Token(context.Context, stockroom.OperationName) (stockroom.Token, error) {
	return stockroom.Token{Token: string(t)}, nil
}

// refusal is what every problem is answered as: it has a code, and what there is to say with it.
type refusal interface{ GetResponse() stockroom.Problem }

// allProducts reads them page by page.
func allProducts(ctx context.Context, shop *stockroom.Client) (products []stockroom.Product, err error) {
	for params := (stockroom.ListProductsParams{Limit: stockroom.NewOptInt32(2)}); ; {
		answer, err := shop.ListProducts(ctx, params)
		if err != nil {
			return nil, err
		}
		page, ok := answer.(*stockroom.ProductPageHeaders)
		if !ok {
			return nil, fmt.Errorf("products: %+v", answer)
		}
		products = append(products, page.Response.Products...)
		cursor, more := page.Response.NextCursor.Get()
		if !more {
			return products, nil
		}
		params.Cursor = stockroom.NewOptString(cursor)
	}
}

// order places an order; the key makes it safe to send again.
func order(ctx context.Context, shop *stockroom.Client, key string, lines ...stockroom.OrderItemInput) (*stockroom.OrderDetailsHeaders, error) {
	params := stockroom.CreateOrderParams{IdempotencyKey: stockroom.NewOptString(key)}
	answer, err := shop.CreateOrder(ctx, &stockroom.OrderInput{Items: lines}, params)
	if err != nil {
		return nil, err
	}
	switch answer := answer.(type) {
	case *stockroom.OrderDetailsHeaders:
		return answer, nil
	case refusal:
		problem := answer.GetResponse()
		if problem.Code == stockroom.ProblemCodeOutOfStock {
			return nil, fmt.Errorf("only %d left", problem.Available.Value)
		}
		return nil, fmt.Errorf("%s: %s", problem.Code, problem.Detail)
	default:
		return nil, fmt.Errorf("%T", answer)
	}
}

// end of snippet

func main() {
	ctx := context.Background()
	api := os.Getenv("API_URL")
	name := "ogen-" + uuid.NewString()[:8]
	email, password := name+"@example.com", "Zwetschgenmus mit Zimt"
	as := func(access string) *stockroom.Client {
		return the[*stockroom.Client](stockroom.NewClient(api, token(access)))
	}

	anyone := as("")
	registered, err := anyone.Register(ctx, &stockroom.Registration{Email: email, Username: name, Password: password})
	user := the[*stockroom.UserHeaders](registered, err).Response
	expect("registered", user.Username, name)
	login := func(email, password string) *stockroom.Client {
		answer, err := anyone.Login(ctx, &stockroom.Credentials{Email: stockroom.NewOptString(email), Password: password})
		return as(the[*stockroom.TokensHeaders](answer, err).Response.AccessToken)
	}
	customer := login(email, password)
	me, err := customer.Me(ctx)
	expect("me", the[*stockroom.UserHeaders](me, err).Response, user)

	products := the[[]stockroom.Product](allProducts(ctx, anyone))
	met := map[stockroom.ID]bool{}
	for _, product := range products {
		met[product.ProductID] = true
	}
	expect("pages", len(met), len(products))
	expect("more than one", len(products) >= 4, true)

	lines := []stockroom.OrderItemInput{{ProductID: products[0].ProductID, Quantity: 1}, {ProductID: products[1].ProductID, Quantity: 1}}
	placed := the[*stockroom.OrderDetailsHeaders](order(ctx, customer, name, lines...))
	items := placed.Response.Items
	expect("order", []stockroom.ID{items[0].ProductID, items[1].ProductID}, []stockroom.ID{lines[0].ProductID, lines[1].ProductID})
	again := the[*stockroom.OrderDetailsHeaders](order(ctx, customer, name, lines...))
	expect("replay", again.Response, placed.Response)
	expect("replayed", again.IdempotentReplayed.Value, "true")
	_, refused := order(ctx, customer, name+"-2", stockroom.OrderItemInput{ProductID: products[0].ProductID, Quantity: 10_000})
	expect("409 has a code", refused.Error(), fmt.Sprintf("only %d left", products[0].Quantity-1))

	id := placed.Response.OrderID
	seen, err := customer.GetOrder(ctx, stockroom.GetOrderParams{OrderID: id})
	etag := the[*stockroom.GetOrderOKHeaders](seen, err).ETag
	known, err := customer.GetOrder(ctx, stockroom.GetOrderParams{OrderID: id, IfNoneMatch: etag})
	expect("known", the[*stockroom.NotModified](known, err).ETag, etag)
	cancel := stockroom.OrderChange{Status: stockroom.NewOptStatus(stockroom.StatusCANCELLED)}
	cancelled, err := customer.UpdateOrder(ctx, &cancel, stockroom.UpdateOrderParams{OrderID: id, IfMatch: etag})
	expect("cancelled", the[*stockroom.GetOrderOKHeaders](cancelled, err).Response.Status, stockroom.StatusCANCELLED)

	admin := login(os.Getenv("ADMIN_EMAIL"), os.Getenv("ADMIN_PASSWORD"))
	pencil := stockroom.ProductInput{Name: "Pencil of " + name, Price: "0.80", Quantity: 500}
	answer, err := admin.CreateProduct(ctx, &pencil, stockroom.CreateProductParams{})
	added := the[*stockroom.ProductHeaders](answer, err)
	params := stockroom.UpdateProductParams{ProductID: added.Response.ProductID, IfMatch: added.ETag}
	changed, err := admin.UpdateProduct(ctx, &stockroom.ProductChange{Price: stockroom.NewOptPrice("0.95")}, params)
	expect("price", the[*stockroom.GetProductOKHeaders](changed, err).Response.Price, stockroom.Money("0.95"))
	stale, err := admin.UpdateProduct(ctx, &stockroom.ProductChange{Price: stockroom.NewOptPrice("0.99")}, params)
	expect("412 has a code", the[*stockroom.PreconditionFailedHeaders](stale, err).Response.Code, stockroom.ProblemCodePreconditionFailed)
	deleted, err := admin.DeleteProduct(ctx, stockroom.DeleteProductParams{ProductID: added.Response.ProductID})
	the[*stockroom.DeleteProductNoContent](deleted, err)

	ended, err := customer.Logout(ctx, stockroom.OptLogoutRequest{})
	the[*stockroom.LogoutNoContent](ended, err)
	revoked, err := customer.Me(ctx)
	expect("401 has a code", the[*stockroom.UnauthorizedHeaders](revoked, err).Response.Code, stockroom.ProblemCodeTokenRevoked)
}
