package protofile

import (
	"errors"
	"fmt"
)

// Limits of a configuration text.
const (
	// maxText is the size in bytes: some tens of thousands of routes, and little enough to hold several times over.
	maxText = 16 << 20
	// maxExpanded bounds the size once YAML aliases are replaced by what they stand for, of which a text of a few bytes
	// could make gigabytes. It is counted in bytes of scalars and keys and nodeCost for each value.
	maxExpanded = 64 << 20
	nodeCost    = 16
	// maxDepth is the nesting of values; the API's own messages stay well below half of it.
	maxDepth = 100
	// maxNotes bounds how much of what is dropped is named.
	maxNotes = 32
)

// errTooMuch is in the errors of what is over a limit.
var errTooMuch = errors.New("over the limit")

// limitError is an error of what is over a limit, with a text of its own.
type limitError string

func (e limitError) Error() string      { return string(e) }
func (limitError) Is(target error) bool { return target == errTooMuch }

// parser makes a tree of a text, within bounds.
type parser struct {
	budget  int
	dropped []string
}

// parseTree parses a text into map[string]any, []any, string, json.Number, bool and nil, and says what of it was dropped.
func parseTree(data []byte, f Format) (tree any, dropped []string, err error) {
	if len(data) > maxText {
		return nil, nil, fmt.Errorf("is larger than %d bytes", maxText)
	}
	p := parser{budget: maxExpanded}
	if f == JSON {
		tree, err = p.parseJSON(data)
	} else {
		tree, err = p.parseYAML(data)
	}
	return tree, p.dropped, err
}

// spend accounts for a value at a depth, of size bytes where it is a scalar.
func (p *parser) spend(size, depth int) error {
	if depth > maxDepth {
		return limitError(fmt.Sprintf("is nested deeper than %d levels", maxDepth))
	}
	if p.budget -= size + nodeCost; p.budget < 0 {
		return limitError(fmt.Sprintf("is larger than %d bytes with its aliases expanded", maxExpanded))
	}
	return nil
}

// add accounts for a key of object. As in Envoy the last of several values counts.
func (p *parser) add(object map[string]any, key, path string) error {
	if _, twice := object[key]; twice {
		p.drop(path + ": occurs more than once, the last one counts")
	}
	if p.budget -= len(key); p.budget < 0 {
		return p.spend(0, 0)
	}
	return nil
}

// drop notes what is left out.
func (p *parser) drop(note string) {
	if len(p.dropped) < maxNotes {
		p.dropped = append(p.dropped, note)
	}
}

// join appends a field to a path.
func join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}
