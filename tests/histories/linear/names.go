package main

import (
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strings"
	"sync"
)

// A registry of unique names: a few names that many want, of products (which have a SKU too) or of accounts.
//
// What is promised: nobody has a name that somebody else has; it is taken and given up at the instant at which its owner changes. A change
// of a product that names its version is about that version. Lists are eventually consistent, and not looked at here.

const (
	nameCreate = "create"
	nameChange = "change"
	nameDelete = "delete"
	// What one has.
	nameRead = "read"
	// Who has one, as a login by that name tells.
	nameOwner = "owner"
)

type nameInput struct {
	Kind string `json:"kind"`
	// Which product or account, counted from 1.
	Who  int    `json:"who,omitempty"`
	Name string `json:"name,omitempty"`
	// In a change, left out if it stays as it is.
	SKU     string `json:"sku,omitempty"`
	IfMatch string `json:"if_match,omitempty"`
}

type nameOutput struct {
	Status int    `json:"status"`
	Code   string `json:"code,omitempty"`
	Who    int    `json:"who,omitempty"`
	Name   string `json:"name,omitempty"`
	SKU    string `json:"sku,omitempty"`
	// How often what is said of a product was changed; none of an account.
	Edits string `json:"edits,omitempty"`
}

// nameEntry is what one product or account has.
type nameEntry struct {
	name, sku string
	edits     int
}

// registry has the entries by number. Its text is the model's state.
type registry map[int]nameEntry

// nameState is a registry such as `1 a x 1;3 b - 2`.
type nameState string

func (s nameState) registry() registry {
	entries := registry{}
	for _, part := range strings.Split(string(s), ";") {
		var who int
		var entry nameEntry
		if count, _ := fmt.Sscanf(part, "%d %s %s %d", &who, &entry.name, &entry.sku, &entry.edits); count == 4 {
			entries[who] = entry
		}
	}
	return entries
}

func (r registry) state() nameState {
	numbers := make([]int, 0, len(r))
	for who := range r {
		numbers = append(numbers, who)
	}
	sort.Ints(numbers)
	parts := make([]string, 0, len(r))
	for _, who := range numbers {
		entry := r[who]
		parts = append(parts, fmt.Sprintf("%d %s %s %d", who, entry.name, entry.sku, entry.edits))
	}
	return nameState(strings.Join(parts, ";"))
}

// noSKU stands for none, which many may have.
const noSKU = "-"

// taken is the code of the refusal if somebody other than `who` has the name or the SKU.
func (r registry) taken(who int, entry nameEntry) string {
	code := ""
	for other, has := range r {
		switch {
		case other == who:
		case has.name == entry.name:
			return "name-taken"
		case has.sku == entry.sku && entry.sku != noSKU:
			code = "sku-taken"
		}
	}
	return code
}

func nameStep(s nameState, in nameInput, out nameOutput) (bool, nameState) {
	entries := s.registry()
	entry, exists := entries[in.Who]
	tells := func(entry nameEntry) bool {
		return out.Name == entry.name && out.SKU == entry.sku && (out.Edits == "" || out.Edits == fmt.Sprint(entry.edits))
	}
	switch in.Kind {
	case nameOwner:
		for who, has := range entries {
			if has.name == in.Name {
				return out.Who == who, s
			}
		}
		return out.Who == 0, s
	case nameRead:
		if out.Status == http.StatusOK {
			return exists && tells(entry), s
		}
		return !exists, s
	case nameDelete:
		delete(entries, in.Who)
		if out.Status == unknown || out.Status == http.StatusNoContent {
			return out.Status == unknown || exists, entries.state()
		}
		return isGone(out) && !exists, s
	}
	// What the entry becomes, and why it may not.
	next, code, can := entry, "", true
	switch in.Kind {
	case nameCreate:
		next, can = nameEntry{in.Name, in.SKU, 1}, !exists
	case nameChange:
		can = exists
		if in.Name != "" {
			next.name = in.Name
		}
		if in.SKU != "" {
			next.sku = in.SKU
		}
		next.edits++
	default:
		return false, s
	}
	fits := in.IfMatch == "" || exists && editsOf(in.IfMatch) == fmt.Sprintf("\"%d", entry.edits)
	code = entries.taken(in.Who, next)
	if can && fits && code == "" {
		entries[in.Who] = next
	}
	switch out.Status {
	case unknown:
		return true, entries.state()
	case http.StatusCreated, http.StatusOK:
		return can && fits && code == "" && tells(next), entries.state()
	case http.StatusConflict:
		return can && fits && code != "" && out.Code == code, s
	case http.StatusPreconditionFailed:
		return can && !fits, s
	}
	return in.Kind == nameChange && isGone(out) && !exists, s
}

