package main

import (
	"fmt"
	"net/http"
	"strings"
)

// The stock of one product, which customers order, give back and receive while admins move, count and price it.
//
// What is promised: every write of stock is at one instant, and so is the answer to a count. The product of a GET is two items, what is
// said of it and how much there is of it, each as it was at an instant of its own. If the stock lies in several shards, what a GET says
// of them together is of no instant, and only at rest what there is; how many are `available` to somebody who is refused always is of
// one. What a list has of movements is looked at when all has come to rest.

const (
	stockCreate = "create"
	// Pieces are ordered, with the price of that instant.
	stockTake = "take"
	// Pieces more or fewer in a line that has its price.
	stockChange = "change"
	// An order gives its pieces back.
	stockGive = "give"
	stockShip = "ship"
	// What was shipped comes back.
	stockRestock = "restock"
	stockMove    = "move"
	stockCount   = "count"
	stockPrice   = "price"
	// What is said of the product.
	stockReadTexts = "read texts"
	// How much there is of it.
	stockRead = "read"
	// Its books, of one shard.
	stockReadBooks = "read books"
	// All of it, when nothing moves.
	stockReadAll = "read all"
)

type stockInput struct {
	Kind string `json:"kind"`
	// Pieces; for a change, how many more.
	Pieces int `json:"pieces,omitempty"`
	// In hundredths.
	Price    int  `json:"price,omitempty"`
	IsSpread bool `json:"is_spread,omitempty"`
	// The tag of If-Match, and what was reserved when it was read.
	IfMatch  string `json:"if_match,omitempty"`
	Reserved int    `json:"reserved,omitempty"`
}

type stockOutput struct {
	Status    int    `json:"status"`
	Code      string `json:"code,omitempty"`
	Available int    `json:"available"`
	Quantity  int    `json:"quantity"`
	Reserved  int    `json:"reserved"`
	Shipped   int    `json:"shipped"`
	Received  int    `json:"received"`
	// The sum of all movements.
	Moved   int `json:"moved"`
	Price   int `json:"price"`
	Edits   int `json:"edits"`
	Version int `json:"version"`
}

type stockState struct {
	Exists   bool `json:"exists"`
	IsSpread bool `json:"is_spread,omitempty"`
	Quantity int  `json:"quantity"`
	Reserved int  `json:"reserved"`
	Shipped  int  `json:"shipped"`
	Price    int  `json:"price"`
	Edits    int  `json:"edits"`
	// Counts the writes of stock; not kept where it is spread, which writes to as many shards as it needs.
	Version int `json:"version"`
}

func (s stockState) received() int {
	return s.Quantity + s.Reserved + s.Shipped
}

func (s stockState) tag() string {
	return stockTag(s.Edits, s.Version)
}

func stockTag(edits, version int) string {
	return fmt.Sprintf("\"%d-%d\"", edits, version)
}

// editsOf is the part of a tag that tells what was said of the product.
func editsOf(tag string) string {
	edits, _, _ := strings.Cut(tag, "-")
	return edits
}

// written is the state after a write of stock.
func (s stockState) written() stockState {
	if !s.IsSpread {
		s.Version++
	}
	return s
}

