package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"
	"sync"
	"time"
)

// One account's password, the sessions that it opens, and its recovery by mail.
//
// What is promised: the password that was set last opens the account and no other does, at the instant at which the session begins. Another
// password ends every other session; a recovery ends all of them. A mailed token is good once, and only the newest; while one that is
// less than a minute old has not been used, no other is sent. A history takes less than that minute.

const (
	passwordRegister = "register"
	passwordLogin    = "login"
	// By who knows the one so far, in a session.
	passwordChange = "change"
	// A mail with a token is asked for.
	passwordRecovery = "recovery"
	// A mailed token is used.
	passwordRecover = "recover"
	// Whether a session lives.
	passwordUse = "use"
)

type passwordInput struct {
	Kind string `json:"kind"`
	// Passwords are counted: which is shown, and which is set.
	Password int `json:"password,omitempty"`
	Next     int `json:"next,omitempty"`
	// Sessions are counted, too: which asks, or begins.
	Session int `json:"session,omitempty"`
	// And so are mailed tokens, as they came.
	Token int `json:"token,omitempty"`
}

type passwordOutput struct {
	Status int    `json:"status"`
	Code   string `json:"code,omitempty"`
}

type passwordState struct {
	Password int `json:"password"`
	// Such as ` 3 7 `.
	Sessions string `json:"sessions"`
	// How many tokens were made, and whether the last of them can be used.
	Tokens int  `json:"tokens"`
	IsGood bool `json:"is_good"`
}

func (s passwordState) has(session int) bool {
	return strings.Contains(s.Sessions, fmt.Sprintf(" %d ", session))
}

func (s passwordState) with(session int) passwordState {
	numbers := []int{session}
	for _, one := range strings.Fields(s.Sessions) {
		var number int
		_, _ = fmt.Sscan(one, &number)
		numbers = append(numbers, number)
	}
	sort.Ints(numbers)
	s.Sessions = " "
	for _, number := range numbers {
		s.Sessions += fmt.Sprintf("%d ", number)
	}
	return s
}

func passwordStep(s passwordState, in passwordInput, out passwordOutput) (bool, passwordState) {
	next, can := s, true
	switch in.Kind {
	case passwordRegister:
		return s.Password == 0 && out.Status == http.StatusCreated, passwordState{Password: in.Next}
	case passwordLogin:
		can = in.Password == s.Password
		next = s.with(in.Session)
	case passwordChange:
		can = in.Password == s.Password && s.has(in.Session)
		next.Password, next.Sessions = in.Next, fmt.Sprintf(" %d ", in.Session)
	case passwordRecovery:
		if !s.IsGood {
			next.Tokens++
			next.IsGood = true
		}
	case passwordRecover:
		can = s.IsGood && in.Token == s.Tokens
		next = passwordState{in.Next, "", s.Tokens, false}
	case passwordUse:
		can = s.has(in.Session)
	}
	if out.Status == unknown {
		if can {
			return true, next
		}
		return true, s
	}
	if out.Status != http.StatusUnauthorized {
		return can && out.Status < 300, next
	}
	switch out.Code {
	case "invalid-credentials":
		return s.Password != in.Password, s
	case "token-revoked":
		return !s.has(in.Session), s
	}
	return !can, s
}

var passwordScenario = scenario{
	name:  "password",
	play:  playPassword,
	model: modelOf(passwordStep),
	parse: parseOperations[passwordInput, passwordOutput],
}

// mailbox is what a local shop has sent.
type mailbox struct {
	mutex sync.Mutex
	read  time.Time
	// The tokens of recoveries by address, oldest first.
	tokens map[string][]string
}

// recoveries are the tokens that were sent to an address.
func (s *shop) recoveries(email string) []string {
	box := &s.mails
	box.mutex.Lock()
	defer box.mutex.Unlock()
	if time.Since(box.read) > 100*time.Millisecond {
		box.read = time.Now()
		if tokens, err := readMails(s.url); err == nil {
			box.tokens = tokens
		}
	}
	return box.tokens[email]
}

