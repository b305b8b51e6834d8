package file

import (
	"errors"
	"fmt"
	"io"
	"os"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/penguintechinc/marchproxy-alb/xds/ads"
	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
)

// maxBytes bounds a file as a response over gRPC is bounded. YAML and JSON have the lower bounds of package protofile beside it,
// because a text takes several times its size while it is decoded.
const maxBytes = ads.DefaultMaxReceiveBytes

// load reads the response in a file.
func load(path string, rejectUnknown bool) (*discoveryv3.DiscoveryResponse, protofile.Notes, error) {
	data, err := read(path)
	if err != nil {
		return nil, protofile.Notes{}, fmt.Errorf("file %q: %w", path, err)
	}
	r, notes, err := decode(data, path, rejectUnknown)
	if err != nil {
		return nil, notes, fmt.Errorf("file %q: %w", path, err)
	}
	return r, notes, nil
}

// decode decodes a response that was found in the file at a path, whose extension tells its format. The notes say what of it was
// passed over.
func decode(data []byte, path string, rejectUnknown bool) (*discoveryv3.DiscoveryResponse, protofile.Notes, error) {
	r := &discoveryv3.DiscoveryResponse{}
	notes, err := protofile.Unmarshal(data, protofile.FormatOf(path, data), r, protofile.Options{AllowUnknown: !rejectUnknown})
	if err != nil {
		return nil, notes, fmt.Errorf("is not an envoy.service.discovery.v3.DiscoveryResponse: %w", err)
	}
	return r, notes, nil
}

// read returns what is in a file. Errors do not repeat the path.
func read(path string) ([]byte, error) {
	// A pipe would hold up the caller until somebody writes.
	info, err := os.Stat(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(data) > maxBytes {
		return nil, fmt.Errorf("is larger than %d bytes", maxBytes)
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
