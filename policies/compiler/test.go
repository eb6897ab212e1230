package main

import (
	"context"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
)

type testResult struct {
	File       string  `json:"file"`
	Row        int     `json:"row"`
	Name       string  `json:"name"`
	Status     string  `json:"status"` // passed, failed, skipped or errored
	Message    string  `json:"message,omitempty"`
	DurationMs float64 `json:"duration_ms"`
}

type covered struct {
	Lines      int      `json:"lines"`       // that could be covered
	Covered    int      `json:"covered"`     // that were
	NotCovered [][2]int `json:"not_covered"` // first and last row of each gap
}

func storeOf(asked *request) storage.Store {
	if asked.Data == nil {
		return inmem.NewFromObject(map[string]any{})
	}
	return inmem.NewFromObject(asked.Data)
}

func runTests(asked *request) response {
	// Checked first as it will be built, since the tester adds rules of its own while it compiles.
	if _, _, found := compileStrictly(asked); len(found) > 0 {
		return response{Errors: found}
	}
	capabilities, err := capabilitiesOf(asked)
	if err != nil {
		return response{Errors: mistakesOf(err)}
	}
	modules, _ := parse(asked, capabilities)
	// The tester gives each case of a table (`test_x[case] if ...`) to this function of its own.
	capabilities.Builtins = append(capabilities.Builtins, ast.InternalTestCase)
	coverage := cover.New()
	store := storeOf(asked)
	ctx := context.Background()
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return response{Errors: mistakesOf(err)}
	}
	defer store.Abort(ctx, txn)
	runner := tester.NewRunner().SetCompiler(strictCompiler(asked, capabilities)).SetStore(store).SetModules(modules).
		SetCoverageQueryTracer(coverage).RaiseBuiltinErrors(true).SetParallel(1)
	results, err := runner.RunTests(ctx, txn)
	if err != nil {
		return response{Errors: mistakesOf(err)}
	}
	answer := response{Tests: []testResult{}, Coverage: map[string]covered{}}
	for result := range results {
		answer.Tests = append(answer.Tests, toTestResult(result))
	}
	report := coverage.Report(modules)
	for file, facts := range report.Files {
		if isTest(file) {
			continue
		}
		gaps := [][2]int{}
		for _, gap := range facts.NotCovered {
			gaps = append(gaps, [2]int{gap.Start.Row, gap.End.Row})
		}
		answer.Coverage[file] = covered{Lines: facts.CoveredLines + facts.NotCoveredLines, Covered: facts.CoveredLines, NotCovered: slices.Compact(gaps)}
	}
	return answer
}

func toTestResult(result *tester.Result) testResult {
	row := testResult{Name: result.Package + "." + result.Name, Status: "passed", DurationMs: float64(result.Duration.Microseconds()) / 1000}
	if result.Location != nil {
		row.File, row.Row = result.Location.File, result.Location.Row
	}
	switch {
	case result.Error != nil:
		row.Status, row.Message = "errored", result.Error.Error()
	case result.Skip:
		row.Status = "skipped"
	case result.Fail:
		row.Status = "failed"
		for _, name := range slices.Sorted(maps.Keys(result.SubResults)) {
			if result.SubResults[name].Fail {
				row.Message += "case " + name + " failed. "
			}
		}
	}
	return row
}

// evaluate answers each input with OPA's own evaluator: the second opinion beside the WASM.
func evaluate(asked *request) response {
	compiler, _, found := compileStrictly(asked)
	if len(found) > 0 {
		return response{Errors: found}
	}
	ctx := context.Background()
	prepared, err := rego.New(rego.Compiler(compiler), rego.Store(storeOf(asked)), rego.StrictBuiltinErrors(true),
		rego.Query("result := data."+dotted(asked.Entrypoint))).PrepareForEval(ctx)
	if err != nil {
		return response{Errors: mistakesOf(err)}
	}
	answer := response{Results: make([]any, 0, len(asked.Inputs))}
	for _, input := range asked.Inputs {
		set, err := prepared.Eval(ctx, rego.EvalInput(input))
		switch {
		case err != nil:
			answer.Results = append(answer.Results, map[string]any{"error": err.Error()})
		case len(set) != 1:
			answer.Results = append(answer.Results, nil)
		default:
			answer.Results = append(answer.Results, set[0].Bindings["result"])
		}
	}
	return answer
}

func dotted(entrypoint string) string {
	text := []byte(entrypoint)
	for i, c := range text {
		if c == '/' {
			text[i] = '.'
		}
	}
	return string(text)
}
