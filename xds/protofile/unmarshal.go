package protofile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// Options tell how a text is read.
type Options struct {
	// AllowUnknown accepts fields that the API does not have. They are left out and noted.
	AllowUnknown bool
}

// Unmarshal decodes a text into m, which is empty before. YAML and JSON may have 16 MiB, and 64 MiB with all aliases expanded;
// who reads the other formats bounds them. Field names may be written in both styles of protobuf's JSON. The
// error has a line for each unknown field, or one that says which field does not hold what it should.
//
// An extension whose type is not known becomes a TypedStruct, so that whoever decodes the message can name it.
func Unmarshal(data []byte, f Format, m proto.Message, o Options) (Notes, error) {
	switch f {
	case Binary:
		return unmarshalBinary(data, m, o)
	case Text:
		if err := (prototext.UnmarshalOptions{DiscardUnknown: o.AllowUnknown}).Unmarshal(data, m); err != nil {
			return Notes{}, fmt.Errorf("is not protobuf text: %w", err)
		}
		return Notes{}, nil
	}
	tree, dropped, err := parseTree(data, f)
	if err != nil {
		return Notes{}, err
	}
	notes, err := fromTree(tree, m, o)
	notes.Dropped = dropped
	return notes, err
}

// unmarshalBinary decodes protobuf's binary format, which tells of an unknown field no more than its number.
func unmarshalBinary(data []byte, m proto.Message, o Options) (Notes, error) {
	if err := proto.Unmarshal(data, m); err != nil {
		return Notes{}, fmt.Errorf("is not a protobuf message: %w", err)
	}
	unknown := Unknown(m)
	if o.AllowUnknown {
		return Notes{Unknown: unknown}, nil
	}
	var errs []error
	for _, field := range unknown {
		errs = append(errs, errors.New(field))
	}
	return Notes{}, errors.Join(errs...)
}

// FromStruct decodes the value of a TypedStruct into m as Unmarshal does a text.
func FromStruct(s *structpb.Struct, m proto.Message, o Options) (Notes, error) {
	return fromTree(s.AsMap(), m, o)
}

// fromTree decodes a tree into m.
func fromTree(tree any, m proto.Message, o Options) (Notes, error) {
	object, ok := tree.(map[string]any)
	if !ok {
		return Notes{}, errors.New("is not an object, it must have fields")
	}
	c := canonicalizer{allowUnknown: o.AllowUnknown}
	canonical := c.message(object, m.ProtoReflect().Descriptor(), "")
	if err := errors.Join(c.errs...); err != nil {
		return Notes{}, err
	}
	text, err := json.Marshal(canonical)
	if err != nil {
		return Notes{}, err
	}
	if err := protojson.Unmarshal(text, m); err != nil {
		return Notes{}, located(text, err)
	}
	return Notes{Unknown: c.unknown}, nil
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
	reason := withoutBytes.ReplaceAllString(parts[2], "$1, want base64")
	if path := pathAt(text, byteOffset(text, column-1)); path != "" {
		return fmt.Errorf("%s: %s", path, reason)
	}
	return errors.New(reason)
}

// withoutBytes is how protojson repeats the value of a field of bytes, which may be a private key.
var withoutBytes = regexp.MustCompile(`(?s)^(invalid value for bytes field \w+): .*$`)

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
