package proxy

import "testing"

// TestEveryVerdictIsAnswered holds that no verdict was left out of the table.
func TestEveryVerdictIsAnswered(t *testing.T) {
	for v := verdictNone + 1; v < verdictCount; v++ {
		if v.detailsBefore() == "" || v.detailsAfter() == "" {
			t.Errorf("verdict %d has no details", v)
		}
		fromRoute := v == verdictDirectResponse || v == verdictRedirect
		over := v.unanswerable()
		if a := answers[v]; (a.status == 0) != (fromRoute || over) {
			t.Errorf("verdict %d has status %d", v, a.status)
		}
	}
}

func TestFlags(t *testing.T) {
	for flags, want := range map[Flags]string{
		0: "-", FlagDownstreamConnectionTermination: "DC", FlagLocalReset: "LR", FlagDownstreamRemoteReset: "DR",
		FlagUpstreamOverflow | FlagNoRouteFound: "UO,NR",
	} {
		if got := flags.String(); got != want {
			t.Errorf("%b is %q, want %q", flags, got, want)
		}
	}
	if n := len(flagNames); 1<<(n-1) != FlagUpstreamMaxStreamDuration {
		t.Errorf("%d names, the last flag is %b", n, FlagUpstreamMaxStreamDuration)
	}
}
