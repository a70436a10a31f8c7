package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long a client waits for an answer. A function ends after 3.5 seconds at the latest.
const patience = 20 * time.Second

// rest is how long after an answer of which nobody knows what it means something may still happen: the function that sent it is over,
// and so is what it asked of DynamoDB.
const rest = 4 * time.Second

// shop is a running `local` and the accounts that the histories share.
type shop struct {
	url string
	// How often which route was answered with what.
	mutex   sync.Mutex
	answers map[string]int

	admin account
	mails mailbox
	// Customers that nobody uses at the moment.
	customers chan account
	names     atomic.Int64
	// Distinguishes this program's names from those of another in the same shop.
	prefix string
}

// account is somebody who is logged in, as long as their access token is good.
type account struct {
	email, password, token string
	since                  time.Time
}

// answer is what came back. The status is 0 if nothing did.
type answer struct {
	status int
	body   map[string]any
	tag    string
}

// isOpen tells that the request may have been carried out, or may yet be, or not.
func (a answer) isOpen() bool {
	return a.status == 0 || a.status >= 500 || a.status == http.StatusTooManyRequests
}

func (a answer) number(name string) int {
	number, _ := a.body[name].(float64)
	return int(number)
}

func (a answer) text(name string) string {
	text, _ := a.body[name].(string)
	return text
}

func (a answer) code() string {
	return a.text("code")
}

// history is one that is being made: where, by how many, and what is written down.
type history struct {
	*record
	shop *shop
	rand *rand.Rand
	// Each with an address of its own.
	clients []*client
}

// client is one of those who work on the same thing at the same time.
type client struct {
	history *history
	number  int
	rand    *rand.Rand
	http    *http.Client
}

func newHistory(shop *shop, seed int64) *history {
	random := rand.New(rand.NewSource(seed))
	h := &history{record: newRecord(), shop: shop, rand: random}
	for number := range 5 + random.Intn(4) {
		h.clients = append(h.clients, newClient(h, number, random.Int63()))
	}
	return h
}

func newClient(h *history, number int, seed int64) *client {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+number))}}
	transport := &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 4}
	return &client{h, number, rand.New(rand.NewSource(seed)), &http.Client{Timeout: patience, Transport: transport}}
}

// together lets all clients work, each by itself, and waits for them.
func (h *history) together(work func(*client)) {
	var all sync.WaitGroup
	for _, one := range h.clients {
		all.Go(func() { work(one) })
	}
	all.Wait()
}

// close gives the connections back.
func (h *history) close() {
	for _, one := range h.clients {
		one.http.CloseIdleConnections()
	}
}

// awaitRest waits until what is not known is over, so that several reads one after the other are as one.
func (h *history) awaitRest() {
	if h.open() > 0 && !h.isBroken.Load() {
		time.Sleep(rest)
	}
}

// first is the client that prepares a history and looks at its end.
func (h *history) first() *client {
	return h.clients[0]
}

// call sends a request once. headers are names and values in turn.
func (c *client) call(token, method, path string, body any, headers ...string) answer {
	if c.history.isBroken.Load() {
		return answer{}
	}
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			panic(err)
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, c.history.shop.url+path, content)
	if err != nil {
		panic(err)
	}
	if body != nil {
		request.Header.Set("content-type", "application/json")
	}
	if token != "" {
		request.Header.Set("authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] != "" {
			request.Header.Set(headers[i], headers[i+1])
		}
	}
	got := answer{}
	if response, err := c.http.Do(request); err == nil {
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err == nil {
			got = answer{status: response.StatusCode, tag: response.Header.Get("etag")}
			// Bodies that are no JSON object have no fields.
			_ = json.Unmarshal(text, &got.body)
		}
	}
	c.history.shop.count(method, path, got)
	if got.code() == "internal-error" {
		c.history.isBroken.Store(true)
	}
	return got
}

// exchange is a request that was sent until its outcome was known.
type exchange struct {
	answer
	// When it may first have been carried out, and when the last answer came.
	call, end int64
}

