package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"
)

// said is one operation of a history that is written out: who did it, what, and what was answered. They follow one another, but for those
// that are at the same time as the next.
type said struct {
	input, output any
	// The next operation begins before this one ends.
	overlaps bool
}

// inTurn makes a history of operations; one without a known outcome never ends.
func inTurn(operations ...said) []porcupine.Operation {
	var ops []porcupine.Operation
	for at, one := range operations {
		op := porcupine.Operation{ClientId: at, Input: one.input, Output: one.output, Call: int64(at * 10), Return: int64(at*10 + 5)}
		if one.overlaps {
			op.Return = int64(at*10 + 15)
		}
		if strings.HasPrefix(fmt.Sprintf("%+v", one.output), "{Status:0 ") {
			op.Return = never
		}
		ops = append(ops, op)
	}
	return ops
}

// example is a history with the verdict that it must have.
type example struct {
	name string
	ok   bool
	ops  []porcupine.Operation
}

func check(t *testing.T, kind scenario, examples []example) {
	t.Helper()
	for _, one := range examples {
		t.Run(one.name, func(t *testing.T) {
			if got := porcupine.CheckOperations(kind.model, one.ops); got != one.ok {
				t.Errorf("linearizable: %v, and should be %v", got, one.ok)
			}
			// What is written down is judged as what was made.
			path := t.TempDir() + "/history.json"
			if err := saveHistory(path, kind.name, 7, "", one.ops); err != nil {
				t.Fatal(err)
			}
			if got := checkAgain(path); (got == 0) != one.ok {
				t.Errorf("from a file: %d", got)
			}
		})
	}
}

const (
	created  = http.StatusCreated
	done     = http.StatusOK
	noBody   = http.StatusNoContent
	refused  = http.StatusConflict
	stale    = http.StatusPreconditionFailed
	gone     = http.StatusNotFound
	noAccess = http.StatusUnauthorized
)

func TestStock(t *testing.T) {
	make := said{stockInput{Kind: stockCreate, Pieces: 5, Price: 100}, stockOutput{Status: created, Quantity: 5, Edits: 1}, false}
	take := func(pieces, price int) said {
		return said{stockInput{Kind: stockTake, Pieces: pieces}, stockOutput{Status: created, Price: price}, false}
	}
	tooFew := func(pieces, available int) said {
		return said{stockInput{Kind: stockTake, Pieces: pieces}, stockOutput{Status: refused, Code: "out-of-stock", Available: available}, false}
	}
	read := func(quantity, reserved, version int) said {
		return said{stockInput{Kind: stockRead}, stockOutput{Status: done, Quantity: quantity, Reserved: reserved, Version: version}, false}
	}
	lost := said{stockInput{Kind: stockTake, Pieces: 3}, stockOutput{Status: unknown}, false}
	price := func(edits int) said {
		in := stockInput{Kind: stockPrice, Price: 200, IfMatch: "\"1-0\""}
		return said{in, stockOutput{Status: done, Price: 200, Edits: edits}, false}
	}
	count := func(tag string, out stockOutput) said {
		return said{stockInput{Kind: stockCount, Pieces: 9, IfMatch: tag}, out, false}
	}
	counted := stockOutput{Status: done, Quantity: 9, Reserved: 2, Version: 2, Edits: 1, Price: 100}
	all := func(moved int) said {
		out := stockOutput{Status: done, Quantity: 1, Reserved: 2, Shipped: 2, Received: 5, Moved: moved}
		return said{stockInput{Kind: stockReadAll}, out, false}
	}
	ship := said{stockInput{Kind: stockShip, Pieces: 2}, stockOutput{Status: done}, false}
	check(t, stockScenario, []example{
		{"sold and refused", true, inTurn(make, take(3, 100), tooFew(3, 2), read(2, 3, 1))},
		{"sold twice", false, inTurn(make, take(3, 100), take(3, 100))},
		{"refused for no reason", false, inTurn(make, take(3, 100), tooFew(2, 2))},
		{"available is as it never was", false, inTurn(make, take(3, 100), tooFew(4, 3))},
		{"a version is left out", false, inTurn(make, take(3, 100), read(2, 3, 2))},
		{"an old read", false, inTurn(make, take(3, 100), read(5, 0, 0))},
		{"an answer was lost, and it happened", true, inTurn(make, lost, read(2, 3, 1))},
		{"an answer was lost, and it did not", true, inTurn(make, lost, read(5, 0, 0))},
		{"it happened and then did not", false, inTurn(make, lost, read(2, 3, 1), read(5, 0, 0))},
		{"a price that slipped through", false, inTurn(make, price(2), take(1, 100))},
		{"a price in between", true, inTurn(make, said{price(2).input, price(2).output, true}, take(1, 100))},
		{"an edit that went missing", false, inTurn(make, price(2), price(3))},
		{"counted as it was seen", true, inTurn(make, take(2, 100), count("\"1-1\"", counted))},
		{"counted as it was no more", false, inTurn(make, take(2, 100), count("\"1-0\"", counted))},
		{"stale for no reason", false, inTurn(make, take(2, 100), count("\"1-1\"", stockOutput{Status: stale}))},
		{"all pieces are somewhere", true, inTurn(make, take(2, 100), take(2, 100), ship, all(5))},
		{"a movement is missing", false, inTurn(make, take(2, 100), take(2, 100), ship, all(4))},
	})
}

