package admin

import (
	"fmt"
	"strings"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
)

// Unready is a resource that waits for others before it comes into force.
type Unready struct {
	// Kind is "cluster" or "listener", and Name that of the resource.
	Kind, Name string
	// Targets are what it waits for.
	Targets []string
}

// initComponents are what the mask of /init_dump can choose.
func initComponents() []string { return []string{"listener", "cluster"} }

// initDump is /init_dump. Envoy has listeners there only.
func (a *surface) initDump(r *request) {
	mask := r.value("mask")
	known := mask == ""
	for _, component := range initComponents() {
		known = known || mask == component
	}
	if !known {
		r.bad(fmt.Sprintf("%s is not a component, want one of %s\n", visible(mask), strings.Join(initComponents(), ", ")))
		return
	}
	dumps := &adminv3.UnreadyTargetsDumps{}
	for _, u := range a.Unready() {
		if mask == "" || mask == u.Kind {
			dumps.UnreadyTargetsDumps = append(dumps.UnreadyTargetsDumps, unreadyTargets(&u))
		}
	}
	r.json(dumps, omitDefaults)
}

// unreadyTargets names a resource and its targets as Envoy's init managers do.
func unreadyTargets(u *Unready) *adminv3.UnreadyTargetsDumps_UnreadyTargetsDump {
	name := "init manager Listener-local-init-manager " + u.Name
	if u.Kind != "listener" {
		name = "init manager " + u.Kind + " " + u.Name
	}
	dump := &adminv3.UnreadyTargetsDumps_UnreadyTargetsDump{Name: name}
	for _, target := range u.Targets {
		dump.TargetNames = append(dump.TargetNames, "target "+target)
	}
	return dump
}
