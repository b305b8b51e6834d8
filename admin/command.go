package admin

import (
	"slices"
	"strings"
)

// command is one path of the administration interface.
type command struct {
	path    string
	help    string
	mutates bool // POST only
	params  []param
	run     func(*request)
}

// param is a parameter of a command, for the help and the index page.
type param struct {
	id, help string
	kind     paramKind
	choices  []string // of a choice
}

// paramKind is how a parameter is given.
type paramKind uint8

const (
	flagParam   paramKind = iota // counts when it is there, whatever its value
	textParam                    // any text
	choiceParam                  // one of several words
)

// newCommands returns the commands that the options allow, by path.
func (a *surface) newCommands() []command {
	all := slices.Concat(a.viewCommands(), a.configCommands(), a.runtimeCommands(), a.controlCommands())
	slices.SortFunc(all, func(x, y command) int { return strings.Compare(x.path, y.path) })
	return all
}

// viewCommands show what the server is and does.
func (a *surface) viewCommands() []command {
	usedOnly := param{"usedonly", "only what was written since the start", flagParam, nil}
	filter := param{"filter", "RE2 expression to search names for", textParam, nil}
	texts := param{"text_readouts", "in prometheus format, text readouts as gauges of value 0", flagParam, nil}
	return []command{
		{path: "/", help: "this list, to look at in a browser", run: a.index},
		{path: "/help", help: "this list", run: func(r *request) { r.ok(a.helpText()) }},
		{path: "/ready", help: "state of the server, with status 200 if it is LIVE and 503 otherwise", run: a.ready},
		{path: "/server_info", help: "version, state, uptime, node and command line", run: a.serverInfo},
		{path: "/hot_restart_version", help: "hot restart compatibility version", run: func(r *request) { r.ok(HotRestartVersion) }},
		{path: "/contention", help: "contention of mutexes, where it is counted", run: a.contention},
		{path: "/heap_dump", help: "what is on the heap, as a profile of pprof", run: a.heapDump},
		{path: "/stats/recentlookups", help: "recent lookups of statistics by name, of which there are none", run: a.recentLookups},
		{path: "/memory", help: "memory in use", run: a.memory},
		{path: "/certs", help: "certificates in use", run: a.certs},
		{path: "/stats", help: "statistics", run: a.stats, params: []param{
			usedOnly, filter,
			{"format", "how to write them", choiceParam, []string{"html", "active-html", "text", "json", "prometheus"}},
			{"type", "only those of a type", choiceParam, []string{"All", "Counters", "Histograms", "Gauges", "TextReadouts"}},
			{"histogram_buckets", "how to write histograms", choiceParam, []string{"cumulative", "disjoint", "detailed", "summary"}},
			{"hidden", "hidden statistics, of which there are none", choiceParam, []string{"include", "exclude", "showonly"}},
			texts,
		}},
		{path: "/stats/prometheus", help: "statistics in prometheus format", run: a.statsPrometheus, params: []param{usedOnly, filter, texts}},
	}
}

// formatParams is the parameter of what is shown as text or JSON.
func formatParams() []param {
	return []param{{"format", "how to write them", choiceParam, []string{"text", "json"}}}
}

// configCommands show the configuration and what became of it.
func (a *surface) configCommands() (commands []command) {
	if a.Clusters != nil {
		commands = append(commands, command{path: "/clusters", help: "clusters and their hosts", run: a.clusters, params: formatParams()})
	}
	if a.Listeners != nil {
		commands = append(commands, command{path: "/listeners", help: "listeners and their addresses", run: a.listeners, params: formatParams()})
	}
	if a.Unready != nil {
		commands = append(commands, command{path: "/init_dump", help: "resources that wait for others", run: a.initDump, params: []param{
			{"mask", "only those of a component", choiceParam, initComponents()},
		}})
	}
	if a.ConfigDump != nil {
		commands = append(commands, command{
			path: "/config_dump", help: "configuration as it was received, without secrets", run: a.configDump, params: []param{
				{"resource", "only the elements of a repeated field, as dynamic_active_clusters", textParam, nil},
				{"mask", "only the fields of this field mask, as cluster.name with a resource", textParam, nil},
				{"name_regex", "only configurations whose whole name matches this RE2 expression", textParam, nil},
				{"include_eds", "endpoints too", flagParam, nil},
			},
		})
	}
	return commands
}

// controlCommands change the state of the server.
func (a *surface) controlCommands() (commands []command) {
	add := func(given bool, path, help string, run func(*request), params ...param) {
		if given {
			commands = append(commands, command{path: path, help: help, mutates: true, run: run, params: params})
		}
	}
	add(true, "/cpuprofiler", "begin or end a profile of CPU time, which goes to admin.profile_path", a.cpuProfiler, enableParam())
	add(true, "/heapprofiler", "begin or end a profile of the heap, which goes to admin.profile_path", a.heapProfiler, enableParam())
	add(true, "/stats/recentlookups/enable", "count lookups of statistics by name", a.trackLookups(true))
	add(true, "/stats/recentlookups/disable", "do not count lookups of statistics by name", a.trackLookups(false))
	add(true, "/stats/recentlookups/clear", "forget recent lookups", func(r *request) { r.ok("OK\n") })
	add(true, "/reset_counters", "set all counters to zero", a.resetCounters)
	add(a.Level != nil, "/logging", "show log levels, or change them first", a.logging,
		param{"level", "new level of all loggers", choiceParam, levelNames()},
		param{"paths", "new levels of some, as main:debug", textParam, nil})
	add(a.FailHealthChecks != nil, "/healthcheck/fail", "fail health checks from now on", a.healthCheckFail)
	add(a.FailHealthChecks != nil, "/healthcheck/ok", "pass health checks again", a.healthCheckOK)
	add(a.Drain != nil, "/drain_listeners", "stop accepting connections", a.drainListeners,
		param{"graceful", "let go of connections over the drain time before", flagParam, nil},
		param{"skip_exit", "with graceful, go on accepting after the drain time", flagParam, nil},
		param{"inboundonly", "only listeners with traffic_direction INBOUND", flagParam, nil})
	add(a.Quit != nil, "/quitquitquit", "end the process", a.quit)
	add(a.ReopenLogs != nil, "/reopen_logs", "open log files again by their names", a.reopenLogs)
	return commands
}

// helpText is the list of commands as Envoy prints it.
func (a *surface) helpText() string {
	var b strings.Builder
	b.WriteString("admin commands are:\n")
	for _, c := range a.commands {
		b.WriteString("  " + c.path)
		if c.mutates {
			b.WriteString(" (POST)")
		}
		b.WriteString(": " + c.help + "\n")
		for _, p := range c.params {
			b.WriteString("      " + p.id + ": " + p.help)
			if p.kind == choiceParam {
				b.WriteString("; One of (" + strings.Join(p.choices, ", ") + ")")
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}
