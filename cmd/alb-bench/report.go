package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/penguintechinc/marchproxy-alb/bench"
	"github.com/penguintechinc/marchproxy-alb/bench/page"
)

// maxReport bounds a report that is read: one of all scenarios with a hundred rounds has a few MiB.
const maxReport = 64 << 20

// runHTML prints the page of a report.
func runHTML(_ context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("alb-bench html", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprintln(stderr, "Usage: alb-bench html report.json >report.html") }
	if err := parseFlags(flags, args, stderr); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return usagef(stderr, "html: want one file, report.json, got %d", flags.NArg())
	}
	report, err := readReport(flags.Arg(0))
	if err != nil {
		return err
	}
	return page.Write(stdout, report)
}

func readReport(path string) (bench.Report, error) {
	text, err := readFile(path, maxReport)
	if err != nil {
		return bench.Report{}, err
	}
	report, err := bench.ReadReport(text)
	if err != nil {
		return bench.Report{}, fmt.Errorf("%s: %w", path, err)
	}
	return report, nil
}

// readFile reads a file of at most so many bytes.
func readFile(path string, most int) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, int64(most)+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > most:
		return nil, fmt.Errorf("%s: has more than %d bytes", path, most)
	}
	return text, nil
}
