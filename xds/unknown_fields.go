package xds

import (
	"fmt"
	"strings"
	"sync"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// UnknownFields is what becomes of a resource of a control plane that has fields which the API does not have.
type UnknownFields uint8

// The ways with unknown fields.
const (
	// WarnUnknownFields accepts the resource, says so in the log and counts the fields.
	WarnUnknownFields UnknownFields = iota
	// RejectUnknownFields refuses the response (--reject-unknown-dynamic-fields).
	RejectUnknownFields
	// IgnoreUnknownFields does not even look for them (--ignore-unknown-dynamic-fields).
	IgnoreUnknownFields
)

// maxUnknownWarnings bounds how many different unknown fields the log names; a field that was named is not named again.
const maxUnknownWarnings = 256

// unknownFields looks for unknown fields in resources. Its methods may be called from any goroutine.
type unknownFields struct {
	policy UnknownFields
	log    *zap.Logger
	screen protofile.Screen

	mu     sync.Mutex // guards what follows
	found  uint64
	warned map[string]bool // by what the log says
}

// decode decodes a resource of a type. The error of one that is refused is for the whole response, as Envoy's.
func (u *unknownFields) decode(url string, packed *anypb.Any) (string, proto.Message, error) {
	name, message, err := resource.Unmarshal(url, packed)
	if err != nil || u.policy == IgnoreUnknownFields {
		return name, message, err
	}
	if packed.GetTypeUrl() == url && u.screen.Clean(message.ProtoReflect().Descriptor(), packed.GetValue()) {
		return name, message, nil
	}
	fields := protofile.Unknown(message)
	if len(fields) == 0 {
		return name, message, nil
	}
	if u.policy == RejectUnknownFields {
		return "", nil, fmt.Errorf("resource %q has unknown fields: %s", name, strings.Join(fields, ", "))
	}
	u.warn(name, fields)
	return name, message, nil
}

// note warns of fields of a text, which never come to be part of a message. name is where the text is from.
func (u *unknownFields) note(name string, fields []string) {
	if u.policy != IgnoreUnknownFields {
		u.warn(name, fields)
	}
}

func (u *unknownFields) warn(name string, fields []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.found += uint64(len(fields))
	for _, field := range fields {
		if !u.warned[field] && len(u.warned) < maxUnknownWarnings {
			u.warned[field] = true
			u.log.Warn("a resource has a field that is not known here and has no effect", zap.String("name", name), zap.String("field", field))
		}
	}
}

// count returns how many unknown fields there were in all.
func (u *unknownFields) count() uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.found
}
