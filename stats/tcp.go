package stats

// The statistics of TCP.
const (
	TCPDownstreamCxTotal = iota
	TCPDownstreamCxNoRoute
	TCPDownstreamCxRxBytesTotal
	TCPDownstreamCxTxBytesTotal
	TCPDownstreamFlowControlPausedReadingTotal
	TCPIdleTimeout
	TCPMaxDownstreamConnectionDuration
)

// TCP is the schema of "tcp.<stat_prefix>.".
var TCP = NewSchema([]Def{
	TCPDownstreamCxTotal:                       {Name: "downstream_cx_total"},
	TCPDownstreamCxNoRoute:                     {Name: "downstream_cx_no_route"},
	TCPDownstreamCxRxBytesTotal:                {Name: "downstream_cx_rx_bytes_total"},
	TCPDownstreamCxTxBytesTotal:                {Name: "downstream_cx_tx_bytes_total"},
	TCPDownstreamFlowControlPausedReadingTotal: {Name: "downstream_flow_control_paused_reading_total"},
	TCPIdleTimeout:                             {Name: "idle_timeout"},
	TCPMaxDownstreamConnectionDuration:         {Name: "max_downstream_connection_duration"},
}...)
