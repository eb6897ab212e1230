package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/compile"
)

// build plans the sources without their tests. No optimisation: partial evaluation may reshape rules, and the golden cases are
// what says that a policy means what it says.
func build(asked *request) response {
	sources := maps.Clone(asked.Files)
	maps.DeleteFunc(sources, func(file string, _ string) bool { return isTest(file) })
	asked.Files = sources
	compiler, modules, found := compileStrictly(asked)
	if len(found) > 0 {
		return response{Errors: found}
	}
	capabilities, err := capabilitiesOf(asked)
	if err != nil {
		return response{Errors: mistakesOf(err)}
	}
	paths := inputPaths(compiler)
	// The compiler rewrites the modules that it was given, so the planner gets fresh ones.
	modules, _ = parse(asked, capabilities)
	packed := bundle.Bundle{Data: map[string]any{}}
	packed.Manifest.Init()
	packed.SetRegoVersion(ast.RegoV1)
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		packed.Modules = append(packed.Modules, bundle.ModuleFile{URL: file, Path: file, Parsed: modules[file], Raw: []byte(asked.Files[file])})
	}
	planner := compile.New().WithTarget(compile.TargetWasm).WithRegoVersion(ast.RegoV1).
		WithCapabilities(capabilities).WithEntrypoints(asked.Entrypoint).WithBundle(&packed)
	if err := planner.Build(context.Background()); err != nil {
		return response{Errors: mistakesOf(err)}
	}
	return response{Wasm: planner.Bundle().WasmModules[0].Raw, InputPaths: paths}
}

// inputPaths lists what the compiled rules read of the input: the constant prefix of every reference to it, so a path used with
// a variable, a walk or the bare input counts whole. A path below another that is listed is left out.
func inputPaths(compiler *ast.Compiler) [][]string {
	seen := map[string][]string{}
	for _, module := range compiler.Modules {
		ast.WalkRefs(module, func(ref ast.Ref) bool {
			if !ref.HasPrefix(ast.InputRootRef) {
				return false
			}
			path := []string{}
			for _, term := range ref[1:] {
				key, constant := term.Value.(ast.String)
				if !constant {
					break
				}
				path = append(path, string(key))
			}
			seen[strings.Join(path, "\x00")] = path
			return false
		})
	}
	kept := [][]string{}
	for _, key := range slices.Sorted(maps.Keys(seen)) {
		path := seen[key]
		covered := slices.ContainsFunc(kept, func(shorter []string) bool {
			return len(shorter) <= len(path) && slices.Equal(shorter, path[:len(shorter)])
		})
		if !covered {
			kept = append(kept, path)
		}
	}
	return kept
}
