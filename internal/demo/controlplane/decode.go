package controlplane

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MaxConfigBytes bounds a configuration's JSON. A thousand services with a route each take about 400 KB; the rest is for certificate chains.
const MaxConfigBytes = 4 << 20

// DecodeConfig reads a configuration's JSON. It knows every field by name and refuses others: a misspelt field would otherwise silently do nothing. The result
// is not validated. Errors are of type *FieldError.
func DecodeConfig(data []byte) (Config, error) {
	if len(data) > MaxConfigBytes {
		return Config{}, fieldErrorf("", "the body has %d bytes, more than %d", len(data), MaxConfigBytes)
	}
	// Elements are decoded one by one because encoding/json does not say which element of a list an error is in.
	var doc struct {
		Version      Version           `json:"version"`
		Services     []json.RawMessage `json:"services"`
		Routes       []json.RawMessage `json:"routes"`
		Certificates []json.RawMessage `json:"certificates"`
	}
	if err := decodeStrict(data, "", &doc); err != nil {
		return Config{}, err
	}
	config := Config{Version: doc.Version}
	var err error
	if config.Services, err = decodeList[Service](doc.Services, "services", maxServices); err != nil {
		return Config{}, err
	}
	if config.Routes, err = decodeList[Route](doc.Routes, "routes", maxRoutes); err != nil {
		return Config{}, err
	}
	if config.Certificates, err = decodeList[Certificate](doc.Certificates, "certificates", maxCertificates); err != nil {
		return Config{}, err
	}
	return config, nil
}

func decodeList[T any](raw []json.RawMessage, path string, limit int) ([]T, error) {
	if err := checkCount(path, len(raw), limit); err != nil {
		return nil, err
	}
	list := make([]T, len(raw))
	for i, data := range raw {
		if err := decodeStrict(data, fmt.Sprintf("%s[%d]", path, i), &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// decodeStrict decodes the one JSON value in data, which is found at path.
func decodeStrict(data []byte, path string, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return jsonError(err, path)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fieldErrorf(path, "more follows the JSON object, which must stand alone")
	}
	return nil
}

// jsonError says in the words of a configuration what encoding/json has to say.
func jsonError(err error, path string) *FieldError {
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fieldErrorf(path, "the JSON ends too early")
	case errors.As(err, &syntax):
		return fieldErrorf(path, "not JSON at byte %d: %s", syntax.Offset, syntax)
	case errors.As(err, &mismatch):
		return fieldErrorf(join(path, mismatch.Field), "a JSON %s is not a %s", mismatch.Value, jsonKind(mismatch.Type.String()))
	}
	// encoding/json has no type for this error, only its words.
	if quoted, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fieldErrorf(join(path, strings.Trim(quoted, `"`)), "unknown field")
	}
	return fieldErrorf(path, "%s", err)
}

// jsonKind names a Go type as JSON would.
func jsonKind(goType string) string {
	switch {
	case strings.HasPrefix(goType, "int"):
		return "whole number"
	case goType == "bool":
		return "boolean"
	case strings.HasPrefix(goType, "[]"):
		return "list"
	case goType == "string":
		return "string"
	}
	return "object"
}

func join(path, field string) string {
	if path == "" || field == "" {
		return path + field
	}
	return path + "." + field
}