// settle sends a request until somebody says what became of it. It has to be one that is carried out once, however often it is sent.
//
// One that is refused after an attempt that nobody knows the outcome of is sent again when that can have none any more: then it was
// carried out, or it was refused for good and at that time.
func (c *client) settle(send func() answer) exchange {
	sent := exchange{call: c.history.now()}
	doubtful := false
	for attempt := range 60 {
		call := c.history.now()
		sent.answer = send()
		sent.end = c.history.now()
		switch {
		case c.history.isBroken.Load():
			return sent
		case sent.isOpen():
			doubtful = true
			time.Sleep(time.Duration(10*(attempt+1)) * time.Millisecond)
		case sent.status >= 400 && doubtful:
			doubtful = false
			time.Sleep(rest)
		case sent.status >= 400:
			sent.call = call
			return sent
		default:
			return sent
		}
	}
	return sent
}

// post settles a request with an Idempotency-Key.
func (c *client) post(token, path string, body any, headers ...string) exchange {
	headers = append(headers, "idempotency-key", c.history.shop.unique("key"))
	return c.settle(func() answer { return c.call(token, http.MethodPost, path, body, headers...) })
}

// must sends a request until it is answered as it has to be.
func (c *client) must(status int, token, method, path string, body any, headers ...string) (answer, error) {
	var got answer
	for attempt := range 60 {
		got = c.call(token, method, path, body, headers...)
		if got.status == status {
			return got, nil
		}
		if !got.isOpen() || c.history.isBroken.Load() {
			break
		}
		time.Sleep(time.Duration(10*(attempt+1)) * time.Millisecond)
	}
	return got, fmt.Errorf("%s %s was answered %d %v", method, path, got.status, got.body)
}

// unique is a name that nobody else has.
func (s *shop) unique(what string) string {
	return fmt.Sprintf("%s-%s-%d", what, s.prefix, s.names.Add(1))
}

// count takes note of an answer.
func (s *shop) count(method, path string, got answer) {
	route := path
	for i, character := range path[1:] {
		if character == '/' && path[:i+1] != "/auth" {
			route = path[:i+1]
			break
		}
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.answers[fmt.Sprintf("%s %s %d %s", method, route, got.status, got.code())]++
}

// login gives somebody a new access token.
func (c *client) login(who account) (account, answer, error) {
	credentials := map[string]any{"email": who.email, "password": who.password}
	got, err := c.must(http.StatusOK, "", http.MethodPost, "/auth/login", credentials)
	who.token, who.since = got.text("access_token"), time.Now()
	return who, got, err
}

// asAdmin is an access token of the shop's admin.
func (c *client) asAdmin() string {
	s := c.history.shop
	s.mutex.Lock()
	who := s.admin
	s.mutex.Unlock()
	// Tokens are good for 15 minutes.
	if time.Since(who.since) < 8*time.Minute {
		return who.token
	}
	if fresh, _, err := c.login(who); err == nil {
		who = fresh
		s.mutex.Lock()
		s.admin = fresh
		s.mutex.Unlock()
	}
	return who.token
}

// register opens an account that nobody else knows of.
func (c *client) register() (account, error) {
	name := c.history.shop.unique("u")
	who := account{email: name + "@example.com", password: "Zwetschgenmus mit Zimt"}
	body := map[string]any{"email": who.email, "username": name, "password": who.password}
	for attempt := range 60 {
		got := c.call("", http.MethodPost, "/auth/register", body)
		// Taken by an attempt before this one, whose answer was lost.
		if got.status == http.StatusCreated || attempt > 0 && got.status == http.StatusConflict {
			return who, nil
		}
		if !got.isOpen() || c.history.isBroken.Load() {
			return who, fmt.Errorf("an account could not be opened: %d %v", got.status, got.body)
		}
	}
	return who, fmt.Errorf("an account could not be opened")
}

// borrow lends every client of a history a customer of its own, as long as it lasts.
func (h *history) borrow() (customers []account, giveBack func(), err error) {
	for _, one := range h.clients {
		who := account{}
		select {
		case who = <-h.shop.customers:
		default:
			if who, err = one.register(); err != nil {
				return nil, nil, err
			}
		}
		if time.Since(who.since) > 8*time.Minute {
			if who, _, err = one.login(who); err != nil {
				return nil, nil, err
			}
		}
		customers = append(customers, who)
	}
	giveBack = func() {
		for _, who := range customers {
			h.shop.customers <- who
		}
	}
	return customers, giveBack, nil
}
