// Command proxy-alb is the load balancer: traffic, Envoy's admin interface, metrics, health and ModuleService in one
// process, configured by an Envoy bootstrap file, by the environment of the container, and over xDS.
//
//	proxy-alb [flags]         serve; the flags are Envoy's
//	proxy-alb healthcheck     exit 0 when a running proxy-alb is healthy, 1 otherwise
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/penguintechinc/marchproxy-alb/admin"
)

// Exit statuses. Whatever is wrong with the input is 1, as with Envoy.
const (
	exitOK    = 0
	exitError = 1
)

func main() { os.Exit(run(os.Args[1:], os.Getenv)) }

func run(args []string, getenv func(string) string) int {
	if len(args) > 0 && args[0] == "healthcheck" {
		return healthcheck(args[1:], getenv)
	}
	err := start(args, getenv)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, pflag.ErrHelp):
		return exitOK
	}
	for line := range strings.SplitSeq(strings.TrimRight(err.Error(), "\n"), "\n") {
		fmt.Fprintln(os.Stderr, "proxy-alb: "+line)
	}
	return exitError
}

// start does what the flags ask for.
func start(args []string, getenv func(string) string) error {
	flags, err := parseFlags(args)
	if err != nil {
		return err
	}
	if flags.version {
		fmt.Println(versionLine())
		return nil
	}
	if flags.hotRestartVersion {
		fmt.Println(admin.HotRestartVersion)
		return nil
	}
	env, err := readEnvironment(getenv)
	if err != nil {
		return err
	}
	set, err := loadSettings(flags, env, getenv)
	if err != nil {
		return err
	}
	if flags.mode == modeValidate {
		for _, note := range set.notes {
			fmt.Fprintf(os.Stderr, "proxy-alb: warning: %s: %s\n", set.source, note)
		}
		fmt.Printf("configuration '%s' OK\n", set.source)
		return nil
	}
	return serve(set)
}
