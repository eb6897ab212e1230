package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

var packName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// home is the package that the files of a folder belong to, and whether packages below it are theirs as well.
func home(file string) (pkg []string, below bool, problem string) {
	parts := strings.Split(file, "/")
	switch {
	case len(parts) == 2 && parts[0] == "sallyport":
		return []string{"sallyport"}, false, ""
	case len(parts) >= 2 && parts[0] == "lib":
		return []string{"sallyport", "lib"}, true, ""
	case len(parts) >= 3 && parts[0] == "packs":
		if !packName.MatchString(parts[1]) || strings.HasSuffix(parts[1], "_test") {
			return nil, false, "the name of a pack is lower case letters, digits and _, does not end in _test, and has at most 40 characters"
		}
		return []string{"sallyport", "packs", parts[1]}, true, ""
	}
	return nil, false, "Rego files belong in sallyport/, lib/ or packs/<name>/"
}

func isTest(file string) bool { return strings.HasSuffix(file, "_test.rego") }

func packageOf(module *ast.Module) []string {
	path := make([]string, 0, len(module.Package.Path))
	for _, term := range module.Package.Path[1:] {
		if text, ok := term.Value.(ast.String); ok {
			path = append(path, string(text))
		}
	}
	return path
}

// lawful refuses a file whose package is not its folder's own. Rego packages are open: without this any pack could add rules
// to core, or to the library that core trusts.
func lawful(file string, module *ast.Module) *mistake {
	own, below, problem := home(file)
	refuse := func(message string) *mistake {
		at := module.Package.Location
		return &mistake{File: file, Row: at.Row, Col: at.Col, Code: "sallyport_package_law", Message: message}
	}
	if problem != "" {
		return refuse(problem)
	}
	path := packageOf(module)
	if isTest(file) {
		last := len(path) - 1
		path = slices.Clone(path)
		path[last] = strings.TrimSuffix(path[last], "_test")
	}
	inside := slices.Equal(path, own) || below && len(path) > len(own) && slices.Equal(path[:len(own)], own)
	if !inside {
		return refuse("this file's package must be " + strings.Join(own, ".") + ", its folder's own, but it is " + strings.Join(packageOf(module), "."))
	}
	return nil
}
