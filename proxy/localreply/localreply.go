// Package localreply changes answers of the proxy's own as local_reply_config of a connection manager says.
package localreply

import (
	"fmt"
	"unsafe"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog/formatter"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog/logfilter"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
)

// maxBody bounds what a format makes, in bytes: it is kept for every answer that is being sent, and fields of the request may be
// in it many times.
const maxBody = 1 << 20

// Rewriter is a compiled config.LocalReply. It is immutable.
type Rewriter struct {
	mappers []mapper
	format  *format // nil: the body is what it is
}

// mapper is a compiled config.ReplyMapper.
type mapper struct {
	config *config.ReplyMapper
	filter *logfilter.Filter
	add    route.MutationList
	format *format // nil for the Rewriter's
}

// format is a compiled config.ReplyFormat.
type format struct {
	body        *formatter.Formatter
	contentType []byte
	json        bool
}

// Compile compiles c with the values that the runtime has now; nil becomes nil.
func Compile(c *config.LocalReply, runtime *config.Runtime) (*Rewriter, error) {
	if c == nil {
		return nil, nil
	}
	w := &Rewriter{}
	var err error
	if w.format, err = compileFormat(c.Format); err != nil {
		return nil, fmt.Errorf("body_format: %w", err)
	}
	for i := range c.Mappers {
		m := mapper{config: &c.Mappers[i]}
		if m.filter, err = logfilter.Compile(m.config.Filter, runtime); err != nil {
			return nil, fmt.Errorf("mappers[%d]: filter: %w", i, err)
		}
		if m.add, err = route.CompileMutationList([]config.HeaderMutations{{ResponseAdd: m.config.Add}}); err != nil {
			return nil, fmt.Errorf("mappers[%d]: headers_to_add: %w", i, err)
		}
		if m.format, err = compileFormat(m.config.Format); err != nil {
			return nil, fmt.Errorf("mappers[%d]: body_format_override: %w", i, err)
		}
		w.mappers = append(w.mappers, m)
	}
	return w, nil
}

func compileFormat(f *config.ReplyFormat) (*format, error) {
	if f == nil {
		return nil, nil
	}
	body, err := formatter.Compile(&f.Body)
	return &format{body: body, contentType: []byte(f.ContentType), json: f.Body.JSON != nil}, err
}

// Reply is an answer that is to be sent. Status and fields are those of Entry.Response, which Context has too.
type Reply struct {
	Entry   *accesslog.Entry
	Context route.MutationContext
	Route   *route.Route  // nil for none
	Target  *route.Target // nil for none

	Body        string
	ContentType []byte // of a body whose fields do not say
	JSON        bool   // the body is an object and a line feed
}

// Rewrite changes r as the first mapper says that is for it, then makes the body. What it makes is appended to *arena: status, fields
// and body borrow from there and from the Rewriter. It allocates nothing but for the growth of the arena and of the list of fields.
func (w *Rewriter) Rewrite(r *Reply, arena *[]byte) {
	made := w.format
	for i := range w.mappers {
		m := &w.mappers[i]
		if !m.filter.Passes(r.Entry) {
			continue
		}
		m.rewrite(r, arena)
		if m.format != nil {
			made = m.format
		}
		break
	}
	if made != nil {
		made.apply(r, arena)
	}
}

// rewrite has fields made of the status that the answer had.
func (m *mapper) rewrite(r *Reply, arena *[]byte) {
	if m.config.Body != nil {
		r.Body = *m.config.Body
	}
	m.add.MutateResponse(&r.Context, r.Route, r.Target, arena)
	if m.config.Status != 0 {
		r.Entry.Status, r.Entry.Response.Status = m.config.Status, m.config.Status
	}
}

// apply makes the body. One that gets too long stays what it is.
func (f *format) apply(r *Reply, arena *[]byte) {
	r.Entry.LocalReplyBody = r.Body
	start := len(*arena)
	made, ok := f.body.AppendAtMost(*arena, r.Entry, maxBody)
	if !ok {
		return
	}
	*arena = made
	r.Body = unsafe.String(unsafe.SliceData(made[start:]), len(made)-start)
	r.ContentType, r.JSON = f.contentType, f.json
}
