package stats

import "strconv"

// GoogleGRPCStreamsTotal is the first statistic of GoogleGRPC.
const GoogleGRPCStreamsTotal = 0

// maxGRPCStatus is the last status code of gRPC, UNAUTHENTICATED.
const maxGRPCStatus = 16

// GoogleGRPC is the schema of "grpc.<stat_prefix>.", of services that are reached by google_grpc.
var GoogleGRPC = NewSchema(googleGRPC()...)

func googleGRPC() []Def {
	all := []Def{GoogleGRPCStreamsTotal: {Name: "streams_total"}}
	for code := range maxGRPCStatus + 1 {
		all = append(all, Def{Name: "streams_closed_" + strconv.Itoa(code)})
	}
	return all
}

// GoogleGRPCClosed returns the statistic of streams that ended with a status code. Codes that gRPC does not have are of UNKNOWN.
func GoogleGRPCClosed(code uint32) int {
	if code > maxGRPCStatus {
		code = 2
	}
	return GoogleGRPCStreamsTotal + 1 + int(code)
}
