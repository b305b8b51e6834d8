package credentials

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
)

// maxValue bounds a credential in bytes: HTTP servers take heads of about that size at most, and a token has 1 or 2 KiB.
const maxValue = 64 << 10

// Header returns a function that adds a credential to what is sent when a stream is opened. It reads the value whenever it is called,
// for tokens are replaced while they are valid.
func Header(c *bootstrap.Credential) func(metadata.MD) (metadata.MD, error) {
	return func(sent metadata.MD) (metadata.MD, error) {
		if len(sent.Get(c.Header)) > 0 && !c.Overwrite {
			return sent, nil
		}
		value, err := read(c.Value)
		switch {
		case err != nil && c.Optional:
			return sent, nil
		case err != nil:
			return nil, fmt.Errorf("credential for the header %q: %w", c.Header, err)
		}
		sent = sent.Copy()
		sent.Set(c.Header, c.Prefix+value)
		return sent, nil
	}
}

// read returns the value of a credential. Errors have nothing of it.
func read(d config.DataSource) (string, error) {
	var value, place string
	switch {
	case d.File != "":
		place = fmt.Sprintf("file %q", d.File)
		f, err := os.Open(d.File)
		if err != nil {
			return "", err
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, maxValue+1))
		if err != nil {
			return "", err
		}
		value = string(data)
	case d.Variable != "":
		place = "environment variable " + d.Variable
		value = os.Getenv(d.Variable)
	default:
		place, value = "secret in the bootstrap", string(d.Inline)
	}
	value = strings.TrimRight(value, "\r\n") // which editors and echo leave at the end of a file
	switch {
	case value == "":
		return "", errors.New(place + " is empty")
	case len(value) > maxValue:
		return "", fmt.Errorf("%s is larger than %d bytes", place, maxValue)
	case strings.ContainsFunc(value, func(r rune) bool { return r < 0x20 || r > 0x7e }):
		return "", errors.New(place + " has characters that a header cannot have, want printable ASCII")
	}
	return value, nil
}
