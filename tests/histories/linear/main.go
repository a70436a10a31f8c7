// Command linear makes histories of what several clients do at the same time in a running shop, and has porcupine, a checker of
// linearizability, say whether each could have come of doing one thing after the other.
//
//	linear -url http://127.0.0.1:3000 -histories 20 -out FOLDER    makes histories and checks them
//	linear -check FOLDER/stock-7.json                              checks one again that was saved
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

var (
	url       = flag.String("url", "http://127.0.0.1:3000", "where the shop is")
	models    = flag.String("models", "stock,order,session,names,password", "which models, with commas between them")
	histories = flag.Int("histories", 20, "how many histories of each model")
	atOnce    = flag.Int("at-once", runtime.NumCPU(), "how many are made at the same time")
	seed      = flag.Int64("seed", time.Now().UnixNano()%1_000_000_000, "what the clients do; not when they do it")
	out       = flag.String("out", ".", "where histories go that could not have been")
	options   = flag.String("shop", "", "how the shop was started, to be written down with them")
	stop      = flag.Bool("stop", false, "begin no history after the first that could not have been")
	summary   = flag.String("summary", "", "a file for the figures")
	keep      = flag.Bool("keep", false, "write all histories down")
	toCheck   = flag.String("check", "", "a history that was written down, to be checked again")
)

// timeToJudge is how long the checker may think about one history.
const timeToJudge = 2 * time.Minute

func main() {
	flag.Parse()
	if *toCheck != "" {
		os.Exit(checkAgain(*toCheck))
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		fail(err)
	}
	failed, err := makeAll()
	if err != nil {
		fail(err)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(2)
}

// checkAgain judges a history from a file.
func checkAgain(path string) int {
	file, err := os.Open(path)
	if err != nil {
		fail(err)
	}
	defer file.Close()
	saved, err := loadHistory(file)
	if err != nil {
		fail(err)
	}
	kind, err := scenarioNamed(saved.Model)
	if err != nil {
		fail(err)
	}
	ops, err := kind.parse(saved.Operations)
	if err != nil {
		fail(err)
	}
	verdict, info := porcupine.CheckOperationsVerbose(kind.model, ops, timeToJudge)
	fmt.Printf("%s: %d operations: %s\n", saved.Model, len(ops), verdict)
	if verdict == porcupine.Ok {
		return 0
	}
	if err := porcupine.VisualizePath(kind.model, info, strings.TrimSuffix(path, ".json")+".html"); err != nil {
		fail(err)
	}
	return 1
}

// errBroken tells that the shop could not go on.
var errBroken = errors.New("the shop answered 500 internal-error")

// tally is what came of the histories of one model.
type tally struct {
	Passed int `json:"passed"`
	// No order of their operations explains them, or the shop broke.
	Failed int `json:"failed"`
	// They could not be made, or the checker did not come to an end.
	Undecided  int `json:"undecided"`
	Operations int `json:"operations"`
	// Operations that nobody knows the outcome of.
	Open    int     `json:"open"`
	Seconds float64 `json:"seconds"`
}

// errImpossible tells that a history is none of a shop that does one thing after the other.
var errImpossible = errors.New("no order of these operations explains what was answered")

func makeAll() (int, error) {
	shop := &shop{url: strings.TrimSuffix(*url, "/"), answers: map[string]int{}, customers: make(chan account, 1000)}
	shop.prefix = fmt.Sprintf("%x", time.Now().UnixNano()%0xffffff)
	shop.admin = account{email: "admin@example.com", password: "keep-this-one-local"}
	if _, err := http.Get(shop.url + "/products"); err != nil {
		return 0, err
	}

	tallies := map[string]*tally{}
	var kinds []scenario
	for _, name := range strings.Split(*models, ",") {
		kind, err := scenarioNamed(name)
		if err != nil {
			return 0, err
		}
		kinds, tallies[name] = append(kinds, kind), &tally{}
	}
	begun := time.Now()
	var mutex sync.Mutex
	var all sync.WaitGroup
	isOver := func() bool {
		mutex.Lock()
		defer mutex.Unlock()
		return *stop && slices.ContainsFunc(kinds, func(kind scenario) bool { return tallies[kind.name].Failed > 0 })
	}
	places := make(chan struct{}, *atOnce)
	// Sessions wait for most of their time, and are in nobody's way.
	waiting := make(chan struct{}, 4**atOnce)
	for number := range *histories {
		for _, kind := range kinds {
			all.Go(func() {
				place := places
				if kind.name == sessionScenario.name {
					place = waiting
				}
				place <- struct{}{}
				defer func() { <-place }()
				if isOver() {
					return
				}
				ops, open, err := makeOne(shop, kind, *seed+int64(number))
				mutex.Lock()
				defer mutex.Unlock()
				found := tallies[kind.name]
				found.Operations, found.Open = found.Operations+ops, found.Open+open
				found.Seconds = time.Since(begun).Seconds()
				if err == nil {
					found.Passed++
					return
				}
				if errors.Is(err, errImpossible) || errors.Is(err, errBroken) {
					found.Failed++
				} else {
					found.Undecided++
				}
				fmt.Printf("failed: %s, -seed %d: %v\n", kind.name, *seed+int64(number), err)
			})
		}
	}
	all.Wait()

	failed := 0
	for _, kind := range kinds {
		found := tallies[kind.name]
		failed += found.Failed + found.Undecided
		fmt.Printf("%s: %d histories could have been, %d could not, %d are not decided; %d operations, %d of them open, %.0f s\n",
			kind.name, found.Passed, found.Failed, found.Undecided, found.Operations, found.Open, found.Seconds)
	}
	if *summary != "" {
		text, err := json.Marshal(map[string]any{"models": tallies, "answers": shop.answers})
		if err != nil {
			return failed, err
		}
		if err := os.WriteFile(*summary, text, 0o644); err != nil {
			return failed, err
		}
	}
	shop.show()
	return failed, nil
}

// show prints how often the shop gave which answer.
func (s *shop) show() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	lines := make([]string, 0, len(s.answers))
	for what, times := range s.answers {
		lines = append(lines, fmt.Sprintf("  %s: %d", what, times))
	}
	sort.Strings(lines)
	fmt.Println(strings.Join(lines, "\n"))
}