func readMails(url string) (map[string][]string, error) {
	response, err := http.Get(url + "/_local/mails")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var mails []struct {
		To   string `json:"to"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(text, &mails); err != nil {
		return nil, err
	}
	tokens := map[string][]string{}
	for _, mail := range mails {
		for _, word := range strings.Fields(mail.Text) {
			if parts := strings.Split(word, "."); len(parts) != 4 || parts[1] != "recovery" {
				continue
			}
			// A mail may come twice.
			if sent := tokens[mail.To]; len(sent) == 0 || sent[len(sent)-1] != word {
				tokens[mail.To] = append(sent, word)
			}
		}
	}
	return tokens, nil
}

// safe is what the clients know together.
type safe struct {
	mutex sync.Mutex
	email string
	// The password that was set last, as far as anybody has been told, and how many there were.
	password, passwords int
	sessions            map[int]string
	// How many logins were tried.
	count int
	// A recovery was asked for, and the answer was that it is.
	isAsked bool
}

// mostLogins is how many are tried as long as there is a session: of more than 20 sessions the oldest ends, which is not looked at here.
const mostLogins = 10

func passwordNamed(number int) string {
	return fmt.Sprintf("Zwetschgenmus mit Zimt %d", number)
}

type passwordClient struct {
	*client
	*safe
}

func playPassword(h *history) error {
	first := h.first()
	shared := &safe{email: h.shop.unique("p") + "@example.com", password: 1, passwords: 1, sessions: map[int]string{}}
	body := map[string]any{
		"email": shared.email, "username": strings.Split(shared.email, "@")[0], "password": passwordNamed(1),
	}
	sent := first.settle(func() answer {
		got := first.call("", http.MethodPost, "/auth/register", body)
		if got.code() == "email-taken" {
			got.status = http.StatusCreated
		}
		return got
	})
	if sent.status != http.StatusCreated {
		return fmt.Errorf("no account: %d %v", sent.status, sent.body)
	}
	h.add(0, passwordInput{Kind: passwordRegister, Next: 1}, passwordOutput{Status: http.StatusCreated}, sent.call, sent.end)
	begun := time.Now()
	h.together(func(c *client) {
		one := passwordClient{c, shared}
		for range 9 {
			if time.Since(begun) > 35*time.Second || !h.goesOn() {
				break
			}
			one.step()
		}
	})
	if time.Since(begun) > 55*time.Second {
		return errTooSlow
	}
	// The mail that was asked for comes, however late: without it, a history would say nothing of recoveries.
	for begun := time.Now(); shared.isAsked && len(h.shop.recoveries(shared.email)) == 0; time.Sleep(100 * time.Millisecond) {
		if time.Since(begun) > patience {
			return fmt.Errorf("no mail has come to %s", shared.email)
		}
	}
	// In the end one password opens the account: each that there was is tried, from addresses that have failed at nothing yet.
	for number := 1; number <= shared.passwords; number++ {
		one := passwordClient{newClient(h, 20+number, 0), shared}
		one.login(number)
		one.http.CloseIdleConnections()
	}
	return nil
}

func (c *passwordClient) note(in passwordInput, got answer, call int64) {
	out, end := passwordOutput{got.status, got.code()}, c.history.now()
	if got.isOpen() {
		out, end = passwordOutput{Status: unknown}, never
	}
	c.history.add(c.number, in, out, call, end)
}

func (c *passwordClient) step() {
	c.mutex.Lock()
	latest, logins := c.password, c.count
	numbers := make([]int, 0, len(c.sessions))
	for number := range c.sessions {
		numbers = append(numbers, number)
	}
	c.mutex.Unlock()
	sort.Ints(numbers)
	session := 0
	if len(numbers) > 0 {
		session = numbers[max(0, len(numbers)-1-c.rand.Intn(4))]
	}
	dice := c.rand.Intn(100)
	switch {
	case session == 0 && logins < 2*mostLogins || dice < 25 && logins < mostLogins:
		// Somebody may not have heard of the latest.
		c.login(max(1, latest-c.rand.Intn(4)/3))
	case dice < 45:
		c.change(latest, session)
	case dice < 58:
		call := c.history.now()
		got := c.call("", http.MethodPost, "/auth/recovery", map[string]any{"email": c.email})
		c.note(passwordInput{Kind: passwordRecovery}, got, call)
		if got.status == http.StatusAccepted {
			c.mutex.Lock()
			c.isAsked = true
			c.mutex.Unlock()
		}
	case dice < 75:
		c.recover()
	default:
		c.mutex.Lock()
		token := c.sessions[session]
		c.mutex.Unlock()
		call := c.history.now()
		got := c.call(token, http.MethodGet, "/auth/me", nil)
		if !got.isOpen() {
			c.note(passwordInput{Kind: passwordUse, Session: session}, got, call)
		}
	}
}

func (c *passwordClient) login(password int) {
	c.mutex.Lock()
	c.count++
	session := c.count
	c.mutex.Unlock()
	call := c.history.now()
	got := c.call("", http.MethodPost, "/auth/login", map[string]any{"email": c.email, "password": passwordNamed(password)})
	if got.status == http.StatusOK {
		c.mutex.Lock()
		c.sessions[session] = got.text("access_token")
		c.mutex.Unlock()
	}
	c.note(passwordInput{Kind: passwordLogin, Password: password, Session: session}, got, call)
}

// another is a password that was never set.
func (c *passwordClient) another() int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.passwords++
	return c.passwords
}

func (c *passwordClient) learn(got answer, password int) {
	if got.status == http.StatusNoContent {
		c.mutex.Lock()
		c.password = password
		c.mutex.Unlock()
	}
}

func (c *passwordClient) change(password, session int) {
	in := passwordInput{Kind: passwordChange, Password: password, Next: c.another(), Session: session}
	c.mutex.Lock()
	token := c.sessions[session]
	c.mutex.Unlock()
	call := c.history.now()
	body := map[string]any{"password": passwordNamed(password), "new_password": passwordNamed(in.Next)}
	got := c.call(token, http.MethodPut, "/auth/password", body)
	c.note(in, got, call)
	c.learn(got, in.Next)
}

// recover uses the newest token that came by mail, or one that came before it.
func (c *passwordClient) recover() {
	tokens := c.history.shop.recoveries(c.email)
	if len(tokens) == 0 {
		return
	}
	in := passwordInput{Kind: passwordRecover, Token: max(1, len(tokens)-c.rand.Intn(4)/3)}
	in.Next = c.another()
	call := c.history.now()
	body := map[string]any{"token": tokens[in.Token-1], "new_password": passwordNamed(in.Next)}
	got := c.call("", http.MethodPut, "/auth/recovery", body)
	c.note(in, got, call)
	c.learn(got, in.Next)
}
