package resource

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxErrors bounds how many errors of one resource are reported: the text travels back to the control plane in a NACK
// and into the log, and past the first few the rest mostly follows from the same mistake.
const maxErrors = 16

// report gathers what is wrong with one resource.
type report struct {
	resource string // such as `listener "l"`
	errs     []error
	dropped  int // errors past maxErrors
	// specifiers are the cluster_specifier_plugins of a route configuration, by their names.
	specifiers map[string]clusterSpecifier
}

// at is a place in a resource: the path of fields that leads to it.
type at struct {
	report *report
	up     *at
	step   string // the field, with its key where it is one of a map; empty at the root
	// element is which of a repeated field it is, from 1, and 0 for none: it becomes text only in an error.
	element int
}

// newReport returns the root of a resource of the kind, such as "listener".
func newReport(kind, name string) *at {
	return &at{report: &report{resource: kind + " " + strconv.Quote(name)}}
}

// in returns the place of a field.
func (a *at) in(field string) *at { return &at{report: a.report, up: a, step: field} }

// item returns the place of an element of a repeated field.
func (a *at) item(field string, i int) *at {
	return &at{report: a.report, up: a, step: field, element: i + 1}
}

// key returns the place of an entry of a map field.
func (a *at) key(field, key string) *at { return a.in(field + "[" + strconv.Quote(key) + "]") }

// path returns the place as text: "filter_chains[0].filters[1]".
func (a *at) path() string {
	var steps []string
	for p := a; p != nil; p = p.up {
		if step := p.step; step != "" {
			if p.element > 0 {
				step += "[" + strconv.Itoa(p.element-1) + "]"
			}
			steps = append(steps, step)
		}
	}
	for i, j := 0, len(steps)-1; i < j; i, j = i+1, j-1 {
		steps[i], steps[j] = steps[j], steps[i]
	}
	return strings.Join(steps, ".")
}

// errorf reports that something is wrong here.
func (a *at) errorf(format string, args ...any) {
	r := a.report
	if len(r.errs) == maxErrors {
		r.dropped++
		return
	}
	text := fmt.Sprintf(format, args...)
	if path := a.path(); path != "" {
		text = path + ": " + text
	}
	r.errs = append(r.errs, errors.New(r.resource+": "+text))
}

// failed reports whether anything is wrong so far.
func (a *at) failed() bool { return len(a.report.errs) > 0 }

// err returns everything that is wrong with the resource, a line each, nil when nothing is.
func (a *at) err() error {
	r := a.report
	if r.dropped > 0 {
		return errors.Join(append(r.errs, fmt.Errorf("%s: and %d more errors", r.resource, r.dropped))...)
	}
	return errors.Join(r.errs...)
}