func stockStep(s stockState, in stockInput, out stockOutput) (bool, stockState) {
	if in.Kind == stockCreate {
		made := stockState{
			Exists: true, IsSpread: in.IsSpread, Quantity: in.Pieces, Price: in.Price, Edits: out.Edits, Version: out.Version,
		}
		return !s.Exists && out.Status == http.StatusCreated && out.Quantity == in.Pieces && out.Reserved == 0, made
	}
	if !s.Exists {
		return false, s
	}
	// What the write makes of it, and whether it can.
	next, can := s.written(), true
	switch in.Kind {
	case stockTake, stockChange:
		can = s.Quantity >= in.Pieces && s.Reserved >= -in.Pieces
		next.Quantity -= in.Pieces
		next.Reserved += in.Pieces
	case stockGive:
		can = s.Reserved >= in.Pieces
		next.Quantity += in.Pieces
		next.Reserved -= in.Pieces
	case stockShip:
		can = s.Reserved >= in.Pieces
		next.Reserved -= in.Pieces
		next.Shipped += in.Pieces
	case stockRestock:
		can = s.Shipped >= in.Pieces
		next.Shipped -= in.Pieces
		next.Quantity += in.Pieces
	case stockMove:
		can = s.Quantity+in.Pieces >= 0
		next.Quantity += in.Pieces
	case stockCount:
		can = matches(s, in)
		next.Quantity = in.Pieces
	case stockPrice:
		can = in.IfMatch == "" || editsOf(in.IfMatch) == editsOf(s.tag())
		next = s
		next.Price = in.Price
		next.Edits++
	}
	if out.Status == unknown {
		if can {
			return true, next
		}
		return true, s
	}
	switch in.Kind {
	case stockTake, stockChange, stockMove:
		if out.Status == http.StatusConflict {
			return !can && out.Code == "out-of-stock" && out.Available == s.Quantity, s
		}
		priced := in.Kind != stockTake || out.Price == s.Price
		return can && priced && (out.Status == http.StatusCreated || out.Status == http.StatusOK), next
	case stockGive, stockShip, stockRestock:
		return can && (out.Status == http.StatusOK || out.Status == http.StatusNoContent), next
	case stockCount:
		if out.Status == http.StatusPreconditionFailed {
			// The version of what is spread is not kept here.
			return in.IfMatch != "" && (s.IsSpread || !can), s
		}
		told := out.Quantity == next.Quantity
		if !s.IsSpread {
			told = told && out.Reserved == next.Reserved && out.Version == next.Version
		}
		if in.IfMatch != "" {
			told = told && out.Reserved == next.Reserved && out.Edits == next.Edits && out.Price == next.Price
		}
		return can && told && out.Status == http.StatusOK, next
	case stockPrice:
		if out.Status == http.StatusPreconditionFailed {
			return !can, s
		}
		return can && out.Status == http.StatusOK && out.Price == next.Price && out.Edits == next.Edits, next
	case stockReadTexts:
		return out.Price == s.Price && out.Edits == s.Edits, s
	case stockRead:
		return out.Quantity == s.Quantity && out.Reserved == s.Reserved && out.Version == s.Version, s
	case stockReadBooks:
		held := out.Quantity == s.Quantity && out.Reserved == s.Reserved && out.Shipped == s.Shipped
		return held && out.Received == s.received(), s
	case stockReadAll:
		held := out.Quantity == s.Quantity && out.Reserved == s.Reserved && out.Shipped == s.Shipped
		return held && out.Received == s.received() && out.Moved == s.received(), s
	}
	return false, s
}

// matches tells whether a count may be made: a client that names a version has seen all as it is. Of what is spread, the versions are
// not kept here; what was reserved must be what is.
func matches(s stockState, in stockInput) bool {
	switch {
	case in.IfMatch == "":
		return true
	case s.IsSpread:
		return editsOf(in.IfMatch) == editsOf(s.tag()) && in.Reserved == s.Reserved
	}
	return in.IfMatch == s.tag()
}

var stockScenario = scenario{
	name:  "stock",
	play:  playStock,
	model: modelOf(stockStep),
	parse: parseOperations[stockInput, stockOutput],
}

// ownOrder is an order that one client has placed and nobody else changes.
type ownOrder struct {
	path, line string
	pieces     int
	status     string
}

// stockClient is one client, with what it has placed and seen.
type stockClient struct {
	*client
	id, customer string
	isSpread     bool
	orders       []ownOrder
	tag          string
	reserved     int
}

func playStock(h *history) error {
	customers, giveBack, err := h.borrow()
	if err != nil {
		return err
	}
	defer giveBack()

	shards, pieces := 1, 6+h.rand.Intn(15)
	if h.rand.Intn(5) < 2 {
		shards = 2 + h.rand.Intn(3)
	}
	body := map[string]any{"name": h.shop.unique("product"), "price": "1.00", "quantity": pieces}
	if shards > 1 {
		body["stock_shards"] = shards
	}
	made := h.first().post(h.first().asAdmin(), "/products", body)
	if made.status != http.StatusCreated {
		return fmt.Errorf("no product: %d %v", made.status, made.body)
	}
	id, isSpread := made.text("product_id"), shards > 1
	input := stockInput{Kind: stockCreate, Pieces: pieces, Price: 100, IsSpread: isSpread}
	h.add(0, input, stockAnswer(made.answer), made.call, made.end)

	h.together(func(c *client) {
		one := stockClient{client: c, id: id, customer: customers[c.number].token, isSpread: isSpread, tag: made.tag}
		for count := 15 + c.rand.Intn(6); count > 0 && h.goesOn(); count-- {
			one.step()
		}
	})
	h.awaitRest()
	return readAllStock(h.first(), id)
}

