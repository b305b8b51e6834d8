package tls

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Files are the paths of the PEM files of a server context.
type Files struct {
	// Cert has the certificate of the server, then those between it and a root. Key has its private key, unencrypted, as
	// PKCS #8, PKCS #1 or SEC 1. Both are required, and may be the same file.
	Cert, Key string
	// ClientCA has the certificates that client certificates are verified against. Without it clients need none; with it
	// they need one.
	ClientCA string
}

// check returns which file is missing from f.
func (f Files) check() error {
	switch {
	case f.Cert == "":
		return errors.New("no certificate file is named, want one with the server's certificate and chain in PEM")
	case f.Key == "":
		return errors.New("no key file is named, want one with the certificate's private key in PEM")
	}
	return nil
}

// fileError is what is wrong with a file.
type fileError struct {
	role, path string
	err        error
}

func (e *fileError) Error() string { return fmt.Sprintf("%s file %q: %v", e.role, e.path, e.err) }
func (e *fileError) Unwrap() error { return e.err }

// errLarge is what is wrong with more bytes than any of these files has.
var errLarge = fmt.Errorf("it is larger than %d bytes", maxFile)

// readFile returns what is in a file. Errors do not repeat the path.
func readFile(path string) ([]byte, error) {
	// A pipe would make the caller wait for a writer, and could not be read again.
	info, err := os.Stat(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(data) > maxFile {
		return nil, errLarge
	}
	return data, nil
}

// withoutPath leaves the operation and the path out of an error of package os.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}
