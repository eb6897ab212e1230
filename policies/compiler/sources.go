package main

import (
	"bytes"
	"errors"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
	opa "github.com/open-policy-agent/opa/v1/version"
)

const errorLimit = 100

func version(*request) response { return response{Version: opa.Version} }

func at(code string, message string, place *ast.Location) mistake {
	if place == nil {
		return mistake{Code: code, Message: message}
	}
	return mistake{File: place.File, Row: place.Row, Col: place.Col, Code: code, Message: message}
}

func mistakesOf(err error) []mistake {
	var several ast.Errors
	if errors.As(err, &several) {
		found := make([]mistake, 0, len(several))
		for _, each := range several {
			message := each.Message
			if each.Details != nil {
				for _, line := range each.Details.Lines() {
					message += "\n" + line
				}
			}
			found = append(found, at(each.Code, message, each.Location))
		}
		return found
	}
	var single *ast.Error
	if errors.As(err, &single) {
		return []mistake{at(single.Code, single.Message, single.Location)}
	}
	return []mistake{{Code: "sallyport_compile_error", Message: err.Error()}}
}

func capabilitiesOf(asked *request) (*ast.Capabilities, error) {
	if len(asked.Capabilities) == 0 {
		return nil, errors.New("the request names no capabilities")
	}
	return ast.LoadCapabilitiesJSON(bytes.NewReader(asked.Capabilities))
}

// parse reads all files, in the order of their names, and applies the package law.
func parse(asked *request, capabilities *ast.Capabilities) (map[string]*ast.Module, []mistake) {
	modules := make(map[string]*ast.Module, len(asked.Files))
	var found []mistake
	for _, file := range slices.Sorted(maps.Keys(asked.Files)) {
		options := ast.ParserOptions{ProcessAnnotation: true, RegoVersion: ast.RegoV1, Capabilities: capabilities}
		module, err := ast.ParseModuleWithOpts(file, asked.Files[file], options)
		if err != nil {
			found = append(found, mistakesOf(err)...)
			continue
		}
		if broken := lawful(file, module); broken != nil {
			found = append(found, *broken)
		}
		modules[file] = module
	}
	return modules, found
}

// compileStrictly is check, and the first half of build, test and evaluate.
func compileStrictly(asked *request) (*ast.Compiler, map[string]*ast.Module, []mistake) {
	capabilities, err := capabilitiesOf(asked)
	if err != nil {
		return nil, nil, mistakesOf(err)
	}
	modules, found := parse(asked, capabilities)
	if len(found) > 0 {
		return nil, nil, found
	}
	compiler := strictCompiler(asked, capabilities)
	if compiler.Compile(modules); compiler.Failed() {
		return nil, nil, mistakesOf(compiler.Errors)
	}
	return compiler, modules, nil
}

func strictCompiler(asked *request, capabilities *ast.Capabilities) *ast.Compiler {
	compiler := ast.NewCompiler().WithStrict(true).WithCapabilities(capabilities).WithDefaultRegoVersion(ast.RegoV1).SetErrorLimit(errorLimit)
	if asked.InputSchema != nil {
		schemas := ast.NewSchemaSet()
		schemas.Put(ast.SchemaRootRef, asked.InputSchema)
		compiler = compiler.WithSchemas(schemas)
	}
	return compiler
}

func check(asked *request) response {
	_, _, found := compileStrictly(asked)
	return response{Errors: found}
}

func formatSources(asked *request) response {
	answer := response{Formatted: map[string]string{}}
	for _, file := range slices.Sorted(maps.Keys(asked.Files)) {
		formatted, err := format.SourceWithOpts(file, []byte(asked.Files[file]), format.Opts{RegoVersion: ast.RegoV1})
		if err != nil {
			answer.Errors = append(answer.Errors, mistakesOf(err)...)
			continue
		}
		answer.Formatted[file] = string(formatted)
	}
	return answer
}

// moduleFacts is what the aggregator's generator and the rule catalogue need to know of a file.
type moduleFacts struct {
	File    string     `json:"file"`
	Package []string   `json:"package"`
	Test    bool       `json:"test"`
	Rules   []string   `json:"rules"`
	Reasons []ruleName `json:"reasons"`
}

// ruleName is a rule id that a file spells as a constant in one of the four sets.
type ruleName struct {
	Set  string `json:"set"`
	Rule string `json:"rule"`
	Row  int    `json:"row"`
}

func inspect(asked *request) response {
	capabilities, err := capabilitiesOf(asked)
	if err != nil {
		return response{Errors: mistakesOf(err)}
	}
	modules, found := parse(asked, capabilities)
	answer := response{Errors: found}
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		module := modules[file]
		facts := moduleFacts{File: file, Package: packageOf(module), Test: isTest(file), Rules: []string{}, Reasons: []ruleName{}}
		for _, rule := range module.Rules {
			name := string(rule.Head.Ref()[0].Value.(ast.Var))
			if !slices.Contains(facts.Rules, name) {
				facts.Rules = append(facts.Rules, name)
			}
			if id, ok := constantRule(rule.Head.Key); ok {
				facts.Reasons = append(facts.Reasons, ruleName{Set: name, Rule: id, Row: rule.Location.Row})
			}
		}
		answer.Modules = append(answer.Modules, facts)
	}
	return answer
}

func constantRule(key *ast.Term) (string, bool) {
	if key == nil {
		return "", false
	}
	object, ok := key.Value.(ast.Object)
	if !ok {
		return "", false
	}
	term := object.Get(ast.StringTerm("rule"))
	if term == nil {
		return "", false
	}
	text, ok := term.Value.(ast.String)
	return string(text), ok
}
