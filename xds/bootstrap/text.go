package bootstrap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v2"
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
)

// Format is the syntax of a text.
type Format uint8

// The formats.
const (
	YAML Format = iota
	JSON
)

// parseTree parses a text into maps, slices and scalars as encoding/json has them.
func parseTree(data []byte, f Format) (any, error) {
	if len(data) > maxText {
		return nil, fmt.Errorf("is larger than %d bytes", maxText)
	}
	var tree any
	var err error
	if f == JSON {
		tree, err = parseJSON(data)
	} else {
		tree, err = parseYAML(data)
	}
	if err != nil {
		return nil, err
	}
	e := expander{budget: maxExpanded}
	return e.value(tree, 0)
}

func parseJSON(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("is not JSON: there is more after the value")
	}
	return tree, nil
}

func parseYAML(data []byte) (any, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.SetStrict(true) // a key that occurs twice is an error
	var tree, second any
	switch err := d.Decode(&tree); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("is not YAML: %w", err)
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("has more than one YAML document")
	}
	return tree, nil
}

// expander copies a tree, in which aliases share values, into one that encoding/json can write, within bounds.
type expander struct{ budget int }

func (e *expander) value(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("is nested deeper than %d levels", maxDepth)
	}
	if err := e.spend(nodeCost); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case string:
		return v, e.spend(len(v))
	case json.Number:
		return v, e.spend(len(v))
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			var err error
			if out[i], err = e.value(item, depth+1); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			if err := e.entry(out, key, item, depth); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[any]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			if err := e.entry(out, fmt.Sprint(key), item, depth); err != nil {
				return nil, err
			}
		}
		return out, nil
	default:
		return v, nil
	}
}

func (e *expander) entry(out map[string]any, key string, item any, depth int) error {
	if err := e.spend(len(key)); err != nil {
		return err
	}
	v, err := e.value(item, depth+1)
	out[key] = v
	return err
}

func (e *expander) spend(n int) error {
	if e.budget -= n; e.budget < 0 {
		return fmt.Errorf("is larger than %d bytes with its aliases expanded", maxExpanded)
	}
	return nil
}