// stockAnswer is what an answer says of a product.
func stockAnswer(got answer) stockOutput {
	out := stockOutput{
		Status: got.status, Code: got.code(), Available: got.number("available"),
		Quantity: got.number("quantity"), Reserved: got.number("reserved"), Shipped: got.number("shipped"),
		Received: got.number("received"), Price: hundredths(got.text("price")),
	}
	_, _ = fmt.Sscanf(got.tag, "\"%d-%d\"", &out.Edits, &out.Version)
	if got.isOpen() {
		return stockOutput{Status: unknown}
	}
	return out
}

// hundredths is an amount of money as a number.
func hundredths(text string) int {
	var whole, part int
	_, _ = fmt.Sscanf(text, "%d.%d", &whole, &part)
	return whole*100 + part
}

// write notes an operation that was sent once.
func (c *stockClient) write(in stockInput, call int64, got answer) {
	end := c.history.now()
	if got.isOpen() {
		end = never
	}
	c.history.add(c.number, in, stockAnswer(got), call, end)
}

// settled notes an operation that was sent until it was known.
func (c *stockClient) settled(in stockInput, sent exchange, out stockOutput) {
	end := sent.end
	if sent.isOpen() {
		end = never
	}
	c.history.add(c.number, in, out, sent.call, end)
}

func (c *stockClient) step() {
	dice := c.rand.Intn(100)
	switch {
	case len(c.orders) == 0 && dice < 50 || dice < 28:
		c.take()
	case len(c.orders) > 0 && dice < 60:
		at := c.rand.Intn(len(c.orders))
		order := c.orders[at]
		if next, kept := c.use(order); kept {
			c.orders[at] = next
		} else {
			c.orders = append(c.orders[:at], c.orders[at+1:]...)
		}
	case dice < 70:
		c.move()
	case dice < 78:
		c.count()
	case dice < 84:
		c.price()
	default:
		c.look()
	}
}

// take orders some pieces.
func (c *stockClient) take() {
	pieces := 1 + c.rand.Intn(4)
	body := map[string]any{"items": []any{map[string]any{"product_id": c.id, "quantity": pieces}}}
	sent := c.post(c.customer, "/orders", body)
	out := stockAnswer(sent.answer)
	order := ownOrder{path: "/orders/" + sent.text("order_id"), pieces: pieces, status: "PENDING"}
	if items, ok := sent.body["items"].([]any); ok && len(items) == 1 {
		item, _ := items[0].(map[string]any)
		price, _ := item["price"].(string)
		out.Price = hundredths(price)
		order.line, _ = item["order_item_id"].(string)
		c.orders = append(c.orders, order)
	}
	c.settled(stockInput{Kind: stockTake, Pieces: pieces}, sent, out)
}

// use does something with an order; one of which nobody knows how it is by now is not touched again.
func (c *stockClient) use(order ownOrder) (ownOrder, bool) {
	admin := c.asAdmin()
	status := func(token, to string, restock bool) answer {
		change := map[string]any{"status": to}
		if restock {
			change["restock"], change["reason"] = true, "sent back"
		}
		return c.call(token, http.MethodPut, order.path, change)
	}
	in := stockInput{Pieces: order.pieces}
	dice, call := c.rand.Intn(100), c.history.now()
	switch {
	case order.status == "PENDING" && dice < 30:
		wanted := 1 + c.rand.Intn(6)
		in = stockInput{Kind: stockChange, Pieces: wanted - order.pieces}
		got := c.call(c.customer, http.MethodPut, order.path+"/items/"+order.line, map[string]any{"quantity": wanted})
		if in.Pieces != 0 {
			c.write(in, call, got)
		}
		if got.status == http.StatusOK {
			order.pieces = wanted
		}
		return order, !got.isOpen()
	case order.status == "PENDING" && dice < 65:
		got := status(c.customer, "CONFIRMED", false)
		order.status = "CONFIRMED"
		return order, got.status == http.StatusOK
	case order.status == "CONFIRMED" && dice < 65:
		in.Kind = stockShip
		got := status(admin, "SHIPPED", false)
		c.write(in, call, got)
		order.status = "SHIPPED"
		return order, got.status == http.StatusOK
	case order.status == "SHIPPED":
		in.Kind = stockRestock
		c.write(in, call, status(admin, "CANCELLED", true))
		return order, false
	case order.status == "PENDING" && dice < 80:
		in.Kind = stockGive
		c.write(in, call, c.call(c.customer, http.MethodDelete, order.path, nil))
		return order, false
	}
	in.Kind = stockGive
	c.write(in, call, status(c.customer, "CANCELLED", false))
	return order, false
}

