package protofile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseYAML parses the first document of a text.
func (p *parser) parseYAML(data []byte) (any, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	switch err := d.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("is not YAML: %w", err)
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		p.drop("has more than one YAML document, the first one counts")
	}
	return p.yamlValue(&document, "", 0)
}

// yamlValue returns the value of a node.
func (p *parser) yamlValue(n *yaml.Node, path string, depth int) (any, error) {
	switch n.Kind {
	case yaml.DocumentNode:
		return p.yamlValue(n.Content[0], path, depth)
	case yaml.AliasNode:
		return p.yamlValue(n.Alias, path, depth+1) // deeper, so that an alias of what it is in ends
	case yaml.SequenceNode:
		return p.yamlSequence(n, path, depth)
	case yaml.MappingNode:
		object := make(map[string]any)
		return object, p.yamlMapping(object, n, path, depth)
	default:
		return scalar(n), p.spend(len(n.Value), depth)
	}
}

func (p *parser) yamlSequence(n *yaml.Node, path string, depth int) (any, error) {
	if err := p.spend(0, depth); err != nil {
		return nil, err
	}
	array := make([]any, len(n.Content))
	for i, item := range n.Content {
		var err error
		if array[i], err = p.yamlValue(item, path+"["+strconv.Itoa(i)+"]", depth+1); err != nil {
			return nil, err
		}
	}
	return array, nil
}

// Tags of keys that are no field.
const (
	mergeTag  = "!!merge"
	ignoreTag = "!ignore" // Envoy's, for what only serves as an anchor
)

// yamlMapping adds the entries of a mapping to object.
func (p *parser) yamlMapping(object map[string]any, n *yaml.Node, path string, depth int) error {
	if err := p.spend(0, depth); err != nil {
		return err
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		switch {
		case key.Kind != yaml.ScalarNode:
			return fmt.Errorf("line %d: a key is not a scalar, it must be the name of a field", key.Line)
		case key.Tag == ignoreTag || key.ShortTag() == mergeTag:
			continue
		}
		here := join(path, key.Value)
		if err := p.add(object, key.Value, here); err != nil {
			return err
		}
		var err error
		if object[key.Value], err = p.yamlValue(value, here, depth+1); err != nil {
			return err
		}
	}
	return p.yamlMerges(object, n, path, depth)
}

// yamlMerges adds what the merge keys (<<) of n bring and object does not have.
func (p *parser) yamlMerges(object map[string]any, n *yaml.Node, path string, depth int) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].ShortTag() != mergeTag {
			continue
		}
		merged, err := p.yamlValue(n.Content[i+1], path, depth+1)
		if err != nil {
			return err
		}
		list, isList := merged.([]any)
		if !isList {
			list = []any{merged}
		}
		for _, one := range list {
			entries, ok := one.(map[string]any)
			if !ok {
				return fmt.Errorf("line %d: the value of << is not a mapping", n.Content[i].Line)
			}
			for key, value := range entries {
				if _, has := object[key]; !has {
					object[key] = value
				}
			}
		}
	}
	return nil
}

// plain is a scalar of YAML that looks like a boolean or a number, and how it is written: where a text is expected, it is one.
type plain struct {
	value any
	text  string
}

// values returns a tree with the values of its plain scalars, for what has no descriptor.
func values(v any) any {
	switch v := v.(type) {
	case plain:
		return v.value
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = values(item)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = values(item)
		}
		return out
	}
	return v
}

// scalar returns the value of a scalar by the rules of Envoy's YAML parser, which are those of YAML 1.1: yes and off are
// booleans, 0x10 and 010 are numbers. What is quoted, and what is tagged !!str, is a string.
func scalar(n *yaml.Node) any {
	const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	switch {
	case n.Style&quoted != 0, n.Style&yaml.TaggedStyle != 0 && n.Tag == "!!str":
		return n.Value
	case n.ShortTag() == "!!null":
		return nil
	}
	if b, ok := boolWord(n.Value); ok {
		return plain{b, n.Value}
	}
	// Go's own binary and octal numbers, and underscores in numbers, are none in YAML.
	if i, err := strconv.ParseInt(n.Value, 0, 64); err == nil && !strings.ContainsAny(n.Value, "_obOB") {
		if i < math.MinInt32 || i > math.MaxInt32 {
			return plain{strconv.FormatInt(i, 10), n.Value} // exact, where a double would not be
		}
		return plain{json.Number(strconv.FormatInt(i, 10)), n.Value}
	}
	if f, ok := float(n.Value); ok {
		return plain{f, n.Value}
	}
	return n.Value
}

// boolWord reads a boolean: a word in lower case, in upper case, or with a capital.
func boolWord(s string) (value, ok bool) {
	if s == "" || s != strings.ToLower(s) && s != strings.ToUpper(s) && s != strings.ToUpper(s[:1])+strings.ToLower(s[1:]) {
		return false, false
	}
	switch strings.ToLower(s) {
	case "y", "yes", "true", "on":
		return true, true
	case "n", "no", "false", "off":
		return false, true
	}
	return false, false
}

// float reads a number with a fraction or an exponent. Those that JSON cannot write are its names of them.
func float(s string) (any, bool) {
	switch strings.ToLower(s) {
	case ".inf", "+.inf":
		return "Infinity", true
	case "-.inf":
		return "-Infinity", true
	case ".nan":
		return "NaN", true
	}
	if strings.Trim(s, "0123456789+-.eE") != "" {
		return nil, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, false
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), true
}
