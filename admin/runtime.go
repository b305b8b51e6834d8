package admin

import (
	"encoding/json"
	"errors"

	"github.com/valyala/fasthttp"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/layeredruntime"
)

// runtimeModifyUsage is the answer to /runtime_modify without parameters, in Envoy's words.
const runtimeModifyUsage = "usage: /runtime_modify?key1=value1&key2=value2&keyN=valueN\n" +
	"       or send the parameters as form values\n" +
	"use an empty value to remove a previously added override\n"

// runtimeDump is the answer of /runtime.
type runtimeDump struct {
	Layers  []string                `json:"layers"`
	Entries map[string]runtimeEntry `json:"entries"`
}

// runtimeEntry is a key: the text it has in each layer, empty where it has none, and that of the last.
type runtimeEntry struct {
	LayerValues []string `json:"layer_values"`
	FinalValue  string   `json:"final_value"`
}

// runtimeCommands show the runtime and change it.
func (a *surface) runtimeCommands() []command {
	if a.Runtime == nil {
		return nil
	}
	return []command{
		{path: "/runtime", help: "runtime values", run: a.runtime},
		{path: "/runtime_modify", help: "set runtime values: key1=value1&key2=value2, an empty value removes one", mutates: true, run: a.runtimeModify},
	}
}

// runtime is /runtime.
func (a *surface) runtime(r *request) {
	body, err := json.MarshalIndent(dumpRuntime(a.Runtime.Current()), "", " ")
	if err != nil {
		r.failed(err)
		return
	}
	setHeader(r.ctx, fasthttp.StatusOK, jsonText)
	r.ctx.Response.SetBody(append(body, '\n'))
}

func dumpRuntime(now *config.Runtime) runtimeDump {
	dump := runtimeDump{Layers: []string{}, Entries: map[string]runtimeEntry{}}
	layers := now.Layers()
	for i, l := range layers {
		dump.Layers = append(dump.Layers, l.Layer)
		for key, value := range l.Values {
			entry, ok := dump.Entries[key]
			if !ok {
				entry.LayerValues = make([]string, len(layers))
			}
			entry.LayerValues[i] = value.Text
			if value.Text != "" {
				entry.FinalValue = value.Text
			}
			dump.Entries[key] = entry
		}
	}
	return dump
}

// runtimeModify is /runtime_modify.
func (a *surface) runtimeModify(r *request) {
	values := make(map[string]string)
	for key, value := range r.query.All() {
		if _, ok := values[string(key)]; !ok { // a parameter of the query goes first
			values[string(key)] = string(value)
		}
	}
	if len(values) == 0 {
		r.bad(runtimeModifyUsage)
		return
	}
	switch err := a.Runtime.Merge(values); {
	case errors.Is(err, layeredruntime.ErrNoAdminLayer):
		reply(r.ctx, fasthttp.StatusServiceUnavailable, plainText, err.Error())
	case err != nil:
		r.bad(err.Error() + "\n")
	default:
		r.ok("OK\n")
	}
}