// move brings pieces in, or takes some out.
func (c *stockClient) move() {
	pieces := c.rand.Intn(9) - 4
	if pieces == 0 {
		pieces = 5
	}
	sent := c.post(c.asAdmin(), "/products/"+c.id+"/movements", map[string]any{"amount": pieces})
	c.settled(stockInput{Kind: stockMove, Pieces: pieces}, sent, stockAnswer(sent.answer))
}

// count says how many there are, mostly only if they are as they were seen.
func (c *stockClient) count() {
	in := stockInput{Kind: stockCount, Pieces: c.rand.Intn(20)}
	if c.rand.Intn(3) > 0 {
		in.IfMatch, in.Reserved = c.tag, c.reserved
	}
	body := map[string]any{"quantity": in.Pieces}
	call := c.history.now()
	got := c.call(c.asAdmin(), http.MethodPut, "/products/"+c.id, body, "if-match", in.IfMatch)
	c.write(in, call, got)
	if got.status == http.StatusOK && in.IfMatch == "" {
		// What is said of the product is as it was read before.
		c.write(stockInput{Kind: stockReadTexts}, call, got)
	}
	c.saw(got)
}

// price gives the product another price.
func (c *stockClient) price() {
	in := stockInput{Kind: stockPrice, Price: 100 + c.rand.Intn(900)}
	if c.rand.Intn(2) > 0 {
		in.IfMatch = c.tag
	}
	body := map[string]any{"price": fmt.Sprintf("%d.%02d", in.Price/100, in.Price%100)}
	// How the stock is spread is nothing that anybody sees.
	if c.isSpread && c.rand.Intn(2) > 0 {
		body["stock_shards"] = 1 + c.rand.Intn(4)
	}
	call := c.history.now()
	got := c.call(c.asAdmin(), http.MethodPut, "/products/"+c.id, body, "if-match", in.IfMatch)
	c.write(in, call, got)
	if got.status == http.StatusOK && !c.isSpread {
		c.write(stockInput{Kind: stockRead}, call, got)
	}
	c.saw(got)
}

// look reads the product, or its books.
func (c *stockClient) look() {
	call := c.history.now()
	if !c.isSpread && c.rand.Intn(4) == 0 {
		got := c.call(c.asAdmin(), http.MethodGet, "/products/"+c.id+"/stock", nil)
		if !got.isOpen() {
			c.write(stockInput{Kind: stockReadBooks}, call, got)
		}
		return
	}
	got := c.call("", http.MethodGet, "/products/"+c.id, nil)
	if got.isOpen() {
		return
	}
	c.write(stockInput{Kind: stockReadTexts}, call, got)
	if !c.isSpread {
		c.write(stockInput{Kind: stockRead}, call, got)
	}
	c.saw(got)
}

// saw remembers the version of an answer.
func (c *stockClient) saw(got answer) {
	if got.status == http.StatusOK && got.tag != "" {
		c.tag, c.reserved = got.tag, got.number("reserved")
	}
}

// readAllStock compares the books with the movements, when nothing moves any more.
func readAllStock(c *client, id string) error {
	call := c.history.now()
	got, err := c.must(http.StatusOK, c.asAdmin(), http.MethodGet, "/products/"+id+"/stock", nil)
	if err != nil {
		return err
	}
	out := stockAnswer(got)
	cursor, seen := "", map[string]bool{}
	for {
		page, err := c.must(http.StatusOK, c.asAdmin(), http.MethodGet, "/products/"+id+"/movements?limit=100"+cursor, nil)
		if err != nil {
			return err
		}
		movements, _ := page.body["movements"].([]any)
		for _, one := range movements {
			movement, _ := one.(map[string]any)
			amount, _ := movement["amount"].(float64)
			name, _ := movement["movement_id"].(string)
			if seen[name] {
				return fmt.Errorf("the movement %s is listed twice", name)
			}
			seen[name] = true
			out.Moved += int(amount)
		}
		next := page.text("next_cursor")
		if next == "" {
			break
		}
		cursor = "&cursor=" + next
	}
	c.history.add(c.number, stockInput{Kind: stockReadAll}, out, call, c.history.now())
	return nil
}
