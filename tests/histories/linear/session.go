package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// One session of an account: its chain of refresh tokens, which several clients share as tabs do, and its end.
//
// What is promised: a refresh token is replaced when it is used; one that was replaced less than 30 seconds ago gets the newest again,
// however many do so; one older than that ends the session. No more than 8 replacements happen in 30 seconds: further ones are put off,
// and get the newest as it is. Once a session has ended, no token of it does anything.
//
// Time matters, so a history has two parts, each shorter than 30 seconds, with more than 30 between them.

const (
	sessionBegin   = "begin"
	sessionRefresh = "refresh"
	// What a refresh did whose answer was lost on the way and that was told of the state by then.
	sessionRotate = "rotate"
	sessionUse    = "use"
	// Asked for by the session itself.
	sessionLogout = "logout"
	// Asked for by another session of the account.
	sessionEnd  = "end"
	sessionList = "list"
)

// grace is how long a replaced token is good, and mostReplacements how many there may be in that time.
const (
	grace            = 30 * time.Second
	mostReplacements = 8
)

type sessionInput struct {
	Kind string `json:"kind"`
	// The place of the token in the chain: how often the session had been refreshed when it was made.
	Token int `json:"token"`
	// Whether it is in the second part of the history.
	IsLate bool `json:"is_late"`
}

type sessionOutput struct {
	Status int `json:"status"`
	// The place of the token that was answered.
	Token int `json:"token"`
	// Whether the list has the session.
	IsListed bool `json:"is_listed,omitempty"`
}

type sessionState struct {
	IsLive bool `json:"is_live"`
	// The place of the newest token, and how many of the replacements were made in the first part.
	Newest int `json:"newest"`
	Early  int `json:"early"`
}

// rotated is the state after the newest token was used.
func (s sessionState) rotated(isLate bool) sessionState {
	lately := s.Newest - s.Early
	if !isLate {
		lately = s.Newest
	}
	if lately < mostReplacements {
		s.Newest++
		if !isLate {
			s.Early = s.Newest
		}
	}
	return s
}

func sessionStep(s sessionState, in sessionInput, out sessionOutput) (bool, sessionState) {
	ended := s
	ended.IsLive = false
	switch in.Kind {
	case sessionBegin:
		return !s.IsLive && s.Newest == 0 && out.Status == http.StatusOK && out.Token == 0, sessionState{IsLive: true}
	case sessionRefresh:
		next := s
		switch {
		case !s.IsLive:
			return out.Status == unknown || out.Status == http.StatusUnauthorized, s
		case in.Token == s.Newest:
			next = s.rotated(in.IsLate)
		case in.Token > s.Newest:
			return false, s
		case in.IsLate && in.Token < s.Early:
			return out.Status == unknown || out.Status == http.StatusUnauthorized, ended
		}
		return out.Status == unknown || out.Status == http.StatusOK && out.Token == next.Newest, next
	case sessionRotate:
		if s.IsLive && in.Token == s.Newest {
			return true, s.rotated(in.IsLate)
		}
		return true, s
	case sessionUse:
		return s.IsLive == (out.Status == http.StatusOK), s
	case sessionLogout:
		// That it was live is told by another operation at its side: it may have ended in between.
		return out.Status == unknown || out.Status == http.StatusNoContent, ended
	case sessionEnd:
		// One that is over for a repetition of this same request is answered as one that was over before.
		return out.Status == unknown || out.Status == http.StatusNotFound || out.Status == http.StatusNoContent && s.IsLive, ended
	case sessionList:
		return out.Status == http.StatusOK && out.IsListed == s.IsLive, s
	}
	return false, s
}

var sessionScenario = scenario{
	name:  "session",
	play:  playSession,
	model: modelOf(sessionStep),
	parse: parseOperations[sessionInput, sessionOutput],
}

// chain is what the clients know together: all tokens that anybody was answered.
type chain struct {
	mutex   sync.Mutex
	refresh map[int]string
	access  string
	newest  int
	// The newest when the part of the history began: those before it are too old in the second part.
	oldest int
	id     string
	// Of another session of the same account.
	other string
}

func (c *chain) learn(got answer) int {
	token := got.text("refresh_token")
	place := claims(token).Count
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.refresh[place] = token
	if place >= c.newest {
		c.newest, c.access = place, got.text("access_token")
	}
	return place
}

type tokenClaims struct {
	User    string `json:"sub"`
	Session string `json:"sid"`
	Count   int    `json:"cnt"`
}

// claims reads a token without a look at its signature.
func claims(token string) tokenClaims {
	claims := tokenClaims{Count: -1}
	if parts := strings.Split(token, "."); len(parts) == 3 {
		if text, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			_ = json.Unmarshal(text, &claims)
		}
	}
	return claims
}

