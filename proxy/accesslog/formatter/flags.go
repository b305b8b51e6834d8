package formatter

import "github.com/penguintechinc/marchproxy-alb/proxy/accesslog"

// appendFlags appends the names of the response flags with commas between them, "-" for none.
func appendFlags(dst []byte, e *accesslog.Entry, name func(flag string) string) []byte {
	if len(e.Flags) == 0 {
		return append(dst, '-')
	}
	for i, flag := range e.Flags {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, name(flag)...)
	}
	return dst
}

func shortName(flag string) string { return flag }

// longName returns Envoy's long name of a response flag (%RESPONSE_FLAGS_LONG%).
func longName(flag string) string {
	switch flag {
	case "DC":
		return "DownstreamConnectionTermination"
	case "UH":
		return "NoHealthyUpstream"
	case "UT":
		return "UpstreamRequestTimeout"
	case "UR":
		return "UpstreamRemoteReset"
	case "UF":
		return "UpstreamConnectionFailure"
	case "UC":
		return "UpstreamConnectionTermination"
	case "UO":
		return "UpstreamOverflow"
	case "NR":
		return "NoRouteFound"
	case "RL":
		return "RateLimited"
	case "SI":
		return "StreamIdleTimeout"
	case "DPE":
		return "DownstreamProtocolError"
	case "UPE":
		return "UpstreamProtocolError"
	case "NC":
		return "NoClusterFound"
	case "DT":
		return "DurationTimeout"
	case "LR":
		return "LocalReset"
	case "DR":
		return "DownstreamRemoteReset"
	case "URX":
		return "UpstreamRetryLimitExceeded"
	case "DI":
		return "DelayInjected"
	case "FI":
		return "FaultInjected"
	case "DO":
		return "DropOverload"
	case "UMSDR":
		return "UpstreamMaxStreamDurationReached"
	}
	return flag
}
