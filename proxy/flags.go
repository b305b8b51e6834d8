package proxy

import "strings"

// Flags are Envoy's response flags: what was special about how a stream ended. They are a set.
type Flags uint32

// The flags that the proxy sets.
const (
	FlagDownstreamConnectionTermination Flags = 1 << iota // DC
	FlagNoHealthyUpstream                                 // UH
	FlagUpstreamRequestTimeout                            // UT
	FlagUpstreamRemoteReset                               // UR
	FlagUpstreamConnectionFailure                         // UF
	FlagUpstreamConnectionTermination                     // UC
	FlagUpstreamOverflow                                  // UO
	FlagNoRouteFound                                      // NR
	FlagRateLimited                                       // RL
	FlagStreamIdleTimeout                                 // SI
	FlagDownstreamProtocolError                           // DPE
	FlagUpstreamProtocolError                             // UPE
	FlagNoClusterFound                                    // NC
	FlagDurationTimeout                                   // DT
	FlagLocalReset                                        // LR
	FlagDownstreamRemoteReset                             // DR
	FlagUpstreamRetryLimitExceeded                        // URX
	FlagDelayInjected                                     // DI
	FlagFaultInjected                                     // FI
	FlagDropOverload                                      // DO
	FlagUpstreamMaxStreamDuration                         // UMSDR
)

// flagNames are the short names in the order of the bits. It is never written.
var flagNames = [...]string{"DC", "UH", "UT", "UR", "UF", "UC", "UO", "NR", "RL", "SI", "DPE", "UPE", "NC", "DT", "LR", "DR", "URX", "DI", "FI", "DO", "UMSDR"}

// appendNames appends the short names of the flags.
func (f Flags) appendNames(names []string) []string {
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String returns the short names joined by commas, "-" for none, as Envoy's %RESPONSE_FLAGS% does.
func (f Flags) String() string {
	if f == 0 {
		return "-"
	}
	return strings.Join(f.appendNames(nil), ",")
}
