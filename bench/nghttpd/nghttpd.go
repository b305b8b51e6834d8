// Package nghttpd drives nghttpd, the HTTP/2 file server of nghttp2, as an origin: it
// makes its command line and the files that it serves.
package nghttpd

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// Trailer ends every answer to a gRPC call.
const Trailer = "grpc-status: 0"

// extension of the files that are answers to gRPC calls: nghttpd takes the content
// type from it.
const (
	extension = ".grpc"
	mimeTypes = "application/grpc grpc\n"
)

// CallPath is what a gRPC call of the lab requests.
const CallPath = "/bench.Origin/Unary" + extension

// Server is an nghttpd that is ready to be started.
type Server struct {
	dir     string // of mime.types and the documents
	streams int
}

// NewServer makes a server of the files below dir, which exists, with at most streams
// concurrent streams per connection.
func NewServer(dir string, streams int) (Server, error) {
	s := Server{dir: dir, streams: streams}
	if err := os.Mkdir(s.documents(), 0o700); err != nil {
		return Server{}, err
	}
	return s, os.WriteFile(s.mimeTypes(), []byte(mimeTypes), 0o600)
}

func (s Server) documents() string { return filepath.Join(s.dir, "documents") }
func (s Server) mimeTypes() string { return filepath.Join(s.dir, "mime.types") }

// fillLimit is the size up to which a document has bytes; a larger one is a hole that
// takes no room on the disk and reads as zeros.
const fillLimit = 1 << 20

// AddDocument makes the server answer a GET of path with size bytes.
func (s Server) AddDocument(path string, size int) error {
	body := bytes.Repeat([]byte{'x'}, min(size, fillLimit))
	if size > fillLimit {
		body = nil
	}
	name, err := s.write(path, body)
	if err != nil || body != nil {
		return err
	}
	return os.Truncate(name, int64(size))
}

// AddAnswer makes the server answer a call of path, which ends in .grpc, with body.
func (s Server) AddAnswer(path string, body []byte) error {
	if filepath.Ext(path) != extension {
		return fmt.Errorf("path %s does not end in %s", path, extension)
	}
	_, err := s.write(path, body)
	return err
}

func (s Server) write(path string, body []byte) (name string, err error) {
	name = filepath.Join(s.documents(), filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return "", err
	}
	return name, os.WriteFile(name, body, 0o600)
}

// Args returns nghttpd's arguments to listen on address, host:port, in cleartext with
// one worker. With calls every answer ends with Trailer, whatever its path.
func (s Server) Args(address string, calls bool) ([]string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("nghttpd: %w", err)
	}
	args := []string{
		"--no-tls", "--workers=1",
		"--address=" + host,
		"--htdocs=" + s.documents(),
		"--max-concurrent-streams=" + strconv.Itoa(s.streams),
		"--mime-types-file=" + s.mimeTypes(),
	}
	if calls {
		args = append(args, "--trailer="+Trailer)
	}
	return append(args, port), nil
}
