package protofile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

var errTail = errors.New("is not JSON: there is more after the value")

// parseJSON parses JSON. Envoy's parser also takes single quotes, keys without quotes and a comma after the last element;
// so does YAML's flow style, which is tried for what is not strictly JSON.
func (p *parser) parseJSON(data []byte) (any, error) {
	budget := p.budget
	tree, err := p.strictJSON(data)
	if err == nil || errors.Is(err, errTooMuch) || errors.Is(err, errTail) {
		return tree, err
	}
	if beginsObject(data) {
		p.budget, p.dropped = budget, nil
		if tree, yamlErr := p.parseYAML(data); yamlErr == nil {
			return tree, nil
		}
	}
	return nil, fmt.Errorf("is not JSON: %w", err)
}

func (p *parser) strictJSON(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	first, err := d.Token()
	if err != nil {
		return nil, err
	}
	tree, err := p.jsonValue(d, first, "", 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errTail
	}
	return tree, nil
}

// jsonValue returns the value that begins with token.
func (p *parser) jsonValue(d *json.Decoder, token json.Token, path string, depth int) (any, error) {
	switch token {
	case json.Delim('{'):
		return p.jsonObject(d, path, depth)
	case json.Delim('['):
		return p.jsonArray(d, path, depth)
	}
	size := 0
	switch v := token.(type) {
	case string:
		size = len(v)
	case json.Number:
		size = len(v)
	}
	return token, p.spend(size, depth)
}

func (p *parser) jsonObject(d *json.Decoder, path string, depth int) (any, error) {
	if err := p.spend(0, depth); err != nil {
		return nil, err
	}
	object := make(map[string]any)
	for {
		token, err := d.Token()
		if err != nil || token == json.Delim('}') {
			return object, unended(err)
		}
		key := token.(string) // the decoder refuses any other
		if token, err = d.Token(); err != nil {
			return nil, unended(err)
		}
		here := join(path, key)
		if err := p.add(object, key, here); err != nil {
			return nil, err
		}
		if object[key], err = p.jsonValue(d, token, here, depth+1); err != nil {
			return nil, err
		}
	}
}

func (p *parser) jsonArray(d *json.Decoder, path string, depth int) (any, error) {
	if err := p.spend(0, depth); err != nil {
		return nil, err
	}
	array := []any{}
	for {
		token, err := d.Token()
		if err != nil || token == json.Delim(']') {
			return array, unended(err)
		}
		item, err := p.jsonValue(d, token, path+"["+strconv.Itoa(len(array))+"]", depth+1)
		if err != nil {
			return nil, err
		}
		array = append(array, item)
	}
}

// unended makes the end of a text inside a value an error that says so.
func unended(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