// isGone tells whether somebody was told that what they speak of is not there: a product is not found, and an account's session is
// over with it.
func isGone(out nameOutput) bool {
	return out.Status == http.StatusNotFound || out.Status == http.StatusUnauthorized
}

var namesScenario = scenario{
	name:  "names",
	play:  playNames,
	model: modelOf(nameStep),
	parse: parseOperations[nameInput, nameOutput],
}

// directory is who there is, as far as the clients have been told.
type directory struct {
	mutex sync.Mutex
	count int
	// The latest last.
	known []named
	// Distinguishes the names of this history.
	prefix string
}

// named is a product with its path, or an account with its token.
type named struct {
	who                         int
	id, path, email, token, tag string
}

func (d *directory) next() int {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.count++
	return d.count
}

func (d *directory) learn(one named) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.known = append(d.known, one)
}

// tagged takes note of another version of one that is known.
func (d *directory) tagged(one named, tag string) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	for at := range d.known {
		if d.known[at].who == one.who {
			d.known[at].tag = tag
		}
	}
}

// forget takes somebody out who is gone.
func (d *directory) forget(one named) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.known = slices.DeleteFunc(d.known, func(other named) bool { return other.who == one.who })
}

// with the id that an account has, 0 if nobody's.
func (d *directory) with(id string) int {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	for _, one := range d.known {
		if one.id == id {
			return one.who
		}
	}
	return 0
}

type nameClient struct {
	*client
	*directory
}

var wantedNames, wantedSKUs = []string{"a", "b", "c"}, []string{noSKU, "x", "y", "z"}

func playNames(h *history) error {
	shared := &directory{prefix: h.shop.unique("n")}
	// A login takes as long as ten other requests.
	ofAccounts := h.rand.Intn(4) == 0
	h.together(func(c *client) {
		one, count := nameClient{c, shared}, 15+c.rand.Intn(6)
		if ofAccounts {
			count = 8
		}
		for ; count > 0 && h.goesOn(); count-- {
			if ofAccounts {
				one.stepOfAccount()
			} else {
				one.stepOfProduct()
			}
		}
	})
	return nil
}

// pick is one of those that came last.
func (c *nameClient) pick() (named, bool) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(c.known) == 0 {
		return named{}, false
	}
	return c.known[max(0, len(c.known)-1-c.rand.Intn(4))], true
}

// note writes an operation down that was sent once.
func (c *nameClient) note(in nameInput, got answer, out nameOutput, call int64) {
	end := c.history.now()
	if got.isOpen() {
		if in.Kind == nameRead || in.Kind == nameOwner {
			return
		}
		out, end = nameOutput{Status: unknown}, never
	}
	c.history.add(c.number, in, out, call, end)
}

// sku is how a product's SKU is sent and answered; there may be none.
func (c *nameClient) sku(short string) any {
	if short == noSKU {
		return nil
	}
	return c.prefix + short
}

func (c *nameClient) productAnswer(got answer) nameOutput {
	out := nameOutput{Status: got.status, Code: got.code(), Name: strings.TrimPrefix(got.text("name"), c.prefix+" "), SKU: noSKU}
	if sku := got.text("sku"); sku != "" {
		out.SKU = strings.TrimPrefix(sku, c.prefix)
	}
	out.Edits = strings.TrimPrefix(editsOf(got.tag), "\"")
	return out
}

