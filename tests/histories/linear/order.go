package main

import (
	"fmt"
	"net/http"
	"sort"
	"strings"
)

// One order: its status, its lines and its version, while its customer and admins change it.
//
// What is promised: an order is one item, so that every read has all of it as it was at one instant. An answer to a change of the order
// has it as it was written. An answer to a change of a line names the version that the order has since as far as nobody else has changed
// it meanwhile: no higher one than that, and exactly that if the request named the version that it was about.

const (
	orderPlace  = "place"
	orderStatus = "status"
	orderDelete = "delete"
	orderAdd    = "add"
	orderChange = "change"
	orderRemove = "remove"
	orderRead   = "read"
)

// orderPrice is the price of every line, in hundredths, and mostLines how many an order may have.
const (
	orderPrice = 125
	mostLines  = 40
)

type orderInput struct {
	Kind string `json:"kind"`
	To   string `json:"to,omitempty"`
	Line string `json:"line,omitempty"`
	// Of the line.
	Pieces int `json:"pieces,omitempty"`
	// The tag of If-Match.
	IfMatch string `json:"if_match,omitempty"`
}

type orderOutput struct {
	Status int    `json:"status"`
	Code   string `json:"code,omitempty"`
	Tag    string `json:"tag,omitempty"`
	// The order's status.
	Is    string `json:"is,omitempty"`
	Lines string `json:"lines,omitempty"`
	Count int    `json:"count,omitempty"`
	Total int    `json:"total,omitempty"`
	// A line's own.
	Line   string `json:"line,omitempty"`
	Pieces int    `json:"pieces,omitempty"`
}

type orderState struct {
	Exists  bool   `json:"exists"`
	Is      string `json:"is"`
	Version int    `json:"version"`
	// Such as `0b1c:2 77fe:1`: the last digits of each line's id and its pieces, sorted.
	Lines string `json:"lines"`
}

func orderTag(version int) string {
	return fmt.Sprintf("\"%d\"", version)
}

// lineSet has the pieces of lines.
type lineSet map[string]int

func linesOf(text string) lineSet {
	lines := lineSet{}
	for _, part := range strings.Fields(text) {
		var pieces int
		id, number, _ := strings.Cut(part, ":")
		_, _ = fmt.Sscan(number, &pieces)
		lines[id] = pieces
	}
	return lines
}

func (l lineSet) String() string {
	parts := make([]string, 0, len(l))
	for id, pieces := range l {
		parts = append(parts, fmt.Sprintf("%s:%d", id, pieces))
	}
	sort.Strings(parts)
	return strings.Join(parts, " ")
}

func (l lineSet) total() int {
	total := 0
	for _, pieces := range l {
		total += pieces * orderPrice
	}
	return total
}

// steps are those that an order's life has.
var steps = map[string]bool{
	"PENDING CONFIRMED": true, "PENDING CANCELLED": true, "CONFIRMED SHIPPED": true, "CONFIRMED CANCELLED": true,
	"SHIPPED DELIVERED": true, "SHIPPED CANCELLED": true, "DELIVERED CANCELLED": true,
}

func orderStep(s orderState, in orderInput, out orderOutput) (bool, orderState) {
	if in.Kind == orderPlace {
		made := orderState{true, "PENDING", 0, out.Lines}
		var version int
		_, _ = fmt.Sscanf(out.Tag, "\"%d\"", &version)
		made.Version = version
		return !s.Exists && out.Status == http.StatusCreated && tells(made, out), made
	}
	if out.Status == http.StatusNotFound {
		_, has := linesOf(s.Lines)[in.Line]
		return !s.Exists || (in.Kind == orderChange || in.Kind == orderRemove) && !has, s
	}
	if !s.Exists {
		// Nothing happens to an order that is gone.
		return out.Status == unknown, s
	}
	fits := in.IfMatch == "" || in.IfMatch == orderTag(s.Version)
	if out.Status == http.StatusPreconditionFailed {
		return !fits, s
	}
	next := s
	next.Version++
	lines := linesOf(s.Lines)
	isPending, isOfLine, changes := s.Is == "PENDING", false, true
	// Why it may not be, and whether it may.
	code, can := "", true
	switch in.Kind {
	case orderRead:
		return out.Status == http.StatusOK && tells(s, out), s
	case orderStatus:
		next.Is, changes = in.To, in.To != s.Is
		switch {
		case !changes:
		case !steps[s.Is+" "+in.To]:
			code, can = "illegal-transition", false
		case in.To == "CONFIRMED" && len(lines) == 0:
			code, can = "empty-order", false
		}
	case orderDelete:
		next = orderState{}
		code, can = "order-not-deletable", isPending || s.Is == "CANCELLED"
	case orderAdd:
		isOfLine = true
		lines[out.Line] = in.Pieces
		if isPending && len(linesOf(s.Lines)) >= mostLines {
			code, can = "too-many-items", false
		}
	case orderChange, orderRemove:
		isOfLine = true
		pieces, has := lines[in.Line]
		can = has
		changes = in.Kind == orderRemove || pieces != in.Pieces
		if in.Kind == orderRemove {
			delete(lines, in.Line)
		} else if has {
			lines[in.Line] = in.Pieces
		}
	default:
		return false, s
	}
	if isOfLine && !isPending {
		code, can = "order-not-editable", false
	}
	if !changes {
		next = s
	} else if in.Kind != orderDelete {
		next.Lines = lines.String()
	}
	if out.Status == unknown {
		if can && fits {
			return true, next
		}
		return true, s
	}
	if out.Status == http.StatusConflict {
		// Whether a line may be changed is told from what it is by then, whichever version was named.
		return !can && (fits || isOfLine) && out.Code == code, s
	}
	if !can || !fits {
		return false, s
	}
	switch in.Kind {
	case orderStatus:
		return out.Status == http.StatusOK && tells(next, out), next
	case orderDelete:
		return out.Status == http.StatusNoContent, next
	case orderAdd:
		return out.Status == http.StatusCreated && out.Pieces == in.Pieces && names(in, out, next.Version), next
	case orderChange:
		return out.Status == http.StatusOK && out.Line == in.Line && out.Pieces == in.Pieces && names(in, out, next.Version), next
	}
	return out.Status == http.StatusNoContent && names(in, out, next.Version), next
}

