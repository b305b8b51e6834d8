package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

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

// runTable prints what reports of one machine come to as Markdown, or puts it into a document.
func runTable(_ context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("alb-bench table", flag.ContinueOnError)
	scenarios := flags.String("scenario", "", "`names` of scenarios, separated by commas (default: all that are in the reports)")
	into := flags.String("into", "", "`file` in which the figures take the place of those that it has")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "Usage: alb-bench table [flags] report.json...")
		flags.PrintDefaults()
	}
	if err := parseFlags(flags, args, stderr); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return usagef(stderr, "table: want files of reports, got none")
	}
	var reports []bench.Report
	for _, path := range flags.Args() {
		report, err := readReport(path)
		if err != nil {
			return err
		}
		reports = append(reports, report)
	}
	report, err := bench.Merge(reports)
	if err != nil {
		return err
	}
	if *scenarios != "" {
		report = report.Only(strings.Split(*scenarios, ","))
	}
	if *into == "" {
		return report.WriteMarkdown(stdout)
	}
	return replaceFigures(*into, report)
}

// replaceFigures puts the figures of a report into a document.
func replaceFigures(path string, report bench.Report) error {
	text, err := readFile(path, maxReport)
	if err != nil {
		return err
	}
	var figures strings.Builder
	if err := report.WriteMarkdown(&figures); err != nil {
		return err
	}
	replaced, err := bench.Into(string(text), figures.String())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(replaced), 0o644)
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