func (c *nameClient) stepOfProduct() {
	one, some := c.pick()
	in := nameInput{Who: one.who, Name: wantedNames[c.rand.Intn(3)], SKU: wantedSKUs[c.rand.Intn(4)]}
	dice := c.rand.Intn(100)
	call := c.history.now()
	switch {
	case !some || dice < 30:
		in.Kind, in.Who = nameCreate, c.next()
		body := map[string]any{"name": c.prefix + " " + in.Name, "price": "1.00", "quantity": 0, "sku": c.sku(in.SKU)}
		sent := c.post(c.asAdmin(), "/products", body)
		c.history.add(c.number, in, c.productAnswer(sent.answer), sent.call, sent.end)
		if sent.status == http.StatusCreated {
			c.learn(named{who: in.Who, path: "/products/" + sent.text("product_id"), tag: sent.tag})
		}
	case dice < 58:
		in.Kind = nameChange
		body := map[string]any{}
		if c.rand.Intn(3) > 0 {
			body["name"] = c.prefix + " " + in.Name
		} else {
			in.Name = ""
		}
		if c.rand.Intn(2) > 0 || len(body) == 0 {
			body["sku"] = c.sku(in.SKU)
		} else {
			in.SKU = ""
		}
		if c.rand.Intn(3) == 0 {
			in.IfMatch = one.tag
		}
		got := c.call(c.asAdmin(), http.MethodPut, one.path, body, "if-match", in.IfMatch)
		c.note(in, got, c.productAnswer(got), call)
		c.saw(one, got)
	case dice < 78:
		got := c.call(c.asAdmin(), http.MethodDelete, one.path, nil)
		c.note(nameInput{Kind: nameDelete, Who: one.who}, got, c.productAnswer(got), call)
		c.saw(one, got)
	default:
		got := c.call("", http.MethodGet, one.path, nil)
		c.note(nameInput{Kind: nameRead, Who: one.who}, got, c.productAnswer(got), call)
		c.saw(one, got)
	}
}

func (c *nameClient) saw(one named, got answer) {
	if got.status == http.StatusNotFound {
		c.forget(one)
	}
	if got.status == http.StatusOK && got.tag != "" {
		c.tagged(one, got.tag)
	}
}

const namesPassword = "Zwetschgenmus mit Zimt"

func (c *nameClient) accountAnswer(got answer) nameOutput {
	code := strings.Replace(got.code(), "username-taken", "name-taken", 1)
	return nameOutput{Status: got.status, Code: code, Name: strings.TrimPrefix(got.text("username"), c.prefix), SKU: noSKU}
}

func (c *nameClient) stepOfAccount() {
	one, some := c.pick()
	in := nameInput{Who: one.who, Name: wantedNames[c.rand.Intn(3)]}
	dice := c.rand.Intn(100)
	call := c.history.now()
	switch {
	case !some || dice < 25:
		in.Kind, in.Who, in.SKU = nameCreate, c.next(), noSKU
		c.open(in)
	case dice < 50:
		in.Kind = nameChange
		body := map[string]any{"username": c.prefix + in.Name, "password": namesPassword}
		got := c.call(one.token, http.MethodPut, "/auth/me", body)
		c.note(in, got, c.accountAnswer(got), call)
	case dice < 65:
		got := c.call(one.token, http.MethodDelete, "/auth/me", map[string]any{"password": namesPassword})
		c.note(nameInput{Kind: nameDelete, Who: one.who}, got, c.accountAnswer(got), call)
	case dice < 80:
		got := c.call(one.token, http.MethodGet, "/auth/me", nil)
		c.note(nameInput{Kind: nameRead, Who: one.who}, got, c.accountAnswer(got), call)
	default:
		got := c.call("", http.MethodPost, "/auth/login", map[string]any{"username": c.prefix + in.Name, "password": namesPassword})
		out := nameOutput{Status: got.status}
		if got.status == http.StatusOK {
			if out.Who = c.with(claims(got.text("refresh_token")).User); out.Who == 0 {
				// Whoever has opened it has not been told yet.
				return
			}
		}
		c.note(nameInput{Kind: nameOwner, Name: in.Name}, got, out, call)
	}
}

// open registers an account and logs it in. Its address is nobody else's, so that it is taken only by an attempt before.
func (c *nameClient) open(in nameInput) {
	email := c.history.shop.unique("a") + "@example.com"
	body := map[string]any{"email": email, "username": c.prefix + in.Name, "password": namesPassword}
	sent := c.settle(func() answer {
		got := c.call("", http.MethodPost, "/auth/register", body)
		if got.code() == "email-taken" {
			got.status, got.body = http.StatusCreated, map[string]any{"username": c.prefix + in.Name}
		}
		return got
	})
	c.history.add(c.number, in, c.accountAnswer(sent.answer), sent.call, sent.end)
	if sent.status != http.StatusCreated {
		return
	}
	who, got, err := c.login(account{email: email, password: namesPassword})
	if err == nil {
		c.learn(named{who: in.Who, id: claims(got.text("refresh_token")).User, token: who.token})
	}
}