// tells compares an answer with the whole order.
func tells(s orderState, out orderOutput) bool {
	lines := linesOf(s.Lines)
	same := out.Is == s.Is && out.Tag == orderTag(s.Version) && out.Lines == s.Lines
	return same && out.Count == len(lines) && out.Total == lines.total()
}

// names compares the version that the answer to a change of a line names with the one that the order has since.
func names(in orderInput, out orderOutput, version int) bool {
	var named int
	if _, err := fmt.Sscanf(out.Tag, "\"%d\"", &named); err != nil {
		return false
	}
	return named == version || in.IfMatch == "" && named < version
}

var orderScenario = scenario{
	name:  "order",
	play:  playOrder,
	model: modelOf(orderStep),
	parse: parseOperations[orderInput, orderOutput],
}

// orderClient is one client, with what it has seen of the order.
type orderClient struct {
	*client
	product, path, owner string
	tag, is              string
	// By the last digits of their ids.
	lines map[string]string
}

func playOrder(h *history) error {
	customers, giveBack, err := h.borrow()
	if err != nil {
		return err
	}
	defer giveBack()
	first, owner := h.first(), customers[0]
	body := map[string]any{"name": h.shop.unique("product"), "price": "1.25", "quantity": 100_000}
	product := first.post(first.asAdmin(), "/products", body)
	if product.status != http.StatusCreated {
		return fmt.Errorf("no product: %d %v", product.status, product.body)
	}
	id := product.text("product_id")
	// Some orders are nearly full.
	items := []any{}
	for range []int{0, 1, 2, 37}[h.rand.Intn(4)] {
		items = append(items, map[string]any{"product_id": id, "quantity": 1 + h.rand.Intn(3)})
	}
	placed := first.post(owner.token, "/orders", map[string]any{"items": items})
	if placed.status != http.StatusCreated {
		return fmt.Errorf("no order: %d %v", placed.status, placed.body)
	}
	h.add(0, orderInput{Kind: orderPlace}, orderAnswer(placed.answer), placed.call, placed.end)

	h.together(func(c *client) {
		one := orderClient{
			client: c, product: id, path: "/orders/" + placed.text("order_id"), owner: owner.token, lines: map[string]string{},
		}
		one.saw(placed.answer)
		count := 15 + c.rand.Intn(6)
		for done := 0; done < count && h.goesOn(); done++ {
			one.step(float64(done) / float64(count))
		}
	})
	h.awaitRest()
	call := h.now()
	// It may be gone.
	for got := (answer{}); got.status != http.StatusOK && got.status != http.StatusNotFound && !h.isBroken.Load(); {
		call, got = h.now(), first.call(first.asAdmin(), http.MethodGet, "/orders/"+placed.text("order_id"), nil)
		if !got.isOpen() {
			h.add(0, orderInput{Kind: orderRead}, orderAnswer(got), call, h.now())
		}
	}
	return nil
}

func shortID(id string) string {
	return id[max(0, len(id)-6):]
}