// makeOne makes a history and has it judged. One that this machine was too slow for is made again.
func makeOne(shop *shop, kind scenario, seed int64) (operations, open int, err error) {
	for again := range 3 {
		h := newHistory(shop, seed+int64(again)*1_000_003)
		err = kind.play(h)
		h.close()
		switch {
		case h.isBroken.Load():
			// What led to it may have been wrong before.
			err = errBroken
			if judged := judge(h, kind, seed); judged != nil {
				err = judged
			}
		case errors.Is(err, errTooSlow):
			continue
		case err == nil:
			err = judge(h, kind, seed)
		}
		return len(h.ops), h.open(), err
	}
	return 0, 0, err
}

// thinking lets one history be judged at a time: the checker may need much memory.
var thinking sync.Mutex

// judge asks the checker, and writes down what could not have been.
func judge(h *history, kind scenario, seed int64) error {
	thinking.Lock()
	defer thinking.Unlock()
	verdict, info := porcupine.CheckOperationsVerbose(kind.model, h.ops, timeToJudge)
	if verdict == porcupine.Ok && !*keep {
		return nil
	}
	stem := filepath.Join(*out, fmt.Sprintf("%s-%d", kind.name, seed))
	if err := saveHistory(stem+".json", kind.name, seed, *options, h.ops); err != nil {
		return err
	}
	if verdict == porcupine.Ok {
		return nil
	}
	if err := porcupine.VisualizePath(kind.model, info, stem+".html"); err != nil {
		return err
	}
	if verdict == porcupine.Unknown {
		return fmt.Errorf("not decided in %s: %s.json", timeToJudge, stem)
	}
	return fmt.Errorf("%w: %s.html, %s.json", errImpossible, stem, stem)
}
