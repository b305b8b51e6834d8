package harness

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// h2Head is what the fields of a head say that matters beyond them.
type h2Head struct {
	status int    // of a response
	method string // of a request
	length int64  // content-length, -1 without one
}

// checkRequest checks the head of a request (RFC 9113 section 8.3.1).
func checkRequest(fields Fields) (h2Head, error) {
	pseudo, err := checkSection(fields, ":method", ":scheme", ":authority", ":path", ":protocol")
	if err != nil {
		return h2Head{}, err
	}
	method, authority, path := pseudo[":method"], pseudo[":authority"], pseudo[":path"]
	tunnel := method == "CONNECT" && !fields.Has(":protocol")
	switch {
	case !isToken(method):
		return h2Head{}, fmt.Errorf("method %q", method)
	case tunnel && (fields.Has(":scheme") || fields.Has(":path") || authority == ""):
		return h2Head{}, fmt.Errorf("CONNECT with %q", fields)
	case !tunnel && pseudo[":scheme"] != "http" && pseudo[":scheme"] != "https":
		return h2Head{}, fmt.Errorf("scheme %q", pseudo[":scheme"])
	case !tunnel && !isPath(path) && (method != "OPTIONS" || path != "*"):
		return h2Head{}, fmt.Errorf("path %q", path)
	case method != "CONNECT" && fields.Has(":protocol"):
		return h2Head{}, fmt.Errorf(":protocol with %s", method)
	}
	if err := checkAuthority(fields, authority); err != nil {
		return h2Head{}, err
	}
	length, err := contentLength(fields)
	return h2Head{method: method, length: length}, err
}

// checkAuthority demands that an origin finds one authority and no more.
func checkAuthority(fields Fields, authority string) error {
	host := fields.Get("host")
	switch {
	case fields.Has("host") && fields.Has(":authority") && host != authority:
		return fmt.Errorf("authority %q and host %q", authority, host)
	case !fields.Has(":authority"):
		authority = host
	}
	if authority == "" || strings.ContainsFunc(authority, isBlank) || strings.ContainsAny(authority, "/?#@") {
		return fmt.Errorf("authority %q", authority)
	}
	return nil
}

// isPath reports whether s is an absolute path with or without a query, as visible characters without a fragment.
func isPath(s string) bool {
	return strings.HasPrefix(s, "/") && !strings.ContainsFunc(s, isBlank) && !strings.Contains(s, "#")
}

// isBlank reports whether r is not visible ASCII.
func isBlank(r rune) bool { return r <= ' ' || r >= 0x7f }

// checkResponse checks the head of a response (RFC 9113 section 8.3.2), which may be an informational one.
func checkResponse(fields Fields) (h2Head, error) {
	pseudo, err := checkSection(fields, ":status")
	if err != nil {
		return h2Head{}, err
	}
	code := pseudo[":status"]
	status, err := strconv.Atoi(code)
	switch {
	case err != nil || len(code) != 3 || status < 100 || status > 599:
		return h2Head{}, fmt.Errorf("status %q", code)
	case status == 101:
		return h2Head{}, errors.New("status 101, which HTTP/2 has not (RFC 9113 section 8.6)")
	case (status < 200 || status == 204) && fields.Has("content-length"):
		return h2Head{}, fmt.Errorf("content-length in a response with status %d", status)
	}
	length, err := contentLength(fields)
	return h2Head{status: status, length: length}, err
}

// checkTrailers checks a trailer section. Fields that say where to or how long must not be in one (RFC 9110 section 6.5.1).
func checkTrailers(fields Fields) error {
	if _, err := checkSection(fields); err != nil {
		return err
	}
	for _, name := range []string{"content-length", "host"} {
		if fields.Has(name) {
			return fmt.Errorf("field %s in trailers", name)
		}
	}
	return nil
}

// checkSection checks the fields of any section (RFC 9113 section 8.2) and returns the pseudo-header fields, of which there
// may be those named.
func checkSection(fields Fields, allowed ...string) (map[string]string, error) {
	pseudo := make(map[string]string)
	regular := false
	for _, f := range fields {
		if err := checkField(f); err != nil {
			return nil, err
		}
		if !strings.HasPrefix(f.Name, ":") {
			regular = true
			continue
		}
		_, twice := pseudo[f.Name]
		switch {
		case regular:
			return nil, fmt.Errorf("pseudo-header field %s after others", f.Name)
		case twice:
			return nil, fmt.Errorf("pseudo-header field %s twice", f.Name)
		case !slices.Contains(allowed, f.Name):
			return nil, fmt.Errorf("pseudo-header field %q", f.Name)
		}
		pseudo[f.Name] = f.Value
	}
	return pseudo, nil
}

func checkField(f Field) error {
	switch {
	case !isToken(strings.TrimPrefix(f.Name, ":")):
		return fmt.Errorf("field name %q is not a token", f.Name)
	case strings.ToLower(f.Name) != f.Name:
		return fmt.Errorf("field name %q is not in lower case", f.Name)
	case strings.ContainsFunc(f.Value, isControl):
		return fmt.Errorf("value %q of %s holds a control character", f.Value, f.Name)
	case strings.Trim(f.Value, " \t") != f.Value:
		return fmt.Errorf("value %q of %s begins or ends with white space", f.Value, f.Name)
	}
	switch f.Name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return fmt.Errorf("field %s, which is about a connection (RFC 9113 section 8.2.2)", f.Name)
	case "te":
		if f.Value != "trailers" {
			return fmt.Errorf("te %q", f.Value)
		}
	}
	return nil
}

// contentLength returns the only content-length, -1 when there is none.
func contentLength(fields Fields) (int64, error) {
	if !fields.Has("content-length") {
		return -1, nil
	}
	value := fields.Get("content-length")
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != value {
		return 0, fmt.Errorf("content-length %q", value)
	}
	return int64(n), nil
}
