package tls

import (
	"errors"
	"fmt"
	"os"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// read returns the bytes of a data source. The error names where they were to be, and has none of them.
func read(role string, d config.DataSource) ([]byte, error) {
	data := d.Inline
	switch {
	case d.File != "":
		data, err := readFile(d.File)
		if err != nil {
			return nil, &fileError{role, d.File, err}
		}
		return data, nil
	case d.Variable != "":
		value, ok := os.LookupEnv(d.Variable)
		if !ok {
			return nil, fmt.Errorf("%s: the environment variable %s is not set", role, d.Variable)
		}
		data = []byte(value)
	case len(d.Inline) == 0:
		return nil, errors.New(role + ": there is nothing, want a file name, bytes or a variable")
	}
	if len(data) > maxFile {
		return nil, within(role, d, errLarge)
	}
	return data, nil
}

// place says where the bytes of a data source are, as Envoy's /certs does.
func place(d config.DataSource) string {
	switch {
	case d.File != "":
		return d.File
	case d.Variable != "":
		return "<environment variable " + d.Variable + ">"
	}
	return "<inline>"
}

// within says what is wrong with the bytes of a data source.
func within(role string, d config.DataSource, err error) error {
	return fmt.Errorf("%s %s: %w", role, place(d), err)
}
