package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
)

// never is when an operation returns of which nobody knows whether it was carried out: it may still be at any time, and if it is the
// last of all, that is as good as never.
const never = math.MaxInt64

// unknown is the status of an operation that nobody knows the outcome of.
const unknown = 0

// record is what the clients of one history did and were answered.
type record struct {
	// The shop has said that something of its own is broken, which it must not, whatever DynamoDB does. Nothing is sent any more, and
	// nothing noted.
	isBroken atomic.Bool
	mutex    sync.Mutex
	begun    time.Time
	ops      []porcupine.Operation
}

func newRecord() *record {
	return &record{begun: time.Now()}
}

func (r *record) now() int64 {
	return int64(time.Since(r.begun))
}

// add writes an operation down that took place between two moments.
func (r *record) add(client int, input, output any, call, end int64) {
	if r.isBroken.Load() {
		return
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.ops = append(r.ops, porcupine.Operation{ClientId: client, Input: input, Output: output, Call: call, Return: end})
}

// mostOpen is how many operations without a known outcome a history may have. Each can be carried out anywhere after it was sent, so that
// the checker has up to twice as much to think about with every one of them.
const mostOpen = 12

// goesOn tells whether clients are to do more.
func (r *record) goesOn() bool {
	return !r.isBroken.Load() && r.open() < mostOpen
}

// open is how many operations have no known outcome.
func (r *record) open() int {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	count := 0
	for _, op := range r.ops {
		if op.Return == never {
			count++
		}
	}
	return count
}

// savedOperation is how a file has an operation. Times are nanoseconds since the history began; one that never returned has none.
type savedOperation struct {
	Client int             `json:"client"`
	Call   int64           `json:"call_ns"`
	Return *int64          `json:"return_ns"`
	Input  json.RawMessage `json:"input"`
	Output json.RawMessage `json:"output"`
}

// savedHistory is a history as a file has it, with what is needed to make one like it.
type savedHistory struct {
	Model      string           `json:"model"`
	Seed       int64            `json:"seed"`
	Shop       string           `json:"shop"`
	Operations []savedOperation `json:"operations"`
}

func saveHistory(path, model string, seed int64, shop string, ops []porcupine.Operation) error {
	saved := savedHistory{Model: model, Seed: seed, Shop: shop}
	sort.SliceStable(ops, func(a, b int) bool { return ops[a].Call < ops[b].Call })
	for _, op := range ops {
		input, err := json.Marshal(op.Input)
		if err != nil {
			return err
		}
		output, err := json.Marshal(op.Output)
		if err != nil {
			return err
		}
		one := savedOperation{Client: op.ClientId, Call: op.Call, Input: input, Output: output}
		if op.Return != never {
			end := op.Return
			one.Return = &end
		}
		saved.Operations = append(saved.Operations, one)
	}
	text, err := json.MarshalIndent(saved, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func loadHistory(source io.Reader) (savedHistory, error) {
	var saved savedHistory
	err := json.NewDecoder(source).Decode(&saved)
	return saved, err
}

// parseOperations reads operations back whose input and output are these types.
func parseOperations[I, O any](saved []savedOperation) ([]porcupine.Operation, error) {
	ops := make([]porcupine.Operation, 0, len(saved))
	for _, one := range saved {
		var input I
		var output O
		if err := json.Unmarshal(one.Input, &input); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(one.Output, &output); err != nil {
			return nil, err
		}
		end := int64(never)
		if one.Return != nil {
			end = *one.Return
		}
		ops = append(ops, porcupine.Operation{ClientId: one.Client, Input: input, Output: output, Call: one.Call, Return: end})
	}
	return ops, nil
}

// scenario is a kind of history: how it is made, and what it is held against.
type scenario struct {
	name string
	// play makes a history, alone with what it made itself.
	play  func(*history) error
	model porcupine.Model
	parse func([]savedOperation) ([]porcupine.Operation, error)
}

var scenarios = []scenario{stockScenario, orderScenario, sessionScenario, namesScenario, passwordScenario}

func scenarioNamed(name string) (scenario, error) {
	for _, one := range scenarios {
		if one.name == name {
			return one, nil
		}
	}
	return scenario{}, fmt.Errorf("there is no model %q", name)
}

// modelOf makes a model of a function from a state, an input and an output to whether that may be, and the state after it.
func modelOf[S comparable, I, O any](step func(state S, input I, output O) (bool, S)) porcupine.Model {
	return porcupine.Model{
		Init: func() any { var first S; return first },
		Step: func(state, input, output any) (bool, any) {
			holds, next := step(state.(S), input.(I), output.(O))
			return holds, next
		},
		DescribeOperation: func(input, output any) string {
			return brief(input) + " → " + brief(output)
		},
		DescribeState: brief,
	}
}

// brief is a value as JSON, in which what is not set is left out.
func brief(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprintf("%+v", value)
	}
	return string(text)
}
