package admin

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// maskTree is field mask paths as a tree. A node without children keeps the whole field.
type maskTree map[protoreflect.Name]maskTree

// newMaskTree returns the tree of paths, or which of them is not a path of message type d. A path may end at a list but
// not go through one (google.protobuf.FieldMask).
func newMaskTree(d protoreflect.MessageDescriptor, paths []string) (maskTree, error) {
	root := maskTree{}
	for _, path := range paths {
		at, node := d, root
		names := strings.Split(path, ".")
		for i, name := range names {
			field := at.Fields().ByName(protoreflect.Name(name))
			if field == nil {
				return nil, fmt.Errorf("%q: %s has no field %q", visible(path), at.FullName(), visible(name))
			}
			child, seen := node[field.Name()]
			if seen && len(child) == 0 {
				break // a shorter path keeps the whole field already
			}
			if i == len(names)-1 {
				node[field.Name()] = nil
				break
			}
			if field.Message() == nil || field.IsList() || field.IsMap() {
				return nil, fmt.Errorf("%q: %s has no fields that a mask could name", visible(path), field.FullName())
			}
			if child == nil {
				child = maskTree{}
				node[field.Name()] = child
			}
			at, node = field.Message(), child
		}
	}
	return root, nil
}

// keep clears what t does not name.
func (t maskTree) keep(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		child, named := t[field.Name()]
		switch {
		case !named:
			m.Clear(field)
		case len(child) > 0:
			child.keep(value.Message())
		}
		return true
	})
	m.SetUnknown(nil)
}

// trim clears the fields of m that paths do not name. A wrong path leaves m as it was.
func trim(m protoreflect.Message, paths []string) error {
	tree, err := newMaskTree(m.Descriptor(), paths)
	if err != nil {
		return err
	}
	tree.keep(m)
	return nil
}

// trimThroughAny is trim for an element of a dump, where paths may go through one Any into the resource, as "cluster.name"
// of a StaticCluster.
func trimThroughAny(m protoreflect.Message, paths []string) error {
	var outer, inner []string
	var through protoreflect.FieldDescriptor
	for _, path := range paths {
		first, rest, deeper := strings.Cut(path, ".")
		field := m.Descriptor().Fields().ByName(protoreflect.Name(first))
		if !isAny(field) {
			outer = append(outer, path)
			continue
		}
		outer = append(outer, first)
		if !deeper {
			continue
		}
		if through != nil && through != field {
			return fmt.Errorf("a mask can go into one of %s and %s only", through.Name(), first)
		}
		through = field
		inner = append(inner, rest)
	}
	if through != nil && m.Has(through) {
		if err := trimPacked(m.Mutable(through).Message().Interface().(*anypb.Any), inner); err != nil {
			return err
		}
	}
	return trim(m, outer)
}

// trimPacked is trim for what is in packed.
func trimPacked(packed *anypb.Any, paths []string) error {
	resource, err := packed.UnmarshalNew()
	if err != nil {
		return err
	}
	if err := trim(resource.ProtoReflect(), paths); err != nil {
		return err
	}
	packed.Value, err = proto.Marshal(resource)
	return err
}

// isAny reports whether f is a single google.protobuf.Any.
func isAny(f protoreflect.FieldDescriptor) bool {
	return f != nil && !f.IsList() && f.Message() != nil && f.Message().FullName() == "google.protobuf.Any"
}
