package stats

// The statistics of CORS.
const (
	CORSOriginInvalid = iota
	CORSOriginValid
)

// CORS is the schema of "http.<stat_prefix>.cors.".
var CORS = NewSchema([]Def{
	CORSOriginInvalid: {Name: "origin_invalid"},
	CORSOriginValid:   {Name: "origin_valid"},
}...)

// The statistics of Fault.
const (
	FaultAbortsInjected = iota
	FaultDelaysInjected
	FaultOverflow
	FaultResponseRateLimitInjected
	FaultActive
)

// Fault is the schema of "http.<stat_prefix>.fault.".
var Fault = NewSchema([]Def{
	FaultAbortsInjected:            {Name: "aborts_injected"},
	FaultDelaysInjected:            {Name: "delays_injected"},
	FaultOverflow:                  {Name: "faults_overflow"},
	FaultResponseRateLimitInjected: {Name: "response_rl_injected"},
	FaultActive:                    {Name: "active_faults", Kind: Gauge},
}...)
