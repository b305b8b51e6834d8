package bootstrap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Unmarshal decodes a text into m. Field names may be written in both styles of protobuf's JSON. The error has a line for
// each unknown field, or one that says which field does not hold what it should.
//
// An extension whose type is not known becomes a TypedStruct, so that whoever decodes the message can name it.
func Unmarshal(data []byte, f Format, m proto.Message, allowUnknown bool) error {
	tree, err := parseTree(data, f)
	if err != nil {
		return err
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return errors.New("is not an object, it must have fields")
	}
	c := fieldChecker{allowUnknown: allowUnknown}
	object = c.object(object, m.ProtoReflect().Descriptor(), "")
	if err := errors.Join(c.errs...); err != nil {
		return err
	}
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: allowUnknown}).Unmarshal(text, m); err != nil {
		return located(text, err)
	}
	return nil
}

// positioned is the form of protojson's errors. The space after the colon may be a no-break one.
var positioned = regexp.MustCompile(`(?s)^proto:[ \x{00a0}]?(?:syntax error )?\(line 1:([0-9]+)\): (.*)$`)

// located replaces the position that an error of protojson has in text by the path of fields that leads there.
func located(text []byte, err error) error {
	parts := positioned.FindStringSubmatch(err.Error())
	if parts == nil {
		return err
	}
	column, convErr := strconv.Atoi(parts[1])
	if convErr != nil {
		return err
	}
	if path := pathAt(text, byteOffset(text, column-1)); path != "" {
		return fmt.Errorf("%s: %s", path, parts[2])
	}
	return errors.New(parts[2])
}

// byteOffset returns where the n-th character of text begins.
func byteOffset(text []byte, n int) int {
	offset := 0
	for ; n > 0 && offset < len(text); n-- {
		_, size := utf8.DecodeRune(text[offset:])
		offset += size
	}
	return offset
}

// container is an object or array around a position.
type container struct {
	array bool
	index int    // of the current element of an array
	key   string // of the current entry of an object
	value bool   // the key was read, its value comes
}

// pathAt returns the path to the token of a JSON text at an offset.
func pathAt(text []byte, offset int) string {
	d := json.NewDecoder(bytes.NewReader(text))
	var open []container
	for {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		top := len(open) - 1
		delim, isDelim := token.(json.Delim)
		closing := isDelim && (delim == '}' || delim == ']')
		isKey := !closing && top >= 0 && !open[top].array && !open[top].value
		if isKey {
			open[top].key, _ = token.(string)
		}
		if d.InputOffset() > int64(offset) {
			return joinPath(open)
		}
		switch {
		case isKey:
			open[top].value = true
		case isDelim && !closing:
			open = append(open, container{array: delim == '['})
		default:
			if closing {
				open = open[:top]
				top--
			}
			if top >= 0 {
				open[top].index++
				open[top].value = false
			}
		}
	}
}

func joinPath(open []container) string {
	path := ""
	for _, c := range open {
		switch {
		case c.array:
			path += "[" + strconv.Itoa(c.index) + "]"
		case path == "":
			path = c.key
		default:
			path += "." + c.key
		}
	}
	return path
}
