package admin

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// surface is Envoy's administration interface.
type surface struct {
	Options
	commands []command // by path; read-only, those alone that do not mutate
	byPath   map[string]*command
	pages    *pages
	profiler *profiler
	lookups  atomic.Bool // whether lookups of statistics are to be counted
}

// New returns the server of the administration interface, Envoy's admin.address.
func New(o Options) (*Server, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	a := &surface{Options: o, byPath: map[string]*command{}, profiler: &profiler{path: o.ProfilePath}}
	if a.pages, err = newPages(); err != nil {
		return nil, err
	}
	for _, c := range a.newCommands() {
		a.byPath[c.path] = &c
		if !c.mutates || !o.ReadOnly {
			a.commands = append(a.commands, c)
		}
	}
	s := newServer("admin", o.Logger, a.dispatch)
	newTraffic(o.Stats, o.Now).watch(&s.http)
	s.after = a.profiler.close
	return s, nil
}

// dispatch finds the command of a request and runs it.
func (a *surface) dispatch(ctx *fasthttp.RequestCtx) {
	path, query := splitTarget(ctx.Request.Header.RequestURI())
	path = normalizePath(path)
	if !a.allowed(path, query) {
		reply(ctx, fasthttp.StatusForbidden, plainText, fmt.Sprintf("request to path %s not allowed\n", visible(path)))
		return
	}
	c := a.byPath[path]
	if c == nil {
		reply(ctx, fasthttp.StatusNotFound, plainText, "invalid path. "+a.helpText())
		return
	}
	if c.mutates {
		if a.ReadOnly {
			reply(ctx, fasthttp.StatusForbidden, plainText, fmt.Sprintf("the admin interface is read-only, %s would change the server\n", c.path))
			return
		}
		if !ctx.IsPost() {
			ctx.Response.Header.Set(fasthttp.HeaderAllow, fasthttp.MethodPost)
			reply(ctx, fasthttp.StatusMethodNotAllowed, plainText,
				fmt.Sprintf("Method %s not allowed, POST required.", visible(string(ctx.Method()))))
			return
		}
		if err := checkOrigin(&ctx.Request.Header); err != nil {
			reply(ctx, fasthttp.StatusForbidden, plainText, err.Error()+"\n")
			return
		}
	}
	c.run(newRequest(ctx, query))
}

// allowed reports whether a path is served. As in Envoy its parameters are a part of what is compared.
func (a *surface) allowed(path string, query []byte) bool {
	if a.AllowPaths == nil {
		return true
	}
	if len(query) > 0 {
		path += "?" + string(query)
	}
	return a.AllowPaths(path)
}

// request is a request of a command and the answer to it.
type request struct {
	ctx   *fasthttp.RequestCtx
	query fasthttp.Args
}

func newRequest(ctx *fasthttp.RequestCtx, query []byte) *request {
	r := &request{ctx: ctx}
	r.query.ParseBytes(query)
	// The forms of the index page send the parameters of mutating commands as a body. Others may not send any, and a
	// parameter of the query goes first.
	if ctx.IsPost() && strings.HasPrefix(string(ctx.Request.Header.ContentType()), "application/x-www-form-urlencoded") {
		for key, value := range ctx.PostArgs().All() {
			r.query.AddBytesKV(key, value)
		}
	}
	return r
}

// value returns the parameter of that name, the first of several, or "".
func (r *request) value(name string) string { return string(r.query.Peek(name)) }

// has reports whether there is a parameter of that name, with or without a value.
func (r *request) has(name string) bool { return r.query.Has(name) }

// names returns the names of all parameters in their order.
func (r *request) names() (names []string) {
	for key := range r.query.All() {
		names = append(names, string(key))
	}
	return names
}

// ok answers 200 with text.
func (r *request) ok(text string) { reply(r.ctx, fasthttp.StatusOK, plainText, text) }

// bad answers 400 with text.
func (r *request) bad(text string) { reply(r.ctx, fasthttp.StatusBadRequest, plainText, text) }

// failed answers 500 with an error.
func (r *request) failed(err error) {
	reply(r.ctx, fasthttp.StatusInternalServerError, plainText, err.Error()+"\n")
}

// wantsJSON reports whether format=json was asked for.
func (r *request) wantsJSON() bool { return r.value("format") == "json" }
