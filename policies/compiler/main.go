// Rego's compiler as one WebAssembly module: OPA's own parser, strict checker, formatter, tester and WASM planner behind two
// exported functions. It is given all that it reads; it can reach no file and no network.
package main

import (
	"encoding/json"
	"fmt"
	"unsafe"
)

func main() {}

// request is what the host writes as JSON into the buffer that alloc returned.
type request struct {
	Op           string            `json:"op"`
	Files        map[string]string `json:"files"`        // path below the policies folder -> Rego source
	Data         map[string]any    `json:"data"`         // base documents, for test and evaluate
	InputSchema  any               `json:"input_schema"` // JSON Schema of the input document
	Capabilities json.RawMessage   `json:"capabilities"` // OPA's capabilities document
	Entrypoint   string            `json:"entrypoint"`   // package/rule
	Inputs       []any             `json:"inputs"`       // for evaluate
}

// mistake is one error of a source: row and col count from 1, 0 where the error has no place.
type mistake struct {
	File    string `json:"file"`
	Row     int    `json:"row"`
	Col     int    `json:"col"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// response has errors when the sources are wrong, fault when the compiler itself failed.
type response struct {
	Errors     []mistake          `json:"errors"`
	Fault      string             `json:"fault,omitempty"`
	Version    string             `json:"version,omitempty"`
	Modules    []moduleFacts      `json:"modules,omitempty"`
	Formatted  map[string]string  `json:"formatted,omitempty"`
	Wasm       []byte             `json:"wasm,omitempty"`
	InputPaths [][]string         `json:"input_paths,omitempty"`
	Tests      []testResult       `json:"tests,omitempty"`
	Coverage   map[string]covered `json:"coverage,omitempty"`
	Results    []any              `json:"results,omitempty"`
}

var operations = map[string]func(*request) response{
	"version":  version,
	"inspect":  inspect,
	"format":   formatSources,
	"check":    check,
	"build":    build,
	"test":     runTests,
	"evaluate": evaluate,
}

var (
	input  []byte
	output []byte
)

//go:wasmexport alloc
func alloc(size uint32) uint32 {
	input = make([]byte, max(size, 1))
	return uint32(uintptr(unsafe.Pointer(&input[0])))
}

// call answers with the address of the JSON response in the high half and its length in the low one; valid until the next call.
//
//go:wasmexport call
func call(size uint32) uint64 {
	answer := perform(input[:size])
	if answer.Errors == nil {
		answer.Errors = []mistake{}
	}
	encoded, err := json.Marshal(answer)
	if err != nil {
		encoded, _ = json.Marshal(response{Errors: []mistake{}, Fault: err.Error()})
	}
	input, output = nil, encoded
	return uint64(uintptr(unsafe.Pointer(&output[0])))<<32 | uint64(len(output))
}

func perform(encoded []byte) (answer response) {
	defer func() {
		if panicked := recover(); panicked != nil {
			answer = response{Fault: fmt.Sprint(panicked)}
		}
	}()
	var asked request
	if err := json.Unmarshal(encoded, &asked); err != nil {
		return response{Fault: err.Error()}
	}
	operation, known := operations[asked.Op]
	if !known {
		return response{Fault: "unknown operation " + asked.Op}
	}
	return operation(&asked)
}
