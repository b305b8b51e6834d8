package protofile

import (
	"fmt"
	"io"
	"os"
	"strings"

	"google.golang.org/protobuf/proto"
)

// Format is the syntax of a text.
type Format uint8

// The formats.
const (
	YAML   Format = iota
	JSON          // and what YAML's flow style allows beyond it, as Envoy's JSON parser does
	Binary        // of protobuf
	Text          // of protobuf
)

// formats are the extensions of files that tell what is in them, in any case, as in Envoy.
var formats = []struct {
	extension string
	format    Format
}{{".yaml", YAML}, {".yml", YAML}, {".json", JSON}, {".pb", Binary}, {".pb_text", Text}}

// FormatOf returns the format of the file at a path with that content. Where the extension does not tell, as in
// /dev/stdin, the content does: what begins with a brace is JSON, everything else YAML.
func FormatOf(path string, data []byte) Format {
	lower := strings.ToLower(path)
	for _, f := range formats {
		if strings.HasSuffix(lower, f.extension) {
			return f.format
		}
	}
	if beginsObject(data) {
		return JSON
	}
	return YAML
}

// beginsObject reports whether the first character of a text is a brace.
func beginsObject(data []byte) bool {
	text := strings.TrimLeft(string(data[:min(len(data), maxBlank)]), " \t\r\n\ufeff")
	return strings.HasPrefix(text, "{")
}

// maxBlank is how far into a file its first character is looked for.
const maxBlank = 4 << 10

// Read returns the content of a file, which may be a pipe or a descriptor of the process (/dev/fd/3), of at most 16 MiB.
func Read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxText+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	case len(data) > maxText:
		return nil, fmt.Errorf("%s: is larger than %d bytes", path, maxText)
	}
	return data, nil
}

// Load reads a message from a file. The lines of an error, and the notes, begin with the path.
func Load(path string, m proto.Message, o Options) (Notes, error) {
	data, err := Read(path)
	if err != nil {
		return Notes{}, err
	}
	notes, err := Unmarshal(data, FormatOf(path, data), m, o)
	return notes.Prefixed(path), Prefixed(path, err)
}