func TestOrder(t *testing.T) {
	place := said{orderInput{Kind: orderPlace}, orderOutput{Status: created, Tag: "\"0\"", Is: "PENDING", Lines: "a:2", Count: 1, Total: 250}, false}
	add := func(tag, line string) said {
		return said{orderInput{Kind: orderAdd, Pieces: 1}, orderOutput{Status: created, Tag: tag, Line: line, Pieces: 1}, false}
	}
	status := func(to, tag, lines string, count, total int) said {
		return said{orderInput{Kind: orderStatus, To: to}, orderOutput{Status: done, Tag: tag, Is: to, Lines: lines, Count: count, Total: total}, false}
	}
	confirmed := status("CONFIRMED", "\"1\"", "a:2", 1, 250)
	not := func(in orderInput, status int, code string) said {
		return said{in, orderOutput{Status: status, Code: code}, false}
	}
	lost := said{orderInput{Kind: orderDelete}, orderOutput{Status: unknown}, false}
	change := said{orderInput{Kind: orderChange, Line: "a", Pieces: 4, IfMatch: "\"0\""}, orderOutput{Status: done, Tag: "\"1\"", Line: "a", Pieces: 4}, false}
	check(t, orderScenario, []example{
		{"its life", true, inTurn(place, confirmed, status("SHIPPED", "\"2\"", "a:2", 1, 250), not(orderInput{Kind: orderAdd, Pieces: 1}, refused, "order-not-editable"))},
		{"a step is left out", false, inTurn(place, status("SHIPPED", "\"1\"", "a:2", 1, 250))},
		{"a line after the confirmation", false, inTurn(place, confirmed, add("\"2\"", "b"))},
		{"a line that the confirmation does not have", false, inTurn(place, add("\"1\"", "b"), status("CONFIRMED", "\"2\"", "a:2", 1, 250))},
		{"and one that it has", true, inTurn(place, add("\"1\"", "b"), status("CONFIRMED", "\"2\"", "a:2 b:1", 2, 375))},
		{"a total that is none", false, inTurn(place, add("\"1\"", "b"), status("CONFIRMED", "\"2\"", "a:2 b:1", 2, 376))},
		{"a version that others have passed", true, inTurn(place, add("\"1\"", "b"), add("\"1\"", "c"))},
		{"a version that nobody has made", false, inTurn(place, add("\"2\"", "b"))},
		{"pinned", true, inTurn(place, change, not(change.input.(orderInput), stale, "precondition-failed"))},
		{"pinned, and written all the same", false, inTurn(place, change, change)},
		{"refused for no reason", false, inTurn(place, not(orderInput{Kind: orderAdd, Pieces: 1}, refused, "order-not-editable"))},
		{"lost, and gone", true, inTurn(place, lost, not(orderInput{Kind: orderRead}, gone, "not-found"))},
		{"gone, and there again", false, inTurn(place, lost, not(orderInput{Kind: orderRead}, gone, "not-found"), confirmed)},
		{"gone for no reason", false, inTurn(place, not(orderInput{Kind: orderRead}, gone, "not-found"))},
	})
}

