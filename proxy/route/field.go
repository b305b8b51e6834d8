package route

import (
	"strings"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// fieldName is the name of a field line, looked up once.
type fieldName struct {
	name []byte // lower-case
	id   message.NameID
}

func newFieldName(name string) fieldName {
	lowered := appendLower(nil, []byte(name))
	return fieldName{name: lowered, id: message.LookupName(lowered)}
}

func compileNames(names []string) []fieldName {
	compiled := make([]fieldName, len(names))
	for i, name := range names {
		compiled[i] = newFieldName(name)
	}
	return compiled
}

func (n *fieldName) is(f *message.Field) bool {
	return f.ID == n.id && (n.id != message.NameOther || string(f.Name) == string(n.name))
}

// values returns the value of the first field line of that name and how many lines there are.
func (n *fieldName) values(fields *message.Fields) (first []byte, count int) {
	if n.id != message.NameOther && !fields.Has(n.id) {
		return nil, 0
	}
	lines := fields.All()
	for i := range lines {
		if n.is(&lines[i]) {
			if count == 0 {
				first = lines[i].Value
			}
			count++
		}
	}
	return first, count
}

func (n *fieldName) remove(fields *message.Fields) {
	if n.id != message.NameOther {
		fields.Del(n.id)
		return
	}
	fields.DelName(n.name)
}

func (n *fieldName) set(fields *message.Fields, value []byte) {
	if n.id != message.NameOther {
		fields.Set(n.id, value)
		return
	}
	fields.SetName(n.name, value)
}

func (n *fieldName) add(fields *message.Fields, value []byte) {
	if n.id != message.NameOther {
		fields.Add(n.id, value)
		return
	}
	fields.AddRaw(n.name, value)
}

// requestPart is what a name stands for in a request: a field, or one of the parts that are not among the fields.
type requestPart uint8

const (
	partField requestPart = iota
	partMethod
	partPath
	partAuthority
	partScheme
	partUpgrade
	partUnknown // a pseudo-header field that requests do not have
)

func partOf(name string) requestPart {
	switch strings.ToLower(name) {
	case ":method":
		return partMethod
	case ":path":
		return partPath
	case ":authority", "host":
		return partAuthority
	case ":scheme":
		return partScheme
	case "upgrade":
		return partUpgrade
	default:
		if strings.HasPrefix(name, ":") {
			return partUnknown
		}
		return partField
	}
}

// requestField names a field of a request as the configuration does: also ":method" and the like, "host" for
// ":authority", and "upgrade", which the codec keeps apart from the fields.
type requestField struct {
	fieldName
	part requestPart
}

func newRequestField(name string) requestField {
	return requestField{fieldName: newFieldName(name), part: partOf(name)}
}

// values returns the first value and how many there are.
func (f *requestField) values(r *message.Request) (first []byte, count int) {
	switch f.part {
	case partField:
		return f.fieldName.values(&r.Fields)
	case partMethod:
		first = r.Method
	case partPath:
		first = r.Path
	case partAuthority:
		first = r.Authority
	case partScheme:
		first = r.Scheme
	case partUpgrade:
		first = r.Upgrade
	}
	if first == nil {
		return nil, 0
	}
	return first, 1
}

// Field names a field for who reads messages apart from routes, as requestField does.
type Field struct{ field requestField }

// NewField looks a name up.
func NewField(name string) Field { return Field{newRequestField(name)} }

// OfRequest returns the first value in a request; set is false when there is none.
func (f *Field) OfRequest(r *message.Request) (value []byte, set bool) {
	value, count := f.field.values(r)
	return value, count > 0
}

// OfResponse returns the first value in a response; set is false when there is none.
func (f *Field) OfResponse(r *message.Response) (value []byte, set bool) {
	value, count := f.field.fieldName.values(&r.Fields)
	return value, count > 0
}

// OfTrailers returns the first value in trailers; set is false when there is none.
func (f *Field) OfTrailers(trailers *message.Fields) (value []byte, set bool) {
	value, count := f.field.fieldName.values(trailers)
	return value, count > 0
}

// QueryValue returns the value of the first query parameter of the name in a path, as it stands there. found is false when there
// is none.
func QueryValue(path []byte, name string) (value []byte, found bool) {
	_, query := splitTarget(path)
	return queryValue(query, name)
}

// joinBuffer is the length in bytes up to which the lines of a repeated field are joined without allocating.
const joinBuffer = 512

// appendJoined appends the values of all lines of a field as one list (RFC 9110 section 5.3): joined with a comma, and with a
// semicolon for cookies, whose lists have no commas (RFC 9113 section 8.2.3).
func (n *fieldName) appendJoined(dst []byte, fields *message.Fields) []byte {
	separator := ","
	if n.id == message.NameCookie {
		separator = "; "
	}
	first := true
	lines := fields.All()
	for i := range lines {
		if !n.is(&lines[i]) {
			continue
		}
		if !first {
			dst = append(dst, separator...)
		}
		first = false
		dst = append(dst, lines[i].Value...)
	}
	return dst
}
