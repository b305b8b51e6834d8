package admin

import (
	"fmt"
	"strings"

	"go.uber.org/zap/zapcore"
)

// mainLogger is the name of our only logger.
const mainLogger = "main"

// levelOff lets nothing through.
const levelOff = zapcore.FatalLevel + 1

// levelNames are Envoy's names of levels.
func levelNames() []string {
	return []string{"trace", "debug", "info", "warning", "error", "critical", "off"}
}

// parseLevel returns the level of that name. There is none below debug here, so that trace is debug.
func parseLevel(name string) (zapcore.Level, bool) {
	switch name {
	case "trace", "debug":
		return zapcore.DebugLevel, true
	case "info":
		return zapcore.InfoLevel, true
	case "warning", "warn":
		return zapcore.WarnLevel, true
	case "error":
		return zapcore.ErrorLevel, true
	case "critical":
		return zapcore.DPanicLevel, true
	case "off":
		return levelOff, true
	default:
		return 0, false
	}
}

// levelName is the inverse of parseLevel.
func levelName(l zapcore.Level) string {
	switch {
	case l <= zapcore.DebugLevel:
		return "debug"
	case l == zapcore.InfoLevel:
		return "info"
	case l == zapcore.WarnLevel:
		return "warning"
	case l == zapcore.ErrorLevel:
		return "error"
	case l < levelOff:
		return "critical"
	default:
		return "off"
	}
}

// logging is /logging: without a parameter the levels, with one parameter a change of them first.
func (a *surface) logging(r *request) {
	level, changed, err := requestedLevel(r)
	if err != nil {
		r.bad(fmt.Sprintf("error: %v\n"+
			"usage: /logging?<name>=<level> (change single level)\n"+
			"usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)\n"+
			"usage: /logging?level=<level> (change all levels)\n"+
			"levels: %s\n", err, strings.Join(levelNames(), " ")))
		return
	}
	if changed {
		a.Level.SetLevel(level)
	}
	r.ok(fmt.Sprintf("active loggers:\n  %s: %s\n", mainLogger, levelName(a.Level.Level())))
}

// requestedLevel returns the level that r sets, if it sets one.
func requestedLevel(r *request) (level zapcore.Level, changed bool, err error) {
	var name, value string
	for _, n := range r.names() {
		v := r.value(n)
		if v == "" {
			continue // an empty field of the form on the index page
		}
		if changed {
			return 0, false, fmt.Errorf("more than one parameter: %q and %q", visible(name), visible(n))
		}
		name, value, changed = n, v, true
	}
	switch {
	case !changed:
		return 0, false, nil
	case name == "paths":
		level, err = parseLoggerLevels(value)
	case name == "level" || name == mainLogger:
		level, err = parseLevelOf(value)
	default:
		err = unknownLogger(name)
	}
	return level, true, err
}

// parseLoggerLevels parses "name:level,...", of which the last is what counts.
func parseLoggerLevels(s string) (level zapcore.Level, err error) {
	for pair := range strings.SplitSeq(s, ",") {
		name, value, ok := strings.Cut(pair, ":")
		if !ok {
			return 0, fmt.Errorf("%q is not <name>:<level>", visible(pair))
		}
		if name != mainLogger {
			return 0, unknownLogger(name)
		}
		if level, err = parseLevelOf(value); err != nil {
			return 0, err
		}
	}
	return level, nil
}

func parseLevelOf(s string) (zapcore.Level, error) {
	level, ok := parseLevel(s)
	if !ok {
		return 0, fmt.Errorf("unknown logger level %q", visible(s))
	}
	return level, nil
}

func unknownLogger(name string) error {
	return fmt.Errorf("unknown logger name %q, the only one is %s", visible(name), mainLogger)
}
