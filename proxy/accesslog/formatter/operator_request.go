package formatter

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
)

// withoutQuery returns a path without its query.
func withoutQuery(path []byte) []byte {
	path, _, _ = bytes.Cut(path, []byte{'?'})
	return path
}

func requestFieldWithoutQuery(o *operator, dst []byte, e *accesslog.Entry) ([]byte, bool) {
	start := len(dst)
	dst, set := requestField(o, dst, e)
	return dst[:start+len(withoutQuery(dst[start:]))], set
}

// The values of the arguments of PATH.
const (
	pathWithQuery      = "WQ"
	pathWithoutQuery   = "NQ"
	pathOriginal       = "ORIG"
	pathCurrent        = "PATH"
	pathOriginalOrPath = "ORIG_OR_PATH"
)

// pathOperator makes o the operator PATH(WQ|NQ:ORIG|PATH|ORIG_OR_PATH), with the defaults WQ and ORIG_OR_PATH.
func (o *operator) pathOperator(arguments string) error {
	query, which, _ := strings.Cut(arguments, ":")
	original, current := route.NewField("x-envoy-original-path"), route.NewField(":path")
	switch which {
	case "", pathOriginalOrPath:
		o.field, o.instead, o.hasInstead = original, current, true
	case pathOriginal:
		o.field = original
	case pathCurrent:
		o.field = current
	default:
		return fmt.Errorf("%q is not known, want %s, %s or %s", which, pathOriginal, pathCurrent, pathOriginalOrPath)
	}
	switch query {
	case "", pathWithQuery:
		o.value = requestField
	case pathWithoutQuery:
		o.value = requestFieldWithoutQuery
	default:
		return fmt.Errorf("%q is not known, want %s or %s", query, pathWithQuery, pathWithoutQuery)
	}
	return nil
}

// queryOperator makes o the operator QUERY_PARAM(NAME). The value is as it stands in the path: decoded, it could end the line.
func (o *operator) queryOperator(name string) error {
	if name == "" {
		return errors.New("the name of a query parameter is missing, want (NAME)")
	}
	o.constant = name
	o.value = func(o *operator, dst []byte, e *accesslog.Entry) ([]byte, bool) {
		value, found := route.QueryValue(e.Request.Path, o.constant)
		return append(dst, value...), found
	}
	return nil
}

// inspectorMetadata is the one namespace of dynamic metadata that something here would set in Envoy.
const inspectorMetadata = "envoy.filters.listener.tls_inspector"

// metadataOperator makes o the operator DYNAMIC_METADATA, which has no value: nothing sets dynamic metadata.
func (o *operator) metadataOperator(arguments string) error {
	namespace, _, _ := strings.Cut(arguments, ":")
	switch namespace {
	case "":
		return errors.New("the name of a filter is missing, want (FILTER:KEY)")
	case inspectorMetadata:
		return fmt.Errorf("there is no dynamic metadata of %s", namespace)
	}
	o.value = func(_ *operator, dst []byte, _ *accesslog.Entry) ([]byte, bool) { return dst, false }
	return nil
}

// appendUUID appends a random UUID (RFC 9562 section 5.4).
func appendUUID(dst []byte) []byte {
	var id [16]byte
	for i, v := range [...]uint64{rand.Uint64(), rand.Uint64()} {
		for j := range 8 {
			id[i*8+j] = byte(v >> (8 * j))
		}
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	for i, end := range [...]int{4, 6, 8, 10, 16} {
		start := 0
		if i > 0 {
			dst = append(dst, '-')
			start = 2 + 2*i
		}
		dst = hex.AppendEncode(dst, id[start:end])
	}
	return dst
}

// transportFailure has no spaces, so that a line can be taken apart at them.
func transportFailure(dst []byte, e *accesslog.Entry) ([]byte, bool) {
	for i := range len(e.TransportFailure) {
		c := e.TransportFailure[i]
		if c <= ' ' {
			c = '_'
		}
		dst = append(dst, c)
	}
	return dst, e.TransportFailure != ""
}
