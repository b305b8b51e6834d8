package config

import "time"

// Runtime is what Envoy has runtime keys for and no field. DefaultRuntime has the defaults; the zero value has no meaning.
type Runtime struct {
	// MaxPrematureResets is overload.premature_reset_total_stream_count.
	MaxPrematureResets uint32
	// PrematureResetAge is overload.premature_reset_min_stream_lifetime_seconds.
	PrematureResetAge time.Duration
}

// Defaults of the runtime keys.
const (
	// A reset before the answer costs its sender nothing and us a request (CVE-2023-44487, CVE-2025-8671).
	DefaultPrematureResets   = 500
	DefaultPrematureResetAge = time.Second
)

// DefaultRuntime returns what applies where no layer says otherwise.
func DefaultRuntime() *Runtime {
	return &Runtime{MaxPrematureResets: DefaultPrematureResets, PrematureResetAge: DefaultPrematureResetAge}
}
