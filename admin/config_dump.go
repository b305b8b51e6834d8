package admin

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"github.com/valyala/fasthttp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// dumpError is a /config_dump that cannot be answered as asked.
type dumpError struct {
	status int
	text   string
}

func (e *dumpError) Error() string { return e.text }

// dumpQuery is the parameters of /config_dump.
type dumpQuery struct {
	resource string         // "" for all
	mask     []string       // paths; empty for no mask
	name     *regexp.Regexp // of a whole name; nil for any
	eds      bool
}

func parseDumpQuery(r *request) (q dumpQuery, err error) {
	q = dumpQuery{resource: r.value("resource"), eds: r.has("include_eds")}
	if mask := r.value("mask"); mask != "" {
		q.mask = strings.Split(mask, ",")
	}
	if pattern := r.value("name_regex"); pattern != "" {
		// Group and anchors make it a match of the whole name. The pattern must be valid without them.
		if _, err = regexp.Compile(pattern); err == nil {
			q.name, err = regexp.Compile(`\A(?:` + pattern + `)\z`)
		}
		if err != nil {
			return q, &dumpError{fasthttp.StatusBadRequest,
				fmt.Sprintf("Error while parsing name_regex from %s: %s", visible(pattern), visible(err.Error()))}
		}
	}
	return q, nil
}

// configDump is /config_dump.
func (a *surface) configDump(r *request) {
	q, err := parseDumpQuery(r)
	var selected *adminv3.ConfigDump
	if err == nil {
		selected, err = a.selectConfigs(&q)
	}
	if err == nil {
		r.json(redacted(selected), omitDefaults)
		return
	}
	if refused := (*dumpError)(nil); errors.As(err, &refused) {
		reply(r.ctx, refused.status, plainText, refused.text)
		return
	}
	r.failed(err)
}

// selectConfigs returns the part of the dump that q asks for. Its messages are copies.
func (a *surface) selectConfigs(q *dumpQuery) (*adminv3.ConfigDump, error) {
	dump, err := a.ConfigDump(q.eds)
	if err != nil {
		return nil, err
	}
	selected := &adminv3.ConfigDump{}
	for _, packed := range dump.GetConfigs() {
		part, err := packed.UnmarshalNew()
		if err != nil {
			return nil, fmt.Errorf("config dump: %w", err)
		}
		if endpoints, ok := part.(*adminv3.EndpointsConfigDump); ok && a.Clusters != nil {
			liveEndpoints(endpoints, a.Clusters())
		}
		if q.name != nil {
			keepNamed(part.ProtoReflect(), q.name)
		}
		if q.resource != "" {
			found, err := q.addResource(selected, part.ProtoReflect())
			if found || err != nil {
				return selected, err
			}
			continue
		}
		if len(q.mask) > 0 && trim(part.ProtoReflect(), q.mask) != nil {
			continue // each kind of configuration has fields of its own
		}
		if err := add(selected, part); err != nil {
			return nil, err
		}
	}
	switch {
	case q.resource != "":
		return nil, &dumpError{fasthttp.StatusNotFound, visible(q.resource) + " not found in config dump"}
	case len(q.mask) > 0 && len(selected.Configs) == 0:
		return nil, &dumpError{fasthttp.StatusBadRequest,
			fmt.Sprintf("FieldMask %s could not be successfully applied to any configs.", visible(strings.Join(q.mask, ",")))}
	}
	return selected, nil
}

// addResource adds the elements of the field q.resource of part to selected. It is not found where part has no such field.
func (q *dumpQuery) addResource(selected *adminv3.ConfigDump, part protoreflect.Message) (found bool, err error) {
	field := part.Descriptor().Fields().ByName(protoreflect.Name(q.resource))
	if field == nil {
		return false, nil
	}
	if !field.IsList() || field.Message() == nil {
		return true, &dumpError{fasthttp.StatusBadRequest,
			fmt.Sprintf("%s is not a repeated field. Use ?mask=%s to get only this field", field.Name(), field.Name())}
	}
	list := part.Get(field).List()
	for i := range list.Len() {
		element := list.Get(i).Message()
		if len(q.mask) > 0 {
			if err := trimThroughAny(element, q.mask); err != nil {
				return true, &dumpError{fasthttp.StatusBadRequest,
					fmt.Sprintf("FieldMask %s could not be successfully used: %v", visible(strings.Join(q.mask, ",")), err)}
			}
		}
		if err := add(selected, element.Interface()); err != nil {
			return true, err
		}
	}
	return true, nil
}

func add(dump *adminv3.ConfigDump, part proto.Message) error {
	packed, err := anypb.New(part)
	if err != nil {
		return fmt.Errorf("config dump: %w", err)
	}
	dump.Configs = append(dump.Configs, packed)
	return nil
}

// keepNamed removes the elements of the lists of part, a ClustersConfigDump or the like, whose names do not match.
func keepNamed(part protoreflect.Message, name *regexp.Regexp) {
	part.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if !field.IsList() || field.Message() == nil {
			return true
		}
		list := value.List()
		kept := 0
		for i := range list.Len() {
			if name.MatchString(resourceName(list.Get(i).Message())) {
				list.Set(kept, list.Get(i))
				kept++
			}
		}
		list.Truncate(kept)
		return true
	})
}

// resourceName returns the name of an element of a dump: its own, or that of the resource in its Any.
func resourceName(element protoreflect.Message) (name string) {
	if name = nameOf(element); name != "" {
		return name
	}
	element.Range(func(_ protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		inner, isMessage := value.Interface().(protoreflect.Message)
		if !isMessage {
			return true
		}
		if packed, isAny := inner.Interface().(*anypb.Any); isAny {
			if resource, err := packed.UnmarshalNew(); err == nil {
				name = nameOf(resource.ProtoReflect())
			}
		}
		return name == ""
	})
	return name
}

// nameOf returns the field of m that names it, which for a ClusterLoadAssignment is cluster_name.
func nameOf(m protoreflect.Message) string {
	for _, candidate := range []protoreflect.Name{"name", "cluster_name"} {
		if f := m.Descriptor().Fields().ByName(candidate); f != nil && f.Kind() == protoreflect.StringKind && !f.IsList() {
			return m.Get(f).String()
		}
	}
	return ""
}
