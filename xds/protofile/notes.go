package protofile

import (
	"errors"
	"slices"
	"strings"
)

// Notes are what was accepted and had no effect. Each begins with the path of the field.
type Notes struct {
	// Unknown are the fields that the API does not have.
	Unknown []string
	// Dropped is what a text says besides the message: keys that are repeated, more documents.
	Dropped []string
}

// All returns all notes, as lines for a log.
func (n Notes) All() []string {
	return slices.Concat(n.Unknown, n.Dropped)
}

// With returns the notes of both n and more.
func (n Notes) With(more Notes) Notes {
	return Notes{slices.Concat(n.Unknown, more.Unknown), slices.Concat(n.Dropped, more.Dropped)}
}

// Prefixed returns n with where before each note.
func (n Notes) Prefixed(where string) Notes {
	return Notes{prefixed(where, n.Unknown), prefixed(where, n.Dropped)}
}

func prefixed(where string, lines []string) []string {
	var out []string
	for _, line := range lines {
		out = append(out, where+": "+line)
	}
	return out
}

// Prefixed returns err with where before each of its lines, nil for nil.
func Prefixed(where string, err error) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.Join(prefixed(where, strings.Split(err.Error(), "\n")), "\n"))
}
