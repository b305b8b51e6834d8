package route

import (
	"errors"
	"fmt"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// mutations are the fields removed from and added to messages of one direction at one level of the configuration.
type mutations struct {
	remove []fieldName
	add    []addition
}

// addition is one compiled config.HeaderValue.
type addition struct {
	field     fieldName
	host      bool // "host" of a request, which is Request.Authority
	action    config.AppendAction
	keepEmpty bool
	value     format
}

// compileMutations compiles the mutations of one level: nil for a direction that has none.
func compileMutations(m *config.HeaderMutations) (request, response *mutations, err error) {
	if request, err = newMutations(m.RequestAdd, m.RequestRemove); err != nil {
		return nil, nil, fmt.Errorf("request %w", err)
	}
	if response, err = newMutations(m.ResponseAdd, m.ResponseRemove); err != nil {
		return nil, nil, fmt.Errorf("response %w", err)
	}
	return request, response, nil
}

func newMutations(add []config.HeaderValue, remove []string) (*mutations, error) {
	if len(add) == 0 && len(remove) == 0 {
		return nil, nil
	}
	m := &mutations{remove: compileNames(remove), add: make([]addition, len(add))}
	for _, name := range remove {
		if strings.HasPrefix(name, ":") || strings.EqualFold(name, "host") {
			return nil, fmt.Errorf("header to remove %q: pseudo-headers and host cannot be removed", name)
		}
	}
	for i := range add {
		var err error
		if m.add[i], err = compileAddition(&add[i]); err != nil {
			return nil, fmt.Errorf("header to add %q: %w", add[i].Name, err)
		}
	}
	return m, nil
}

func compileAddition(v *config.HeaderValue) (addition, error) {
	if err := checkName(v.Name); err != nil {
		return addition{}, err
	}
	if v.Action > config.OverwriteIfExists {
		return addition{}, fmt.Errorf("append action %d is unknown", v.Action)
	}
	value, err := parseFormat(v.Value)
	a := addition{field: newFieldName(v.Name), action: v.Action, keepEmpty: v.KeepEmpty, value: value}
	a.host = a.field.id == message.NameHost
	return a, err
}

// checkName refuses names that cannot be added: those that are none (RFC 9110 section 5.1), and those that say how a
// message is framed on a connection, which only the codec knows.
func checkName(name string) error {
	if name == "" {
		return errors.New("the name is empty")
	}
	if name[0] == ':' {
		return errors.New("pseudo-headers cannot be added; path, host and scheme have rewrites of their own")
	}
	for i := range len(name) {
		if !isTokenByte(name[i]) {
			return fmt.Errorf("byte %q is not allowed in a header name", name[i])
		}
	}
	switch strings.ToLower(name) {
	case "connection", "content-length", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return errors.New("it frames messages on a connection and is the codec's alone")
	}
	return nil
}

// isTokenByte reports whether b is a tchar (RFC 9110 section 5.6.2).
func isTokenByte(b byte) bool {
	switch {
	case '0' <= b && b <= '9', 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z':
		return true
	default:
		return b != 0 && strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
	}
}

// mutationOrder returns the levels that have mutations, in the order of evaluation: later ones override earlier ones.
func mutationOrder(mostSpecificLast bool, route, virtualHost, table *mutations) []*mutations {
	levels := [...]*mutations{route, virtualHost, table}
	if mostSpecificLast {
		levels = [...]*mutations{table, virtualHost, route}
	}
	var order []*mutations
	for _, level := range levels {
		if level != nil {
			order = append(order, level)
		}
	}
	return order
}

// HasRequestMutations reports whether MutateRequest may have anything to do.
func (r *Route) HasRequestMutations() bool { return r.mutatesRequest }

// HasResponseMutations reports whether MutateResponse may have anything to do.
func (r *Route) HasResponseMutations() bool { return r.mutatesResponse }

// MutateRequest removes and adds the fields of ctx.Request as the configuration says: at each level first the removals,
// then the additions; the levels are target, route, virtual host and route configuration in this order, or in the
// opposite one with most_specific_header_mutations_wins. All values of a level are made before its first addition, so
// they see the fields as the level before left them. target is what PickCluster returned, and may be nil.
//
// Values with command operators are appended to *arena, and the fields borrow from there: what *arena held stays valid
// when it moves to a bigger array, and must not be overwritten before the request ends. Constant values are borrowed
// from the Table. A name "host" stands for ctx.Request.Authority; whatever the action, there is one host at most.
//
// MutateRequest allocates nothing but for growing the arena and the list of fields, and at a level with more than
// maxStackAdditions additions.
func (r *Route) MutateRequest(ctx *MutationContext, target *Target, arena *[]byte) {
	if !r.mutatesRequest {
		return
	}
	run := mutationRun{ctx: ctx, route: r, target: target, arena: arena, request: ctx.Request, fields: &ctx.Request.Fields}
	var specific *mutations
	if target != nil {
		specific = target.request
	}
	run.levels(specific, r.request)
}

// MutateResponse is MutateRequest for the fields of ctx.Response.
func (r *Route) MutateResponse(ctx *MutationContext, target *Target, arena *[]byte) {
	if !r.mutatesResponse {
		return
	}
	run := mutationRun{ctx: ctx, route: r, target: target, arena: arena, fields: &ctx.Response.Fields}
	var specific *mutations
	if target != nil {
		specific = target.response
	}
	run.levels(specific, r.response)
}

// mutationRun is one call of MutateRequest or MutateResponse.
type mutationRun struct {
	ctx     *MutationContext
	route   *Route  // nil for none, and then without levels
	target  *Target // nil for none
	arena   *[]byte
	request *message.Request // nil when fields are a response's
	fields  *message.Fields
}

func (m *mutationRun) levels(target *mutations, others []*mutations) {
	if target != nil && !m.route.mostSpecificLast {
		m.level(target)
	}
	m.all(others)
	if target != nil && m.route.mostSpecificLast {
		m.level(target)
	}
}

func (m *mutationRun) all(levels []*mutations) {
	for _, level := range levels {
		m.level(level)
	}
}

// maxStackAdditions is the number of additions of one level whose values are held on the stack.
const maxStackAdditions = 16

// pending is an addition whose value is made but not yet entered.
type pending struct {
	addition *addition
	value    []byte
}

// level applies one level in Envoy's order: removals, values, overwrites, additions.
func (m *mutationRun) level(level *mutations) {
	for i := range level.remove {
		level.remove[i].remove(m.fields)
	}
	var buffer [maxStackAdditions]pending
	todo := buffer[:0]
	for i := range level.add {
		a := &level.add[i]
		if !m.applies(a) {
			continue
		}
		if value := m.value(&a.value); len(value) > 0 || a.keepEmpty {
			todo = append(todo, pending{a, value})
		}
	}
	for i := range todo {
		if todo[i].addition.overwrites() {
			m.enter(todo[i])
		}
	}
	for i := range todo {
		if !todo[i].addition.overwrites() {
			m.enter(todo[i])
		}
	}
}

func (a *addition) overwrites() bool {
	return a.action == config.OverwriteIfExistsOrAdd || a.action == config.OverwriteIfExists
}

// applies reports whether the action of a, for the fields as they are now, is to be taken.
func (m *mutationRun) applies(a *addition) bool {
	if a.action != config.AddIfAbsent && a.action != config.OverwriteIfExists {
		return true
	}
	var exists bool
	if a.host && m.request != nil {
		exists = len(m.request.Authority) > 0
	} else {
		_, count := a.field.values(m.fields)
		exists = count > 0
	}
	return exists == (a.action == config.OverwriteIfExists)
}

func (m *mutationRun) enter(p pending) {
	switch {
	case p.addition.host && m.request != nil:
		m.request.Authority = p.value
	case p.addition.overwrites():
		p.addition.field.set(m.fields, p.value)
	default:
		p.addition.field.add(m.fields, p.value)
	}
}

// value makes a value. One that comes out with a control character is left empty: names from the configuration may hold
// such bytes, and in a field they would be a second field (RFC 9110 section 5.5).
func (m *mutationRun) value(f *format) []byte {
	if f.operators == nil {
		return f.literal
	}
	arena := *m.arena
	start := len(arena)
	for i := range f.operators {
		arena = f.operators[i].append(arena, m)
	}
	value := arena[start:len(arena):len(arena)]
	if !validValue(value) {
		return nil
	}
	*m.arena = arena
	return value
}

// validValue reports whether s may stand in a field: no control characters but the tab.
func validValue[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}