func playSession(h *history) error {
	first := h.first()
	who, err := first.register()
	if err != nil {
		return err
	}
	other, _, err := first.login(who)
	if err != nil {
		return err
	}
	known := &chain{refresh: map[int]string{}, other: other.token}
	call := h.now()
	_, got, err := first.login(who)
	if err != nil {
		return err
	}
	known.id = claims(got.text("refresh_token")).Session
	h.add(0, sessionInput{Kind: sessionBegin}, sessionOutput{got.status, known.learn(got), false}, call, h.now())

	for _, isLate := range []bool{false, true} {
		begun := time.Now()
		h.together(func(c *client) {
			one := sessionClient{c, known, isLate}
			for done := range 9 {
				if time.Since(begun) > grace/3 || !h.goesOn() {
					break
				}
				one.step(float64(done) / 9)
			}
		})
		if time.Since(begun) > grace-time.Second {
			return errTooSlow
		}
		if isLate {
			break
		}
		time.Sleep(grace + 2*time.Second)
		known.oldest = known.newest
	}
	call = h.now()
	got, err = first.must(http.StatusOK, known.other, http.MethodGet, "/auth/sessions", nil)
	if err != nil {
		return err
	}
	h.add(0, sessionInput{Kind: sessionList, IsLate: true}, listed(got, known.id), call, h.now())
	return nil
}

func listed(got answer, id string) sessionOutput {
	out := sessionOutput{Status: got.status}
	sessions, _ := got.body["sessions"].([]any)
	for _, one := range sessions {
		session, _ := one.(map[string]any)
		out.IsListed = out.IsListed || session["session_id"] == id
	}
	return out
}

type sessionClient struct {
	*client
	chain  *chain
	isLate bool
}

func (c *sessionClient) step(progress float64) {
	dice := c.rand.Intn(100)
	// Most histories should be about a session that lives.
	isEnd := c.isLate && progress > 0.5
	switch {
	case dice < 60:
		c.refresh(isEnd)
	case dice < 62 && isEnd:
		c.logout()
	case dice < 64 && isEnd:
		c.end()
	case dice < 72:
		c.list()
	default:
		c.use()
	}
}

func (c *sessionClient) note(in sessionInput, out sessionOutput, call int64) {
	in.IsLate = c.isLate
	end := c.history.now()
	if out.Status == unknown {
		end = never
	}
	c.history.add(c.number, in, out, call, end)
}

// outcome is what a status says; 0 if nothing.
func outcome(got answer) int {
	if got.isOpen() {
		return unknown
	}
	return got.status
}

// refresh uses the newest token mostly, and one that was replaced sometimes.
func (c *sessionClient) refresh(isEnd bool) {
	c.chain.mutex.Lock()
	place := c.chain.newest
	switch c.rand.Intn(12) {
	case 0, 1, 2:
		place--
	case 3:
		place -= 2
	}
	place = max(place, c.chain.oldest)
	if isEnd && c.rand.Intn(15) == 0 {
		place = c.rand.Intn(c.chain.newest + 1)
	}
	token, has := c.chain.refresh[place]
	c.chain.mutex.Unlock()
	if !has {
		return
	}
	call := c.history.now()
	got := c.call("", http.MethodPost, "/auth/refresh", map[string]any{"refresh_token": token})
	out := sessionOutput{Status: outcome(got)}
	if got.status == http.StatusOK {
		out.Token = c.chain.learn(got)
	}
	in := sessionInput{Kind: sessionRefresh, Token: place}
	c.note(in, out, call)
	// It may have replaced the token, not heard so, and been told of what others did since.
	if out.Status == http.StatusUnauthorized || out.Status == http.StatusOK && out.Token > place+1 {
		in.Kind, in.IsLate = sessionRotate, c.isLate
		c.history.add(c.number, in, sessionOutput{Status: out.Status}, call, c.history.now())
	}
}

func (c *sessionClient) accessToken() string {
	c.chain.mutex.Lock()
	defer c.chain.mutex.Unlock()
	return c.chain.access
}

func (c *sessionClient) use() {
	call := c.history.now()
	got := c.call(c.accessToken(), http.MethodGet, "/auth/me", nil)
	if !got.isOpen() {
		c.note(sessionInput{Kind: sessionUse}, sessionOutput{Status: got.status}, call)
	}
}

func (c *sessionClient) logout() {
	call := c.history.now()
	got := c.call(c.accessToken(), http.MethodPost, "/auth/logout", map[string]any{})
	out := sessionOutput{Status: outcome(got)}
	switch out.Status {
	case http.StatusNoContent:
		c.note(sessionInput{Kind: sessionUse}, sessionOutput{Status: http.StatusOK}, call)
		c.note(sessionInput{Kind: sessionLogout}, out, call)
	case http.StatusUnauthorized:
		c.note(sessionInput{Kind: sessionUse}, out, call)
	default:
		c.note(sessionInput{Kind: sessionLogout}, out, call)
	}
}

func (c *sessionClient) end() {
	call := c.history.now()
	got := c.call(c.chain.other, http.MethodDelete, "/auth/sessions/"+c.chain.id, nil)
	c.note(sessionInput{Kind: sessionEnd}, sessionOutput{Status: outcome(got)}, call)
}

func (c *sessionClient) list() {
	call := c.history.now()
	got := c.call(c.chain.other, http.MethodGet, "/auth/sessions", nil)
	if !got.isOpen() {
		c.note(sessionInput{Kind: sessionList}, listed(got, c.chain.id), call)
	}
}

var errTooSlow = fmt.Errorf("this machine was too slow for a history that depends on time")