func TestSession(t *testing.T) {
	begin := said{sessionInput{Kind: sessionBegin}, sessionOutput{Status: done}, false}
	refresh := func(token, next int) said {
		return said{sessionInput{Kind: sessionRefresh, Token: token}, sessionOutput{Status: done, Token: next}, false}
	}
	late := func(token, status, next int) said {
		return said{sessionInput{Kind: sessionRefresh, Token: token, IsLate: true}, sessionOutput{Status: status, Token: next}, false}
	}
	use := func(status int) said {
		return said{sessionInput{Kind: sessionUse, IsLate: true}, sessionOutput{Status: status}, false}
	}
	logout := said{sessionInput{Kind: sessionLogout}, sessionOutput{Status: noBody}, false}
	lost := said{sessionInput{Kind: sessionRefresh}, sessionOutput{Status: unknown}, false}
	eight := []said{begin}
	for token := range mostReplacements {
		eight = append(eight, refresh(token, token+1))
	}
	check(t, sessionScenario, []example{
		{"two tabs", true, inTurn(begin, refresh(0, 1), refresh(0, 1), refresh(1, 2), refresh(0, 2))},
		{"two chains", false, inTurn(begin, refresh(0, 1), refresh(0, 2))},
		{"a token that is not replaced", false, inTurn(begin, refresh(0, 0))},
		{"a lost answer", true, inTurn(begin, lost, refresh(0, 1), refresh(1, 2))},
		{"the ninth is put off", true, inTurn(append(eight, refresh(8, 8))...)},
		{"and not made", false, inTurn(append(eight, refresh(8, 9))...)},
		{"a stolen token", true, inTurn(begin, refresh(0, 1), late(0, noAccess, 0), use(noAccess))},
		{"a stolen token that is good", false, inTurn(begin, refresh(0, 1), late(0, done, 1))},
		{"a stolen token that ends nothing", false, inTurn(begin, refresh(0, 1), late(0, noAccess, 0), use(done))},
		{"a good token that ends the session", false, inTurn(begin, refresh(0, 1), late(1, noAccess, 0))},
		{"over", true, inTurn(begin, logout, use(noAccess), late(0, noAccess, 0))},
		{"over, and used", false, inTurn(begin, logout, use(done))},
	})
}

