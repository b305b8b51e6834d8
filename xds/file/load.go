package file

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/xds/ads"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
)

// maxBytes bounds a file as a response over gRPC is bounded. YAML and JSON have the lower bounds of package bootstrap beside it,
// because a text takes several times its size while it is decoded.
const maxBytes = ads.DefaultMaxReceiveBytes

// load reads the response in a file.
func load(path string, rejectUnknown bool) (*discoveryv3.DiscoveryResponse, error) {
	data, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("file %q: %w", path, err)
	}
	r, err := decode(data, filepath.Ext(path), rejectUnknown)
	if err != nil {
		return nil, fmt.Errorf("file %q: %w", path, err)
	}
	return r, nil
}

// decode decodes a response that was found in a file with an extension.
func decode(data []byte, extension string, rejectUnknown bool) (*discoveryv3.DiscoveryResponse, error) {
	r := &discoveryv3.DiscoveryResponse{}
	var err error
	switch extension {
	case ".pb":
		err = proto.Unmarshal(data, r)
	case ".pb_text":
		err = prototext.UnmarshalOptions{DiscardUnknown: !rejectUnknown}.Unmarshal(data, r)
	case ".json":
		err = bootstrap.Unmarshal(data, bootstrap.JSON, r, !rejectUnknown)
	default:
		err = bootstrap.Unmarshal(data, bootstrap.YAML, r, !rejectUnknown)
	}
	if err != nil {
		return nil, fmt.Errorf("is not an envoy.service.discovery.v3.DiscoveryResponse: %w", err)
	}
	return r, nil
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
