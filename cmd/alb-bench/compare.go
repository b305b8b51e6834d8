package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/penguintechinc/marchproxy-alb/bench"
)

var errRegression = errors.New("slower or larger than before, beyond the noise")

// runCompare holds a report against an older one.
func runCompare(_ context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("alb-bench compare", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "Usage: alb-bench compare old.json new.json\n\n"+
			"Compares proxy-alb in two reports of --json. The exit status is 1 when it became worse beyond the noise,\n"+
			"or when there are too few rounds to tell.")
	}
	if err := parseFlags(flags, args, stderr); err != nil {
		return err
	}
	if flags.NArg() != 2 {
		return usagef(stderr, "compare: want two files, old.json and new.json, got %d", flags.NArg())
	}
	old, err := readReport(flags.Arg(0))
	if err != nil {
		return err
	}
	fresh, err := readReport(flags.Arg(1))
	if err != nil {
		return err
	}
	comparison := bench.Compare(old, fresh)
	if err := comparison.WriteText(stdout); err != nil {
		return err
	}
	if err := bench.Judged(comparison.Findings); err != nil {
		return err
	}
	return regression(comparison.Findings)
}

// regression fails when a finding is one.
func regression(findings []bench.Finding) error {
	if len(bench.Regressed(findings)) > 0 {
		return errRegression
	}
	return nil
}