func TestNames(t *testing.T) {
	create := func(who int, name string, status int) said {
		out := nameOutput{Status: status, Name: name, SKU: noSKU, Edits: "1"}
		if status == refused {
			out = nameOutput{Status: status, Code: "name-taken"}
		}
		return said{nameInput{Kind: nameCreate, Who: who, Name: name, SKU: noSKU}, out, false}
	}
	change := func(who int, name, edits, tag string) said {
		return said{nameInput{Kind: nameChange, Who: who, Name: name, IfMatch: tag}, nameOutput{Status: done, Name: name, SKU: noSKU, Edits: edits}, false}
	}
	remove := func(status int) said {
		return said{nameInput{Kind: nameDelete, Who: 1}, nameOutput{Status: status}, false}
	}
	owner := func(name string, who int) said {
		return said{nameInput{Kind: nameOwner, Name: name}, nameOutput{Status: done, Who: who}, false}
	}
	check(t, namesScenario, []example{
		{"taken", true, inTurn(create(1, "a", created), create(2, "a", refused), change(1, "b", "2", ""), create(3, "a", created), owner("a", 3))},
		{"two have it", false, inTurn(create(1, "a", created), create(2, "a", created))},
		{"taken by nobody", false, inTurn(create(1, "a", created), change(1, "b", "2", ""), create(2, "a", refused))},
		{"given up", true, inTurn(create(1, "a", created), remove(noBody), create(2, "a", created))},
		{"lost, and given up", true, inTurn(create(1, "a", created), remove(unknown), create(2, "a", created))},
		{"lost, and not given up", true, inTurn(create(1, "a", created), remove(unknown), create(2, "a", refused), owner("a", 1))},
		{"neither", false, inTurn(create(1, "a", created), remove(unknown), create(2, "a", created), owner("a", 1))},
		{"pinned", true, inTurn(create(1, "a", created), change(1, "b", "2", "\"1-0\""))},
		{"pinned, and written all the same", false, inTurn(create(1, "a", created), change(1, "b", "2", ""), change(1, "c", "3", "\"1-0\""))},
		{"the name of somebody else", false, inTurn(create(1, "a", created), create(2, "b", created), owner("a", 2))},
	})
}

func TestPassword(t *testing.T) {
	register := said{passwordInput{Kind: passwordRegister, Next: 1}, passwordOutput{Status: created}, false}
	login := func(password, session, status int) said {
		out := passwordOutput{Status: status}
		if status == noAccess {
			out.Code = "invalid-credentials"
		}
		return said{passwordInput{Kind: passwordLogin, Password: password, Session: session}, out, false}
	}
	change := func(session, next, status int) said {
		return said{passwordInput{Kind: passwordChange, Password: 1, Next: next, Session: session}, passwordOutput{Status: status}, false}
	}
	ask := said{passwordInput{Kind: passwordRecovery}, passwordOutput{Status: http.StatusAccepted}, false}
	recover := func(token, next, status int) said {
		return said{passwordInput{Kind: passwordRecover, Token: token, Next: next}, passwordOutput{Status: status, Code: "invalid-token"}, false}
	}
	use := func(session, status int) said {
		out := passwordOutput{Status: status}
		if status == noAccess {
			out.Code = "token-revoked"
		}
		return said{passwordInput{Kind: passwordUse, Session: session}, out, false}
	}
	check(t, passwordScenario, []example{
		{"another password", true, inTurn(register, login(1, 1, done), login(1, 2, done), change(1, 2, noBody), use(2, noAccess), use(1, done), login(1, 3, noAccess), login(2, 4, done))},
		{"the old one opens", false, inTurn(register, login(1, 1, done), change(1, 2, noBody), login(1, 3, done))},
		{"the new one does not", false, inTurn(register, login(1, 1, done), change(1, 2, noBody), login(2, 3, noAccess))},
		{"another session lives on", false, inTurn(register, login(1, 1, done), login(1, 2, done), change(1, 2, noBody), use(2, done))},
		{"its own session ends", false, inTurn(register, login(1, 1, done), change(1, 2, noBody), use(1, noAccess))},
		{"a lost answer", true, inTurn(register, login(1, 1, done), change(1, 2, unknown), login(1, 2, done), login(2, 3, done))},
		{"both open", false, inTurn(register, login(1, 1, done), change(1, 2, unknown), login(2, 2, done), login(1, 3, done))},
		{"recovered", true, inTurn(register, login(1, 1, done), ask, ask, recover(1, 2, noBody), use(1, noAccess), recover(1, 3, noAccess), ask, recover(2, 4, noBody), login(4, 2, done))},
		{"a token that is good twice", false, inTurn(register, ask, recover(1, 2, noBody), recover(1, 3, noBody))},
		{"a token that is not good", false, inTurn(register, ask, recover(1, 2, noAccess))},
		{"a session that outlives a recovery", false, inTurn(register, login(1, 1, done), ask, recover(1, 2, noBody), use(1, done))},
	})
}