// orderAnswer is what an answer says of an order, or of a line.
func orderAnswer(got answer) orderOutput {
	if got.isOpen() {
		return orderOutput{Status: unknown}
	}
	out := orderOutput{
		Status: got.status, Code: got.code(), Tag: got.tag, Is: got.text("status"), Count: got.number("item_count"),
		Total: hundredths(got.text("total_price")), Line: shortID(got.text("order_item_id")), Pieces: got.number("quantity"),
	}
	if got.status >= 400 {
		// A problem has a status of its own.
		out.Is = ""
	}
	lines := lineSet{}
	for id, line := range linesIn(got) {
		pieces, _ := line["quantity"].(float64)
		lines[shortID(id)] = int(pieces)
	}
	out.Lines = lines.String()
	return out
}

func linesIn(got answer) map[string]map[string]any {
	found := map[string]map[string]any{}
	items, _ := got.body["items"].([]any)
	for _, one := range items {
		item, _ := one.(map[string]any)
		id, _ := item["order_item_id"].(string)
		found[id] = item
	}
	return found
}

// step does one thing; early in a history less that ends it.
func (c *orderClient) step(progress float64) {
	token := c.owner
	if c.rand.Intn(2) == 0 {
		token = c.asAdmin()
	}
	tag := ""
	if c.rand.Intn(3) == 0 {
		tag = c.tag
	}
	isPending, dice := c.is == "PENDING" || c.rand.Intn(5) == 0, c.rand.Intn(100)
	switch {
	case dice < 30 && (progress > 0.3 || dice < 10):
		to := []string{"CONFIRMED", "CONFIRMED", "SHIPPED", "SHIPPED", "DELIVERED", "CANCELLED"}[c.rand.Intn(6)]
		if to == "CANCELLED" && progress < 0.6 || to == "CONFIRMED" && progress < 0.3 && c.rand.Intn(3) > 0 {
			to = "SHIPPED"
		}
		change := map[string]any{"status": to}
		if to == "CANCELLED" {
			change["reason"] = "so"
		}
		c.send(orderInput{Kind: orderStatus, To: to, IfMatch: tag}, c.asAdmin(), http.MethodPut, c.path, change)
	case dice < 33 && progress > 0.7:
		c.send(orderInput{Kind: orderDelete, IfMatch: tag}, c.asAdmin(), http.MethodDelete, c.path, nil)
	case dice < 50 && isPending:
		c.add(token, tag)
	case dice < 63 && isPending && len(c.lines) > 0:
		in := orderInput{Kind: orderChange, Line: c.pick(), Pieces: 1 + c.rand.Intn(4), IfMatch: tag}
		c.send(in, token, http.MethodPut, c.path+"/items/"+c.lines[in.Line], map[string]any{"quantity": in.Pieces})
	case dice < 70 && isPending && len(c.lines) > 0:
		in := orderInput{Kind: orderRemove, Line: c.pick(), IfMatch: tag}
		c.send(in, token, http.MethodDelete, c.path+"/items/"+c.lines[in.Line], nil)
	default:
		c.send(orderInput{Kind: orderRead}, token, http.MethodGet, c.path, nil)
	}
}

// pick is one of the lines that the client knows of.
func (c *orderClient) pick() string {
	known := make([]string, 0, len(c.lines))
	for short := range c.lines {
		known = append(known, short)
	}
	sort.Strings(known)
	return known[c.rand.Intn(len(known))]
}

// send makes a request once, and notes it.
func (c *orderClient) send(in orderInput, token, method, path string, body any) {
	call := c.history.now()
	got := c.call(token, method, path, body, "if-match", in.IfMatch)
	end := c.history.now()
	if got.isOpen() {
		if in.Kind == orderRead {
			return
		}
		end = never
	}
	c.history.add(c.number, in, orderAnswer(got), call, end)
	c.saw(got)
}

// add puts a line in. It has a key, so that what became of it is always known: a line that nobody has the id of could not be told from
// others.
func (c *orderClient) add(token, tag string) {
	in := orderInput{Kind: orderAdd, Pieces: 1 + c.rand.Intn(4), IfMatch: tag}
	body := map[string]any{"product_id": c.product, "quantity": in.Pieces}
	sent := c.post(token, c.path+"/items", body, "if-match", tag)
	c.history.add(c.number, in, orderAnswer(sent.answer), sent.call, sent.end)
	c.saw(sent.answer)
}

// saw remembers what an answer says.
func (c *orderClient) saw(got answer) {
	if got.status >= 400 || got.status == 0 {
		return
	}
	if got.tag != "" {
		c.tag = got.tag
	}
	if id := got.text("order_item_id"); id != "" {
		c.lines[shortID(id)] = id
	}
	if is := got.text("status"); is != "" {
		c.is = is
		c.lines = map[string]string{}
		for id := range linesIn(got) {
			c.lines[shortID(id)] = id
		}
	}
}
